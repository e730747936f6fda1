"""The guard in front of every removal: so many people in an hour, and then a person is asked.

The hold on plans counts what comes in; a loop in a process never passes there. So people who lose
access are counted once more where a request leaves, for each credential: the first mutating
request of an operation that takes access away asks here, and is not sent beyond the limit. What
turns out to be gone already sends nothing and counts for nothing.

People are counted, not requests: a person who leaves loses a dozen groups in one system, and that
is one removal. Where an operation does not say of whom it takes, each of its effects is counted.
Source: connectors document, §6.4; product document, §13.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

from newel.base.errors import Forbidden, Throttled
from newel.domain.acts import OpenAct
from newel.domain.people import Person
from newel.domain.values import Account
from newel.engine.joining import policy_of
from newel.engine.runner import Runner
from newel.flow.act import StepAct
from newel.store import gates
from newel.store.database import LOST, Database

__all__ = ["Guard", "effect_of", "is_released"]

_WINDOW: Final = timedelta(hours=1)
_AWAY: Final = timedelta(seconds=5)
_USER: Final = "username"
"""What a parameter is called that says whose an effect is, where a system knows no addresses."""


class Guard:
    """Counts the people who lose access, over all workers of a deployment."""

    def __init__(self, database: Database, most: int) -> None:
        """Take how many people may lose access with one credential within an hour."""
        self._database = database
        self.most = most

    async def forget(self) -> None:
        """Forget whom nobody counts any more: who left is nobody's business an hour later."""
        await gates.forget_removals(self._database, window=_WINDOW)

    def of(
        self,
        run: Runner,
        opened: OpenAct,
        act: StepAct[Any],  # Any: its own result
    ) -> Callable[[], Awaitable[None]] | None:
        """What an attempt asks before it takes access away; None for one that takes none."""
        takes = act.step.options.revokes is not None or act.step.options.facts.get("locks_out")
        if not takes or opened.credential is None:
            return None
        removal = gates.Removal(
            credential=opened.credential,
            whose=_whose(run, opened, act),
            run=run.id,
            is_alone=_is_immediate(run, act),
            is_released=is_released(opened),
        )
        return partial(self.ask, removal)

    async def ask(self, removal: gates.Removal) -> None:
        """Count whoever loses access.

        Raises Forbidden beyond the limit, Throttled while nobody can count: nothing was sent.
        """
        try:
            admitted = await gates.admit_removal(
                self._database, removal, most=self.most, window=_WINDOW
            )
        except LOST as error:
            raise Throttled(
                "Who loses access cannot be counted: the database does not answer.",
                retry_after=_AWAY,
            ) from error
        if not admitted:
            raise Forbidden(
                f"More than {self.most} people would have lost access here within an hour. "
                "Nothing was sent; somebody is asked whether this is meant.",
                reason="held",
            )


def effect_of(opened: OpenAct) -> str:
    """By what it is known which call was let go: another input is another call."""
    return (opened.fingerprint or b"").hex()


def is_released(opened: OpenAct) -> bool:
    """Whether somebody has let exactly this go."""
    return opened.trouble.released is not None and opened.trouble.released == effect_of(opened)


def _is_immediate(run: Runner, act: StepAct[Any]) -> bool:  # Any: as above
    """Whether the run ends one person's access at once, because a person wants it so.

    What others have taken does not hold it, and it may not take from more than the limit itself.
    """
    is_about_one = run.history.is_by_person and run.loaded.subject is not None
    return is_about_one and policy_of(run, act).is_urgent


def _whose(run: Runner, opened: OpenAct, act: StepAct[Any]) -> bytes:  # Any: as above
    """Who loses something, as a digest: the person or user of the natural key, else the effect."""
    bound = act.step.signature.bind(*act.args, **act.kwargs).arguments
    natural = act.step.options.natural_key or ""
    name, first = next(iter(bound.items()), ("", None))
    if f"{{{name}." in natural:
        if isinstance(first, Person):
            return _digest(first.email or first.ref)
        if isinstance(first, Account):
            return _digest(first.email or first.id)
    if f"{{{_USER}}}" in natural and bound.get(_USER):
        return _digest(str(bound[_USER]))
    return act.step.effect_key(act.args, act.kwargs) or _digest(f"{run.id}/{opened.key}")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.casefold().encode()).digest()[:16]
