"""Copies of checkpoints that lie on the network, fetched for whoever verifies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson

if TYPE_CHECKING:
    from newel.engine.fetching import Fetched

__all__ = ["fetch"]


def fetch(
    folder: Annotated[Path, Parameter(help="Where they go; it is made if need be.")],
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Fetch copies of checkpoints from buckets, and time stamps; then verify with --anchors."""
    from newel.base.settings import load_settings
    from newel.cli.deployment import carried_out, key_holder, opened
    from newel.engine.fetching import fetched

    settings = load_settings()
    there = folder.absolute()

    async def brought() -> Fetched:
        async with opened(settings, new=False) as deployment:
            return await fetched(deployment.database, key_holder(settings).anchors, there)

    done = carried_out(brought())
    if as_json:
        return say_json({"folder": str(there), "copies": done.copies, "stamps": done.stamps})
    return say(f"{done.copies} copies and {done.stamps} time stamps are new in {there}.")
