"""How far a run is: its plan counted in steps, and said in one sentence.

Pages, the API and the command line print the same words. A step with many items or passes counts
once. What only may come is named apart, so that the whole does not shrink when it does not come.
Source: console document, §2.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from newel.drawing.drawing import Drawing
from newel.drawing.duties import step_of
from newel.drawing.plan import Plan, Planned
from newel.drawing.regions import acts_of

__all__ = ["Progress", "coming_systems", "progress_of"]

_SETTLED: Final = frozenset({"done", "by-hand", "skipped"})
_OUT: Final = frozenset({"not-needed", "cancelled", "failed"})
_LIVE: Final = {
    "parked": "is parked",
    "task": "waits for a person",
    "in-doubt": "is being checked",
    "retrying": "is tried again",
    "running": "is running",
    "waiting": "waits",
}
"""What happens now, the most urgent first."""
_COMING: Final = frozenset({"will-run", "expected"})
_NAMED: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Steps of a plan. total: done, begun and to come; perhaps: others that only may come.

    sentence: the same in words, with what happens now or comes next.
    """

    done: int
    total: int
    perhaps: int
    sentence: str


def progress_of(plan: Plan) -> Progress:
    """Count the steps of a plan."""
    words: dict[str, set[str]] = {}
    for line in plan.lines:
        words.setdefault(line.node, set()).add(_word(line))
    counting = [left for each in words.values() if (left := each - _OUT)]
    perhaps = sum(each == {"maybe"} for each in counting)
    done = sum(each != {"maybe"} and each <= _SETTLED | {"maybe"} for each in counting)
    total = len(counting) - perhaps
    said = [f"{done} of {total} {'step is' if total == 1 else 'steps are'} done."]
    said += _now(plan) or _next(plan)
    if perhaps:
        said.append(f"{perhaps} more may come.")
    return Progress(done=done, total=total, perhaps=perhaps, sentence=" ".join(said))


def coming_systems(drawing: Drawing, plan: Plan) -> Mapping[str, str]:
    """The systems in which a run is giving access or will, unless it ends early; with their titles.

    What has an outcome is not among them: of that the ledger knows more than the plan.
    """
    nodes = {each.node for each in plan.lines if each.state in _LIVE or each.forecast in _COMING}
    steps = [step_of(act) for act in acts_of(drawing.tree) if act.id in nodes]
    return {
        step.options.system: str(getattr(step.owner, "title", "") or "")
        for step in steps
        if step is not None and step.options.system and step.options.grants is not None
    }


def _now(plan: Plan) -> list[str]:
    """What is open, by name; the rest as a number."""
    urgency = list(_LIVE)
    live = _once(each for each in plan.lines if each.state in _LIVE)
    live.sort(key=lambda line: urgency.index(line.state))
    said = [f"{each.label} {_LIVE[each.state]}." for each in live[:_NAMED]]
    more = len(live) - _NAMED
    return [*said, f"{more} more {'is' if more == 1 else 'are'} open."] if more > 0 else said


def _next(plan: Plan) -> list[str]:
    coming = (each for each in plan.lines if each.forecast in _COMING)
    first = next(coming, None)
    return [] if first is None else [f"Next: {first.label}."]


def _once(lines: Iterable[Planned]) -> list[Planned]:
    """One line of each step and state."""
    return list({(each.node, each.state): each for each in lines}.values())


def _word(line: Planned) -> str:
    return line.state or line.forecast or "maybe"
