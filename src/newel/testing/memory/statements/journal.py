"""The statements of `journal.sql`."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from newel.store.queries import queries
from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction

_REPLAYED: Final = frozenset(re.findall(r"'([a-z_.]+)'", queries("journal").outcomes))
"""The types of events that a worker reads to replay a run, as the statement names them."""


@statement("journal.outcomes")
def outcomes(at: Transaction, runs: list[UUID]) -> list[Row]:
    """What replaying needs of each run, in order."""
    found = [row for run in set(runs) for row in at.of("event", run) if row["type"] in _REPLAYED]
    return sorted(found, key=lambda row: (row["stream_id"], row["seq"]))


@statement("journal.open_acts")
def open_acts(at: Transaction, runs: list[UUID]) -> list[Row]:
    """What is open of each run."""
    return [row for run in dict.fromkeys(runs) for row in at.of("open_act", run)]


@statement("journal.events")
def events(at: Transaction, stream: UUID, after: int, how_many: int) -> list[Row]:
    """The events of one stream, in order."""
    found = sorted(
        (row for row in at.of("event", stream) if row["seq"] > after), key=lambda row: row["seq"]
    )
    return [
        {name: value for name, value in row.items() if name != "stream_id"}
        for row in found[:how_many]
    ]


@statement("journal.free_locks")
def free_locks(at: Transaction, runs: list[UUID]) -> list[Row]:
    """Acts of these runs that may have the lock they wait for."""
    locks = [act for act in at.rows("open_act") if act["kind"] == "lock"]
    held = {act["match"] for act in locks if act["state"] == "held"}
    waiting = sorted(
        (act for act in locks if act["state"] == "open" and act["match"] not in held),
        key=lambda each: (each["opened_at"], each["run_id"], each["key"]),
    )

    def comes_first(act: Row) -> bool:
        before = waiting[: waiting.index(act)]
        return not any(
            each["match"] == act["match"]
            and (each["run_id"] == act["run_id"] or can_take(at, each["run_id"]))
            for each in before
        )

    return [
        {"run_id": act["run_id"], "key": act["key"]}
        for act in waiting
        if act["run_id"] in runs and comes_first(act)
    ]


def can_take(at: Transaction, run: UUID) -> bool:
    """Whether a run may take a lock: not while it is parked or paused."""
    row = at.get("run", run)
    return row is not None and row["state"] != "parked" and row["paused_at"] is None
