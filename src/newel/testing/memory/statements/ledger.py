"""The statements of `ledger.sql`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction

_HELD: Final = frozenset({"planned", "approved", "prepared", "active", "suspended"})
_STANDS: Final = frozenset({"prepared", "active"})


@statement("ledger.held")
def held(at: Transaction, person: UUID, entitlement: str) -> list[Row]:
    """The grant that a person has of an entitlement."""
    rows = list(at.of("access_grant", person))
    continued = {row["continues"] for row in rows}
    found = [
        row
        for row in rows
        if row["entitlement"] == entitlement
        and row["state"] in _HELD
        and row["id"] not in continued
    ]
    found.sort(key=lambda row: row["id"])
    found.sort(key=lambda row: row["recorded_at"], reverse=True)
    found.sort(key=lambda row: row["state"] == "suspended")
    names = ("id", "state", "level", "valid_from")
    return [{name: row[name] for name in names} for row in found[:1]]


@statement("ledger.came_with")
def came_with(at: Transaction, grant: UUID) -> list[Row]:
    """What the outcome that made a grant gave beside it, and that is not over."""
    rows = list(at.rows("access_grant"))
    continued = {row["continues"] for row in rows}
    found = [
        row
        for given in rows
        if given["id"] == grant
        for row in rows
        if _is_beside(row, given)
        and row["state"] in {*_STANDS, "suspended"}
        and row["id"] not in continued
    ]
    names = ("entitlement", "id", "state", "level", "valid_from")
    return [
        {name: row[name] for name in names}
        for row in sorted(found, key=lambda row: row["entitlement"])
    ]


def _is_beside(row: Row, given: Row) -> bool:
    same = ("made_run", "made_seq", "person")
    return row["id"] != given["id"] and all(row[name] == given[name] for name in same)


def _is_of_account(at: Transaction, row: Row) -> bool:
    account = f"{row['system']}:account"
    return any(
        each["entitlement"] == account and each["state"] in _STANDS and _is_beside(row, each)
        for each in at.rows("access_grant")
    )


@statement("ledger.holder")
def holder(at: Transaction, entitlement: str, account: str, person: UUID | None) -> list[Row]:
    """Who is known to have an account."""
    found = [
        row
        for row in at.rows("access_grant")
        if row["entitlement"] == entitlement
        and (row["account_id"] == account or _is_invited(row, person))
    ]
    found.sort(key=lambda row: row["id"])
    found.sort(key=lambda row: row["recorded_at"], reverse=True)
    found.sort(key=lambda row: row["account_id"] is None)
    return [{"person": row["person"]} for row in found[:1]]


def _is_invited(row: Row, person: UUID | None) -> bool:
    return row["person"] == person and row["account_id"] is None and row["state"] in _STANDS


@statement("ledger.ended_since")
def ended_since(at: Transaction, person: UUID, run: UUID, moment: datetime) -> list[Row]:
    """Whether another run has ended access of a person after a moment."""
    rows = list(at.of("access_grant", person))
    continued = {row["continues"] for row in rows}
    return [
        {
            "exists": any(
                row["valid_to"] is not None
                and row["valid_to"] > moment
                and row["ended_run"] != run
                and row["id"] not in continued
                for row in rows
            )
        }
    ]


@statement("ledger.left")
def left(at: Transaction) -> list[Row]:
    """Access that runs gave which were cancelled in the last month, and that stands."""
    since = at.now() - timedelta(days=30)
    runs = {
        row["id"]
        for row in at.rows("run")
        if row["state"] == "cancelled" and row["finished_at"] > since
    }
    if not runs:
        return []
    found: list[Row] = []
    for row in at.rows("access_grant"):
        person = at.get("person", row["person"])
        stands = row["made_run"] in runs and row["state"] in _STANDS
        if stands and person is not None and not _is_of_account(at, row):
            names = ("id", "system", "entitlement", "made_key", "person")
            found.append(
                {
                    "run": row["made_run"],
                    **{name: row[name] for name in names},
                    **{name: person[name] for name in ("display_name", "work_email")},
                }
            )
    return sorted(found, key=lambda row: (row["run"], row["id"]))


@statement("ledger.ended_of_awaited")
def ended_of_awaited(at: Transaction, event: str) -> list[Row]:
    """Grants whose end is awaited, and that give access no more."""
    awaited = {
        row["match"]
        for row in at.rows("open_act")
        if row["kind"] == "event" and row["event"] == event
    }
    if not awaited:
        return []
    ended = (str(row["id"]) for row in at.rows("access_grant") if row["state"] not in _STANDS)
    return [{"match": each} for each in sorted(awaited.intersection(ended))]
