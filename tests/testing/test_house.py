"""The fixture `engine`: the same verbs on PostgreSQL, several workers, a clock that leaps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from newel import days, hours, process, timer
from newel.base.clock import DEPLOYMENT
from newel.testing import EndedOtherwise, StillWaits, running
from newel.testing.house import House
from tests.testing import test_running as told

journey = told.journey


@pytest.fixture(autouse=True)
def _fresh() -> None:
    told.effects.clear()
    told.down.clear()


async def test_a_run_on_postgresql_is_led_by_the_verbs_of_one_in_memory(engine: House):
    """Three workers share it; 400 days pass, and both journals say the same."""
    traces = []
    for opened in (running(journey.request("x"), at="2026-01-02"), None):
        told.effects.clear()
        led = opened or engine.running(journey.request("x"), at="2026-01-02", workers=3)
        async with led as run:
            assert run.waiting() == {"boss"}
            assert run.clock.now() - datetime(2026, 1, 2, tzinfo=UTC) < timedelta(minutes=1)
            run.clock.advance(days(1))
            assert run.waiting() == {"deputy"}
            await run.decide("deputy", approved=True)
            await run.send(told.paid, "FIN-1", match="x")
            assert run.waiting() == {"pause"}
            with pytest.raises(StillWaits, match="waits for `pause`"):
                await run.result()
            run.clock.advance(days(400))
            assert await run.result() == "abc/FIN-1"
            assert (run.outcome("make[b]"), run.attempts("make[b]")) == ("b", 1)
            traces.append(sorted(map(str, run.trace())))
        assert told.effects == {"a": 1, "b": 1, "c": 1}
    assert traces[0] == traces[1]


async def test_an_outage_opens_one_ticket_on_postgresql(engine: House):
    """Rounds come when the clock says so; what parks is told; a retry goes on."""
    told.down.add("a")
    async with engine.running(journey.request("x")) as run:
        await run.decide("boss", approved=True)
        assert set(run.retrying()) == {"make[a]"}
        run.clock.advance(hours(1))
        assert {key: each.owner for key, each in run.parked().items()} == {"make[a]": "it"}
        assert len(run.tickets.opened) == 1
        told.down.clear()
        await run.retry("make[a]")
        assert run.waiting() == {"paid"}


async def test_new_code_is_deployed_on_postgresql_and_failures_must_be_looked_at(engine: House):
    """A bug parks the run, the mended code goes on; the clock is given back at the end."""
    before = DEPLOYMENT.offset

    async def mended(number: int) -> int:
        """Divide with care."""
        await timer("pause", after=hours(1))
        return 1 // max(number, 1)

    with pytest.raises(EndedOtherwise, match="broken is parked"):
        async with engine.running(told.broken.request(0)) as run:
            run.clock.advance(hours(1))
    async with engine.running(told.broken.request(0), at="2026-01-02") as run:
        run.clock.advance(hours(1))
        assert "ZeroDivisionError" in run.parked()[""].sentence
        run.deploy(process(subject=None, owner="it", name="broken")(mended))
        assert await run.result() == 1
    assert before == DEPLOYMENT.offset
