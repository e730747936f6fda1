"""Every wait of every example is closed once, by its answer or by its deadline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from newel import Overdue, Request, approval, days, minutes, process, team
from newel.audit.leaf import Actor
from newel.base.errors import AlreadyDecided
from newel.testing import every_crash, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name
from tests.acceptance.claims import Claim, Payment, expense, payment_settled
from tests.acceptance.test_tasks import JANE, person_of, task_of
from tests.engine.house import opened
from tests.testing.test_company import company, hire  # noqa: F401 - its fixture

RECEIPT = {"url": "https://x.test/1", "number": "R-1"}

Act = Callable[[Any], Awaitable[None]]


def said(key: str) -> Act:
    """Whoever is asked says yes."""
    return lambda run: run.decide(key, approved=True)


async def nobody(run: Any) -> None:
    """Three days go by."""
    run.clock.advance(days(3))


async def filled(run: Any) -> None:
    """The receipt is handed in."""
    await run.fill("receipt", RECEIPT)


async def settled(run: Any) -> None:
    """The bank has paid."""
    await run.send(payment_settled, Payment("p1"), match="R-1", event_id="bank-1")


def claim(amount: int) -> Callable[[Any], Request[Any]]:
    """A claim of so many euro."""
    return lambda _: expense.request(Claim(JANE, Decimal(amount), "a fair"))


def office(of: Any) -> Request[Any]:
    """The onboarding of somebody for the office."""
    return of.onboarding.request(hire(of))


def engineer(of: Any) -> Request[Any]:
    """The onboarding of somebody who is invited to GitHub, and does not accept."""
    invited = replace(hire(of), job=of.Job.ENGINEER, github_username="jane-doe")
    return of.onboarding.request(invited)


@dataclass(frozen=True)
class Wait:
    """How a run comes to a wait, and what closes it: an answer, or a span that passes."""

    request: Callable[[Any], Request[Any]]
    key: str
    before: tuple[Act, ...] = ()
    answer: Act | None = None
    span: timedelta | None = None


WAITS = (
    Wait(office, "manager-confirms", (), said("manager-confirms"), days(3)),
    Wait(office, "hr-confirms", (nobody,), said("hr-confirms")),
    Wait(office, "first-day", (said("manager-confirms"),), None, days(60)),
    Wait(engineer, "invitation-poll", (said("manager-confirms"),), None, minutes(6)),
    Wait(claim(900), "manager-approves", (), said("manager-approves")),
    Wait(claim(9000), "manager-approves-large", (), said("manager-approves-large")),
    Wait(claim(9000), "finance-approves-large", (), said("finance-approves-large")),
    Wait(claim(20), "receipt", (), filled, days(31)),
    Wait(claim(20), "payment-settled", (filled,), settled),
)
CASES = [
    pytest.param(wait, first, id=f"{wait.key}-{first}")
    for wait in WAITS
    for first in ("answer", "deadline")
    if (wait.answer if first == "answer" else wait.span)
]


@pytest.mark.parametrize(("wait", "first"), CASES)
async def test_a_wait_is_closed_once(wait, first, company, saas):  # noqa: F811 - as above
    """B26: killed around the commit that closes it, the wait has one end, and the first stands."""

    async def play(crash=None):
        saas.world.reset()
        async with running(wait.request(company), at="2026-01-05", crash=crash) as run:
            for act in wait.before:
                await act(run)
            assert wait.key in run.waiting()
            task = task_of(run, wait.key) if wait.answer and wait.span else None
            if first == "answer":
                await wait.answer(run)
            if wait.span is not None:
                run.clock.advance(wait.span)
            if first == "deadline" and task is not None:
                await _refused(run, task)
            assert _ends(run, wait.key) == ["answer" if first == "answer" else "timer"]

    found = await every_crash(play)
    for crash in [crash for crash in found if wait.key in str(crash)]:
        await play(crash)


async def _refused(run, task) -> None:
    """An answer that comes too late is told so."""
    late = Actor(type="person", id=person_of(task), via="test")
    with pytest.raises(AlreadyDecided, match="its deadline"):
        await run.do(run.engine.decide(task["id"], approved=True, actor=late))


def _ends(run, key: str) -> list[str]:
    """What has closed the wait at a key, each time: its answer, its deadline, its timer."""
    about = [leaf for leaf in run.audit() if (leaf.get("step") or {}).get("key") == key]
    decided = [leaf for leaf in about if leaf["type"] == "task.decided"]
    closed = [leaf["data"]["by"] for leaf in about if leaf["type"] == "wait.closed"]
    assert len(decided) == closed.count("decision")
    return [{"decision": "answer", "event": "answer"}.get(by, by) for by in closed]


DYING = """
    create function public.die() returns trigger language plpgsql as
        $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
    create constraint trigger dies after insert on newel.event
        deferrable initially deferred for each row
        when (new.key = 'agree' and new.type = any (array['task.decided', 'wait.closed']))
        execute function public.die();
"""
"""Ends a connection in its commit, where that would close the wait."""


@process(subject=None, owner="it")
async def agreeing() -> str:
    """Somebody agrees within a day, or not."""
    try:
        return str((await approval("agree", by=team("hr"), within=days(1))).approved)
    except Overdue:
        return "overdue"


async def test_on_postgresql_an_answer_whose_transaction_dies_leaves_the_deadline(
    database_url, tmp_path
):
    """B26: the connection dies in the commit of the answer; the deadline closes the wait, once."""
    house = await opened(database_url, tmp_path / "kek", [agreeing])
    try:
        async with house.worker():
            run = await house.start("agreeing")
            await house.rested(run)
            task = await house.task(run)
            mary = await house.engine.actor("mary@example.test", via="api")
            await house.database.execute(DYING)
            with pytest.raises(Exception, match=r"terminat|connection|closed|away"):
                await house.engine.decide(task, approved=True, actor=mary)
            await house.database.execute("drop trigger dies on newel.event")
            assert not {"task.decided", "wait.closed"} & {
                kind for kind, _ in await house.events(run)
            }
            await house.move(days(2))
            assert await house.ended(run) == "completed"
            with pytest.raises(AlreadyDecided, match="its deadline"):
                await house.engine.decide(task, approved=True, actor=mary)
        kinds = [kind for kind, key in await house.events(run) if key == "agree"]
        assert (kinds.count("wait.closed"), kinds.count("task.decided")) == (1, 0)
    finally:
        await house.database.close()
