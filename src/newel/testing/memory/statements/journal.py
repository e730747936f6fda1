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
    first: dict[str, Row] = {}
    for act in sorted(locks, key=lambda each: (each["opened_at"], each["run_id"], each["key"])):
        if act["state"] == "open":
            first.setdefault(act["match"], act)
    return [
        {"run_id": act["run_id"], "key": act["key"]}
        for match, act in first.items()
        if match not in held and act["run_id"] in runs
    ]
