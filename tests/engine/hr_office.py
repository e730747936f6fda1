"""An HR department at work: a company's processes, its feed, and the system in which it enters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import httpx2
import pytest

from newel import Person, Request, SecretRef, compensation, process, step, timer
from newel.base.settings import Settings
from newel.connectors.bamboohr import BambooHR
from newel.connectors.hr_feed import Asked, hr_feed
from newel.connectors.signatures import BambooHRSigned
from newel.simulators.bamboohr import BambooHRSimulator
from newel.simulators.clock import SimulatedClock
from newel.testing.transport import SimulatorTransport
from newel.web.app import create_app
from tests.engine.house import House

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Position:
    """Who does what, from which day on."""

    person: Person
    title: str
    on: date
    manager: str = ""
    at_once: bool = False


@step(on_amend="redo", in_doubt="repeat")
async def prepare(title: str) -> str:
    """Prepare what the position needs."""
    return title


@step(in_doubt="repeat")
async def undo_preparing() -> None:
    """Take back what was prepared."""


@process
async def onboarding(hire: Position) -> str:
    """Prepare, and wait for the first day; for somebody who sleeps long, for a month more."""
    more = timedelta(days=30 if hire.title == "Sleeper" else 0)
    async with compensation() as undo:
        undo(undo_preparing)
        await prepare(hire.title)
        await timer("first-day", at=datetime.combine(hire.on, time(8), UTC) + more)
    return hire.title


@process
async def role_change(change: Position) -> str:
    """Give what the new position needs."""
    return await prepare(change.title)


@process
async def offboarding(leaver: Position) -> None:
    """Wait for the last day, unless it is over."""
    if not leaver.at_once:
        await timer("last-day", at=datetime.combine(leaver.on, time(18), UTC))


def position(asked: Asked, on: date | None) -> Position:
    """Read a record as the company's processes want it."""
    employee = asked.employee
    assert on is not None
    return Position(
        person=Person(
            name=f"{employee.given_name} {employee.family_name}",
            email=employee.work_email or "",
            hr_key=employee.number,
        ),
        title=employee.title or "",
        on=on,
        manager="" if asked.manager is None else asked.manager.given_name,
        at_once=asked.at_once,
    )


def starts(asked: Asked) -> Request[str]:
    """Ask for an onboarding."""
    return onboarding.request(position(asked, asked.employee.starts_on))


def changes(asked: Asked) -> Request[str]:
    """Ask for a role change."""
    return role_change.request(position(asked, asked.employee.starts_on))


def ends(asked: Asked) -> Request[None]:
    """Ask for an offboarding."""
    return offboarding.request(position(asked, asked.employee.ends_on))


class Office:
    """The HR department: enters people in the simulator, whose events reach newel."""

    def __init__(self, house: House, sim: BambooHRSimulator, web: httpx2.AsyncClient) -> None:
        self.house = house
        self.sim = sim
        self.web = web
        self.statuses: list[int] = []

    async def tell(self) -> None:
        """Deliver what is due, and wait until newel is done with it."""

        async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
            answer = await self.web.post(url, content=body, headers=dict(headers))
            self.statuses.append(answer.status_code)
            return answer.status_code

        await self.sim.deliver(post)
        await self.settled()

    async def ask(self) -> None:
        """Let a quarter of an hour pass, so that newel asks what has changed."""
        before = await self.polls()
        await self.move(timedelta(minutes=15))

        async def asked() -> bool:
            return await self.polls() > before

        await self.house.until(asked)
        await self.settled()

    async def polls(self) -> int:
        """How often newel has asked, to the end."""
        return int(
            await self.house.database.fetchval(
                "select count(*) from newel.run where process = 'newel.bamboohr-changes' "
                "and state = 'completed'"
            )
        )

    async def move(self, span: timedelta) -> None:
        """Let time pass for newel and for BambooHR."""
        self.sim.clock.advance(span)
        await self.house.move(span)

    async def settled(self) -> None:
        """Wait until no run has anything to do at present."""

        async def rests() -> bool:
            self.house.poke()  # nobody waits for a worker that looks once a second
            return not await self.house.database.fetchval(
                "select exists (select from newel.run where worker_id is not null "
                "or wake_at <= newel.now())"
            )

        await self.house.until(rests)
        self.asked = await self.questions()

    async def runs(self) -> list[tuple[str, str]]:
        """Process and state of the company's runs, in order of their start."""
        rows = await self.house.database.fetch(
            "select process, state from newel.run where process not like 'newel.%' order by id"
        )
        return [(row["process"], row["state"]) for row in rows]

    async def inputs(self, process: str) -> list[Any]:
        """The inputs of the runs of a process as they stand."""
        rows = await self.house.database.fetch(
            "select id from newel.run where process = $1 order by id", process
        )
        return [await self.house.engine.input_of(row["id"]) for row in rows]

    async def questions(self) -> list[str]:
        """What HR is asked to look at."""
        rows = await self.house.database.fetch(
            "select instructions from newel.task where state = 'open'"
        )
        return [row["instructions"] for row in rows]


@pytest.fixture
async def office(build, database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """Give an HR department whose system newel is subscribed to, with a worker at work."""
    monkeypatch.setattr("newel.engine.schedules._IDLE_S", 0.02)
    sim = BambooHRSimulator(seed=7, clock=SimulatedClock(standing_at=START), sleep=asyncio.sleep)
    monkeypatch.setenv("T_HR_KEY", sim.credentials()["BAMBOOHR_KEY"])
    system = BambooHR(
        company="acme", key=SecretRef("env:T_HR_KEY"), transport=SimulatorTransport(sim)
    )
    feed = hr_feed(
        system,
        signed=BambooHRSigned(SecretRef("env:T_HR_HOOK")),
        starts=starts,
        changes=changes,
        ends=ends,
    )
    hook = {
        "name": "newel", "url": "https://newel.example/hooks/bamboohr", "format": "json",
        "events": ["employee.created", "employee.updated", "employee.deleted"],
        "monitorFields": [], "privateKey": "the key of the hook", "id": "1",
    }  # fmt: skip
    sim.store.put("webhooks", "1", hook)
    monkeypatch.setenv("T_HR_HOOK", "the key of the hook")
    processes = [onboarding, role_change, offboarding]
    moved = "update newel.deployment set kind = 'test', clock_offset = $1 - clock_timestamp()"
    await database.execute(moved, START)
    async with build(processes, systems=[system], feeds=[feed]) as house:
        app = create_app(house.engine, settings=Settings())
        transport = httpx2.ASGITransport(app=app, client=("192.0.2.7", 50_000))
        async with httpx2.AsyncClient(transport=transport) as web, house.worker():
            yield Office(house, sim, web)


def hired(sim: BambooHRSimulator, on: str = "2026-02-02") -> str:
    """Let HR enter an engineer."""
    jane = sim.hire("Jane", "Doe", "jane.doe@acme.example", on)
    sim.change(jane, "jobTitle", "Engineer")
    return jane
