"""Who had what on a day, since when, and by whose decision: the ledger's answer, with its proof.

A day belongs to a zone: it begins and ends with the clocks there. Access that lasted any part of
the day is in the answer. Where newel has only seen access end that it never gave, nobody knows
since when it was there: it is in the answer of every day before, as uncertain.
Source: audit document, §11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final
from uuid import UUID

import orjson

from newel.audit.leaf import leaf_hash
from newel.base.errors import InvalidInput
from newel.base.ids import parse_reference, reference
from newel.store import ledger, people
from newel.store.database import Database, Row

__all__ = [
    "Asked",
    "Day",
    "Decision",
    "Ended",
    "Holding",
    "Holdings",
    "Proof",
    "day_of",
    "ended_between",
    "had_on",
]

_FIRST: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day in a zone: from its first moment on, until before the first one of the next."""

    day: date
    begin: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Of whom and of what access is asked; what is None is left open."""

    person: UUID | None = None
    system: str | None = None
    entitlement: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What allowed access. kind: approval, policy, or what else is recorded (break_glass, …).

    approver: reference of whoever agreed, name: theirs. event: id of the event in which they did.
    policy: the process whose declared policy it was.
    """

    kind: str
    approver: str | None = None
    name: str | None = None
    event: str | None = None
    policy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The event that gave access: its id, its run, its place there, and its leaf's hash in hex."""

    event: str
    run: str
    seq: int
    leaf_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Access that somebody had on a day.

    since, until: the whole interval; since is None where nobody knows it. is_certain: whether it
    was there on the day beyond doubt. decision, proof: None where newel has not given it.
    """

    grant: str
    person: str
    name: str
    system: str
    entitlement: str
    level: str | None
    since: datetime | None
    until: datetime | None
    is_certain: bool
    route: str | None
    decision: Decision | None
    proof: Proof | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """One page of an answer. after: the grant to go on after; None if nothing follows."""

    day: date
    begin: datetime
    until: datetime
    access: tuple[Holding, ...]
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Access of one person in one system that a run has ended.

    due_at: when the run came to the first of it; ended_at: when the last was gone; seconds between
    them. grants: how many. proof: the event of the last.
    """

    person: str
    name: str
    system: str
    process: str
    cause: str
    due_at: datetime
    ended_at: datetime
    seconds: int
    grants: int
    proof: Proof


async def ended_between(
    database: Database,
    begin: datetime,
    until: datetime,
    *,
    system: str | None = None,
    cause: str | None = None,
) -> list[Ended]:
    """Say how long the ends of access took in a span of time, the slowest first.

    cause: as `access.revoked` has it (leaver, mover, …).
    """
    rows = await ledger.ended_between(database, begin, until, system=system, cause=cause)
    return [_ended(row) for row in rows]


def _ended(row: Row) -> Ended:
    leaf = orjson.loads(row["entry"])
    return Ended(
        person=reference("per", row["person"]),
        name=row["display_name"] or "nobody on record",
        system=row["system"],
        process=row["process"],
        cause=leaf["data"]["cause"],
        due_at=row["due_at"],
        ended_at=row["ended_at"],
        seconds=max(0, round((row["ended_at"] - row["due_at"]).total_seconds())),
        grants=row["many"],
        proof=_proof(leaf, row["entry"]),
    )


def day_of(day: date, now: datetime, zone: tzinfo) -> Day:
    """Give a day that has begun. Raises InvalidInput for one that has not, or that is too old."""
    if day > now.astimezone(zone).date():
        raise InvalidInput({"on": "has not begun; nobody can know what will be held"})
    if day < _FIRST:
        raise InvalidInput({"on": f"is before {_FIRST}"})
    begin, until = (
        datetime.combine(each, time(), zone).astimezone(UTC)
        for each in (day, day + timedelta(days=1))
    )
    return Day(day=day, begin=begin, until=until)


async def had_on(
    database: Database, day: Day, asked: Asked, *, after: UUID | None = None, how_many: int
) -> Holdings:
    """Answer who had what on a day, in the order of entitlements; one page."""
    rows = await ledger.had_between(
        database,
        day.begin,
        day.until,
        person=asked.person,
        system=asked.system,
        entitlement=asked.entitlement,
        after=after,
        how_many=how_many + 1,
    )
    shown = rows[:how_many]
    leaves = [None if row["entry"] is None else orjson.loads(row["entry"]) for row in shown]
    names = await people.names(database, _approvers(leaves))
    access = tuple(_holding(row, leaf, names, day) for row, leaf in zip(shown, leaves, strict=True))
    return Holdings(
        day=day.day,
        begin=day.begin,
        until=day.until,
        access=access,
        after=access[-1].grant if len(rows) > how_many else None,
    )


_Leaf = Mapping[str, Any]  # Any: the values JSON can hold


def _approvers(leaves: Sequence[_Leaf | None]) -> set[UUID]:
    told = (leaf["data"]["authority"].get("approver") for leaf in leaves if leaf is not None)
    return {parse_reference(each)[1] for each in told if each is not None}


def _holding(row: Row, leaf: _Leaf | None, names: Mapping[UUID, str], day: Day) -> Holding:
    return Holding(
        grant=reference("grt", row["id"]),
        person=reference("per", row["person"]),
        name=row["display_name"] or "nobody on record",
        system=row["system"],
        entitlement=row["entitlement"],
        level=row["level"],
        since=row["valid_from"],
        until=row["valid_to"],
        is_certain=row["valid_from"] is not None or row["valid_to"] <= day.until,
        route=row["route"],
        decision=None if leaf is None else _decision(leaf["data"]["authority"], names),
        proof=None if leaf is None else _proof(leaf, row["entry"]),
    )


def _decision(authority: _Leaf, names: Mapping[UUID, str]) -> Decision:
    approver = authority.get("approver")
    return Decision(
        kind=authority["kind"],
        approver=approver,
        name=None if approver is None else names.get(parse_reference(approver)[1]),
        event=authority.get("event"),
        policy=authority.get("policy_id"),
    )


def _proof(leaf: _Leaf, entry: bytes) -> Proof:
    return Proof(
        event=leaf["id"],
        run=leaf["stream"].removeprefix("run/"),
        seq=leaf["seq"],
        leaf_hash=leaf_hash(entry).hex(),
    )
