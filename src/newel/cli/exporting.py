"""Leaving with everything, or with one run's journal for a test."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from newel.base.ids import reference
from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson, NamedActor, Reason

if TYPE_CHECKING:
    from newel.engine.exporting import Exported

__all__ = ["export"]

_FOR_TESTS = "a journal without personal data, to be replayed"
_FOR_CHECKS = "journals without personal data, to judge new code by"


def export(
    path: Annotated[Path, Parameter(help="Directory to make; of journals, the file.")],
    /,
    *,
    reason: Reason = "",
    opened: Annotated[
        bool, Parameter(negative=(), help="Open what is sealed, too; --actor must name a person.")
    ] = False,
    run: Annotated[
        str | None, Parameter(help="Only the journal of this run, without personal data.")
    ] = None,
    journals: Annotated[
        bool,
        Parameter(
            negative=(), help="Only the journals of all open runs, for `newel check --against`."
        ),
    ] = False,
    kept: Annotated[
        tuple[str, ...],
        Parameter(help="Of journals: fields whose texts stay, as the process decides by them."),
    ] = (),
    hidden: Annotated[
        tuple[str, ...],
        Parameter(help="Of journals: fields whose numbers and moments go as well."),
    ] = (),
    actor: NamedActor = "",
    as_json: AsJson = False,
) -> None:
    """Write everything this deployment knows into open files; a reason is needed.

    With --run it is one run's journal, for tests that replay it; with --journals those of all open
    runs, to be judged before new code comes. Neither needs a reason.
    """
    if journals:
        runs, left_out = _journals(path, (kept, hidden), actor, reason or _FOR_CHECKS)
        if as_json:
            return say_json({"file": str(path), "runs": runs, "left_out": left_out})
        say(f"{runs} open runs are in {path}; `newel check --against {path}` judges them.")
        if left_out:
            say(f"{left_out} of them cannot be told without persons: name fields in --kept.")
        return None
    if run is not None:
        size = _journal(path, run, (kept, hidden), actor, reason or _FOR_TESTS)
        if as_json:
            return say_json({"file": str(path), "bytes": size})
        return say(f"The journal of {run} is in {path}; `newel.testing.replays` replays it.")
    done = _everything(path, actor, reason, is_opened=opened)
    if as_json:
        return say_json(
            {
                "directory": str(path),
                "files": done.files,
                "rows": done.rows,
                "unreadable": done.unreadable,
                "manifest_sha256": done.manifest_sha256,
            }
        )
    say(f"{done.rows} rows are in {path}; manifest.json counts them ({done.manifest_sha256}).")
    if done.unreadable:
        say(f"{done.unreadable} values belong to people who were erased: nobody can open them.")
    return None


def _everything(path: Path, actor: str, reason: str, *, is_opened: bool) -> Exported:
    from newel.cli.deployment import carried_out, found_engine
    from newel.engine.exporting import Exports

    there = path.absolute()

    async def written() -> Exported:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            exports = Exports(engine.database, engine.vault)
            return await exports.deployment(there, actor=acting, reason=reason, is_opened=is_opened)

    return carried_out(written())


def _journal(
    path: Path, named: str, fields: tuple[tuple[str, ...], ...], actor: str, reason: str
) -> int:
    from newel.base.errors import InvalidInput
    from newel.cli.deployment import carried_out, found_engine
    from newel.cli.references import run_named
    from newel.engine.exporting import Exports
    from newel.testing.journals import exported

    kept, hidden = fields
    run = run_named(named)
    if path.exists():
        raise InvalidInput({"path": f"{path} exists: an export overwrites nothing"})

    async def written() -> bytes:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            text = await exported(engine, run, kept=kept, hidden=hidden)
            await Exports(engine.database, engine.vault).told(
                "journal",
                rows=1,
                digest=hashlib.sha256(reference("run", run).encode()).hexdigest(),
                made=hashlib.sha256(text).hexdigest(),
                actor=acting,
                reason=reason,
            )
            return text

    text = carried_out(written())
    path.write_bytes(text)
    return len(text)


def _journals(
    path: Path, fields: tuple[tuple[str, ...], ...], actor: str, reason: str
) -> tuple[int, int]:
    """Write the journals of all open runs; how many, and how many of them cannot be told."""
    from newel.base.errors import InvalidInput
    from newel.cli.deployment import carried_out, found_engine
    from newel.engine.exporting import Exports
    from newel.testing.journals import exported_open

    kept, hidden = fields
    if path.exists():
        raise InvalidInput({"path": f"{path} exists: an export overwrites nothing"})

    async def written() -> list[dict[str, Any]]:  # Any: JSON
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            found = [each async for each in exported_open(engine, kept=kept, hidden=hidden)]
            await Exports(engine.database, engine.vault).told(
                "journals",
                rows=len(found),
                digest=hashlib.sha256(b"open").hexdigest(),
                made=hashlib.sha256(_lines(found)).hexdigest(),
                actor=acting,
                reason=reason,
            )
            return found

    found = carried_out(written())
    path.write_bytes(_lines(found))
    return len(found), sum("left_out" in each for each in found)


def _lines(journals: list[dict[str, Any]]) -> bytes:  # Any: as above
    import orjson

    return b"".join(orjson.dumps(each) + b"\n" for each in journals)
