"""After a restore: what the database has forgotten, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from newel.cli.copies_here import mirrors, own_copies
from newel.cli.output import columns, say, say_json
from newel.cli.parameters import AsJson

if TYPE_CHECKING:
    from newel.engine.restore_check import RestoreChecked

__all__ = ["restore_check"]

LOST: Final = 1
_HEADS: Final = ("WHEN", "TYPE", "SYSTEM", "KEY", "STREAM", "IDEMPOTENCY KEY")
_WHAT_TO_DO: Final = (
    "Leave the workers stopped. Look at each of these in its system: newel does not know that it "
    "was done, and would do it again. When `newel audit verify` says nothing but this:\n"
    '  newel audit new-epoch --reason "Restored the backup of …" --actor …'
)


def restore_check(
    *,
    mirror: Annotated[
        tuple[Path, ...],
        Parameter(help="Folder with the whole log: a mirror, an export; repeatable."),
    ] = (),
    anchors: Annotated[
        tuple[Path, ...],
        Parameter(help="Copies of checkpoints kept elsewhere: file or folder; repeatable."),
    ] = (),
    as_json: AsJson = False,
) -> int:
    """Say what was signed elsewhere and is not in the database, before work goes on.

    Asked are the copies that this machine can read, and those that are named. The status is 0 if
    nothing is missing, 1 if something is.
    """
    from newel.base.settings import load_settings
    from newel.cli.deployment import carried_out, opened
    from newel.engine.restore_check import recorded, restore_checked
    from newel.store.export import snapshot

    settings = load_settings()
    heads = own_copies(settings) + [
        each for place in anchors for each in ([place] if place.is_file() else place.rglob("*"))
    ]
    heads += [each for folder in mirror for each in folder.glob("*/checkpoint*")]
    folders = [*mirrors(settings), settings.archive_directory, *mirror]

    async def checked() -> tuple[RestoreChecked, bool]:
        async with opened(settings, new=False) as deployment:
            async with snapshot(deployment.database) as at:
                found = await restore_checked(at.connection, heads, folders)
            return found, await recorded(deployment.database, found)

    found, is_recorded = carried_out(checked())
    status = LOST if found.short or found.other or found.lost else 0
    if as_json:
        lost = [asdict(each) for each in found.lost]
        told = {"here": found.here, "elsewhere": found.elsewhere, "other": found.other}
        say_json({**told, "lost": lost, "is_recorded": is_recorded})
        return status
    _say(found)
    if not is_recorded:
        say("The log does not say that this was asked: the database takes no event from here.")
    return status


def _say(found: RestoreChecked) -> None:
    for origin, many in found.short.items():
        size = found.elsewhere[origin]
        say(f"{origin}: {size} entries were signed, {many} of them are not in the database.")
    for origin, size in found.other.items():
        say(f"{origin}: what was signed at {size} entries is not what the database has there.")
    if found.lost:
        many, outside = len(found.lost), len(found.outside)
        say(f"Copies have {many} of the events; {outside} may have left something:")
        rows = [
            (
                each.occurred_at,
                each.type,
                each.system or "-",
                each.key or "-",
                each.stream,
                each.idempotency_key or "-",
            )
            for each in found.outside
        ]
        say(columns(_HEADS, rows))
    if found.short or found.other or found.lost:
        return say(_WHAT_TO_DO)
    if not found.elsewhere:
        return say("No copy of a checkpoint can be read here: nothing can be said. Name --anchors.")
    return say("Nothing that was signed elsewhere is missing.")
