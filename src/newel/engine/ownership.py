"""Whose account is it: what a person is asked where an account exists that nobody has marked.

    found, unmarked -> the step parks, and the team that answers for the system gets an approval
    approved        -> the step tries again, marks just this account as the subject's and goes on
    rejected        -> nothing is touched; the step stays parked until somebody amends or retries

The decision is about one account and one input: where either has changed meanwhile, it is not
believed, and the question is asked anew. An account that bears the mark of another is nobody's to
give away, so nobody is asked. Source: connectors document, §4.3, evidence A.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from newel.base.errors import OwnershipConflict
from newel.connectors.ensure import BY_PERSON
from newel.connectors.reserving import IN_USE
from newel.domain.acts import OpenAct
from newel.domain.values import Effect
from newel.engine import by_hand
from newel.engine.operating import Command
from newel.engine.runner import Runner
from newel.flow.act import StepAct

__all__ = ["adopted", "ask", "decided", "is_decided"]

_FOLLOWS: Final = (
    "Approve: it is theirs; newel marks it as theirs and goes on. "
    "Reject: it is not, or nobody knows; nothing is touched, and the step stays parked."
)
_ALL: Final = "is what has this address theirs"
_ALL_FOLLOW: Final = (
    "Approve: all of it is theirs; newel goes on. "
    "Reject: it is not, or nobody knows; nothing is touched, and the step stays parked."
)


def is_decided(opened: OpenAct, error: Exception | None) -> bool:
    """Whether a person has said that the account is theirs while the attempt was under way."""
    return (
        isinstance(error, OwnershipConflict)
        and error.shown is not None
        and error.external_id == opened.trouble.adopts
    )


def ask(
    run: Runner,
    opened: OpenAct,
    act: StepAct[Any],  # Any: its own result
    error: Exception | None,
) -> None:
    """Ask whose the account is that a step has found; take back what was asked of another one.

    What else may park a step (an outage, say) changes neither the question nor its answer.
    """
    if not isinstance(error, OwnershipConflict):
        return
    found = None if error.shown is None else error.external_id
    if opened.task_id is not None and opened.trouble.found == found:
        return
    by_hand.withdraw(run, opened, cause="overtaken")
    opened.trouble = replace(opened.trouble, found=found, adopts=None)
    if found is not None:
        title = getattr(act.step.owner, "title", opened.system)
        by_hand.open_task(
            run,
            opened,
            act,
            kind="approval",
            title=f"is this {title} account theirs" if error.evidence != IN_USE else _ALL,
            instructions=_told(error),
        )


def decided(made: Command, key: str, *, is_theirs: bool) -> None:
    """Somebody has said whose the account is: the step adopts it now, or stays parked."""
    act = made.acts.get(key)
    if act is None:
        return
    adopts = act.trouble.found if is_theirs else None
    act.trouble = replace(act.trouble, found=None, adopts=adopts)
    act.task_id = None
    if is_theirs and act.state != "attempting":  # else its end is judged by this
        made.retry(act, by="person")
    else:
        made.change.also("open_act", act.row(made.run))


def adopted(opened: OpenAct, effect: Effect | None) -> Effect | None:
    """What a step came to that has marked an account because a person has said that it is theirs.

    A worker that died after marking it finds the mark; it is there because of that decision.
    """
    if effect is None or not effect.external_id or effect.external_id != opened.trouble.adopts:
        return effect
    evidence = effect.evidence
    if BY_PERSON not in evidence:
        evidence = f"{BY_PERSON}, {evidence}" if evidence else BY_PERSON
    return replace(effect, changed=True, adopted=True, evidence=evidence)


def _told(conflict: OwnershipConflict) -> str:
    """What can be shown of what was found; whom it may belong to stands above the question."""
    if conflict.evidence == IN_USE:
        found, follows = f"It is {conflict.external_id}.", _ALL_FOLLOW
    else:
        found, follows = f"Its id is {conflict.external_id}.", _FOLLOWS
    return "\n".join((conflict.message, found, *(conflict.shown or ()), follows))
