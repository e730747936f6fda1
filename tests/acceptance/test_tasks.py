"""People decide: deadlines, two pairs of eyes, and events that come when they like."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from newel import Overdue, Person, approval, days, parallel, process, step, team, timer
from newel.audit.leaf import Actor
from newel.base.errors import AlreadyDecided, NotAllowed, SelfApproval
from newel.base.ids import reference
from newel.testing import running
from tests.acceptance.claims import Claim, Payment, expense, payment_settled
from tests.acceptance.company_house import browser
from tests.engine.house import opened

MARY = Person(name="Mary Major", email="mary@example.test")
JANE = Person(name="Jane Doe", email="jane@example.test", manager=MARY)
DAYS: list[str] = []


@step(in_doubt="repeat")
async def provide(what: str) -> str:
    """Provide something for the first day."""
    DAYS.append(what)
    return what


@dataclass(frozen=True, kw_only=True)
class Hire(Person):
    """Somebody who begins on a day."""

    starts_at: datetime


@process(owner="hr")
async def arriving(hire: Hire) -> str:
    """Onboarding in small: confirmed, six acts, the first day among them."""
    try:
        decision = await approval("manager-confirms", by=hire.manager or team("hr"), within=days(2))
    except Overdue:
        decision = await approval("hr-confirms", by=team("hr"))
    account = await provide["account"]("account")
    await parallel(
        provide["chat"]("chat"), provide["tracker"]("tracker"), provide["payroll"]("payroll")
    )
    await timer("first-day", at=hire.starts_at)
    await provide["welcome"]("welcome")
    return f"{account} {decision.approved}"


@pytest.fixture(autouse=True)
def _nothing_yet():
    DAYS.clear()


async def test_hr_is_asked_when_the_manager_sleeps():
    """B1: the manager's task is closed by its deadline, HR decides, each act runs once."""
    hire = Hire(
        name="Jane Doe",
        email="jane@example.test",
        manager=MARY,
        starts_at=datetime(2026, 2, 1, 9, tzinfo=UTC),
    )
    async with running(arriving.request(hire), at="2026-01-02") as run:
        assert run.waiting() == {"manager-confirms"}
        late = task_of(run, "manager-confirms")
        run.clock.advance(days(3))
        assert run.waiting() == {"hr-confirms"}
        manager = Actor(type="person", id=person_of(late), via="test")
        with pytest.raises(AlreadyDecided, match="its deadline"):
            await run.do(run.engine.decide(late["id"], approved=True, actor=manager))
        await run.decide("hr-confirms", approved=True)
        assert run.waiting() == {"first-day"}
        run.clock.move_to(hire.starts_at)
        assert await run.result() == "account True"
        assert sorted(DAYS) == ["account", "chat", "payroll", "tracker", "welcome"]
        assert set(run.done()) == {
            "manager-confirms", "hr-confirms", "first-day", "provide[account]", "provide[chat]",
            "provide[tracker]", "provide[payroll]", "provide[welcome]",
        }  # fmt: skip


async def test_the_open_page_of_a_task_says_that_its_time_is_over(database_url, tmp_path):
    """B1: the manager's page tells the deadline, and an answer sent from it is refused by name."""
    house = await opened(database_url, tmp_path / "kek", [arriving])
    hire = {
        "name": "Jane Doe", "email": "jane@example.test", "starts_at": "2099-02-01T09:00:00Z",
        "manager": {"name": "Mary Major", "email": "mary@example.test"},
    }  # fmt: skip
    try:
        async with house.worker(), browser(house) as client:
            run = await house.start("arriving", hire)
            await house.rested(run)
            address = f"/tasks/{reference('tsk', await house.task(run))}"
            before = await client.get(address)
            assert "This task was closed" not in before.text
            await house.move_to_next(run)
            await house.rested(run)
            after = await client.get(address)
            assert "This task was closed by its deadline." in after.text
            answer = {"answer": "approve", "actor": "mary@example.test"}
            late = await client.post(f"{address}/decide", data=answer)
            assert (late.status_code, "its deadline" in late.text) == (409, True)
            assert [act["kind"] for act in (await house.acts(run)).values()] == ["approval"]
    finally:
        await house.database.close()


async def test_nobody_decides_a_large_claim_twice_or_their_own():
    """B9: both tasks are open at once; one person cannot decide both, the claimant neither."""
    claim = Claim(JANE, Decimal(9_000), "a fair")
    async with running(expense.request(claim), at="2026-01-02") as run:
        assert run.waiting() == {"manager-approves-large", "finance-approves-large"}
        large = task_of(run, "manager-approves-large")
        finance = task_of(run, "finance-approves-large")
        manager = Actor(type="person", id=person_of(large), via="test")
        claimant = Actor(type="person", id=str(run.audit()[0]["subject"]), via="test")
        for task in (large, finance):
            with pytest.raises(SelfApproval, match="the person it is about"):
                await run.do(run.engine.decide(task["id"], approved=True, actor=claimant))
        await run.do(run.engine.decide(large["id"], approved=True, actor=manager))
        with pytest.raises(SelfApproval, match="another of the same group"):
            await run.do(run.engine.decide(finance["id"], approved=True, actor=manager))
        await run.decide("finance-approves-large", approved=True)
        assert run.waiting() == {"receipt"}
        with pytest.raises(NotAllowed):
            await run.fill("receipt", {"url": "u", "number": "n"}, actor=manager)


@pytest.mark.parametrize(
    ("amount", "asked"),
    [("499.99", 0), ("500", 1), ("5000", 1), ("5000.01", 2)],
)
async def test_the_boundaries_of_a_claim(amount, asked):
    """B10: how many are asked below, at and above each boundary."""
    async with running(expense.request(Claim(JANE, Decimal(amount), "x")), at="2026-01-02") as run:
        approvals = {key for key in run.waiting() if "approves" in key}
        assert len(approvals) == asked
        assert (run.waiting() == {"receipt"}) == (asked == 0)


async def test_a_settlement_that_comes_early_and_twice_is_taken_once():
    """B11: the event is kept before anybody waits for it, and ends the run at once."""
    async with running(expense.request(Claim(JANE, Decimal(20), "tea")), at="2026-01-02") as run:
        first = await run.send(payment_settled, Payment("p1"), match="R-1", event_id="bank-1")
        again = await run.send(payment_settled, Payment("p1"), match="R-1", event_id="bank-1")
        assert [(each.fate, each.is_new) for each in (first, again)] == [
            ("kept", True),
            ("kept", False),
        ]
        assert run.waiting() == {"receipt"}
        await run.fill("receipt", {"url": "https://x.test/1", "number": "R-1"})
        assert await run.result() == "paid"
        taken = [leaf for leaf in run.audit() if leaf["type"] == "event.received"]
        assert [leaf["data"]["message_id"] for leaf in taken] == ["bank-1"]


def task_of(run, key):
    """The open task at a key, as its row."""
    return run._task(key)


def person_of(task):
    """The reference of whom a task asks."""
    from newel.base.ids import reference

    return reference("per", task["assignee"])
