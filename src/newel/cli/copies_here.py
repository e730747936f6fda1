"""The copies of the log that lie outside the database and can be read from this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from newel.base.settings import Settings

__all__ = ["mirrors", "own_copies"]

_MIRROR: Final = "mirror:"


def own_copies(settings: Settings) -> list[Path]:
    """Name the checkpoints that lie outside the database and can be read here."""
    from newel.engine.anchors import anchor_path

    found = sorted(settings.log_directory.glob("checkpoint.*"))
    for each in settings.anchors:
        place = anchor_path(each, settings.data_directory)
        if place is not None:
            found += sorted(place.glob("checkpoint.*.*"))
            found += sorted(place.glob("*/checkpoint.*"))
    return found


def mirrors(settings: Settings) -> list[Path]:
    """Name the places that have the whole log and can be read here."""
    from newel.engine.anchors import anchor_path

    wanted = [each for each in settings.anchors if each.startswith(_MIRROR)]
    places = [anchor_path(each, settings.data_directory) for each in wanted]
    return [place for place in places if place is not None]
