"""The one write door: `apply` is the only function that writes the state of runs.

It takes Changes made by pure code and writes them, with their audit events, in one call of
`newel.commit_batch`: one round trip, one transaction. A stale epoch refuses the whole batch
(LeaseLost, nothing written). A single run that does not match is left out without harming the
others; the answer says which and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal
from uuid import UUID

import asyncpg

from newel.base.errors import LeaseLost
from newel.domain.change import Change, EventRow, Row
from newel.store.database import Connection, Listeners, listeners_of
from newel.store.queries import queries

Refusal = Literal["owner", "moved", "held", "effect", "full", "exists", "others"]
"""Why a run's Change was not written; others: it needs rows of others that somebody else holds."""

FENCED: Final = "NW001"
STREAM_MOVED: Final = "NW002"
RARE_REFUSED: Final = "NW003"

_SQL: Final = queries("changes")


async def apply(
    connection: Connection,
    changes: Sequence[Change],
    *,
    worker: int | None = None,
    epoch: int | None = None,
) -> dict[UUID, Refusal]:
    """Write all Changes, in the caller's transaction or one of their own.

    changes: of one run in the order in which they were made; may not be empty.
    worker, epoch: the fence; None where an operator's request writes, whose transaction holds
    the row lock of each run already.
    Answers with the runs that were refused: another owner, a moved `seq`, a row held by
    somebody else, an effect that another run's intent is about to make, a run that exists.
    Raises LeaseLost if the epoch is stale; asyncpg's errors pass.
    """
    try:
        arrays = _arrays(changes, listeners_of(connection))
        rows = await connection.fetch(_SQL.commit_batch, worker, epoch, *arrays)
    except asyncpg.PostgresError as error:
        if error.sqlstate == FENCED:
            raise LeaseLost(worker=f"w_{worker}", epoch=epoch or 0) from error
        raise
    return {row["run_id"]: row["reason"] for row in rows}


def _arrays(changes: Sequence[Change], listeners: Listeners) -> list[object]:
    """Turn Changes into the parameters of `commit_batch`, one row for each run."""
    merged = _merged(changes)
    runs = [change for change in merged if change.born is None and not change.is_aside]
    intents = [(change.run, intent) for change in merged for intent in change.intents]
    closed = [(change.run, key) for change in merged for key in change.closed]
    events = [event for change in merged for event in change.events]
    return [
        [change.run for change in runs],
        [change.from_seq for change in runs],
        [change.to_seq for change in runs],
        [change.head for change in runs],
        [change.last_at for change in runs],
        [change.state for change in runs],
        _given([change.wake_at for change in runs]),
        [change.release for change in runs],
        _given([change.reason for change in runs]),
        _given([change.addressee for change in runs]),
        [run for run, _ in closed],
        [key for _, key in closed],
        [run for run, _ in intents],
        [intent.key for _, intent in intents],
        [intent.attempt for _, intent in intents],
        [intent.at for _, intent in intents],
        [intent.fingerprint for _, intent in intents],
        _given([intent.effect_key for _, intent in intents]),
        _given([intent.system for _, intent in intents]),
        _given([intent.credential for _, intent in intents]),
        _given([intent.detail for _, intent in intents]),
        [event.stream_id for event in events],
        [event.seq for event in events],
        [event.type for event in events],
        [event.key for event in events],
        [event.occurred_at for event in events],
        [event.entry for event in events],
        [event.payload for event in events],
        _rest(merged, _deliveries(events, listeners) if listeners else []),
    ]


def _given(column: list[object]) -> list[object] | None:
    """Leave out a column in which nothing stands: `unnest` fills it up, and nothing is encoded."""
    return None if column.count(None) == len(column) else column


def _merged(changes: Sequence[Change]) -> list[Change]:
    """Make one Change of all that one run contributes: the last state, all events."""
    if len(changes) == 1:
        return list(changes)
    by_run: dict[UUID, Change] = {}
    for change in changes:
        earlier = by_run.get(change.run)
        by_run[change.run] = change if earlier is None else _joined(earlier, change)
    return list(by_run.values())


def _joined(first: Change, then: Change) -> Change:
    superseded = {intent.key for intent in then.intents} | set(then.closed)
    superseded |= {row["key"] for row in then.rest.get("open_act", ())}
    rest = {table: list(rows) for table, rows in first.rest.items()}
    if "open_act" in rest:
        rest["open_act"] = [row for row in rest["open_act"] if row["key"] not in superseded]
    for table, rows in then.rest.items():
        rest.setdefault(table, []).extend(rows)
    born = first.born
    if born is not None:
        born = {**born, **_run_row(then), "seen": then.to_seq}
    return Change(
        run=first.run,
        from_seq=first.from_seq,
        to_seq=then.to_seq,
        head=then.head,
        last_at=then.last_at,
        state=then.state,
        wake_at=then.wake_at,
        release=then.release,
        reason=then.reason,
        addressee=then.addressee,
        events=first.events + then.events,
        closed=first.closed + then.closed,
        intents=[intent for intent in first.intents if intent.key not in superseded] + then.intents,
        rest=rest,
        streams=first.streams + then.streams,
        born=born,
        cancelling=first.cancelling or then.cancelling,
    )


def _run_row(change: Change) -> Row:
    is_final = change.state in {"completed", "failed", "cancelled"}
    row: Row = {
        "seq": change.to_seq,
        "head": change.head,
        "last_at": change.last_at,
        "state": change.state,
        "wake_at": change.wake_at,
        "parked_reason": change.reason,
        "parked_with": change.addressee,
        "finished_at": change.last_at if is_final else None,
    }
    if change.release:
        row |= {"worker_id": None, "worker_epoch": None}
    return row


def _deliveries(events: Sequence[EventRow], listeners: Listeners) -> list[object]:
    """Say which endpoint is told of which event."""
    return [
        {
            "endpoint": endpoint,
            "stream_id": event.stream_id,
            "seq": event.seq,
            "event_id": event.id,
            "type": event.type,
            "made_at": event.occurred_at,
        }
        for event in events
        for endpoint in listeners.get(event.type, ())
    ]


def _rest(changes: Sequence[Change], deliveries: list[object]) -> dict[str, list[object]] | None:
    rest: dict[str, list[object]] = {"webhook_delivery": deliveries} if deliveries else {}
    if ending := [str(change.run) for change in changes if change.cancelling]:
        rest["cancelling"] = list(ending)
    for change in changes:
        if change.born is not None:
            row = {**change.born, **_run_row(change)} if change.to_seq else change.born
            rest.setdefault("run", []).append(row)
        for table, rows in change.rest.items():
            rest.setdefault(table, []).extend(rows)
        for from_seq, head in change.streams:
            rest.setdefault("audit_stream", []).append(
                {
                    "id": head.id,
                    "from_seq": from_seq,
                    "seq": head.seq,
                    "head": head.hash,
                    "last_at": head.last_at,
                }
            )
    return rest or None
