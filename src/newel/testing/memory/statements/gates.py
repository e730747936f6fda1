"""The statements of `gates.sql`, and the functions that take tokens and count removals."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import floor as whole
from typing import Any
from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import CHANGE, Transaction


def _level(at: Transaction, key: tuple[str, str], rate: float, capacity: float) -> float:
    row = _row(at, key, capacity)
    passed = (at.now() - row["filled_at"]).total_seconds()
    level: float = row["tokens"] + rate * max(passed, 0.0)
    return min(capacity, level)


def _row(at: Transaction, key: tuple[str, str], capacity: float) -> Row:
    names = dict(zip(("credential", "bucket"), key, strict=True))
    made = {**names, "tokens": capacity, "filled_at": at.now()}
    return at.get("gate", key) or at.insert("gate", made)


@statement("gates.take")
def take(
    at: Transaction, credential: str, bucket: str, rate: float, capacity: float, floor: float,
    cost: float, want: float, patience: float, may_jump: bool,  # noqa: FBT001 - as above
) -> list[Row]:  # fmt: skip
    """Takes tokens, at least the cost or none."""
    key, now = (credential, bucket), at.now()
    level = _level(at, key, rate, capacity)
    row = _row(at, key, capacity)
    at.lock("gate", key, CHANGE)
    blocked = row["blocked_until"]
    wait = 0.0 if blocked is None else max((blocked - now).total_seconds(), 0.0)
    if rate > 0:
        wait = max(wait, (floor + cost - level) / rate)
    turn = now + timedelta(seconds=wait)
    queued = row["queued_until"]
    if queued is not None and queued > turn and (not may_jump or wait > patience):
        turn = queued
    filled: dict[str, Any] = {"filled_at": max(row["filled_at"], now)}  # Any: columns' values
    if (turn - now).total_seconds() > patience:
        if rate > 0:
            turn += timedelta(seconds=cost / rate)
        at.update("gate", key, tokens=level, queued_until=turn, **filled)
        return [{"given": 0.0, "wait": (turn - now).total_seconds()}]
    given = cost
    if wait <= 0:
        given = max(cost, min(want, whole(level - floor))) if rate > 0 else want
    at.update("gate", key, tokens=level - given if rate > 0 else 0.0, **filled)
    return [{"given": float(given), "wait": wait}]


@statement("gates.lower")
def lower(at: Transaction, credential: str, bucket: str, remaining: int) -> int:
    """The system says that fewer are left than we thought."""
    key = (credential, bucket)
    row = at.get("gate", key)
    if row is None:
        return 0
    at.lock("gate", key, CHANGE)
    at.update("gate", key, tokens=min(float(row["tokens"]), float(remaining)))
    return 1


@statement("gates.block")
def block(at: Transaction, credential: str, bucket: str, until: datetime) -> int:
    """Lets nothing pass before a moment."""
    key = (credential, bucket)
    row = _row(at, key, 0.0)
    at.lock("gate", key, CHANGE)
    later = until if row["blocked_until"] is None else max(row["blocked_until"], until)
    at.update("gate", key, blocked_until=later, tokens=min(float(row["tokens"]), 0.0))
    return 1


@statement("gates.admit_removal")
def admit_removal(
    at: Transaction, credential: str, whose: bytes, run: UUID, most: int, window: timedelta,
    alone: bool, released: bool,  # noqa: FBT001 - as above
) -> list[Row]:  # fmt: skip
    """Whether one more person may lose access with a credential; if so they are counted."""
    now, queue = at.now(), (credential, "removals")
    _row(at, queue, 0.0)
    at.lock("gate", queue, CHANGE)
    counted = [row for row in at.rows("removal") if row["credential"] == credential]
    for row in counted:
        if row["removed_at"] <= now - window:
            at.delete("removal", (credential, row["whose"]))
    if at.get("removal", (credential, whose)) is not None:
        return [{"admitted": True}]
    taken = [
        row
        for row in counted
        if row["removed_at"] > now - window and (not alone or row["run_id"] == run)
    ]
    if len(taken) >= most and not released:
        return [{"admitted": False}]
    made = {"credential": credential, "whose": whose, "run_id": run, "removed_at": now}
    at.insert("removal", made)
    return [{"admitted": True}]


@statement("gates.forget_removals")
def forget_removals(at: Transaction, window: timedelta) -> int:
    """Forgets who lost access longer ago than it counts."""
    over = [row for row in at.rows("removal") if row["removed_at"] <= at.now() - window]
    for row in over:
        at.delete("removal", (row["credential"], row["whose"]))
    return len(over)


def _held(at: Transaction) -> list[Row]:
    return [
        act
        for act in at.rows("open_act")
        if (act["state"], act["reason"]) == ("parked", "held")
        and "refused" not in (act["detail"] or {})
    ]


@statement("gates.holding")
def holding(at: Transaction) -> list[Row]:
    """The credentials with which steps are held of which nobody has decided."""
    return [{"credential": each} for each in sorted({act["credential"] for act in _held(at)})]


@statement("gates.held_up")
def held_up(at: Transaction, credential: str, how_many: int) -> list[Row]:
    """Steps that would have taken access from one person too many."""
    found = [act for act in _held(at) if act["credential"] == credential]
    found.sort(key=lambda act: (act["opened_at"], act["run_id"], act["key"]))
    names = ("run_id", "key", "credential", "system", "fingerprint", "detail")
    return [{name: act[name] for name in names} | _of_run(at, act) for act in found[:how_many]]


def _of_run(at: Transaction, act: Row) -> Row:
    run, system = at.get("run", act["run_id"]), at.get("system", act["system"])
    assert run is not None, "an open act has a run"
    title = act["system"] if system is None else system["title"]
    shown = {"process": run["process"], "subject": run["subject"]}
    return {**shown, "title": title, "as_of": at.now()}


@statement("gates.asked_about")
def asked_about(at: Transaction, event: str) -> list[Row]:
    """The credentials of which somebody is asked already, and whether they still are."""
    acts = list(at.rows("open_act"))
    asking = {act["run_id"] for act in acts if act["task_id"] is not None}
    found = [
        {"match": act["match"], "is_open": act["run_id"] in asking}
        for act in acts
        if (act["kind"], act["event"]) == ("event", event) and act["match"] is not None
    ]
    return sorted(found, key=lambda row: row["match"])
