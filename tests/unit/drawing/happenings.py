"""What has happened in a run, as far as its drawing tells: which acts began, and how they ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple


class Happened(NamedTuple):
    """One thing: `begin`, `ok`, `failed`, `cancelled`, `record`, or `cancel` of the run."""

    what: str
    key: str = ""


def happenings(leaves: Iterable[dict[str, Any]]) -> Iterator[Happened]:
    """What the leaves of a run tell, in order; a repeated attempt begins nothing anew."""
    open_: set[str] = set()
    timers: set[str] = set()
    for leaf in leaves:
        kind, data = leaf["type"], leaf["data"]
        key = (leaf.get("step") or {}).get("key", "")
        if kind in {"step.started", "wait.opened"}:
            if data.get("kind") == "timer":
                timers.add(key)
            if key not in open_:
                open_.add(key)
                yield Happened("begin", key)
        elif kind in {"step.succeeded", "step.skipped", "step.completed_by_hand"}:
            yield Happened("ok", key)
        elif kind == "step.failed":
            yield Happened("failed", key)
        elif kind == "step.cancelled":
            yield Happened("cancelled", key)
        elif kind == "wait.closed":
            by = data["by"]
            is_late = by == "timer" and key not in timers
            yield Happened("cancelled" if by == "cancel" else "failed" if is_late else "ok", key)
        elif kind == "act.recorded":
            yield Happened("record", key)
        elif kind == "run.cancel_requested":
            yield Happened("cancel")
