"""Acts that the body itself decides: races, groups, scopes, locks, milestones, starts.

They need no one outside, and every replay decides them the same way; what they decided is recorded
with the act that brought it about, so that the log tells it and changed code is noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from newel.audit import catalogue as facts
from newel.base.errors import Cancelled
from newel.engine.body import Decided
from newel.engine.branches import CancelledBy, Ready
from newel.engine.history import Recorded
from newel.flow.act import Act, StepAct
from newel.flow.children import SpawnAct
from newel.flow.groups import Ending, Joining
from newel.flow.locks import Acquiring
from newel.flow.milestones import Marking
from newel.flow.races import Race
from newel.flow.scopes import Clearing

if TYPE_CHECKING:
    from newel.engine.runner import Runner

CANCELLED: Final = "cancelled"
_ANSWERS: Final = frozenset({"holds", "lacks"})
_KINDS: Final[dict[type, str]] = {
    Race: "race",
    Joining: "group",
    Ending: "group",
    Clearing: "scope",
    Marking: "milestone",
    SpawnAct: "spawn",
}


def cancelled_at(run: Runner, key: str) -> tuple[int, Ready] | None:
    """Where the journal says that a branch was cancelled at such an act."""
    recorded = run.history.outcomes.get(key)
    if recorded is None or recorded.type != "act.recorded" or recorded.verb() != CANCELLED:
        return None
    return recorded.seq, Ready(None, Cancelled(), recorded.at)


def decide(run: Runner, key: str, kind: str, verb: str, keys: tuple[str, ...]) -> Decided | None:
    """Record what the body has decided, or give what the journal holds of it.

    None, and the run parks, where the code now decides otherwise than it did.
    """
    recorded = run.history.outcomes.get(key)
    if recorded is None:
        fact = facts.ActRecorded(kind=cast("Any", kind), verb=verb, keys=keys or None)
        seq = run.record(fact, key=key)
        at = run.entries.latest
        run.history.outcomes[key] = Recorded(seq, "act.recorded", at, b"", None)
        return Decided(seq, at, verb)
    if recorded.type != "act.recorded" or not recorded.entry:
        run.blocked = ("blocked", f"`{key}` was recorded as {recorded.type} by other code.")
        return None
    data = recorded.leaf()["data"]
    is_answer = verb in _ANSWERS and data["verb"] in _ANSWERS
    went = tuple(data.get("keys") or ())
    if (data["kind"], went) != (kind, keys) or not (is_answer or data["verb"] == verb):
        then, now = ", ".join(went) or data["verb"], ", ".join(keys) or verb
        run.blocked = ("blocked", f"`{key}` was decided by {then}; the code now says {now}.")
        return None
    return Decided(recorded.seq, recorded.at, data["verb"])


def withdrawal(act: Act[Any], by: CancelledBy) -> Any:  # Any: one of three facts
    """What the journal says of an act that was withdrawn before it had an outcome."""
    if isinstance(act, StepAct):
        return facts.StepCancelled(by=by)
    kind: Any = _KINDS.get(type(act))
    if isinstance(act, Acquiring) and not act.lock.is_shared:
        kind = "lock"
    if kind is None:
        return facts.WaitClosed(by="cancel")
    return facts.ActRecorded(kind=kind, verb=CANCELLED)
