"""The engine's invariants, judged by the rows of a database (engine document, §2).

They hold at every moment, also in the middle of a fault; `at_rest` adds what holds when nobody
works any more. What only the world outside can tell (an effect without an intent, one made twice)
is judged by whoever plays that world. Nothing is read here: the rows come from `store.snapshot`,
or from a database in memory.

    I1  an open run is owned, due, awaits something, or names who must act
    I3  a key has one outcome; its step is not begun again after it, unless a person asked
    I4  streams without gaps; each leaf names the one before; heads and states as the leaves say
    I5  no batch of an epoch after a later one of the same worker
    I6  no timer has fired before it was due
    I8  one ticket for each incident and channel
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from newel.audit.leaf import leaf_hash
from newel.domain.values import FINAL
from newel.store.snapshot import Snapshot

__all__ = ["at_rest", "broken"]

_OUTCOMES: Final = frozenset({"step.succeeded", "step.failed", "step.skipped", "step.cancelled"})
_ASKED: Final = frozenset({"step.retry_requested", "run.amended"})
_AWAITED: Final = frozenset({"approval", "form", "event", "child", "lock", "milestone"})
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
Row = Any  # a record of the driver or a dictionary: columns by name


def broken(seen: Snapshot) -> list[str]:
    """Say what does not hold of what must always hold; empty if all is well."""
    acts: dict[UUID, list[Row]] = defaultdict(list)
    for act in seen.open_acts:
        acts[act["run_id"]].append(act)
    streams: dict[UUID, list[Row]] = defaultdict(list)
    for event in seen.events:
        streams[event["stream_id"]].append(event)
    found = [
        *(_chain(streams, [*seen.runs, *seen.streams])),
        *(line for run in seen.runs for line in _rests(run, acts[run["id"]])),
        *(line for run in seen.runs for line in _outcomes(run["id"], streams[run["id"]])),
        *_intended(seen.runs, streams, acts),
        *_fenced(seen.batches),
        *_early(seen.events),
    ]
    tickets = Counter((row["incident_id"], row["channel"]) for row in seen.tickets)
    found += [f"I8: {which} has {n} tickets" for which, n in tickets.items() if n > 1]
    return found


def at_rest(seen: Snapshot) -> list[str]:
    """Say what does not hold of what must hold when nobody works any more."""
    found = broken(seen)
    for run in seen.runs:
        is_due = run["wake_at"] is not None and run["wake_at"] <= run["as_of"]
        if run["finished_at"] is None and (is_due or run["worker_id"] is not None):
            found.append(f"I1: run {run['id']} ({run['process']}, {run['state']}) is stuck")
    found += [f"I1: a message lies there for {row['run_id']}" for row in seen.overlooked]
    return found


def _chain(streams: dict[UUID, list[Row]], heads: Sequence[Row]) -> Iterator[str]:
    for head in heads:
        events, previous, state = streams.get(head["id"], []), b"", None
        for number, event in enumerate(events, start=1):
            leaf = orjson.loads(event["entry"])
            if (event["seq"], leaf["seq"], leaf["prev"]) != (number, number, previous.hex()):
                yield f"I4: stream {head['id']} breaks at {event['seq']}"
                break
            previous = leaf_hash(event["entry"])
            state = leaf.get("run_state", state)
        if head["seq"] != len(events) or bytes(head["head"]) != previous:
            yield f"I4: the head of stream {head['id']} is not its last event"
        if "state" in dict(head) and state != head["state"]:
            yield f"I4: run {head['id']} is {head['state']}, its leaves say {state}"


def _rests(run: Row, acts: list[Row]) -> Iterator[str]:
    if run["state"] in FINAL:
        if acts:
            yield f"I1: run {run['id']} has ended, and {acts[0]['key']} is open"
        return
    if run["worker_id"] is not None or run["wake_at"] is not None:
        return
    if run["state"] == "parked" and run["parked_with"]:
        return
    if not any(act["kind"] in _AWAITED or act["state"] == "parked" for act in acts):
        yield f"I1: run {run['id']} ({run['process']}, {run['state']}) rests for nothing"


def _outcomes(run: UUID, events: list[Row]) -> Iterator[str]:
    done: set[str] = set()
    for event in events:
        kind, key = event["type"], event["key"]
        if kind in _ASKED:
            done.discard(key)
        elif kind == "step.started" and key in done:
            yield f"I3: {key} of run {run} was begun again after its outcome"
        elif kind in _OUTCOMES:
            if key in done:
                yield f"I3: {key} of run {run} has two outcomes"
            done.add(key)


def _intended(
    runs: Sequence[Row], streams: dict[UUID, list[Row]], acts: dict[UUID, list[Row]]
) -> Iterator[str]:
    """I2, as far as rows tell: what is being attempted has its intent in the journal."""
    for run in runs:
        begun: dict[str, int] = {}
        for event in streams[run["id"]]:
            if event["type"] == "step.started":
                begun[event["key"]] = orjson.loads(event["entry"])["step"]["attempt"]
        for act in acts[run["id"]]:
            if act["state"] == "attempting" and begun.get(act["key"]) != act["attempt"]:
                yield f"I2: {act['key']} of run {run['id']} is attempted without an intent"


def _fenced(batches: Sequence[Row]) -> Iterator[str]:
    latest: dict[int, int] = {}
    for batch in batches:
        worker, epoch = batch["worker_id"], batch["worker_epoch"]
        if worker is None:
            continue
        if epoch < latest.get(worker, 0):
            yield f"I5: worker {worker} of epoch {epoch} wrote after epoch {latest[worker]}"
        latest[worker] = max(epoch, latest.get(worker, 0))


def _early(events: Sequence[Row]) -> Iterator[str]:
    due: dict[tuple[UUID, str], datetime] = {}
    for event in events:
        if event["type"] not in {"wait.opened", "wait.closed", "run.rescheduled"}:
            continue
        stream, key, data = event["stream_id"], event["key"], orjson.loads(event["entry"])["data"]
        if event["type"] == "run.rescheduled":
            moved = {each["key"]: each["to"] for each in data["waits"]}
            due |= {(stream, name): datetime.fromisoformat(to) for name, to in moved.items()}
        elif event["type"] == "wait.opened" and "due_at" in data:
            due[stream, key] = datetime.fromisoformat(data["due_at"])
        elif data.get("by") == "timer" and event["occurred_at"] < due.get((stream, key), _LONG_AGO):
            early = due[stream, key] - event["occurred_at"]
            yield f"I6: {key} of run {stream} fired {early} before it was due"
