"""What must hold after every commit and at the end (engine document, §2: I1 to I10).

`Watch` listens to the server: it sees each transaction before its writes are visible, with the
rows that they replace. `chained` and `ended` judge the tables as a whole.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from newel.testing.memory import Server, Transaction
from newel.testing.memory.tables import Row
from newel.testing.seeing import OUTCOMES

__all__ = ["Broken", "Watch", "chained", "ended"]

FINAL: Final = frozenset({"completed", "failed", "cancelled"})


class Broken(AssertionError):
    """An invariant does not hold."""


class Watch:
    """Looks at every transaction of a server."""

    def __init__(self, server: Server) -> None:
        """Begin to look."""
        self.server = server
        self.intents: set[tuple[UUID, str, int]] = set()
        self.outcomes: dict[tuple[UUID, str], str] = {}
        self.dues: dict[tuple[UUID, str], datetime] = {}
        self.broken: list[str] = []
        self.commits = 0
        server.listeners.append(self._seen)

    def _seen(self, transaction: Transaction) -> None:
        self.commits += 1
        writes = transaction.writes
        events = [row for row in writes.get("event", {}).values() if row is not None]
        events.sort(key=lambda row: (row["stream_id"], row["seq"]))
        for row in writes.get("event_batch", {}).values():
            if row is not None:
                self._fenced(row)
        for event in events:
            self._happened(event)
        for key, row in writes.get("run", {}).items():
            if row is not None:
                self._moved(key, row, [each for each in events if each["stream_id"] == key])
                self._rests(transaction, row)

    def _fenced(self, batch: Row) -> None:
        """I5: no batch of a stale epoch."""
        if batch["worker_id"] is None:
            return
        worker = self.server.tables["worker"].rows[batch["worker_id"]]
        if worker["epoch"] != batch["worker_epoch"]:
            self._break("I5", f"worker {worker['id']} wrote with epoch {batch['worker_epoch']}")

    def _happened(self, event: Row) -> None:
        run, key, kind = event["stream_id"], event["key"], event["type"]
        if kind == "step.started":
            attempt = orjson.loads(event["entry"])["step"]["attempt"]
            self.intents.add((run, key, attempt))
            self._not_early(run, key)
            if (run, key) in self.outcomes:
                self._break("I3", f"{key} is begun again after its outcome")
        if kind in OUTCOMES and key is not None:
            earlier = self.outcomes.get((run, key))
            pair = (earlier, kind) == ("task.decided", "wait.closed")
            if earlier is not None and not pair:
                self._break("I3", f"{key} has {earlier} and then {kind}")
            self.outcomes.setdefault((run, key), kind)
        if kind == "wait.opened":
            self._opened(event)
        if kind == "wait.closed":
            self._not_overdue(event)

    def _not_early(self, run: UUID, key: str) -> None:
        """I6: no attempt before its moment, unless a person or a probe asked for it."""
        row = self.server.tables["open_act"].rows.get((run, key))
        if row is None or row["state"] != "retrying" or row["next_at"] is None:
            return
        if row["next_at"] > self.server.now() and not (row["detail"] or {}).get("early"):
            self._break("I6", f"{key} is tried before {row['next_at']}")

    def _opened(self, event: Row) -> None:
        due = orjson.loads(event["entry"])["data"].get("due_at")
        if due is not None:
            self.dues[event["stream_id"], event["key"]] = datetime.fromisoformat(due)

    def _not_overdue(self, event: Row) -> None:
        """I6: no timer before its moment."""
        by = orjson.loads(event["entry"])["data"]["by"]
        due = self.dues.get((event["stream_id"], event["key"]))
        if by == "timer" and due is not None and due > self.server.now():
            self._break("I6", f"{event['key']} is due at {due} only")

    def _moved(self, run: UUID, row: Row, events: list[Row]) -> None:
        """I4: state and events move together."""
        old = self.server.tables["run"].rows.get(run)
        before = 0 if old is None else old["seq"]
        if row["seq"] != before + len(events):
            self._break("I4", f"{run} is at {row['seq']} after {before} and {len(events)} events")
        if old is not None and old["state"] in FINAL and row["state"] != old["state"]:
            self._break("I4", f"{run} was {old['state']} and is {row['state']}")

    def _rests(self, transaction: Transaction, row: Row) -> None:
        """I1: an open run has an owner, a moment, something it waits for, or somebody to ask."""
        if row["state"] in FINAL or row["worker_id"] is not None or row["wake_at"] is not None:
            return
        if row["state"] == "parked" and row["parked_with"]:
            return
        acts = list(transaction.of("open_act", row["id"]))
        if not any(act["kind"] not in {"step", "timer"} for act in acts):
            self._break("I1", f"{row['id']} rests for nothing: {row['state']}")

    def _break(self, name: str, what: str) -> None:
        self.broken.append(f"{name}: {what}")

    # --- while steps run --------------------------------------------------------------------

    def called(self, run: UUID, key: str, attempt: int) -> None:
        """I2: the code of a step runs only after its intent was committed."""
        if (run, key, attempt) not in self.intents:
            self._break("I2", f"{key} is called without a committed intent")


def chained(server: Server) -> Iterator[str]:
    """I4: every stream is a chain without a gap, and its head is where the row says."""
    heads: dict[UUID, Row] = {
        **server.tables["run"].rows,
        **{row["id"]: row for row in server.tables["audit_stream"].rows.values()},
    }
    streams: dict[UUID, list[Row]] = defaultdict(list)
    for row in server.tables["event"].rows.values():
        streams[row["stream_id"]].append(row)
    for stream, rows in streams.items():
        rows.sort(key=lambda row: row["seq"])
        yield from _chain(stream, rows, heads.get(stream))


def _chain(stream: UUID, rows: list[Row], head: Row | None) -> Iterator[str]:
    previous, state, last = b"", None, datetime.min.replace(tzinfo=rows[0]["occurred_at"].tzinfo)
    for number, row in enumerate(rows, 1):
        leaf: dict[str, Any] = orjson.loads(row["entry"])
        if (row["seq"], leaf["seq"], leaf["prev"]) != (number, number, previous.hex()):
            yield f"I4: {stream} breaks at {row['seq']}: {row['type']}"
        if row["occurred_at"] < last:
            yield f"I4: {stream} goes back in time at {row['seq']}"
        previous, last = hashlib.sha256(b"\0" + row["entry"]).digest(), row["occurred_at"]
        state = leaf.get("run_state", state)
    if head is None or (head["seq"], head["head"]) != (len(rows), previous):
        yield f"I4: the head of {stream} is not its last event"
    elif "state" in head and state is not None and head["state"] != state:
        yield f"I4: {stream} is {head['state']}, its events say {state}"


def ended(server: Server) -> Iterator[str]:
    """At the end: nothing is open of what has ended, and nobody owns what rests."""
    runs = server.tables["run"].rows
    for act in server.tables["open_act"].rows.values():
        if runs[act["run_id"]]["state"] in FINAL:
            yield f"I1: {act['key']} is open in a run that is {runs[act['run_id']]['state']}"
    for task in server.tables["task"].rows.values():
        waits = server.tables["open_act"].rows.get((task["run_id"], task["key"]))
        if task["state"] == "open" and (waits is None or waits["task_id"] != task["id"]):
            yield f"I1: the task of {task['key']} is open, and nobody waits for it"
    tickets: Counter[UUID] = Counter(
        row["incident_id"] for row in server.tables["ticket"].rows.values()
    )
    yield from (
        f"I8: {incident} has {number} tickets" for incident, number in tickets.items() if number > 1
    )
