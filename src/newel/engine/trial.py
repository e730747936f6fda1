"""What new code does to the runs that are under way, told before it comes.

Every open run is replayed on the new code: its body is pure, so nothing is written and nobody is
called. The judgements are those of a worker at run time (`judging`, `drifting`), in its words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

from newel.audit.leaf import ProcessVersion
from newel.base.errors import NewelError
from newel.base.ids import reference
from newel.engine.loading import load, with_former
from newel.engine.rehearsal import Rehearsal
from newel.engine.runner import Loaded
from newel.engine.vault import Vault
from newel.flow.process import Process
from newel.store.database import Database, Row
from newel.store.unfinished import unfinished

__all__ = ["Verdict", "verdicts"]

Word = Literal["unchanged", "runs now", "blocked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What new code does to one run.

    person: reference of whom it is about. why: of a blocked run, in the words in which it would be
    parked. keys: acts that would begin as soon as the code comes.
    """

    run: str
    process: str
    person: str | None
    word: Word
    why: str = ""
    keys: tuple[str, ...] = ()


async def verdicts(
    database: Database,
    vault: Vault,
    processes: Sequence[Process[..., Any]],  # Any: each has its own result
) -> AsyncIterator[Verdict]:
    """Judge every open run of these processes; writes nothing and calls nobody."""
    known = with_former({each.name: each for each in processes})
    async for rows in unfinished(database, sorted(known)):
        wrong: dict[UUID, NewelError] = {}
        async with database.transaction() as connection:
            loaded = await load(
                connection, [row["id"] for row in rows], known, vault, unreadable=wrong.__setitem__
            )
        for row in rows:
            if row["id"] in wrong:
                yield _of(row, "blocked", str(wrong[row["id"]]))
        people = {row["id"]: row for row in rows}
        for each in loaded:
            yield _judged(each, people[each.id])


def _judged(loaded: Loaded, row: Row) -> Verdict:
    sha256 = loaded.process.definition_sha256
    if sha256 == loaded.version.definition_sha256:
        return _of(row, "unchanged")
    before = {*loaded.open_acts, *loaded.history.outcomes}
    number = loaded.version.version + 1
    new = ProcessVersion(name=loaded.process.name, version=number, definition_sha256=sha256)
    trial = Rehearsal(replace(loaded, current=new), passes_changes=False)
    try:
        trial.begin()
    finally:
        trial.dismiss()
    if trial.blocked is not None:
        return _of(row, "blocked", trial.blocked[1])
    if trial.changed:
        names = " and ".join(f"`{key}`" for key in sorted(trial.changed))
        return _of(row, "blocked", f"The input of {names} is not what it was when it ran.")
    keys = tuple(sorted(trial.arrived - before))
    return _of(row, "runs now" if keys else "unchanged", keys=keys)


def _of(
    row: Row,
    word: Word,
    why: str = "",
    *,
    keys: tuple[str, ...] = (),
) -> Verdict:
    person = row["subject"]
    return Verdict(
        run=reference("run", row["id"]),
        process=row["process"],
        person=None if person is None else reference("per", person),
        word=word,
        why=why,
        keys=keys,
    )
