"""What was made again in doubt is looked for ten minutes later: payroll may have somebody twice.

Source: connectors document, §4.2 (duplicate sweep) and §16.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from newel import Account, Person, SecretRef, days, hours, minutes, process
from newel.connectors.payroll import Gusto
from newel.connectors.payroll_contract import CREATE_EMPLOYEE, EMPLOYEES
from newel.simulators.faults import Down, Lag, LoseResponse, ResetBefore
from newel.testing import Crash, Saas, every_crash, running
from newel.testing.house import House
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name
from newel.testing.running import Run

NAME = "newel.second-record"
ADD = CREATE_EMPLOYEE.operation
PATIENCE = timedelta(minutes=4)
"""Longer than newel looks for what a lost call has made."""

gusto = Gusto(
    company="set by the fixture", token=SecretRef("env:GUSTO_TOKEN"), owner="payroll-team"
)
JANE = Person(name="Jane O'Doe 🌻", email="jane.doe@acme.example", hr_key="4711")


@process(owner="hr")
async def hired(person: Person) -> Account:
    """Add somebody to payroll."""
    return await gusto.ensure_employee(person)


@pytest.fixture(autouse=True)
def _systems(saas: Saas, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - as above
    monkeypatch.setattr(gusto, "company", saas.world.credentials()["GUSTO_COMPANY"])


def reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the address be hers, so that what bears it is known to be."""

    async def theirs(*_: object, **__: object) -> str:
        return "derived"

    monkeypatch.setattr(gusto, "whose", theirs)


def at_gusto(world: Saas) -> list[str]:
    """The ids of the employees there are, the oldest first."""
    return list(world.gusto.store.rows("employees"))


def looking(run: Run[Any]) -> Run[Any]:
    """The one run that looks."""
    (found,) = run.runs(NAME)
    return found


async def test_two_employees_are_one_task_that_names_them(saas: Saas):  # noqa: F811 - as above
    """The list lags longer than newel looks: she is added twice, and payroll's team is asked."""
    saas.world.gusto.fail("*", Lag("gusto.employees", 300))
    saas.world.gusto.fail(ADD, LoseResponse(), times=1)
    async with running(hired.request(JANE)) as run:
        run.clock.advance(PATIENCE)
        made = await run.result()
        first, second = at_gusto(saas)
        assert made.id == second
        found = looking(run)
        assert (found.tasks(), found.row["subject"]) == ([], run.row["subject"])
        run.clock.advance(minutes(11))
        (task,) = found.tasks()
        assert (task["key"], task["owner"]) == ("two-records", "payroll-team")
        assert task["title"] == "two records of one person in Gusto"
        said = task["instructions"]
        assert f"{second} was made last, so {first} is the oldest: keep that one." in said
        assert run.name in said and "gusto.ensure_employee" in said
        assert [word for word in ("Jane", "Doe", JANE.email, "4711") if word in said] == []
        run.clock.advance(days(1))
        assert len(found.tasks()) == len(run.runs(NAME)) == 1
        await found.fill("two-records", note=f"{first} is left")
        assert await found.result() == 2
        assert len(at_gusto(saas)) == 2, "newel touches neither"


async def test_postgresql_starts_it_with_the_outcome(
    saas: Saas,  # noqa: F811 - as above
    engine: House,
):
    """On a real database: one transaction, one run about the same person, one task."""
    saas.world.gusto.fail("*", Lag("gusto.employees", 300))
    saas.world.gusto.fail(ADD, LoseResponse(), times=1)
    async with engine.running(hired.request(JANE)) as run:
        run.clock.advance(PATIENCE)
        await run.result()
        found = looking(run)
        assert found.row["subject"] == run.row["subject"]
        assert found.audit()[0]["data"]["parent"]["run"] == run.name
        run.clock.advance(minutes(11))
        assert [task["owner"] for task in found.tasks()] == ["payroll-team"]
        await found.fill("two-records", note="the older one is left")
        assert await found.result() == 2


async def test_one_employee_is_no_task(saas: Saas):  # noqa: F811 - as above
    """The request never arrived: she is added once, it is looked for once, and nobody is asked."""
    saas.world.gusto.fail(ADD, ResetBefore(), times=1)
    async with running(hired.request(JANE)) as run:
        run.clock.advance(PATIENCE)
        await run.result()
        run.clock.advance(hours(1))
        assert await looking(run).result() == 1
        assert len(at_gusto(saas)) == 1
        assert list(run._scene.rows("task")) == []


@pytest.mark.parametrize("is_lost", [False, True])
async def test_without_a_second_request_nothing_is_looked_for(
    saas: Saas,  # noqa: F811 - as above
    monkeypatch: pytest.MonkeyPatch,
    is_lost: bool,
):
    """Nothing was lost, or the lost one was found: no run looks, and Gusto is not asked again."""
    reserved(monkeypatch)
    if is_lost:
        saas.world.gusto.fail(ADD, LoseResponse(), times=1)
    async with running(hired.request(JANE)) as run:
        run.clock.advance(PATIENCE)
        await run.result()
        asked = len(saas.world.gusto.calls())
        run.clock.advance(hours(1))
        assert run.runs(NAME) == []
        assert len(saas.world.gusto.calls()) == asked


async def test_a_second_one_is_looked_for_when_gusto_answers_again(
    saas: Saas,  # noqa: F811 - as above
):
    """Gusto is down ten minutes later: it is an incident as any, and after it the task comes."""
    saas.world.gusto.fail("*", Lag("gusto.employees", 300))
    saas.world.gusto.fail(ADD, LoseResponse(), times=1)
    async with running(hired.request(JANE), connectors=[gusto]) as run:
        run.clock.advance(PATIENCE)
        await run.result()
        saas.world.gusto.fail(EMPLOYEES.operation, Down())
        run.clock.advance(hours(3))
        assert looking(run).parked()["gusto.doubles"].reason == "outage"
        assert len(run.tickets.opened) == 1
        saas.world.gusto.heal()
        run.clock.advance(hours(1))
        assert len(looking(run).tasks()) == 1


async def test_one_task_wherever_the_worker_dies(
    saas: Saas,  # noqa: F811 - as above
    monkeypatch: pytest.MonkeyPatch,
):
    """Killed at every boundary: what was added more than once is exactly one task, else none."""
    reserved(monkeypatch)
    seen = set()

    async def play(crash: Crash | None = None) -> None:
        saas.world.gusto.reset()
        saas.world.gusto.fail("*", Lag("gusto.employees", 300))
        saas.world.gusto.fail(ADD, LoseResponse(), times=1)
        async with running(hired.request(JANE), crash=crash) as run:
            run.clock.advance(PATIENCE + PATIENCE)
            run.parked()
            run.clock.advance(minutes(20))
            tasks = [task for found in run.runs(NAME) for task in found.tasks()]
            there = at_gusto(saas)
            seen.add(len(there))
            assert len(tasks) == (len(there) > 1), run.told()
            assert all(each in task["instructions"] for each in there for task in tasks)

    for crash in await every_crash(play):
        await play(crash)
    assert {1, 2} <= seen
