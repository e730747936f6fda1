"""The one algorithm of all operations: look, judge, then create or change only what differs.

    look ──absent──▶ (in doubt: look again at the settle times) ──▶ create ──"exists"──▶ look
      │
      └─found─▶ whose? ──another's──▶ OwnershipConflict
                  ├─nobody's─▶ OwnershipConflict; once a person has said "theirs": mark it
                  └─ours─▶ as wanted ──▶ nothing to do
                           differs   ──▶ change the differing fields

Creating carries the mark in the same request; a crash between creating and marking would leave
something nobody can attribute. A success whose body shows the object is its own proof; removals
answer with nothing and are read back. Source: connectors document, §4.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, TypeVar

from newel.base.clock import Clock
from newel.base.errors import Invalid, NotReady, OutcomeUnknown, OwnershipConflict
from newel.connectors.capability import BY_HAND
from newel.connectors.gate import LONGEST_PAUSE, Pause
from newel.connectors.looking import (
    WouldChange,
    adopts,
    doubt_age,
    intent_age,
    is_looking,
    starts_at,
    way,
)

__all__ = ["BY_PERSON", "Adoption", "Ensured", "Exists", "Settling", "ensured", "removed"]

T = TypeVar("T")
Fields = Mapping[str, object]

BY_PERSON: Final = "decided by a person"
"""The evidence that an object is the subject's where a person has said so."""


class Exists(Exception):
    """The system says that what was to be created is there already."""


@dataclass(frozen=True, slots=True)
class Ensured(Generic[T]):
    """How the wanted state was reached. evidence: why the object is known to be the subject's."""

    value: T
    changed: bool
    evidence: str = ""
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Settling:
    """When a negative look-up may be believed, and who can wait for it.

    times: seconds after the lost call at which it is repeated, ascending, beginning with 0.
    """

    times: tuple[float, ...]
    clock: Clock
    pause: Pause

    async def look(self, look: Callable[[], Awaitable[T | None]]) -> T | None:
        """Look, and in doubt look again until "absent" can be believed.

        Waits of up to five seconds are made here; longer ones raise NotReady with the moment.
        """
        found = await look()
        age = doubt_age(self.clock)
        if found is not None or age is None:
            return found
        passed = age.total_seconds()
        for time in self.times:
            if time <= passed:
                continue
            if time - passed > LONGEST_PAUSE:
                raise NotReady(
                    "After a lost answer it is not to be seen; it may still appear",
                    retry_at=starts_at(self.clock) + timedelta(seconds=time - age.total_seconds()),
                )
            await self.pause(time - passed)
            passed = time
            if (found := await look()) is not None:
                return found
        return None


@dataclass(frozen=True, slots=True)
class Adoption(Generic[T]):
    """How an object that nobody has marked becomes the subject's, after a person has said so.

    is_unmarked: whether nobody's mark is on it; one that bears another's is never adopted.
    stamp: puts our mark on it, and shows it with the mark. shown: what helps a person to decide,
    one sentence each, nothing personal.
    """

    is_unmarked: Callable[[T], bool]
    stamp: Callable[[T], Awaitable[T]]
    shown: Callable[[T], tuple[str, ...]]

    async def adopted(self, found: T, conflict: OwnershipConflict, what: str) -> T:
        """Mark what was found, if a person has said of just this that it is theirs.

        Raises the conflict otherwise, with what a person can decide it by.
        """
        if not self.is_unmarked(found):
            raise conflict
        if conflict.external_id is None or conflict.external_id != adopts():
            conflict.shown = self.shown(found)
            raise conflict
        if is_looking():
            raise WouldChange(what)
        return await self.stamp(found)


async def ensured(
    *,
    look: Callable[[], Awaitable[T | None]],
    ours: Callable[[T], str],
    create: Callable[[], Awaitable[T]] | None,
    settling: Settling,
    differs: Callable[[T], Fields] = lambda _: {},
    change: Callable[[T, Fields], Awaitable[T]] | None = None,
    what: str,
    adoption: Adoption[T] | None = None,
) -> Ensured[T]:
    """Bring a thing into the wanted state, or find that it is in it.

    ours: gives the evidence that it is the subject's, raises OwnershipConflict if it is not.
    create: raises Exists where the system says so; None if nothing is created here.
    differs: the fields to change, with their wanted values. what: for messages, no name in it.
    adoption: how one that nobody has marked becomes the subject's; None if it never does.
    """
    found = await settling.look(look)
    if found is None and create is not None:
        try:
            return Ensured(await create(), changed=True, evidence="created")
        except Exists:
            found = await _existing(look, settling, what)
    if found is None:
        raise Invalid(f"There is no {what} to change.")
    try:
        evidence = ours(found)
        adopted = evidence == BY_PERSON
    except OwnershipConflict as conflict:
        if adoption is None:
            raise
        found = await adoption.adopted(found, conflict, what)
        evidence, adopted = BY_PERSON, True
    fields = differs(found)
    if not fields:
        return Ensured(found, changed=adopted, evidence=evidence, adopted=adopted)
    if change is None:
        raise OwnershipConflict(
            f"The {what} exists with other content, which is not changed from here.",
            evidence=f"differs: {', '.join(sorted(fields))}",
        )
    if is_looking():
        raise WouldChange(what)
    return Ensured(await change(found, fields), changed=True, evidence=evidence, adopted=adopted)


async def _existing(look: Callable[[], Awaitable[T | None]], settling: Settling, what: str) -> T:
    """Find what the system says exists; it may take its time to show it."""
    for time in (0.0, *(time for time in settling.times if 0 < time <= LONGEST_PAUSE)):
        if time:
            await settling.pause(time)
        if (found := await look()) is not None:
            return found
    last = timedelta(seconds=settling.times[-1])
    if (age := intent_age(settling.clock)) is not None and age < last:
        raise NotReady(
            f"The system says that the {what} exists, and does not show it yet.",
            retry_at=starts_at(settling.clock) + (last - age),
        )
    raise OwnershipConflict(
        f"The system says that the {what} exists, and does not show it.",
        evidence="exists but cannot be read",
    )


async def removed(
    *,
    look: Callable[[], Awaitable[T | None]],
    ours: Callable[[T], str],
    remove: Callable[[T], Awaitable[None]],
    settling: Settling,
    what: str,
) -> Ensured[T | None]:
    """Make a thing be gone, and see that it is; what is gone already is left alone.

    What is still to be seen after the removal is in doubt, not failed: it is looked at again at the
    settle times, and removed once more only when they are over.
    """
    found = await look()
    if found is None:
        return Ensured(None, changed=False, evidence="verified absent")
    evidence = ours(found)
    if way() == BY_HAND:
        raise WouldChange(what)  # not done yet; no call of ours is in doubt
    age = doubt_age(settling.clock)
    if age is not None and age.total_seconds() < settling.times[-1]:
        raise NotReady(f"The {what} was removed, and is still to be seen.")
    await remove(found)
    for time in (0.0, *(time for time in settling.times if 0 < time <= LONGEST_PAUSE)):
        if time:
            await settling.pause(time)
        if await look() is None:
            return Ensured(found, changed=True, evidence=f"{evidence}, verified absent")
    raise OutcomeUnknown(f"The {what} was removed and is still to be seen.", code="still-seen")
