"""Forking: a new run that goes on from another's journal, up to a key; the old one stays.

The new run carries what it inherits in its own first event, sealed: its journal says that these
outcomes are another run's, and no event claims that something was done here that was not. Their
places in the order of wake-ups come before all of the new run's own.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from newel.audit.leaf import Actor
from newel.base.errors import AlreadyStarted, NotFound
from newel.base.ids import reference
from newel.domain.change import Change
from newel.engine.history import OPENING, History, inherited
from newel.engine.operating import Operating, with_streams
from newel.engine.starting import Start, born
from newel.engine.vault import Sealer
from newel.store import journal, runs
from newel.store.changes import apply
from newel.store.database import Connection, Row

_NO_OUTCOMES: Final = frozenset(
    {"step.started", "step.attempt_failed", "step.looked", "wait.opened"}
)
_BEFORE: Final = 1 << 40
"""Subtracted from the places of inherited outcomes, so that they come first."""

_NOT_OURS: Final = frozenset({"run.version_changed", "run.drifted"})


async def fork(operating: Operating, run: UUID, key: str, *, actor: Actor) -> UUID:
    """Start a run from the input and the outcomes of another, up to a key, and give its id.

    Everything that was recorded before the run first came to the key is inherited; the key and
    what follows are done anew. Raises NotFound (no such run or key, or no such process in this
    code), AlreadyStarted (its subject has an open run of the process, which may be this one).
    """
    try:
        async with operating.database.transaction() as connection:
            change = await _forked(operating, connection, run, key, actor)
    except asyncpg.UniqueViolationError:
        raise AlreadyStarted(run=reference("run", run)) from None
    operating.tell(change)
    return change.run


async def _forked(
    operating: Operating, connection: Connection, run: UUID, key: str, actor: Actor
) -> Change:
    row = await runs.locked(connection, run)
    if row is None:
        raise NotFound(kind="run", reference=reference("run", run))
    process = operating.processes.get(row["process"])
    if process is None:
        raise NotFound(kind="process of the current code", reference=row["process"])
    if row["subject"] is not None:
        known = await runs.open_of_subject(connection, process.name, row["subject"])
        if known is not None:
            raise AlreadyStarted(run=reference("run", known))
    old = operating.vault.sealer(run, row["subject"], row["key_n"], row["wrapped"])
    past = await journal.outcomes(connection, [run])
    history = History.of(past, old.open)
    forked = operating.vault.ids().run_id()
    sealer = operating.vault.sealer(forked, row["subject"], row["key_n"], row["wrapped"])
    change, _, _, _ = born(
        Start(
            run=forked,
            process=process,
            version=operating.versions[process.name],
            arguments=process.loaded(history.arguments),
            subject=row["subject"],
            actor=actor,
            source="run",
            source_ref=reference("run", run),
            at=row["as_of"],
            sealer=sealer,
            secret=history.secret,
            approved=history.inherited_approvals,
            inherited=list(_inherited([*_taken_over(past, old), *past], key, old, sealer)),
        ),
        operating.new_event_id,
    )
    await with_streams(connection, change, operating.new_event_id)
    await apply(connection, [change])
    return change


def _taken_over(past: Sequence[Row], old: Sealer) -> list[Any]:  # Any: rows
    """What the forked run had inherited itself."""
    opening = next(row for row in past if row["type"] == "run.started")
    return list(inherited(orjson.loads(old.open(opening["payload"]))))


def _inherited(
    past: Sequence[Row], key: str, old: Sealer, new: Sealer
) -> Iterator[dict[str, Any]]:  # Any: JSON
    """What was recorded before the run first came to the key, sealed for the new run.

    Raises NotFound for a key to which the run never came.
    """
    own = [row for row in past if row["key"] is not None and row["type"] not in _NOT_OURS]
    first = next((row["seq"] for row in own if row["key"] == key), None)
    if first is None:
        raise NotFound(kind="key of the run", reference=key)
    finished = {row["key"] for row in own if row["seq"] < first and _is_outcome(row)}
    for row in own:
        if row["seq"] >= first or row["key"] not in finished:
            continue
        sealed = None if row["payload"] is None else new.seal(old.open(row["payload"]))
        yield {
            "seq": row["seq"] - _BEFORE,
            "type": row["type"],
            "key": row["key"],
            "occurred_at": row["occurred_at"].isoformat(),
            "entry": row["entry"].decode(),
            "payload": None if sealed is None else base64.b64encode(sealed).decode(),
        }


def _is_outcome(row: Row) -> bool:
    return row["type"] not in {*OPENING, *_NO_OUTCOMES}
