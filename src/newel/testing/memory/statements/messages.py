"""The statements of `messages.sql`."""

from __future__ import annotations

from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction


def _shown(row: Row, *names: str) -> Row:
    return {name: row[name] for name in names}


@statement("messages.kept_before")
def kept_before(at: Transaction, source: str, event_id: str) -> list[Row]:
    """A message that was sent before."""
    return [
        _shown(row, "name", "match", "to_run", "digest", "taken_by", "is_lost")
        for row in at.rows("inbox")
        if (row["source"], row["event_id"]) == (source, event_id)
    ]


@statement("messages.keep")
def keep(
    at: Transaction,
    source: str,
    event_id: str,
    name: str,
    match: str | None,
    to_run: UUID | None,
    payload: bytes,
    digest: bytes,
    is_lost: bool,  # noqa: FBT001 - parameters of a statement have their order
) -> list[Row]:
    """Keeps a message, once."""
    row = at.insert_new(
        "inbox",
        {
            "source": source,
            "event_id": event_id,
            "name": name,
            "match": match,
            "to_run": to_run,
            "payload": payload,
            "digest": digest,
            "is_lost": is_lost,
        },
    )
    return [] if row is None else [{"id": row["id"]}]


def _fits(to_run: UUID | None, match: str | None, run: UUID, wanted: str | None) -> bool:
    if to_run is None:
        return match is not None and match == wanted
    return to_run == run and (match is None or wanted is None or match == wanted)


@statement("messages.waiting")
def waiting(at: Transaction, name: str, match: str | None, to_run: UUID | None) -> list[Row]:
    """Open waits for an event that a message fits, oldest first."""
    found = [
        row
        for row in at.rows("open_act")
        if row["kind"] == "event"
        and row["event"] == name
        and _fits(to_run, match, row["run_id"], row["match"])
    ]
    found.sort(key=lambda row: (row["opened_at"], row["run_id"], row["key"]))
    return [_shown(row, "run_id", "key", "match") for row in found]


@statement("messages.take")
def take(at: Transaction, name: str, match: str | None, run: UUID) -> list[Row]:
    """Takes the oldest kept message that fits, skipping those that somebody is taking."""
    kept = [
        row
        for row in at.rows("inbox")
        if row["name"] == name
        and row["taken_by"] is None
        and not row["is_lost"]
        and _fits(row["to_run"], row["match"], run, match)
    ]
    for row in sorted(kept, key=lambda row: row["n"]):
        if at.lock_free("inbox", row["id"]):
            at.update("inbox", row["id"], taken_by=run, taken_at=at.now())
            return [_shown(row, "source", "event_id", "payload")]
    return []


@statement("messages.overlooked")
def overlooked(at: Transaction) -> list[Row]:
    """Waits for which a message is kept: the first that each fits."""
    found: list[Row] = []
    for kept in at.rows("inbox"):
        if kept["taken_by"] is None and not kept["is_lost"]:
            fitting = waiting(at, kept["name"], kept["match"], kept["to_run"])
            found += [{**_shown(row, "run_id", "key"), "name": kept["name"]} for row in fitting[:1]]
    return found[:100]


@statement("messages.listed")
def listed(at: Transaction, state: str, how_many: int) -> list[Row]:
    """Messages as they lie, the latest first."""
    found = [row for row in at.rows("inbox") if state in {"all", _state(row)}]
    found.sort(key=lambda row: -row["n"])
    names = ("source", "event_id", "name", "match", "to_run", "received_at", "taken_by")
    return [_shown(row, *names, "taken_at", "is_lost") for row in found[:how_many]]


def _state(row: Row) -> str:
    if row["is_lost"]:
        return "lost"
    return "kept" if row["taken_by"] is None else "taken"
