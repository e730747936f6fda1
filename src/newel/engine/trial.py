"""What new code does to the runs that are under way, told before it comes.

Every open run is replayed on the new code: its body is pure, so it changes nothing and nobody is
called. The judgements are those of a worker at run time (`judging`, `drifting`), in its words; who
has an exported journal instead of the run judges that. That runs were read stands in the audit log.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, ProcessVersion
from newel.base.errors import NewelError
from newel.base.ids import reference
from newel.domain.change import Beside
from newel.drawing.drawing import drawing_of
from newel.drawing.effects import effects_of, flips, wrapped
from newel.drawing.plan import planned
from newel.engine.loading import load, with_former
from newel.engine.operating import write_aside
from newel.engine.planning import past_of
from newel.engine.rehearsal import Rehearsal
from newel.engine.runner import Loaded
from newel.engine.vault import Vault
from newel.flow.process import Process
from newel.store import registry
from newel.store.database import Database, Row
from newel.store.unfinished import unfinished

__all__ = ["Verdict", "judged", "noted", "verdicts"]

Word = Literal["unchanged", "runs now", "blocked"]
_PLACE: Final = re.compile(r'File ".*", line (\d+), in (\S+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What new code does to one run.

    person: reference of whom it is about. why: of a blocked run, in the words in which it would be
    parked. keys: acts that would begin as soon as the code comes; effects: what is to be known of
    each, as `slack.say (Slack, cannot be taken back)`.
    """

    run: str
    process: str
    person: str | None
    word: Word
    why: str = ""
    keys: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()


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
            yield judged(each, people[each.id])


async def noted(
    database: Database,
    vault: Vault,
    processes: Iterable[Process[..., Any]],  # Any: as above
    found: Sequence[Verdict],
    *,
    actor: Actor,
) -> None:
    """Write into the audit log that runs were read, and for which code."""
    code = "\n".join(sorted(f"{each.name} {each.definition_sha256}" for each in processes))
    fact = facts.DataJournalsRead(
        definitions=hashlib.sha256(code.encode()).hexdigest(),
        runs=len(found),
        runs_now=sum(each.word == "runs now" for each in found),
        blocked=sum(each.word == "blocked" for each in found),
    )
    ids = vault.ids()
    async with database.transaction() as connection:
        told = Beside("admin", fact, await registry.now(connection), actor, None)
        await write_aside(connection, [told], id_=ids.new(), new_event_id=ids.event_id)


def judged(
    loaded: Loaded, row: Row | Mapping[str, Any]
) -> Verdict:  # Any: id, process, state, subject
    """Say what the code that a run was loaded with does to it; writes nothing and calls nobody."""
    sha256 = loaded.process.definition_sha256
    if sha256 == loaded.version.definition_sha256:
        return _of(row, "unchanged")
    before = {*loaded.open_acts, *loaded.history.outcomes}
    if not before:
        return _of(row, "unchanged")  # it has not begun: whatever it does is new on any code
    number = loaded.version.version + 1
    new = ProcessVersion(name=loaded.process.name, version=number, definition_sha256=sha256)
    trial = Rehearsal(replace(loaded, current=new), passes_changes=False)
    try:
        trial.begin()
    finally:
        trial.dismiss()
    if trial.blocked is not None:
        reason, why = trial.blocked
        said = [_raised(why)] if reason == "bug" else [why, *_reasons(trial, row["state"])]
        return _of(row, "blocked", " ".join(said))
    if trial.changed:
        names = " and ".join(f"`{key}`" for key in sorted(trial.changed))
        return _of(row, "blocked", f"The input of {names} is not what it was when it ran.")
    keys = tuple(sorted(trial.arrived - before))
    return _of(row, "runs now" if keys else "unchanged", keys=keys, process=loaded.process)


def _reasons(trial: Rehearsal, state: str) -> Iterable[str]:
    """Why the run comes past what it has been at, as far as the drawing tells, once each."""
    drawing, gone = drawing_of(trial.process), sorted(trial.judge.unvisited)
    taken = planned(drawing, past_of(trial, state)).taken
    said = [each for key in gone for each in flips(drawing, taken, key)]
    return dict.fromkeys([*said, *(each for key in gone for each in wrapped(drawing, key))])


def _raised(traceback: str) -> str:
    """Where code raises, and what: neither paths nor the text, which may be about a person."""
    places = _PLACE.findall(traceback)
    line, function = places[-1] if places else ("?", "?")
    kind = traceback.rstrip().rpartition("\n")[2].partition(":")[0]
    return f"The code raises {kind} in `{function}`, line {line}, where the run has been."


def _of(
    row: Row | Mapping[str, Any],  # Any: as above
    word: Word,
    why: str = "",
    *,
    keys: tuple[str, ...] = (),
    process: Process[..., Any] | None = None,  # Any: its own result
) -> Verdict:
    person = row["subject"]
    drawing = None if process is None or not keys else drawing_of(process)
    return Verdict(
        run=reference("run", row["id"]),
        process=row["process"],
        person=None if person is None else reference("per", person),
        word=word,
        why=why,
        keys=keys,
        effects=() if drawing is None else effects_of(drawing, keys),
    )
