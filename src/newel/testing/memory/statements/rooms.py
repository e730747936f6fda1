"""The statements of `rooms.sql`, and the functions by which places are counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import KEY_SHARE, Transaction

__all__ = ["active_in", "lock_worker", "without_place"]

_CALLED = timedelta(seconds=10)
_AS_MANY_AS_WANTED = 1000


@statement("rooms.known")
def known(at: Transaction) -> list[Row]:
    """All rooms with their places."""
    return sorted(
        (
            {
                "name": row["name"],
                "at_most": row["at_most"] if row["paused_at"] is None else row["allows"],
            }
            for row in at.rows("room")
        ),
        key=lambda row: row["name"],
    )


@statement("rooms.declare")
def declare(at: Transaction, name: str, at_most: int | None) -> int:
    """Sets the places of a room."""
    room = at.get("room", name)
    if room is None:
        at.insert("room", {"name": name, "at_most": at_most})
    elif room["paused_at"] is None:
        at.update("room", name, at_most=at_most, allows=None)
    else:
        at.update("room", name, at_most=0, allows=at_most)
    return 1


@statement("rooms.pause")
def pause(at: Transaction, name: str, by: str) -> list[Row]:
    """Leaves a room without a place."""
    room = at.get("room", name)
    if room is None:
        at.insert("room", {"name": name, "at_most": 0, "paused_at": at.now(), "paused_by": by})
    elif room["paused_at"] is None:
        at.update("room", name, at_most=0, allows=room["at_most"], paused_at=at.now(), paused_by=by)
    else:
        return []
    return [{"name": name}]


@statement("rooms.resume")
def resume(at: Transaction, name: str) -> list[Row]:
    """Gives a paused room its places back."""
    room = at.get("room", name)
    if room is None or room["paused_at"] is None:
        return []
    at.update("room", name, at_most=room["allows"], allows=None, paused_at=None, paused_by=None)
    return [{"name": name}]


@statement("rooms.paused")
def paused(at: Transaction) -> list[Row]:
    """The systems that somebody has paused."""
    found = [
        {
            "system": row["name"].removeprefix("system/"),
            "paused_at": row["paused_at"],
            "paused_by": row["paused_by"],
        }
        for row in at.rows("room")
        if row["paused_at"] is not None and row["name"].startswith("system/")
    ]
    return sorted(found, key=lambda row: row["system"])


def _busy(at: Transaction, system: str) -> Iterator[Row]:
    for act in at.rows("open_act"):
        if act["system"] == system and act["state"] == "attempting":
            worker = at.get("worker", act["worker_id"])
            if (
                worker is not None
                and worker["epoch"] == act["worker_epoch"]
                and worker["lease_until"] > at.server_now()
            ):
                yield act


def _queued(at: Transaction, system: str) -> Iterator[Row]:
    for act in at.rows("open_act"):
        if (act["system"], act["state"], act["reason"]) == (system, "retrying", "place"):
            yield act


def without_place(
    at: Transaction, intents: list[Any], refused: dict[UUID, None]
) -> dict[UUID, None]:
    """`newel.without_place`: runs whose intents find no place at their system."""
    full: dict[UUID, None] = {}
    wanted = {intent[6] for intent in intents if intent[6] is not None}
    mine = {(intent[0], intent[1]) for intent in intents}
    for system in sorted(wanted):
        room = at.get("room", f"system/{system}")
        if room is None or room["at_most"] is None:
            continue
        at.lock("room", room["name"])
        busy = [act for act in _busy(at, system) if (act["run_id"], act["key"]) not in mine]
        now = at.now()
        others = [
            act
            for act in _queued(at, system)
            if (act["run_id"], act["key"]) not in mine and act["next_at"] > now - _CALLED
        ]
        called = [
            act for act in others if act["next_at"] <= now and not _has_looked_in_vain(at, act)
        ]
        queued = {(act["run_id"], act["key"]): act["opened_at"] for act in _queued(at, system)}
        asking = [
            (queued.get((intent[0], intent[1])), place, intent[0])
            for place, intent in enumerate(intents)
            if intent[6] == system and intent[0] not in refused and intent[0] not in full
        ]
        asking.sort(key=lambda each: (each[0] is None, each[0] or now, each[1]))
        for nth, (opened_at, _, run) in enumerate(asking, 1):
            before = others if opened_at is None else called
            if len(busy) + nth > room["at_most"] - len(before):
                full[run] = None
    return full


@statement("rooms.call_queued")
def call_queued(at: Transaction, system: str) -> list[Row]:
    """Calls the oldest steps that wait for a place, as many as there are places."""
    room = at.get("room", f"system/{system}")
    if room is None or not at.lock_free("room", room["name"]):
        return [{"call_queued": 0}]
    now = at.now()
    queued = list(_queued(at, system))
    called = [
        act
        for act in queued
        if now - _CALLED < act["next_at"] <= now and not _has_looked_in_vain(at, act)
    ]
    places = _AS_MANY_AS_WANTED if room["at_most"] is None else room["at_most"]
    places -= len(list(_busy(at, system))) + len(called)
    woken = 0
    for act in sorted(queued, key=lambda act: act["opened_at"]):
        if woken >= places:
            break
        key = (act["run_id"], act["key"])
        run = at.get("run", key[0])
        assert run is not None, "an act is of a run"
        rests_until = max(act["next_at"], run["wake_at"] or now)
        if rests_until > now and at.lock_free("run", key[0]) and at.lock_free("open_act", key):
            at.update("run", key[0], wake_at=now)
            at.update("open_act", key, next_at=now)
            woken += 1
    return [{"call_queued": woken}]


def _has_looked_in_vain(at: Transaction, act: Row) -> bool:
    """Whether a run that was called rests again."""
    run = at.get("run", act["run_id"])
    assert run is not None, "an act is of a run"
    return run["worker_id"] is None and (run["wake_at"] is None or run["wake_at"] > at.now())


def active_in(at: Transaction, room: str) -> int:
    """How many runs of a room workers have in hand."""
    return sum(row["room"] == room and row["worker_id"] is not None for row in at.rows("run"))


def lock_worker(at: Transaction, worker: int, epoch: int) -> bool:
    """Hold a worker's row, if its lease holds."""
    me = at.get("worker", worker)
    if me is None or me["epoch"] != epoch or me["lease_until"] <= at.server_now():
        return False
    at.lock("worker", worker, KEY_SHARE)
    return True
