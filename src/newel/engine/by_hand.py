"""Which way a step goes, and what becomes of it where only a person can do it.

    no way is open   -> the step looks first: what is there already needs nobody
    not done yet     -> a task for the team that answers for the system; the step waits
    time passes      -> it looks after 1, 5, 15 minutes, then every hour; urgent ones every 5 min;
                        one event says that nothing has changed
    "done"           -> it looks at once, and a minute later; only then the task opens again
    seen             -> the step has its outcome, the task is withdrawn; route `by_hand`

The way is chosen when the run comes to the step, by what the connector knows of plan and token,
and stands in the record of each attempt: a later attempt goes the same way, whatever has become of
the plan. Only a person who has the step retried has it chosen anew. A person's word is not
believed where newel can see for itself. Source: connectors document, §7.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from newel.audit import catalogue as facts
from newel.base.ids import reference
from newel.connectors.base import Connector
from newel.connectors.capability import BY_HAND, ByHand, Chosen
from newel.connectors.declaring import Declared, declared
from newel.connectors.shadow import SHADOW
from newel.domain.acts import OpenAct
from newel.domain.values import Effect
from newel.engine import asking, history
from newel.engine.joining import policy_of
from newel.engine.operating import Command
from newel.engine.runner import Runner
from newel.flow.act import StepAct
from newel.flow.step import Step

__all__ = [
    "asks_anew",
    "choose",
    "claim",
    "is_by_hand",
    "looks_again",
    "not_yet",
    "open_task",
    "seen",
    "step_of_task",
    "withdraw",
]

WAITS: Final = "by-hand"
"""Why a step rests that a person is asked to do."""

_LOOKS: Final = tuple(timedelta(minutes=each) for each in (1, 5, 15))
_THEN: Final = timedelta(hours=1)
_URGENTLY: Final = timedelta(minutes=5)
_WITHIN: Final = timedelta(days=2)
_WITHIN_URGENT: Final = timedelta(hours=1)
_NOT_SEEN: Final = "Somebody said that it was done, and newel does not see it."


def is_by_hand(opened: OpenAct) -> bool:
    """Whether the step is one that a person is to do, and newel only looks at."""
    return opened.trouble.way == BY_HAND


def choose(run: Runner, opened: OpenAct, act: StepAct[Any]) -> None:  # Any: its own result
    """Choose the way of a step that has a choice, unless that was done before."""
    if opened.trouble.way is not None:
        return
    facts_of = _choice(act.step)
    if facts_of is None or getattr(act.step.owner, "mode", None) == SHADOW:
        return  # in shadow nobody is asked for anything
    chosen = facts_of.chosen_by(act.step.owner)
    opened.trouble = replace(opened.trouble, way=chosen.path)
    if not is_by_hand(opened):
        withdraw(run, opened, cause="retried")


def looks_again(run: Runner, opened: OpenAct, act: StepAct[Any]) -> bool:  # Any: its own result
    """Look once more at what a person is still asked to do, as part of the attempt that has asked.

    Answers with False where the next attempt is one of its own. A look needs no intent: nothing
    that changes anything leaves, and a worker that dies in it leaves nothing to be found out.
    Where a system is limited, the others count each attempt by its intent.
    """
    trouble = opened.trouble
    is_asked = is_by_hand(opened) and opened.task_id is not None and trouble.seen > 0
    is_troubled = trouble.is_claimed or trouble.doubt is not None or trouble.progress is not None
    is_same = opened.fingerprint == run.fingerprint(act)
    if not is_asked or is_troubled or not is_same or run.host.places.is_limited(opened.system):
        return False
    opened.state, opened.next_at = "attempting", None
    opened.reason = opened.owner = None
    opened.intended_at = run.moment
    run.starting.append(opened.key)
    return True


def seen(opened: OpenAct, effect: Effect | None) -> Effect | None:
    """What a step came to that a person was asked to do, and has done."""
    if effect is None or not opened.trouble.was_asked:
        return effect
    evidence = f"{effect.evidence}, done by hand" if effect.evidence else "done by hand"
    return replace(effect, changed=True, evidence=evidence)


def not_yet(run: Runner, opened: OpenAct, act: StepAct[Any]) -> None:  # Any: as above
    """The step has looked, and it is not done: ask a person, or go on waiting for one."""
    trouble = opened.trouble
    was_said, looks = trouble.is_claimed, trouble.seen
    if opened.task_id is None and (not was_said or looks > 0):
        _ask(run, opened, act, was_said=was_said)
        was_said, looks = False, 0
    is_urgent = policy_of(run, act).is_urgent
    at = run.moment + _next_look(looks, is_urgent=is_urgent)
    run.record(
        facts.StepLooked(claimed=trouble.is_claimed, next_at=at),
        key=opened.key,
        attempt=opened.attempt,
        round_=opened.round,
        system=opened.system,
    )
    run.history.ended(opened.key, run.moment)
    opened.trouble = replace(
        trouble,
        doubt=None,
        doubted_at=None,
        seen=looks + 1,
        is_claimed=was_said,
        is_urgent=is_urgent,
        progress=None,
        failed_rounds=0,
        failure_class=None,
        message=None,
        early=None,
        held_at=None,
        parked_at=None,
    )
    if opened.incident_id is not None:
        run.host.answered(opened.credential)
    opened.incident_id = None
    _wait(run, opened, act, at)


def _next_look(looks: int, *, is_urgent: bool) -> timedelta:
    """How long to wait after so many looks; access that is to be cut is not left for an hour."""
    usual = _LOOKS[looks] if looks < len(_LOOKS) else _THEN
    return min(usual, _URGENTLY) if is_urgent else usual


def withdraw(run: Runner, opened: OpenAct, *, cause: str = "seen") -> None:
    """Take back what a person is asked to do, if that is still open."""
    if opened.task_id is None:
        return
    fact = facts.TaskWithdrawn(task=reference("tsk", opened.task_id), cause=cause)
    run.record(fact, key=_place(opened.key))
    run.change.also("task", {**run.withdrawn_task(opened), "state": "withdrawn"})
    opened.task_id = None


def open_task(
    run: Runner,
    opened: OpenAct,
    act: StepAct[Any],  # Any: as above
    *,
    kind: Literal["approval", "form"],
    title: str,
    instructions: str,
    evidence: str | None = None,
) -> None:
    """Ask the team that answers for the system something in the place of a step."""
    opened.task_id = asking.open_task(
        run,
        _place(opened.key),
        kind=kind,
        title=title,
        instructions=instructions,
        owner=_team(act),
        due_at=run.moment + (_WITHIN_URGENT if policy_of(run, act).is_urgent else _WITHIN),
        evidence=evidence,
    )


def asks_anew(run: Runner, opened: OpenAct, act: StepAct[Any]) -> bool:  # Any: as above
    """Take back what was asked, or said, of another input than the step is called with now."""
    trouble = opened.trouble
    was_asked = opened.task_id is not None or trouble.is_claimed or trouble.adopts is not None
    if not was_asked or opened.fingerprint == run.fingerprint(act):
        return False
    withdraw(run, opened, cause="amended")
    opened.trouble = replace(trouble, seen=0, is_claimed=False, found=None, adopts=None)
    if trouble.found is not None and opened.state == "parked":
        opened.state, opened.reason, opened.owner = "retrying", None, None
        opened.trouble = replace(opened.trouble, parked_at=None)
    if opened.state == "retrying":
        opened.next_at = None
    return True


def step_of_task(key: str) -> str | None:
    """The key of the step in whose place a task asks for work by hand; None for other tasks."""
    head, _, step = key.partition("/")
    return step if head == history.BY_HAND else None


def claim(made: Command, key: str) -> None:
    """Somebody says that a step is done by hand: it looks now."""
    act = made.acts.get(key)
    if act is None:
        return
    act.trouble = replace(act.trouble, is_claimed=True, seen=0)
    act.task_id = None
    if act.state != "attempting":  # else it looks right now, and again because of this
        act.state, act.next_at, act.reason, act.owner = "retrying", made.at, None, None
    made.change.also("open_act", act.row(made.run))


# --- asking -----------------------------------------------------------------------------------


def _choice(step: Step[..., Any]) -> Declared | None:  # Any: each has its own signature
    """What an operation declares whose way plan and token decide; None for all other steps."""
    if not isinstance(step.owner, Connector) or not step.options.facts:
        return None
    found = declared(step)
    return found if found.has_choice else None


def _ask(run: Runner, opened: OpenAct, act: StepAct[Any], *, was_said: bool) -> None:
    found = declared(act.step)
    assert found.by_hand is not None, "only what can be done by hand is asked for"
    open_task(
        run,
        opened,
        act,
        kind="form",
        title=found.by_hand.title,
        instructions=_instructions(act, found.by_hand, found, was_said=was_said),
        evidence="none" if found.by_hand.is_seen else "note",
    )


def _instructions(act: StepAct[Any], by_hand: ByHand, found: Declared, *, was_said: bool) -> str:
    chosen: Chosen = found.chosen_by(act.step.owner)
    lines = [_NOT_SEEN] if was_said else []
    if chosen.sentence:
        lines.append(f"{chosen.sentence} So this is done by hand.")
    for number, each in enumerate(by_hand.how, start=1):
        lines.append(f"{number}. {act.step.described(each, act.args, act.kwargs)}")
    if by_hand.is_seen:
        lines.append("newel looks for itself, and closes this when it sees that it is done.")
    else:
        lines.append("newel cannot see this: say here what you did.")
    runbook = getattr(act.step.owner, "runbook", None)
    return "\n".join([*lines, *([f"Runbook: {runbook}"] if runbook else [])])


def _wait(run: Runner, opened: OpenAct, act: StepAct[Any], at: datetime) -> None:
    opened.state, opened.next_at = "retrying", at
    opened.reason, opened.owner = WAITS, _team(act)
    run.change.also("open_act", opened.row(run.id))


def _team(act: StepAct[Any]) -> str:
    return str(getattr(act.step.owner, "owner", "it"))


def _place(key: str) -> str:
    return f"{history.BY_HAND}/{key}"
