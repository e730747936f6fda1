"""The statements of `workers.sql`; leases go by the server's own clock."""

from __future__ import annotations

from datetime import timedelta

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import CHANGE, Transaction


@statement("workers.register")
def register(at: Transaction, host: str, pid: int, version: str, lease: timedelta) -> list[Row]:
    """Makes a worker with a fresh lease."""
    row = at.insert(
        "worker",
        {"host": host, "pid": pid, "version": version, "lease_until": at.server_now() + lease},
    )
    return [{"id": row["id"], "epoch": row["epoch"]}]


def _mine(at: Transaction, worker: int, epoch: int) -> Row | None:
    row = at.get("worker", worker)
    if row is None or row["epoch"] != epoch:
        return None
    at.lock("worker", worker, CHANGE)
    return row


@statement("workers.beat")
def beat(at: Transaction, worker: int, epoch: int, lease: timedelta) -> list[Row]:
    """Extends the lease, unless somebody has taken over."""
    row = _mine(at, worker, epoch)
    if row is None or row["stopped_at"] is not None:
        return []
    at.update("worker", worker, lease_until=at.server_now() + lease)
    return [{"as_of": at.now()}]


@statement("workers.renew")
def renew(at: Transaction, worker: int, lease: timedelta) -> list[Row]:
    """Registers a worker anew after its lease was lost, unless a batch is under way."""
    if not at.lock_free("worker", worker):
        return []
    old = at.get("worker", worker)
    if old is None:
        return []
    row = at.update(
        "worker",
        worker,
        epoch=old["epoch"] + 1,
        lease_until=at.server_now() + lease,
        stopped_at=None,
    )
    return [{"id": worker, "epoch": row["epoch"]}]


@statement("workers.lapsed")
def lapsed(at: Transaction) -> list[Row]:
    """Workers whose lease has run out while they own runs; locked."""
    now = at.server_now()
    over = [row for row in at.rows("worker") if row["lease_until"] < now]
    if not over:
        return []
    owners = {row["worker_id"] for row in at.rows("run")}
    return [
        {"id": row["id"], "epoch": row["epoch"]}
        for row in over
        if row["id"] in owners and at.lock_free("worker", row["id"])
    ]


@statement("workers.fence")
def fence(at: Transaction, worker: int) -> int:
    """Raises the epoch."""
    at.lock("worker", worker, CHANGE)
    row = at.get("worker", worker)
    if row is None:
        return 0
    at.update("worker", worker, epoch=row["epoch"] + 1)
    return 1


@statement("workers.let_go")
def let_go(at: Transaction, worker: int) -> list[Row]:
    """Lets go of all runs of a worker, but for rows that somebody holds; gives them."""
    released: list[Row] = []
    for row in list(at.rows("run")):
        if row["worker_id"] == worker and at.lock_free("run", row["id"]):
            at.update("run", row["id"], worker_id=None, worker_epoch=None, wake_at=at.now())
            released.append({"id": row["id"]})
    return released


@statement("workers.stop")
def stop(at: Transaction, worker: int, epoch: int) -> int:
    """Marks a worker as gone for good."""
    if _mine(at, worker, epoch) is None:
        return 0
    now = at.server_now()
    at.update("worker", worker, lease_until=now, stopped_at=now)
    return 1


@statement("workers.live")
def live(at: Transaction) -> list[Row]:
    """How many workers hold a lease."""
    now = at.server_now()
    count = sum(row["lease_until"] > now and row["stopped_at"] is None for row in at.rows("worker"))
    return [{"count": count}]


@statement("workers.announce")
def announce(at: Transaction, worker: int, definitions: dict[str, int]) -> list[Row]:
    """Says which processes a worker knows."""
    if at.get("worker", worker) is not None:
        at.update("worker", worker, definitions=definitions)
    return []
