"""The systems of the demo company as the patterns need them: steps that write down what they did.

Each effect is made once for its run and key: a step whose answer was lost is found again by
`verify`, as in a system that keeps what it was told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from newel import Absent, Found, Step, Transient, Unclear, approval, step, team, this_attempt

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Book:
    """Everything that happened outside, by key of the step that made it.

    order: effects in the order in which they were made. down: keys whose system does not answer.
    until: keys that are in the air until another effect is made. gone: keys that fail for good.
    """

    effects: Counter[tuple[UUID, str]] = field(default_factory=Counter)
    values: dict[tuple[UUID, str], object] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    until: dict[str, str] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything."""
        for part in (self.effects, self.values, self.order, self.begun, self.down, self.until):
            part.clear()

    async def made(self, value: Any) -> Any:  # Any: as the step says
        """Make the effect of the attempt that is running."""
        attempt = this_attempt()
        name = (attempt.run, attempt.key)
        self.begun.append(attempt.key)
        if attempt.key in self.down:
            raise Transient("the system does not answer")
        if (awaited := self.until.get(attempt.key)) is not None:
            while awaited not in self.order:
                await asyncio.sleep(0.001)
        self.effects[name] += 1
        self.values[name] = value
        self.order.append(attempt.key)
        return value

    def done(self) -> dict[str, int]:
        """How often each effect was made, by key."""
        found: Counter[str] = Counter()
        for (_, key), number in self.effects.items():
            found[key] += number
        return dict(found)

    def place(self, key: str) -> int:
        """Where in the order an effect was made."""
        return self.order.index(key)


book = Book()


async def seen(*_: object) -> Found[Any] | Absent:
    """Look whether the effect of a lost call was made."""
    attempt = this_attempt()
    name = (attempt.run, attempt.key)
    return Found(book.values[name]) if name in book.values else Absent()


def deed(function: Callable[P, Awaitable[R]]) -> Step[P, R]:
    """Make a step whose effect is looked for when its answer was lost."""
    verify = cast("Callable[P, Awaitable[Found[R] | Absent | Unclear]]", seen)
    system = None if "." in function.__qualname__ else "book"  # that of a method is its instance
    return step(verify=verify, system=system, runbook="book.md")(function)


@dataclass(frozen=True)
class Hire:
    """A new colleague, as far as the patterns look."""

    name: str = "jane"
    role: str = "engineer"
    remote: bool = False
    wants_phone: bool = True
    needs_laptop: bool = True
    github: bool = True
    sales: bool = True
    cloud: bool = True
    starts_at: datetime = datetime(2026, 2, 2, 9, tzinfo=UTC)


class System:
    """A system outside; the instance's name leads its keys."""

    def __init__(self, name: str) -> None:
        self.name = name

    @deed
    async def create(self, name: str) -> str:
        """Create an account."""
        return await book.made(f"{self.name}:{name}")

    @deed
    async def invite(self, name: str) -> str:
        """Invite somebody."""
        return await book.made(f"{self.name}:{name}")

    @deed
    async def grant(self, name: str, what: str) -> str:
        """Grant access to something."""
        return await book.made(f"{name}:{what}")

    @deed
    async def suspend(self, name: str) -> str:
        """Suspend an account; one that is not there is suspended already."""
        return await book.made(f"suspended {name}")

    @deed
    async def listed(self, name: str, found: tuple[str, ...]) -> tuple[str, ...]:
        """List what somebody's team has."""
        return tuple(await book.made(found))


google, slack, jira = System("google"), System("slack"), System("jira")
github, salesforce, aws, payroll = (
    System("github"),
    System("salesforce"),
    System("aws"),
    System("payroll"),
)


@deed
async def announce(*what: str) -> str:
    """Tell everybody."""
    return await book.made("+".join(what))


@deed
async def do(what: str) -> str:
    """Do one thing; `do["…"]` says which."""
    return await book.made(what)


@deed
async def conclude(*what: str) -> str:
    """Do what follows from all of it."""
    return await book.made("+".join(what))


class Refused(Exception):
    """Somebody does not sign."""


async def signed(who: str) -> str:
    """One signature."""
    decision = await approval(f"{who}-signs", by=team(who))
    if not decision.approved:
        raise Refused(who)
    return who
