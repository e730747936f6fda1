"""The write door: what `newel.commit_batch` does, rule by rule and in the same order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import orjson

from newel.domain.grants import FOLLOWING
from newel.testing.memory.named import statement
from newel.testing.memory.statements.journal import can_take
from newel.testing.memory.statements.rooms import without_place
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import KEY_SHARE, Transaction, failed

__all__ = ["RARE"]

_FINAL: Final = frozenset({"completed", "failed", "cancelled"})
Arrays = tuple[list[Any] | None, ...]  # Any: columns' values


@statement("changes.commit_batch")
def commit_batch(at: Transaction, worker: int | None, epoch: int | None, *arrays: Any) -> list[Row]:
    """Writes many runs' Changes; answers with the runs it refused, each with its reason."""
    runs, closed, intents, events = (
        _together(arrays[start:end]) for start, end in ((0, 10), (10, 12), (12, 21), (21, 28))
    )
    rest: dict[str, list[Any]] | None = arrays[28]
    _fence(at, worker, epoch)
    locked, refused = _locked(at, worker, epoch, runs)
    refused |= _about_to_be_made(at, intents, refused)
    full = without_place(at, intents, refused)
    refused |= full
    if rest is not None and "run" in rest:
        refused |= dict.fromkeys(_unborn(at, rest["run"]))
    _move(at, worker, runs, refused)
    for run, key in closed:
        if run not in refused and at.get("open_act", (run, key)) is not None:
            at.delete("open_act", (run, key))
    _intend(at, worker, epoch, intents, refused)
    if rest is not None:
        if refused and rest.keys() - {"run", "webhook_delivery"}:
            raise failed("NW003", "a Change with rare rows was refused")
        told = rest.get("webhook_delivery", ())
        _rest(at, {**rest, "webhook_delivery": [r for r in told if r["stream_id"] not in refused]})
    _record(at, events, refused)
    expected = {run[0]: run[1] for run in runs}
    return [
        {"run_id": run, "reason": "full" if why == "effect" and run in full else why}
        for run in refused
        for why in [_why(at, run, worker, epoch, expected.get(run), locked)]
    ]


def _together(columns: Arrays) -> list[Any]:
    """Rows out of columns (`unnest`); a column that is left out is null in every row."""
    longest = max(len(column) for column in columns if column is not None)
    empty = [None] * longest
    return list(zip(*(empty if each is None else each for each in columns), strict=True))


def _fence(at: Transaction, worker: int | None, epoch: int | None) -> None:
    if worker is None:
        return
    row = at.get("worker", worker)
    if row is None or row["epoch"] != epoch:
        raise failed("NW001", f"fenced: worker {worker} of epoch {epoch} has lost its lease")
    at.lock("worker", worker, KEY_SHARE)
    at.worker, at.epoch = worker, epoch


def _locked(
    at: Transaction, worker: int | None, epoch: int | None, runs: list[Any]
) -> tuple[set[UUID], dict[UUID, None]]:
    locked: set[UUID] = set()
    for run in sorted(runs, key=lambda each: each[0]):
        row = at.get("run", run[0])
        if row is None or row["seq"] != run[1]:
            continue
        if worker is not None and (row["worker_id"], row["worker_epoch"]) != (worker, epoch):
            continue
        if at.lock_free("run", run[0]):
            locked.add(run[0])
    return locked, dict.fromkeys(run[0] for run in runs if run[0] not in locked)


def _about_to_be_made(
    at: Transaction, intents: list[Any], refused: dict[UUID, None]
) -> dict[UUID, None]:
    effects = {intent[5]: intent[0] for intent in intents if intent[5] is not None}
    if not effects:
        return {}
    return {
        run: None
        for act in at.rows("open_act")
        if act["state"] == "attempting" and act["effect_key"] in effects
        if (run := effects[act["effect_key"]]) != act["run_id"] and run not in refused
    }


def _unborn(at: Transaction, born: list[Row]) -> list[UUID]:
    found: list[UUID] = []
    for each in born:
        row = at.recordset("run", each)
        if at.insert_new("run", row) is None:
            found.append(row["id"])
    return found


def _move(at: Transaction, worker: int | None, runs: list[Any], refused: dict[UUID, None]) -> None:
    for run, _, seq, head, last_at, state, wake_at, release, reason, addressee in runs:
        if run in refused:
            continue
        old = at.get("run", run)
        assert old is not None, "it was locked above"
        if old["state"] != state and seq <= old["seq"]:
            raise failed("23514", f"run {run} changed from {old['state']} to {state}")
        owner = {"worker_id": None, "worker_epoch": None} if release else {}
        due = [moment for moment in (wake_at, old["wake_at"]) if moment is not None]
        if state in _FINAL:
            due = []
        elif old["worker_id"] is None:
            due = [] if wake_at is None else [wake_at]
        at.update(
            "run",
            run,
            seq=seq,
            seen=old["seen"] if worker is None else seq,
            head=head,
            last_at=last_at,
            state=state,
            wake_at=min(due, default=None),  # a nudge of its owner must not be lost
            parked_reason=reason,
            parked_with=addressee,
            finished_at=(old["finished_at"] or last_at) if state in _FINAL else None,
            **owner,
        )


def _intend(
    at: Transaction,
    worker: int | None,
    epoch: int | None,
    intents: list[Any],
    refused: dict[UUID, None],
) -> None:
    for run, key, attempt, moment, fingerprint, effect, system, credential, detail in intents:
        if run in refused:
            continue
        row = {
            "state": "attempting",
            "attempt": attempt,
            "intended_at": moment,
            "worker_id": worker,
            "worker_epoch": epoch,
            "effect_key": effect,
            "detail": None if detail is None else orjson.loads(detail),
        }
        if at.get("open_act", (run, key)) is not None:
            at.update("open_act", (run, key), next_at=None, reason=None, owner=None, **row)
            continue
        row |= {"run_id": run, "key": key, "kind": "step", "opened_at": moment}
        row |= {"fingerprint": fingerprint, "system": system, "credential": credential}
        at.insert("open_act", row)


def _record(at: Transaction, events: list[Any], refused: dict[UUID, None]) -> None:
    names = ("stream_id", "seq", "type", "key", "occurred_at", "entry", "payload")
    written = [
        at.insert("event", dict(zip(names, event, strict=True)))
        for event in events
        if event[0] not in refused
    ]
    if not written:
        return
    written.sort(key=lambda row: (row["stream_id"], row["seq"]))
    hashes = [hashlib.sha256(b"\0" + row["entry"]).digest() for row in written]
    at.insert(
        "event_batch",
        {
            "worker_id": at.worker,
            "worker_epoch": at.epoch,
            "streams": [row["stream_id"] for row in written],
            "seqs": [row["seq"] for row in written],
            "leaf_hashes": b"".join(hashes),
        },
    )


def _why(
    at: Transaction,
    run: UUID,
    worker: int | None,
    epoch: int | None,
    expected: int | None,
    locked: set[UUID],
) -> str:
    row = at.get("run", run)
    if row is None or row["seq"] == 0:
        return "exists"
    if worker is not None and (row["worker_id"], row["worker_epoch"]) != (worker, epoch):
        return "owner"
    if row["seq"] != expected:
        return "moved"
    return "effect" if run in locked else "held"


# --- rare rows --------------------------------------------------------------------------------


def _cancelling(at: Transaction, runs: list[Any]) -> None:
    for run in runs:
        if at.get("run", UUID(run)) is not None:
            at.update("run", UUID(run), cancelling=True)


def _moved(at: Transaction, rows: list[Any]) -> None:
    for row in rows:
        if at.get("run", UUID(row["id"])) is not None:
            at.update("run", UUID(row["id"]), process=row["process"], version=row["version"])


def _overdue(at: Transaction, rows: list[Any]) -> None:
    for row in rows:
        at.update("run", UUID(row["id"]), is_overdue=True)


def _unlimited(at: Transaction, rows: list[Any]) -> None:
    for row in rows:
        at.update("run", UUID(row["id"]), limit_at=None, is_overdue=False)


def _wake(at: Transaction, rows: list[Any]) -> None:
    for row in rows:
        parent = at.get("run", UUID(row["id"]))
        if parent is None or not at.lock_free("run", UUID(row["id"])):
            raise failed("NW003", "a parent is held")
        _nudge(at, parent)


def _nudge(at: Transaction, run: Row) -> None:
    if run["finished_at"] is None:
        now = at.now()
        at.update(
            "run", run["id"], wake_at=now if run["wake_at"] is None else min(run["wake_at"], now)
        )


def _unlock(at: Transaction, rows: list[Any]) -> None:
    for row in rows:
        queue = sorted(
            (act["opened_at"], act["run_id"])
            for act in at.rows("open_act")
            if (act["kind"], act["state"], act["match"]) == ("lock", "open", row["key"])
            and can_take(at, act["run_id"])
        )
        if not queue:
            continue
        waiting = at.get("run", queue[0][1])
        if waiting is None or not at.lock_free("run", queue[0][1]):
            raise failed("NW003", "the next in order is held")
        _nudge(at, waiting)


def _upserted(
    table: str, columns: Callable[[Row, Row], Row]
) -> Callable[[Transaction, list[Any]], None]:
    """Insert rows, or change those that are there: `columns` of the old row and the given one."""

    def written(at: Transaction, rows: list[Any]) -> None:
        kept = at.server.tables[table]
        for each in rows:
            row = at.recordset(table, each)
            key = kept.key_of(row)
            old = at.get(table, key)
            if old is None:
                at.insert(table, row)
            else:
                at.update(table, key, **columns(old, row))

    return written


def _open_act(_: Row, given: Row) -> Row:
    return {name: value for name, value in given.items() if name not in _KEPT_OF_ACT}


_KEPT_OF_ACT: Final = frozenset({"run_id", "key", "opened_at"})


def _task(old: Row, given: Row) -> Row:
    changed = {name: given[name] for name in ("state", "decision", "decided_by", "decided_at")}
    return changed | {"version": old["version"] + 1}


def _access_grant(at: Transaction, rows: list[Any]) -> None:
    for each in rows:
        at.insert("access_grant", at.recordset("access_grant", each))


def _grant_moved(at: Transaction, rows: list[Any]) -> None:
    for each in sorted(rows, key=lambda row: str(row["id"])):
        row = at.recordset("access_grant", {k: v for k, v in each.items() if k != "from_state"})
        at.lock("access_grant", row["id"])
        old = at.get("access_grant", row["id"])
        if old is None or old["state"] != each["from_state"]:
            raise failed("NW003", "somebody else has turned the grant")
        if row["state"] != old["state"] and row["state"] not in FOLLOWING[old["state"]]:
            raise failed("23514", "a grant cannot go there", "grant_walks_forward")
        columns = {name: row[name] for name in _SET_OF_GRANT}
        columns |= {name: _either(row[name], old[name]) for name in ("level", "account_id")}
        columns |= {name: _either(old[name], row[name]) for name in _KEPT_OF_GRANT}
        at.update("access_grant", row["id"], **columns)


def _either(first: Any, second: Any) -> Any:  # Any: a column's value
    return second if first is None else first


_SET_OF_GRANT: Final = ("state", "verified_at", "removed_at", "removed_run", "removed_key")
_KEPT_OF_GRANT: Final = ("valid_from", "valid_to", "ended_run", "ended_key", "ended_seq")


def _incident(at: Transaction, rows: list[Any]) -> None:
    for each in rows:
        row = at.recordset("incident", each)
        old = at.get("incident", row["id"])
        if old is None:
            at.insert("incident", row)
        elif old["state"] == "watching":
            names = ("state", "escalated_at", "last_error", "run_id")
            at.update("incident", row["id"], **{name: row[name] for name in names})
        else:
            raise failed("NW003", "somebody else has escalated or closed it")


def _audit_stream(at: Transaction, rows: list[Any]) -> None:
    for each in rows:
        row = at.recordset("audit_stream", {k: v for k, v in each.items() if k != "from_seq"})
        old = at.get("audit_stream", row["id"])
        if old is None or old["seq"] != each["from_seq"]:
            raise failed("NW002", "a stream has moved")
        names = ("seq", "head", "last_at")
        at.update("audit_stream", row["id"], **{name: row[name] for name in names})


def _mark(at: Transaction, rows: list[Any]) -> None:
    for each in rows:
        row = at.recordset("run", each)
        names = [name for name in ("paused_at", "paused_by") if "paused_at" in each]
        if row["acknowledged_at"] is not None:
            names.append("acknowledged_at")
        at.update("run", row["id"], **{name: row[name] for name in names})


def _task_moved(at: Transaction, rows: list[Any]) -> None:
    for each in rows:
        row = at.recordset("task", each)
        old = at.get("task", row["id"])
        if old is None or old["state"] != "open":
            continue
        names = [name for name in ("assignee", "due_at") if name in each]
        names += [name for name in ("owner", "reminded_at", "reminders") if row[name] is not None]
        moved = {name: row[name] for name in names}
        at.update("task", row["id"], version=old["version"] + 1, **moved)


def _webhook_delivery(at: Transaction, rows: list[Any]) -> None:
    for each in rows:
        row = at.recordset("webhook_delivery", each)
        at.insert("webhook_delivery", {name: row[name] for name in each} | {"next_at": at.now()})


RARE: Final[dict[str, Callable[[Transaction, list[Any]], None]]] = {
    "cancelling": _cancelling,
    "moved": _moved,
    "mark": _mark,
    "overdue": _overdue,
    "unlimited": _unlimited,
    "wake": _wake,
    "open_act": _upserted("open_act", _open_act),
    "unlock": _unlock,
    "task": _upserted("task", _task),
    "task_moved": _task_moved,
    "grant_moved": _grant_moved,
    "access_grant": _access_grant,
    "incident": _incident,
    "ticket": _upserted("ticket", lambda _, given: {"state": given["state"]}),
    "audit_stream": _audit_stream,
    "webhook_delivery": _webhook_delivery,
}
"""What `newel.commit_rest` does with each kind of rare row, in its order."""


def _rest(at: Transaction, rest: dict[str, list[Any]]) -> None:
    for name in rest.keys() - RARE.keys() - {"run"}:
        raise failed("0A000", f"newel.testing.memory knows no rare rows of {name}")
    for name, written in RARE.items():
        if name in rest:
            written(at, rest[name])
