"""The statements of `received_secrets.sql`."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import CHANGE, Transaction


@statement("received_secrets.lock_person")
def lock_person(at: Transaction, person: UUID) -> list[Row]:
    """Locks a person's row."""
    if at.get("person", person) is None:
        return []
    at.lock("person", person, CHANGE)
    return [{"ref": person}]


def _waiting(at: Transaction) -> list[Row]:
    return [row for row in at.rows("received_secret") if row["state"] == "waiting"]


def _ended(at: Transaction, row: Row, state: str) -> Row:
    return at.update("received_secret", row["id"], state=state, sealed=None, ended_at=at.now())


@statement("received_secrets.replace")
def replace(at: Transaction, person: UUID, system: str) -> int:
    """Ends the link that waits to be opened."""
    found = [row for row in _waiting(at) if (row["person"], row["system"]) == (person, system)]
    for row in found:
        _ended(at, row, "replaced")
    return len(found)


@statement("received_secrets.keep")
def keep(
    at: Transaction,
    id_: UUID,
    person: UUID,
    system: str,
    token_sha256: bytes,
    sealed: bytes,
    lasts: timedelta,
) -> list[Row]:
    """Keeps a secret until its link is opened."""
    row = {
        "id": id_, "person": person, "system": system, "token_sha256": token_sha256,
        "sealed": sealed, "kept_at": at.now(), "expires_at": at.now() + lasts,
    }  # fmt: skip
    return [{"expires_at": at.insert("received_secret", row)["expires_at"]}]


@statement("received_secrets.sent")
def sent(at: Transaction, id_: UUID) -> int:
    """Says that the link of a secret was sent."""
    at.update("received_secret", id_, sent_at=at.now())
    return 1


@statement("received_secrets.has_missed")
def has_missed(at: Transaction, person: UUID, system: str) -> list[Row]:
    """Whether the latest link was not sent, or not opened in time."""
    own = [
        row
        for row in at.rows("received_secret")
        if (row["person"], row["system"]) == (person, system)
    ]
    if not own:
        return []
    last = max(own, key=lambda row: (row["kept_at"], row["id"]))
    is_late = last["sent_at"] is None or last["expires_at"] <= at.now()
    return [{"?column?": last["state"] != "revealed" and is_late}]


@statement("received_secrets.found")
def found(at: Transaction, token_sha256: bytes) -> list[Row]:
    """What became of a link, and what it is about."""
    return [
        {
            **{name: row[name] for name in ("state", "expires_at", "ended_at")},
            "as_of": at.now(),
            "work_email": (at.get("person", row["person"]) or {})["work_email"],
            "title": (at.get("system", row["system"]) or {}).get("title", row["system"]),
        }
        for row in at.rows("received_secret")
        if row["token_sha256"] == token_sha256
    ]


@statement("received_secrets.take")
def take(at: Transaction, token_sha256: bytes) -> list[Row]:
    """Takes a secret out, once."""
    for row in _waiting(at):
        if row["token_sha256"] == token_sha256 and row["expires_at"] > at.now():
            sealed = row["sealed"]
            ended = _ended(at, row, "revealed")
            names = ("id", "person", "system", "ended_at")
            return [{**{name: ended[name] for name in names}, "sealed": sealed}]
    return []


@statement("received_secrets.expire")
def expire(at: Transaction) -> int:
    """Forgets what nobody has fetched in time."""
    late = [row for row in _waiting(at) if row["expires_at"] <= at.now()]
    for row in late:
        _ended(at, row, "expired")
    return len(late)
