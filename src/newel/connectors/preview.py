"""Previews: what an operation would do, without doing it.

Nothing is written for it: an operation looks before it acts, and a preview is that look.
Source: connectors document, §3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, ParamSpec, TypeVar

from newel.base.errors import OwnershipConflict
from newel.connectors.capability import BY_HAND
from newel.connectors.declaring import Mail, declared
from newel.connectors.looking import WouldChange, looking
from newel.flow.step import Step

__all__ = ["Preview", "previewed"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What would become of an operation.

    call: the first change it would ask the system for, as the vendor names it; what a person would
    be asked to do. why: what stands against it. sends_email: whose mailbox it would reach.
    moves_money: whether it pays anybody.
    """

    verdict: Literal["nothing to do", "would change", "conflict", "by hand"]
    call: str = ""
    why: str = ""
    sends_email: Mail = "none"
    moves_money: bool = False


async def previewed(operation: Step[P, R], *args: P.args, **kwargs: P.kwargs) -> Preview:
    """Run an operation up to its first change, which does not leave.

    Raises what its look-up raises: a system that is down cannot be looked at.
    """
    facts = declared(operation)
    try:
        with looking():
            await operation.called(*args, **kwargs)
    except WouldChange as change:
        chosen = facts.chosen_by(operation.owner)
        if chosen.path == BY_HAND and facts.by_hand is not None:
            return Preview(verdict="by hand", call=facts.by_hand.title, why=chosen.sentence)
        return Preview(
            verdict="would change",
            call=change.operation,
            sends_email=facts.sends_email,
            moves_money=facts.moves_money,
        )
    except OwnershipConflict as conflict:
        return Preview(verdict="conflict", why=conflict.message)
    return Preview(verdict="nothing to do")
