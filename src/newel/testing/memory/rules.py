"""What the schema refuses: its CHECK constraints and unique indexes, each under its own name.

A test compares the names with those of the migrations, so that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from newel.testing.memory.tables import Row, Unique

__all__ = ["CHECKS", "NOT_HERE", "UNIQUE"]

_FINAL: Final = frozenset({"completed", "failed", "cancelled"})
_OPEN_GRANT: Final = frozenset({"planned", "approved", "prepared", "active"})
_ENDED_GRANT: Final = frozenset({"suspended", "revoked"})
_END: Final = ("valid_to", "ended_run", "ended_key", "ended_seq")
_OPEN_INCIDENT: Final = frozenset({"watching", "escalated", "healing"})


def _effect(row: Row) -> Any:  # Any: a value, or None
    return row["effect_key"] if row["state"] == "attempting" else None


def _one_open_per_subject(row: Row) -> Any:  # Any: as above
    if row["finished_at"] is not None or row["subject"] is None or row["parent_run"] is not None:
        return None
    return row["process"], row["subject"], row["stint"] or 1


UNIQUE: Final[dict[str, dict[str, Unique]]] = {
    "run": {
        "run_one_open_per_subject": _one_open_per_subject,
        "run_of_parent": lambda row: (
            None if row["parent_run"] is None else (row["parent_run"], row["parent_key"])
        ),
    },
    "definition": {"definition_process_version_key": lambda row: (row["process"], row["version"])},
    "audit_stream": {"audit_stream_name_key": lambda row: row["name"]},
    "open_act": {
        "open_act_effect": _effect,
        "open_act_lock": lambda row: (
            row["match"] if (row["kind"], row["state"]) == ("lock", "held") else None
        ),
    },
    "task": {
        "task_one_open_per_key": lambda row: (
            (row["run_id"], row["key"]) if row["state"] == "open" else None
        )
    },
    "person": {
        "person_hr_key_key": lambda row: row["hr_key"],
        "person_work_email_key": lambda row: row["work_email"],
    },
    "access_grant": {
        "access_grant_one_open": lambda row: (
            (row["person"], row["entitlement"]) if row["state"] in _OPEN_GRANT else None
        ),
        "access_grant_continued_once": lambda row: row["continues"],
    },
    "incident": {
        "incident_one_open": lambda row: (
            row["fingerprint"] if row["state"] in _OPEN_INCIDENT else None
        )
    },
    "inbox": {"inbox_source_event_id_key": lambda row: (row["source"], row["event_id"])},
    "received_secret": {
        "received_secret_waiting": lambda row: (
            (row["person"], row["system"]) if row["state"] == "waiting" else None
        )
    },
}
"""What must be unique, by table and index; None means that the index does not hold the row."""


def _is_one_of_timer_task_event(row: Row) -> bool:
    match row["kind"]:
        case "timer":
            return row["due_at"] is not None and row["task_id"] is None and row["match"] is None
        case "approval" | "form":
            return row["task_id"] is not None
        case "event":
            return row["task_id"] is None and row["event"] is not None
        case "child" | "lock":
            return row["task_id"] is None
        case _:
            return True


CHECKS: Final[dict[str, dict[str, Callable[[Row], bool]]]] = {
    "run": {
        "a_child_has_its_parents_key": lambda row: (
            len({row[name] is None for name in ("parent_run", "parent_key", "with_parent")}) == 1
        ),
        "finished_iff_final": lambda row: (
            (row["finished_at"] is not None) == (row["state"] in _FINAL)
        ),
        "owned_only_while_open": lambda row: row["worker_id"] is None or row["finished_at"] is None,
        "owner_is_worker_and_epoch": lambda row: (
            (row["worker_id"] is None) == (row["worker_epoch"] is None)
        ),
        "parked_has_reason_and_addressee": lambda row: (
            row["state"] != "parked"
            or (row["parked_reason"] is not None and row["parked_with"] is not None)
        ),
        "paused_by_somebody": lambda row: (row["paused_at"] is None) == (row["paused_by"] is None),
        "only_an_end_is_acknowledged": lambda row: (
            row["acknowledged_at"] is None or row["finished_at"] is not None
        ),
        "finished_is_never_due": lambda row: row["finished_at"] is None or row["wake_at"] is None,
    },
    "room": {
        "room_paused_by_somebody": lambda row: (
            (row["paused_at"] is None) == (row["paused_by"] is None)
        ),
        "room_has_places_unless_paused": lambda row: (
            row["at_most"] == 0
            if row["paused_at"] is not None
            else row["allows"] is None and (row["at_most"] is None or row["at_most"] > 0)
        ),
    },
    "open_act": {
        "intent_has_owner": lambda row: (
            row["state"] != "attempting"
            or (row["worker_id"] is not None and row["intended_at"] is not None)
        ),
        "parked_has_reason_and_owner": lambda row: (
            row["state"] != "parked" or (row["reason"] is not None and row["owner"] is not None)
        ),
        "steps_are_not_waits": lambda row: (
            (row["kind"] == "step") == (row["state"] in {"attempting", "retrying", "parked"})
        ),
        "only_a_lock_is_held": lambda row: (
            row["state"] != "held" or (row["kind"] == "lock" and row["match"] is not None)
        ),
        "a_wait_has_one_of_timer_task_event": _is_one_of_timer_task_event,
    },
    "task": {
        "decided_by_somebody": lambda row: (
            (row["state"] == "decided")
            == (
                row["decided_by"] is not None
                and row["decided_at"] is not None
                and row["decision"] is not None
            )
        ),
    },
    "access_grant": {
        "periods_run_forward": lambda row: (
            row["valid_to"] is None
            or row["valid_from"] is None
            or row["valid_to"] >= row["valid_from"]
        ),
        "active_has_a_start": lambda row: row["state"] != "active" or row["valid_from"] is not None,
        "an_end_has_its_outcome": lambda row: (
            (row["state"] in _ENDED_GRANT) == all(row[name] is not None for name in _END)
        ),
        "only_what_was_suspended_is_removed": lambda row: (
            row["removed_at"] is None
            or (
                row["state"] == "revoked"
                and row["removed_run"] is not None
                and row["removed_key"] is not None
            )
        ),
    },
    "inbox": {
        "lost_is_not_taken": lambda row: not row["is_lost"] or row["taken_by"] is None,
    },
    "capability": {
        "proved_by_a_check": lambda row: (
            row["proved_at"] is None or row["proved_at"] <= row["checked_at"]
        ),
    },
    "received_secret": {
        "received_secret_kept_while_waiting": lambda row: (
            (row["state"] == "waiting") == (row["sealed"] is not None)
        ),
        "received_secret_ended": lambda row: (
            (row["state"] == "waiting") == (row["ended_at"] is None)
        ),
    },
    "occurrence": {
        "started_or_refused": lambda row: row["run_id"] is None or row["refused"] is None,
    },
    "person_key": {
        "destroyed_means_gone": lambda row: (
            (row["wrapped"] is None) == (row["destroyed_at"] is not None)
        ),
    },
    "webhook_endpoint": {
        "disabled_for_a_reason": lambda row: (
            (row["disabled_at"] is None) == (row["disabled_for"] is None)
        ),
    },
    "webhook_delivery": {
        "waiting_is_due": lambda row: (row["state"] == "waiting") == (row["next_at"] is not None),
        "ended_iff_not_waiting": lambda row: (
            (row["state"] == "waiting") == (row["ended_at"] is None)
        ),
    },
    "task_file": {
        "emptied_as_a_whole": lambda row: (row["name"] is None) == (row["content"] is None),
    },
}
"""What must hold of a row, by table and constraint."""

NOT_HERE: Final = {
    "confirmation_one_open": "nothing of a database in memory is confirmed by two",
    "legal_hold_on_person": "nobody is under hold in a database in memory",
    "legal_hold_on_run": "as above: nothing is under hold there",
    "audit_head_one_open": "a database in memory has no sequencer",
    "erased_means_gone": "nobody is erased from a database in memory",
    "nobody_orders_their_own": "nobody is erased from a database in memory",
    "only_test_and_demo_move_the_clock": "a database in memory is always a test's",
}
"""Named rules of the schema that memory leaves out, each with its reason."""
