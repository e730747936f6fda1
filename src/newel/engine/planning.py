"""The plan of one run: its journal as the drawing wants it, and what is counted in it.

The values of outcomes are those that the body itself is given: the run is rehearsed, which writes
nothing and calls nobody. What a rehearsal does not come to (the code has changed, a payload is
gone) is known by its key and its kind alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from newel.base.errors import Cancelled, NewelError, NotFound
from newel.base.ids import reference
from newel.domain.acts import OpenAct
from newel.drawing.drawing import Drawing, drawing_of
from newel.drawing.names import UNKNOWN
from newel.drawing.plan import Open, Outcome, Past, Plan, State, planned
from newel.drawing.progress import coming_systems, progress_of
from newel.engine.history import CONFIRM, Recorded
from newel.engine.rehearsal import Rehearsal, rehearsed
from newel.engine.vault import Vault
from newel.flow.process import Process
from newel.people.facts import Ahead
from newel.store import runs
from newel.store.database import Database

__all__ = ["Planner", "past_of"]

_WORDS: Final[dict[str, State]] = {
    "step.completed_by_hand": "by-hand",
    "step.skipped": "skipped",
    "step.failed": "failed",
    "step.cancelled": "cancelled",
}
_STATES: Final[dict[str, State]] = {
    "attempting": "running",
    "retrying": "retrying",
    "parked": "parked",
    "held": "done",
}
_TASKS: Final = frozenset({"approval", "form"})
_PERSON: Final = "person"
"""The owner of what one named person is asked: the drawing says who that is."""
_OVER: Final = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans runs by this code; writes nothing and calls nobody."""

    database: Database
    processes: Mapping[str, Process[..., Any]]  # Any: each has its own result
    vault: Vault

    async def plan(self, run: UUID) -> Plan:
        """What is done, open and still to come of a run; raises NotFound."""
        return (await self._planned(run))[1]

    async def ahead(self, run: UUID) -> Ahead | None:
        """What the plan of a run counts; None where this code cannot tell.

        It may lack the process, or the key to what the journal holds.
        """
        try:
            drawing, found = await self._planned(run)
        except NewelError:
            return None
        progress = progress_of(found)
        return Ahead(
            done=progress.done,
            total=progress.total,
            perhaps=progress.perhaps,
            systems=coming_systems(drawing, found),
        )

    async def _planned(self, run: UUID) -> tuple[Drawing, Plan]:
        async with self.database.transaction() as connection:
            rows = await runs.load(connection, [run])
            if not rows:
                raise NotFound(kind="run", reference=reference("run", run))
            now = await rehearsed(connection, run, self.processes, self.vault)
        drawing = drawing_of(now.process)
        return drawing, planned(drawing, past_of(now, rows[0]["state"]))


def past_of(now: Rehearsal, state: str) -> Past:
    """What a rehearsed run has behind it, and what is open of it."""
    outcomes = {
        key: _outcome(now, key, recorded)
        for key, recorded in now.history.outcomes.items()
        if not key.startswith(CONFIRM)
    }
    return Past(
        arguments=_arguments(now),
        outcomes=outcomes,
        open={key: _open(act) for key, act in now.open.items() if not key.startswith(CONFIRM)},
        ended=state if state in _OVER else "",
    )


def _arguments(now: Rehearsal) -> dict[str, Any]:  # Any: as the process has declared them
    try:
        return now.process.loaded(now.history.arguments)
    except NewelError:
        return {}


def _outcome(now: Rehearsal, key: str, recorded: Recorded) -> Outcome:
    verb, names = now.decided.get(key, ("", ()))
    ready = now.met.get(key)
    if ready is None:
        is_withdrawn = recorded.type == "act.recorded" and recorded.verb() == "cancelled"
        word: State = "cancelled" if is_withdrawn else _WORDS.get(recorded.type, "done")
        error = Cancelled() if word == "cancelled" else None
        if verb == "lost":
            word, error = "failed", None
        value = True if verb == "holds" else False if verb == "lacks" else UNKNOWN
        return Outcome(word=word, names=names, error=error, value=value, at=recorded.at)
    word = _WORDS.get(recorded.type, "done")
    if isinstance(ready.error, Cancelled):
        word = "done" if recorded.is_late else "cancelled"
    elif ready.error is not None:
        word = "failed"
    return Outcome(word=word, value=ready.value, error=ready.error, names=names, at=recorded.at)


def _open(act: OpenAct) -> Open:
    word = _STATES.get(act.state)
    if act.kind == "step" and act.state == "retrying" and act.task_id is not None:
        word = "task"  # a person is asked to do it by hand
    elif word is None:
        word = "task" if act.kind in _TASKS else "waiting"
    if act.state == "attempting" and act.trouble.doubt is not None:
        word = "in-doubt"
    asked = "" if act.owner in {None, _PERSON} else f"asks {act.owner}"
    said = {"task": asked, "parked": str(act.reason)}.get(word, "")
    return Open(word=word, said=said, due=act.due_at or act.next_at)
