"""The statements of `runs.sql`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.statements.rooms import active_in, lock_worker
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import CHANGE, KEY_SHARE, Transaction

_NOBODY = {"worker_id": None, "worker_epoch": None}


def _ready(at: Transaction, room: str | None = None) -> Iterator[Row]:
    return (
        row
        for row in at.rows("run")
        if row["worker_id"] is None and row["wake_at"] is not None and row["room"] == room
    )


_SEEN = timedelta(seconds=30)


def has_newer(at: Transaction, process: str, known: dict[str, int]) -> bool:
    """Whether a worker with a newer version of a process lives, or was seen lately."""
    return any(
        row["stopped_at"] is None
        and row["lease_until"] > at.server_now() - _SEEN
        and row["definitions"].get(process, 0) > known[process]
        for row in at.rows("worker")
    )


@statement("runs.claim_ready")
def claim_ready(
    at: Transaction,
    worker: int,
    epoch: int,
    how_many: int,
    processes: list[str],
    versions: list[int],
) -> list[Row]:
    """The most urgent due runs that nobody owns become the worker's."""
    me = at.get("worker", worker)
    if me is None or me["epoch"] != epoch or me["lease_until"] <= at.server_now():
        return []
    due = _due(at, dict(zip(processes, versions, strict=True)), None)
    if not due:
        return []
    at.lock("worker", worker, KEY_SHARE)
    return _claimed(at, due, worker, epoch, how_many)


@statement("runs.claim_in_rooms")
def claim_in_rooms(
    at: Transaction,
    worker: int,
    epoch: int,
    how_many: int,
    processes: list[str],
    versions: list[int],
) -> list[Row]:
    """The most urgent due runs of processes that have only so many places."""
    if not lock_worker(at, worker, epoch):
        return []
    known = dict(zip(processes, versions, strict=True))
    claimed: list[Row] = []
    for process in sorted(known):
        room = at.get("room", f"process/{process}")
        if room is None or not at.lock_free("room", room["name"]):
            continue
        places = how_many - len(claimed)
        if room["at_most"] is not None:
            places = min(places, room["at_most"] - active_in(at, room["name"]))
        claimed += _claimed(at, _due(at, known, room["name"]), worker, epoch, max(places, 0))
    return claimed


def _due(at: Transaction, known: dict[str, int], room: str | None) -> list[Row]:
    now = at.now()
    due = [
        row
        for row in _ready(at, room)
        if row["wake_at"] <= now
        and row["process"] in known
        and (row["version"] <= known[row["process"]] or not has_newer(at, row["process"], known))
    ]
    return sorted(due, key=lambda row: (row["priority"], row["wake_at"]))


def _claimed(at: Transaction, due: list[Row], worker: int, epoch: int, how_many: int) -> list[Row]:
    claimed: list[Row] = []
    for row in due:
        if len(claimed) == how_many:
            break
        if at.lock_free("run", row["id"]):
            at.update(
                "run",
                row["id"],
                worker_id=worker,
                worker_epoch=epoch,
                wake_at=None,
                readings=row["readings"] + 1,
            )
            claimed.append({"id": row["id"]})
    return claimed


@statement("runs.let_go_strays")
def let_go_strays(at: Transaction, worker: int, epoch: int, held: list[UUID]) -> list[Row]:
    """Runs that a worker owns and has not in its memory are ready at once."""
    return [
        {"id": row["id"]}
        for row in list(at.rows("run"))
        if row["worker_id"] == worker
        and (row["worker_epoch"] != epoch or row["id"] not in held)
        and at.lock_free("run", row["id"])
        and at.update("run", row["id"], wake_at=at.now(), **_NOBODY)
    ]


@statement("runs.nudged")
def nudged(at: Transaction, worker: int) -> list[Row]:
    """Runs of this worker that are due."""
    now = at.now()
    return [
        {"id": row["id"]}
        for row in at.rows("run")
        if row["worker_id"] == worker and row["wake_at"] is not None and row["wake_at"] <= now
    ]


@statement("runs.next_due")
def next_due(at: Transaction) -> list[Row]:
    """The database's time, how far it was moved, the next moment of a run that nobody owns."""
    due = min((row["wake_at"] for row in _ready(at)), default=None)
    moved = at.server.deployment["clock_offset"]
    in_room = min(
        (
            row["wake_at"]
            for room in at.rows("room")
            if room["name"].startswith("process/")
            and (room["at_most"] is None or active_in(at, room["name"]) < room["at_most"])
            for row in _ready(at, room["name"])
        ),
        default=None,
    )
    return [{"as_of": at.now(), "moved": moved, "due": due, "due_in_room": in_room}]


def newest_key(at: Transaction, person: UUID | None) -> Row:
    """The newest key of a person that was not destroyed."""
    keys = [
        row
        for row in ([] if person is None else at.of("person_key", person))
        if row["wrapped"] is not None
    ]
    if not keys:
        return {"key_n": None, "wrapped": None, "kek_id": None}
    key = max(keys, key=lambda row: row["n"])
    return {"key_n": key["n"], "wrapped": key["wrapped"], "kek_id": key["kek_id"]}


def definition_of(at: Transaction, run: Row) -> Row | None:
    """The definition that a run goes by."""
    for row in at.rows("definition"):
        if row["process"] == run["process"] and row["version"] == run["version"]:
            return row
    return None


def _loaded(at: Transaction, run: UUID, *more: str) -> list[Row]:
    row = at.get("run", run)
    definition = None if row is None else definition_of(at, row)
    if row is None or definition is None:
        return []
    found = {name: row[name] for name in (*_LOADED, *more)}
    found |= {"as_of": at.now(), "sha256": definition["sha256"]}
    return [found | newest_key(at, row["subject"])]


_LOADED = (
    "id", "process", "version", "state", "subject", "seq", "head", "last_at", "cancelling",
    "paused_at", "paused_by", "acknowledged_at", "worker_id", "worker_epoch", "started_at",
    "seen",
)  # fmt: skip


_FOR_OWNERS = ("readings", "limit_at", "is_overdue", "parent_run")


@statement("runs.load")
def load(at: Transaction, runs: list[UUID]) -> list[Row]:
    """What a worker needs of each run."""
    return [row for run in dict.fromkeys(runs) for row in _loaded(at, run, *_FOR_OWNERS)]


@statement("runs.ends")
def ends(at: Transaction, runs: list[UUID]) -> list[Row]:
    """How runs have ended, those that have."""
    found: list[Row] = []
    for run in runs:
        row = at.get("run", run)
        if row is None or row["finished_at"] is None:
            continue
        last = [
            event["payload"]
            for event in at.of("event", run)
            if event["type"] in {"run.completed", "run.failed", "run.cancelled"}
        ]
        shown = {name: row[name] for name in ("id", "state", "subject")}
        payload = last[-1] if last else None
        found.append(shown | {"payload": payload} | newest_key(at, row["subject"]))
    return found


@statement("runs.children")
def children(at: Transaction, run: UUID) -> list[Row]:
    """The open children of a run that are cancelled with it, and theirs."""
    family = [run]
    for parent in family:
        family += [
            row["id"]
            for row in at.rows("run")
            if row["parent_run"] == parent and row["with_parent"] and row["finished_at"] is None
        ]
    return [{"id": each} for each in sorted(family[1:])]


@statement("runs.locked")
def locked(at: Transaction, run: UUID) -> list[Row]:
    """One run under its row lock."""
    if at.get("run", run) is None:
        return []
    at.lock("run", run)
    return [row | {"idle": "10s"} for row in _loaded(at, run, "parked_reason", "parked_with")]


@statement("runs.exists")
def exists(at: Transaction, run: UUID) -> list[Row]:
    """Whether there is such a run."""
    return [{"exists": at.get("run", run) is not None}]


@statement("runs.subject_of")
def subject_of(at: Transaction, run: UUID) -> list[Row]:
    """Whom a run is about."""
    row = at.get("run", run)
    return [] if row is None else [{"subject": row["subject"]}]


@statement("runs.open_of_subject")
def open_of_subject(at: Transaction, process: str, subject: UUID) -> list[Row]:
    """The open run of a process about a person."""
    return [
        {"id": row["id"]}
        for row in at.rows("run")
        if row["process"] == process and row["subject"] == subject and row["finished_at"] is None
    ]


def _is_owned(row: Row | None, worker: int, epoch: int) -> bool:
    return row is not None and (row["worker_id"], row["worker_epoch"]) == (worker, epoch)


def _own(at: Transaction, run: UUID, worker: int, epoch: int) -> Row | None:
    """The run's row under an update's lock, if this worker owns it."""
    if not _is_owned(at.get("run", run), worker, epoch):
        return None
    at.lock("run", run, CHANGE)
    row = at.get("run", run)
    return row if _is_owned(row, worker, epoch) else None


@statement("runs.put_back")
def put_back(
    at: Transaction,
    run: UUID,
    worker: int,
    epoch: int,
    seq: int,
    readings: int,
    wake_at: datetime | None,
    version: int,
) -> int:
    """Lets go of a run for which nothing was to be done."""
    row = _own(at, run, worker, epoch)
    if row is None or (row["seq"], row["readings"]) != (seq, readings):
        return 0
    if row["wake_at"] is not None and row["wake_at"] <= at.now():
        return 0
    at.update("run", run, wake_at=wake_at, seen_version=version, seen=seq, **_NOBODY)
    return 1


@statement("runs.let_go")
def let_go(at: Transaction, run: UUID, worker: int, epoch: int) -> int:
    """Lets go of a run; it is due at once."""
    row = _own(at, run, worker, epoch)
    if row is None or row["finished_at"] is not None:
        return 0
    at.update("run", run, wake_at=at.now(), **_NOBODY)
    return 1


@statement("runs.put_off")
def put_off(at: Transaction, run: UUID, worker: int, pause: timedelta) -> int:
    """Lets go of a run that nothing can be done with now; it is due again after a pause."""
    at.lock("run", run, CHANGE)
    row = at.get("run", run)
    if row is None or row["worker_id"] != worker or row["finished_at"] is not None:
        return 0
    at.update("run", run, wake_at=at.now() + pause, **_NOBODY)
    return 1


@statement("runs.heard")
def heard(at: Transaction, run: UUID, worker: int, epoch: int) -> list[Row]:
    """Notes that the owner has seen what others wrote."""
    row = _own(at, run, worker, epoch)
    if row is None:
        return []
    at.update("run", run, wake_at=None, readings=row["readings"] + 1)
    return [{"id": run}]


@statement("runs.enter_room")
def enter_room(at: Transaction, process: str, room: str) -> int:
    """Counts the open runs of a process that has a limit from now on."""
    mine = [
        row["id"]
        for row in at.rows("run")
        if row["process"] == process and row["finished_at"] is None and row["room"] != room
    ]
    for run in mine:
        at.update("run", run, room=room)
    return len(mine)


@statement("runs.wake")
def wake(at: Transaction, run: UUID) -> int:
    """Makes a run due now."""
    row = at.get("run", run)
    if row is None or row["finished_at"] is not None:
        return 0
    at.update("run", run, wake_at=at.now())
    return 1


def standing(at: Transaction, run: Row) -> str:
    """The view `newel.run_standing` of one run."""
    acts = list(at.of("open_act", run["id"]))
    found: str = run["state"]
    if run["finished_at"] is not None:
        return found
    if run["paused_at"] is not None:
        return "paused"
    if run["state"] == "parked" or any(act["state"] == "parked" for act in acts):
        return "parked"
    if any(task["state"] == "open" for task in at.of("task", run["id"])):
        return "task"
    if any(
        act["reason"] != "place" and (act["state"] == "retrying" or act["attempt"] > 1)
        for act in acts
    ):
        return "retrying"
    is_due = run["wake_at"] is not None and run["wake_at"] <= at.now()
    if any(act["state"] == "attempting" for act in acts) or run["worker_id"] is not None or is_due:
        return "running"
    return "waiting"


@statement("runs.read")
def read(at: Transaction, run: UUID) -> list[Row]:
    """One run with its definition, subject and standing."""
    row = at.get("run", run)
    if row is None:
        return []
    definition: Any = definition_of(at, row) or {}
    person: Any = at.get("person", row["subject"]) or {}
    hidden = {"stint", "priority", "head", "last_at", "seen", "seen_version", "readings"}
    hidden |= {"room", "limit_at", "is_overdue", "parent_run", "parent_key", "with_parent"}
    hidden |= {"payload_expired_at", "pruned_at"}
    found = {name: value for name, value in row.items() if name not in hidden}
    found |= {name: definition.get(name) for name in ("title", "owner", "sha256")}
    found["display_name"] = person.get("display_name")
    return [found | {"standing": standing(at, row), "as_of": at.now()}]


@statement("runs.counts")
def counts(at: Transaction) -> list[Row]:
    """How many open runs there are of each standing."""
    found: dict[str, int] = {}
    for row in at.rows("run"):
        if row["finished_at"] is None:
            name = standing(at, row)
            found[name] = found.get(name, 0) + 1
    return [{"standing": name, "how_many": number} for name, number in found.items()]


_BY_CODE = frozenset({"bug", "blocked", "drifted"})


@statement("runs.wake_blocked")
def wake_blocked(at: Transaction, processes: list[str], versions: list[int]) -> list[Row]:
    """Makes runs due that other code could not go on with."""
    known = dict(zip(processes, versions, strict=True))
    woken: list[Row] = []
    for row in list(at.rows("run")):
        mine = known.get(row["process"])
        if mine is None or row["state"] != "parked" or row["parked_reason"] not in _BY_CODE:
            continue
        if row["worker_id"] is not None or row["wake_at"] is not None or row["version"] == mine:
            continue
        if row["version"] > mine and has_newer(at, row["process"], known):
            continue
        if at.lock_free("run", row["id"]):
            at.update("run", row["id"], wake_at=at.now())
            woken.append({"id": row["id"]})
    return woken


@statement("runs.look_over")
def look_over(
    at: Transaction, processes: list[str], versions: list[int], how_many: int
) -> list[Row]:
    """Makes open runs due that a version has not seen yet."""
    known = dict(zip(processes, versions, strict=True))
    now = at.now()
    found = [
        row
        for row in at.rows("run")
        if row["finished_at"] is None
        and row["worker_id"] is None
        and (row["wake_at"] is None or row["wake_at"] > now)
        and max(row["version"], row["seen_version"] or 0) < known.get(row["process"], 0)
    ]
    found.sort(key=lambda row: row["started_at"])
    woken = [row for row in found if at.lock_free("run", row["id"])][:how_many]
    for row in woken:
        at.update("run", row["id"], wake_at=now)
    return [{"id": row["id"]} for row in woken]
