"""C27: two hundred hires at once, at systems that keep the limits they have published.

Nobody is refused for asking too often, and yet no budget lies idle: every system is done within
110 % of what its budget allows at best. Somebody who must be out at once is not kept waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import pytest

from newel import SecretRef, minutes, parallel, process
from newel.connectors.base import Connector
from newel.connectors.gate import reserved
from newel.connectors.github import GitHub
from newel.connectors.google import Google
from newel.connectors.jira import Jira
from newel.connectors.payroll import Gusto
from newel.connectors.slack import Slack
from newel.domain.people import Person
from newel.domain.retry import urgent
from newel.engine.engine import Engine
from newel.simulators.book import Call
from newel.simulators.faults import Quota
from newel.testing import Saas, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name
from newel.testing.running import OPERATOR

PEOPLE: Final = [
    Person(name=f"Jane Doe{n:03}", email=f"jane{n}@acme.example", hr_key=f"{n}") for n in range(200)
]

google = Google(service_account=SecretRef("env:GOOGLE_SERVICE_ACCOUNT"), admin="admin@acme.example")
slack = Slack(token=SecretRef("env:SLACK_TOKEN"))
jira = Jira(
    email="newel@acme.example",
    token=SecretRef("env:JIRA_TOKEN"),
    base_url="https://acme-example.atlassian.net",
)
github = GitHub(org="acme-example", token=SecretRef("env:GITHUB_TOKEN"))
gusto = Gusto(company="set by the test", token=SecretRef("env:GUSTO_TOKEN"))

# The budgets of the connectors document, §6.2: the bucket, its requests a second, how many of them
# a hire needs, and the one that makes the account.
BUDGETS: Final[dict[Connector, tuple[str, float, int, str]]] = {
    google: ("google.directory", 32, 2, "directory.users.insert"),
    slack: ("slack.scim.user", 144 / 60, 1, "scim/create"),
    jira: ("jira.user_search", 1, 1, "createUser"),
    github: ("github.write", 1 / 1.2, 1, "orgs/set-membership-for-user"),
    gusto: ("gusto.api", 160 / 60, 2, "post-v1-employees"),
}
REVOKES: Final[dict[Connector, str]] = {
    google: "directory.users.update",
    slack: "scim/patch",
    github: "orgs/remove-membership-for-user",
}


@process(owner="it")
async def hired(person: Person) -> None:
    """Give somebody what everybody has."""
    await google.ensure_account(person)
    await parallel(
        slack.ensure_account(person),
        jira.ensure_account(person),
        github.ensure_member(person, person.email.partition("@")[0]),
        gusto.ensure_employee(person),
    )


@process(owner="it", retry=urgent)
async def cut(person: Person) -> None:
    """Let somebody in nowhere any more, at once."""
    await parallel(
        google.suspend(person),
        slack.deactivate(person),
        github.remove_member(person, person.email.partition("@")[0]),
    )


async def test_two_hundred_hires_break_no_limit_and_waste_no_budget(
    saas: Saas,  # noqa: F811 - as above
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No answer says "too many", all are done in time; who is cut off is first so within 5 s."""
    monkeypatch.setattr(gusto, "company", saas.world.credentials()["GUSTO_COMPANY"])
    _without_seats(saas)
    systems = {each: saas.simulators[each.name] for each in BUDGETS}
    rules = [each.fail("*", Quota()) for each in systems.values()]
    first, *others = PEOPLE
    async with running(hired.request(first), processes=[cut]) as run:
        began = run.clock.now()
        await run.do(_a_day(run.engine, others, first))
        run.clock.advance(minutes(10))
        assert [rule.hits for rule in rules] == [0] * len(rules)
        assert not any(call.status == 429 for each in systems.values() for call in each.calls())
        states = [each.row["state"] for each in run.runs("hired")]
        assert states == ["completed"] * len(PEOPLE)
        assert run.tickets.opened == []
        (left,) = run.runs("cut")
        await left.result()
        asked_at = left.row["started_at"]
    assert saas.world.doubled() == {}
    for system, (*_, making) in BUDGETS.items():
        made = _moments(systems[system].calls(making))
        assert len(made) == len(PEOPLE)
        assert max(made) - began <= 1.1 * _at_best(system), system.name
    revoked = [_moments(systems[each].calls(revoking)) for each, revoking in REVOKES.items()]
    waits = [moment - asked_at for moments in revoked for moment in moments]
    assert len(waits) == len(REVOKES)
    assert min(waits) <= timedelta(seconds=5)
    # No further back than what the line holds, be hundreds at rest behind it.
    assert max(waits) <= timedelta(seconds=12), waits


async def _a_day(engine: Engine, hires: Sequence[Person], leaver: Person) -> None:
    """Start everybody, and in the middle of it an end that cannot wait."""
    await _started(engine, "hired", hires)
    await asyncio.sleep(60)  # of the run's own time
    await _started(engine, "cut", [leaver])


async def _started(engine: Engine, name: str, people: Sequence[Person]) -> None:
    for each in people:
        person = {"name": each.name, "email": each.email, "hr_key": each.hr_key}
        await engine.start(name, person, actor=OPERATOR)


def _without_seats(saas: Saas) -> None:  # noqa: F811 - as above
    """Let there be room for everybody: what runs out is time alone."""
    world = saas.world
    world.google.seats = None
    world.jira._seats = None
    organization = world.github.store.find("orgs", "acme-example") or {}
    world.github.store.put("orgs", "acme-example", {**organization, "seats": None})


def _at_best(system: Connector) -> timedelta:
    """How long the hires take if each request leaves as soon as the budget has room for it."""
    name, rate, needed, _ = BUDGETS[system]
    (budget,) = (each for each in system.buckets if each.name == name)
    assert budget.rate == pytest.approx(rate)
    at_once = budget.capacity - reserved(budget, "standard")
    return timedelta(seconds=(needed * len(PEOPLE) - at_once) / rate)


def _moments(calls: Sequence[Call]) -> list[datetime]:
    return [datetime.fromisoformat(each.time) for each in calls if each.committed]
