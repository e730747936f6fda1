"""Onboarding from end to end: what an outage does to it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from newel.simulators.faults import Down, LoseResponse
from tests.acceptance.company_house import CompanyHouse
from tests.patience import PATIENCE_S


async def _to_rounds(house: CompanyHouse, run: UUID) -> None:
    """Approve, and let everything but GitHub finish."""
    await house.rested(run)
    await house.approve(await house.task(run))
    await house.rested(run)


async def _minutes_pass(house: CompanyHouse, run: UUID, minutes: int) -> None:
    """Let time pass moment by moment, as far as something is due within these minutes."""
    end = await house.now() + timedelta(minutes=minutes)
    while True:
        row = await house.row(run)
        if row["wake_at"] is None or row["wake_at"] >= end:
            await house.move(end - await house.now())
            return
        await house.move_to_next(run)
        await house.rested(run)


async def test_github_down_for_ever_parks_one_step_and_opens_one_ticket(acme, world):
    """Four systems are done, one step is parked after three rounds within the hour, one ticket."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        await _to_rounds(house, run)
        while await house.rested(run) != "parked":
            await house.move_to_next(run)
        kinds = [kind for kind, _ in await house.events(run)]
        assert kinds.count("step.round_failed") == 3
        assert list(await house.acts(run)) == ["github.ensure_member"]

        async def ticketed() -> bool:
            return len(world.jira.tickets()) == 1

        await house.until(ticketed)
        leaves = await house.leaves(run)
        tried = [leaf["occurred_at"] for leaf in leaves if leaf["type"] == "step.started"]
        assert len(tried) >= 4
        assert world.doubled() == {}


async def test_a_healed_outage_calls_nothing_but_github_and_closes_the_ticket(acme, world):
    """After the heal only GitHub is called for the run; the ticket is commented on and closed."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        await _to_rounds(house, run)
        while await house.rested(run) != "parked":
            await house.move_to_next(run)

        async def ticketed() -> bool:
            return bool(await house.database.fetchval("select count(*) from newel.ticket"))

        await house.until(ticketed)
        before = {name: sum(counts.values()) for name, counts in world.calls().items()}
        world.github.heal()
        await house.move(timedelta(minutes=2))

        async def goes_on() -> bool:
            return "github.ensure_member" not in await house.acts(run)

        await house.until(goes_on)
        after = {name: sum(counts.values()) for name, counts in world.calls().items()}
        changed = {name for name in before if after[name] != before[name]}
        assert changed <= {"github", "jira"}
        assert await house.finish(run) == "completed"

        async def closed() -> bool:
            row = await house.database.fetchrow("select state from newel.ticket")
            return str(row["state"]) == "closed"

        await house.until(closed)
        assert len(world.jira.tickets()) == 1
        assert world.doubled() == {}


async def test_an_outage_of_57_minutes_opens_no_ticket(acme, world):
    """GitHub comes back after 57 minutes: the run goes on by itself, nobody was disturbed."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        await _to_rounds(house, run)
        await _minutes_pass(house, run, 57)
        world.github.heal()
        assert await house.finish(run) == "completed"
        assert world.jira.tickets() == []
        assert await house.database.fetchval("select count(*) from newel.ticket") == 0


async def test_a_second_of_outage_costs_seconds(acme, world):
    """One failed call: the next one, about a second later, succeeds; one effect."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.fail("*", Down(), times=1)
        await _to_rounds(house, run)
        before = await house.now()
        moment = await house.move_to_next(run)
        assert (moment - before).total_seconds() < PATIENCE_S
        assert await house.finish(run) == "completed"
        assert world.doubled() == {}


async def test_a_ticket_whose_answer_is_lost_is_found_again(acme, world):
    """The POST of the ticket has its effect and no answer: one issue all the same."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        world.jira.fail("createIssue", LoseResponse(), times=1)
        await _to_rounds(house, run)
        while await house.rested(run) != "parked":
            await house.move_to_next(run)

        async def lost() -> bool:
            return len(world.jira.tickets()) == 1

        await house.until(lost)

        async def ticketed() -> bool:
            waiting = await house.database.fetchval(
                "select min(wake_at) - newel.now() from newel.run where wake_at > newel.now()"
            )
            if waiting is not None and waiting < timedelta(minutes=3):
                await house.move(waiting)
            return bool(await house.database.fetchval("select count(*) from newel.ticket"))

        await house.until(ticketed)
        assert len(world.jira.tickets()) == 1


@pytest.mark.parametrize(
    "name", ["Siobhán O'Brien", "Zoë 🦄 Roe", "مريم Specimen", "Ng", "X" * 120]
)
async def test_names_of_the_world_just_work(acme, world, name):
    """Apostrophes, emoji, right-to-left script, short and long names arrive in every system."""
    async with acme() as house, house.worker():
        run = await house.onboard(name=name, job="office", email="someone.new@acme.example")
        assert await house.finish(run) == "completed"
        assert world.doubled() == {}


async def test_an_office_hire_is_untouched_by_githubs_outage(acme, world):
    """Who needs no GitHub is onboarded while it is down."""
    async with acme() as house, house.worker():
        jane = await house.reserved()
        rita = await house.reserved(name="Rita Roe", job="sales")
        world.github.down()
        await _to_rounds(house, jane)
        assert await house.finish(rita) == "completed"
        assert (await house.row(jane))["finished_at"] is None
