"""What authors write, with the types they rely on; both checkers accept every line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_type

from newel import (
    Absent,
    Found,
    Overdue,
    Person,
    Unclear,
    approval,
    days,
    parallel,
    process,
    section,
    step,
    team,
    timer,
)


@dataclass(frozen=True)
class Account:
    """An account somewhere."""

    email: str


async def _find(person: Person) -> Found[Account] | Absent | Unclear:
    return Found(Account(person.email))


@step(verify=_find)
async def create(person: Person) -> Account:
    """Make an account."""
    return Account(person.email)


@step
def count(*, floor: int) -> int:
    """Count desks; a plain function is awaited like any other step."""
    return floor


class Chat:
    """A connector of the author's own."""

    name = "chat"

    async def _look(self, account: Account, channel: str) -> Found[bool] | Absent | Unclear:
        return Absent()

    @step(verify=_look)
    async def join(self, account: Account, channel: str) -> bool:
        """Join a channel."""
        return bool(account) and bool(channel)


chat = Chat()


@process(owner="hr")
async def onboarding(person: Person) -> str:
    """Every word once."""
    decision = await approval("manager-confirms", by=person.manager or team("hr"), within=days(2))
    assert_type(decision.approved, bool)
    account = await create(person)
    assert_type(account, Account)
    joined, desks = await parallel(chat.join(account, "general"), count(floor=2))
    assert_type(joined, bool)
    assert_type(desks, int)
    assert_type(await chat.join["random"](account, "random"), bool)
    maybe, _ = await parallel(create["second"](person) if desks else None, helper(account))
    assert_type(maybe, Account | None)
    every = await parallel(*[chat.join[name](account, name) for name in ("a", "b")])
    assert_type(every, tuple[bool, ...])
    with section("late"):
        try:
            await timer("first-day", at=datetime(2026, 1, 5, tzinfo=UTC))
        except Overdue:
            return "late"
    return account.email


async def helper(account: Account) -> int:
    """A helper made of durable acts."""
    await chat.join["helpers"](account, "helpers")
    return len(account.email)


assert_type(
    onboarding.request(Person(name="Jane Doe", email="jane@example.test")).args, tuple[object, ...]
)
