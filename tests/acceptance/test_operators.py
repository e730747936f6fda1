"""Operators change the course: amended input moves what is open, and skips are judged in place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from newel import Invalid, Person, days, process, step, timer
from newel.base.errors import InvalidInput, NotSkippable
from newel.testing import running

FIRST = datetime(2026, 2, 1, 9, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Hire(Person):
    """Somebody who begins on a day."""

    starts_at: datetime


@step(name="slack.invite")
async def invite(name: str) -> str:
    """Invite to the chat; it cannot be done."""
    raise Invalid(f"{name} cannot be invited")


@step(name="payroll.enrol")
async def enrol(name: str) -> str:
    """Enrol in payroll; it cannot be done."""
    raise Invalid(f"{name} cannot be enrolled")


@process(owner="hr")
async def arriving(hire: Hire) -> str:
    """A first day and a day after it."""
    await timer("first-day", at=hire.starts_at)
    await timer("a-day-later", after=days(1))
    return "here"


@process(owner="hr")
async def joining(hire: Hire) -> str:
    """One result is not used, the other is."""
    await invite(hire.name)
    return await enrol(hire.name)


def jane(starts_at=FIRST):
    """Jane, beginning on a day."""
    return Hire(name="Jane Doe", email="jane@example.test", starts_at=starts_at)


def document(starts_at):
    """Jane, as a caller sends her."""
    return {
        "name": "Jane Doe",
        "email": "jane@example.test",
        "starts_at": starts_at.isoformat(),
    }


async def test_an_amended_start_moves_the_open_timer():
    """B20: while `first-day` is open it moves with the input, and the move is audited."""
    async with running(arriving.request(jane()), at="2026-01-02") as run:
        assert run.waiting() == {"first-day"}
        later = FIRST + timedelta(days=7)
        seen = await run.do(
            run.engine.amend(run.id, document(later), actor=run_operator(), dry=True)
        )
        assert [(wait.key, wait.what) for wait in seen.waits] == [("first-day", "at")]
        await run.do(
            run.engine.amend(run.id, document(later), actor=run_operator(), reason="HR moved it")
        )
        run.clock.move_to(FIRST + timedelta(days=1))
        assert run.waiting() == {"first-day"}
        run.clock.move_to(later + timedelta(days=1, seconds=5))
        assert await run.result() == "here"
        moved = [leaf for leaf in run.audit() if leaf["type"] == "run.rescheduled"]
        assert [leaf["data"]["waits"][0]["key"] for leaf in moved] == ["first-day"]


async def test_an_amended_start_after_the_first_day_drifts():
    """B20: a timer that has fired is not un-fired: the run parks with what has changed."""
    async with running(arriving.request(jane()), at="2026-01-02") as run:
        run.clock.move_to(FIRST + timedelta(hours=1))
        assert run.waiting() == {"a-day-later"}
        later = FIRST + timedelta(days=7)
        await run.do(
            run.engine.amend(run.id, document(later), actor=run_operator(), reason="HR moved it")
        )
        assert run.row["parked_reason"] == "drifted"
        drifted = [leaf for leaf in run.audit() if leaf["type"] == "run.drifted"]
        assert [leaf["data"]["key"] for leaf in drifted] == ["first-day"]
        assert "at `2026-02-01" in run.waits_for()
        await run.do(
            run.engine.keep(run.id, "first-day", actor=run_operator(), reason="it has begun")
        )
        run.clock.advance(days(2))
        assert await run.result() == "here"


async def test_a_skip_is_judged_by_the_use_of_the_result():
    """B21: `slack.invite` may be skipped; `payroll.enrol` is completed by hand, with a text."""
    async with running(joining.request(jane()), at="2026-01-02") as run:
        assert set(run.parked()) == {"slack.invite"}
        await run.skip("slack.invite")
        assert set(run.parked()) == {"payroll.enrol"}
        with pytest.raises(NotSkippable, match="omplete"):
            await run.skip("payroll.enrol")
        with pytest.raises(InvalidInput):
            await run.complete_by_hand("payroll.enrol", 7)
        await run.complete_by_hand("payroll.enrol", "P-1")
        assert await run.result() == "P-1"


def run_operator():
    """Whoever operates here."""
    from newel.audit.leaf import Actor

    return Actor(type="service", id="svc_test", via="api")
