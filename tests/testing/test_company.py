"""The example company's onboarding in memory: simulators, a slow manager, an outage, crashes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from newel import days, hours, minutes
from newel.testing import Crash, Saas, crash_everywhere, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name

EXAMPLES = Path(__file__).parents[2] / "examples"
FIRST_DAY = datetime(2026, 2, 2, 9, tzinfo=UTC)


@pytest.fixture
def company(saas: Saas, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:  # noqa: F811 - as above
    """Import the company anew, pointed at the simulators."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    for name in [name for name in sys.modules if name.partition(".")[0] == "company"]:
        monkeypatch.delitem(sys.modules, name)
    from company import onboarding

    yield onboarding
    for name in [name for name in sys.modules if name.partition(".")[0] == "company"]:
        del sys.modules[name]


def hire(company: ModuleType) -> Any:
    """A clerk: accounts everywhere but in GitHub and Salesforce."""
    return company.NewHire(
        name="Jane Doe",
        email="jane.doe@acme.example",
        hr_key="4711",
        manager=company.NewHire.__mro__[1](name="Max Roe", email="max.roe@acme.example"),
        job=company.Job.OFFICE,
        team="office",
        starts_at=FIRST_DAY,
    )


async def test_the_manager_sleeps_for_three_days(company, saas):  # noqa: F811 - as above
    """HR is asked after two days; after the decision every account is made once."""
    async with running(company.onboarding.request(hire(company)), at="2026-01-05") as run:
        run.clock.advance(days(3))
        assert run.waiting() == {"hr-confirms"}
        await run.decide("hr-confirms", approved=True)
        assert run.waiting() == {"first-day"}, run.told()
        run.clock.move_to(FIRST_DAY)
        assert (await run.result()).email == "jane.doe@acme.example"
    assert saas.world.doubled() == {}


async def test_an_outage_of_57_minutes_is_nobodys_business(company, saas):  # noqa: F811 - as above
    """The other accounts are made at once; the one that was down follows without a ticket."""
    async with running(company.onboarding.request(hire(company)), at="2026-01-05") as run:
        saas.jira.down(minutes(40))
        await run.decide("manager-confirms", approved=True)
        assert set(run.retrying()) == {"jira.ensure_account"}
        assert "slack.ensure_account" in run.done()
        run.clock.advance(hours(2))
        assert (run.waiting(), run.tickets.opened) == ({"first-day"}, [])


@crash_everywhere
async def test_a_crash_changes_nothing(crash: Crash, company, saas):  # noqa: F811 - as above
    """Killed at any boundary, onboarding ends the same and every account exists once."""
    request = company.onboarding.request(hire(company))
    async with running(request, at="2026-01-05", crash=crash) as run:
        await run.decide("manager-confirms", approved=True)
        run.clock.move_to(FIRST_DAY + timedelta(hours=2))
        assert (await run.result()).email == "jane.doe@acme.example"
    assert saas.world.doubled() == {}
