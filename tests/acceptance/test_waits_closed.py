"""B26: whoever closes a wait dies while doing so; one of answer and deadline is recorded."""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from asyncpg.transaction import Transaction

from newel import Event, Overdue, approval, days, form, process, team
from newel.base.errors import AlreadyDecided, NewelError, NotFound
from newel.testing import Crash, Run, crash_everywhere, running
from tests.acceptance.claims import Claim, Payment, expense, payment_settled
from tests.acceptance.test_tasks import JANE, MARY, Hire, arriving
from tests.engine.conftest import build as build
from tests.engine.house import OPERATOR, House

FIRST_DAY = datetime(2026, 2, 1, 9, tzinfo=UTC)
ARRIVED = Event("parcel-arrived", str)
KINDS = ("approval", "form", "event")


@dataclass
class Doom:
    """At which transaction of a verb its process dies, and on which side of the commit."""

    number: int
    when: str
    passed: int = 0


doom: ContextVar[Doom | None] = ContextVar("doom", default=None)


@dataclass(frozen=True)
class Note:
    """What a form asks for."""

    text: str


@process(subject=None, owner="it")
async def asking(kind: str) -> str:
    """One wait with a deadline."""
    try:
        if kind == "approval":
            await approval("asked", by=team("hr"), within=days(2))
        elif kind == "form":
            await form("filled", Note, by=team("hr"), within=days(2))
        else:
            await ARRIVED.wait(match="P-1", within=days(2))
    except Overdue:
        return "overdue"
    return "answered"


def _closings(run: Run[Any]) -> Counter[str]:  # Any: each process has its own result
    return Counter(each["key"] for each in run.events() if each["type"] == "wait.closed")


@crash_everywhere
async def test_every_wait_of_a_claim_is_answered_once(crash: Crash):
    """B26: two approvals, a form and an event; the worker is killed or frozen at every commit."""
    request = expense.request(Claim(JANE, Decimal(9_000), "a fair"))
    async with running(request, at="2026-01-02", crash=crash) as run:
        await run.decide("manager-approves-large", approved=True)
        await run.decide("finance-approves-large", approved=True)
        await run.fill("receipt", {"url": "https://x.test/1", "number": "R-1"})
        await run.send(payment_settled, Payment("p1"), match="R-1")
        assert await run.result() == "paid"
        expected = ("manager-approves-large", "finance-approves-large", "receipt")
        assert _closings(run) == dict.fromkeys((*expected, "payment-settled"), 1)


@crash_everywhere
async def test_a_deadline_closes_a_wait_once(crash: Crash):
    """B26: the deadline's commit dies at every side; who answers then is told that it is over."""
    hire = Hire(name="Jane Doe", email="jane@example.test", manager=MARY, starts_at=FIRST_DAY)
    async with running(arriving.request(hire), at="2026-01-02", crash=crash) as run:
        run.clock.advance(days(2))
        with pytest.raises((AlreadyDecided, NotFound)):
            await run.decide("manager-confirms", approved=True)
        await run.decide("hr-confirms", approved=True)
        run.clock.move_to(FIRST_DAY)
        assert await run.result() == "account True"
        assert _closings(run) == {"manager-confirms": 1, "hr-confirms": 1, "first-day": 1}


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the line of a doomed verb end at its transaction, as it does when its process dies."""
    commit = Transaction.commit

    async def dying(self: Any) -> None:  # Any: asyncpg keeps the connection to itself
        fate = doom.get()
        if fate is None:
            await commit(self)
            return
        fate.passed += 1
        is_now = fate.passed == fate.number
        if is_now and fate.when == "before":
            self._connection.terminate()
            raise ConnectionResetError
        await commit(self)
        if is_now:
            self._connection.terminate()
            raise ConnectionResetError

    monkeypatch.setattr(Transaction, "commit", dying)


async def _answer(house: House, run: UUID, kind: str) -> None:
    if kind == "event":
        await house.engine.send(ARRIVED, "here", actor=OPERATOR, match="P-1", event_id="e-1")
        return
    task, hr = await house.task(run), await house.engine.actor("hr@example.com", via="api")
    if kind == "approval":
        await house.engine.decide(task, approved=True, actor=hr)
    else:
        await house.engine.fill(task, {"text": "so"}, actor=hr)


async def _dies(house: House, run: UUID, kind: str, fate: Doom) -> bool:
    """Answer, and die with the answer; False when the verb had no such transaction."""
    kept = doom.set(fate)
    try:
        await _answer(house, run, kind)
    except (OSError, NewelError):
        return True
    finally:
        doom.reset(kept)
    return fate.passed >= fate.number


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
async def test_who_answers_dies_in_the_transaction(kind, when, build, mortal):
    """B26: at each commit of the verb; then the deadline comes, and one of both is recorded."""
    seen = set()
    async with build([asking]) as house, house.worker():
        number = 1
        while True:
            run = await house.start("asking", kind)
            assert await house.rested(run) == "waiting"
            is_dead = await _dies(house, run, kind, Doom(number, when))
            await house.move(days(3))
            assert await house.ended(run) == "completed"
            seen.add(await _judged(house, run))
            await house.database.execute("truncate newel.inbox cascade")
            if not is_dead:
                break
            number += 1
    assert number > 1
    assert "answered" in seen
    if when == "before" and kind != "event":  # an event is kept first, and whoever looks finds it
        assert "overdue" in seen


async def _judged(house: House, run: UUID) -> str:
    """Which of both it was, by the journal."""
    closed = [each for each in await house.leaves(run) if each["type"] == "wait.closed"]
    assert len(closed) == 1
    answers = ("task.decided", "event.received")
    answered = [each for each in await house.leaves(run) if each["type"] in answers]
    is_late = closed[0]["data"]["by"] == "timer"
    assert len(answered) == (0 if is_late else 1)
    return "overdue" if is_late else "answered"
