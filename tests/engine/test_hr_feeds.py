"""What HR enters starts and changes runs: by delivery and by asking, in any order, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import httpx2
import orjson
import pytest

from newel import Person, Request, SecretRef, compensation, process, step, timer
from newel.base.settings import Settings
from newel.connectors.bamboohr import BambooHR
from newel.connectors.hr import Employee
from newel.connectors.hr_feed import Asked, Known, decided, hr_feed
from newel.connectors.signatures import BambooHRSigned
from newel.simulators.bamboohr import BambooHRSimulator
from newel.simulators.clock import SimulatedClock
from newel.simulators.faults import Fault, WebhookDuplicate
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


@step(on_amend="redo", in_doubt="repeat")
async def prepare(title: str) -> str:
    """Prepare what the position needs."""
    return title


@step(in_doubt="repeat")
async def undo_preparing() -> None:
    """Take back what was prepared."""


@process
async def onboarding(hire: Position) -> str:
    """Prepare, and wait for the first day."""
    async with compensation() as undo:
        undo(undo_preparing)
        await prepare(hire.title)
        await timer("first-day", at=datetime.combine(hire.on, time(8), UTC))
    return hire.title


@process
async def role_change(change: Position) -> str:
    """Give what the new position needs."""
    return await prepare(change.title)


@process
async def offboarding(leaver: Position) -> None:
    """Wait for the last day."""
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
        self.house.poke()

        async def rests() -> bool:
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


async def test_a_hire_told_many_times_and_found_by_asking_is_one_onboarding(office: Office):
    """Three copies of each event, then two polls: one run, with the hire's dates, and it is known.

    Acceptance row C40, and the second half of R33.
    """
    office.sim.faults.add(Fault(id="copies", effect=WebhookDuplicate(3)))
    jane = hired(office.sim)
    office.sim.change(jane, "supervisorEId", "1")
    await office.tell()
    await office.ask()
    await office.ask()
    assert await office.runs() == [("onboarding", "waiting")]
    (given,) = await office.inputs("onboarding")
    assert (given["on"], given["title"], given["manager"]) == ("2026-02-02", "Engineer", "Hedda")
    assert set(office.statuses) <= {200, 202}


async def test_a_hire_that_no_delivery_told_is_found_within_sixteen_minutes(office: Office):
    """The events are lost: the next question finds the record. Acceptance row C42."""
    hired(office.sim)
    for key in list(office.sim.store.rows("outbox")):
        office.sim.store.remove("outbox", key)
    await office.ask()
    assert await office.questions() == []
    assert await office.runs() == [("onboarding", "waiting")]
    await office.tell()
    assert await office.runs() == [("onboarding", "waiting")]


async def test_the_same_at_once_is_one(office: Office):
    """Ten copies of one event, at the same time: one is new, and one run is started."""
    hired(office.sim)
    due = office.sim._due()
    posts = [
        office.web.post(each.url, content=each.body, headers=dict(each.headers)) for each in due * 5
    ]
    answers = [answer.status_code for answer in await asyncio.gather(*posts)]
    assert answers.count(202) == len(due)
    await office.settled()
    assert await office.runs() == [("onboarding", "waiting")]


async def test_a_moved_first_day_and_another_position_amend_the_onboarding(office: Office):
    """Before the first day the open run gets the new record; what is told twice changes nothing."""
    jane = hired(office.sim)
    await office.tell()
    office.sim.change(jane, "hireDate", "2026-03-02")
    office.sim.change(jane, "jobTitle", "Manager")
    await office.tell()
    await office.ask()
    assert await office.runs() == [("onboarding", "waiting")]
    (given,) = await office.inputs("onboarding")
    assert (given["on"], given["title"]) == ("2026-03-02", "Manager")


async def test_whoever_is_at_work_gets_a_role_change_and_then_an_offboarding(office: Office):
    """After the first day: another title, a last day, a later one, and none: each its run, once."""
    jane = hired(office.sim)
    await office.tell()
    await office.move(timedelta(days=40))
    await office.settled()
    assert await office.runs() == [("onboarding", "completed")]
    office.sim.change(jane, "jobTitle", "Manager")
    await office.tell()
    assert await office.runs() == [("onboarding", "completed"), ("role_change", "completed")]
    office.sim.terminate(jane, "2026-06-30")
    await office.tell()
    await office.ask()
    assert (await office.runs())[2:] == [("offboarding", "waiting")]
    office.sim.change(jane, "terminationDate", "2026-07-31")
    await office.tell()
    (given,) = await office.inputs("offboarding")
    assert given["on"] == "2026-07-31"
    office.sim.change(jane, "terminationDate", None)
    await office.tell()
    assert (await office.runs())[2:] == [("offboarding", "cancelled")]
    assert await office.questions() == []


async def test_whoever_does_not_come_after_all_is_undone(office: Office):
    """A last day before the first ends the onboarding; what was prepared is taken back."""
    jane = hired(office.sim)
    await office.tell()
    office.sim.terminate(jane, "2026-02-01")
    await office.tell()
    assert await office.runs() == [("onboarding", "cancelled")]
    run = await office.house.database.fetchval(
        "select id from newel.run where process = 'onboarding'"
    )
    kinds = await office.house.events(run)
    assert any(key is not None and "undo_preparing" in key for _, key in kinds)


async def test_who_was_there_before_newel_is_left_alone(office: Office):
    """An old employee whose record is touched gets no onboarding, but a role change later."""
    office.sim.change("1", "jobTitle", "Head of HR")
    await office.tell()
    assert await office.runs() == []
    office.sim.change("1", "jobTitle", "Director")
    await office.tell()
    assert await office.runs() == [("role_change", "completed")]


async def test_what_newel_cannot_do_is_a_question_to_hr(office: Office):
    """A record without a work address is asked about; when it is complete, the run starts."""
    sam = office.sim.hire("Sam", "Poe", "", "2026-02-02")
    await office.tell()
    assert await office.runs() == []
    (question,) = await office.questions()
    assert "could not start onboarding" in question
    assert "Poe" not in question
    office.sim.change(sam, "workEmail", "sam.poe@acme.example")
    await office.tell()
    assert await office.runs() == [("onboarding", "waiting")]


async def test_nothing_of_a_person_stands_in_the_clear(office: Office):
    """Names and addresses of a hire are in no leaf, no delivery and no row about the feed."""
    hired(office.sim)
    await office.tell()
    rows = await office.house.database.fetch("select entry from newel.event")
    kept = await office.house.database.fetch(
        "select row_to_json(r)::text as entry from newel.webhook_received r "
        "union all select row_to_json(r)::text from newel.hr_record r"
    )
    payloads = await office.house.database.fetch(
        "select e.payload as entry from newel.event e join newel.run r on r.id = e.stream_id "
        "where r.process like 'newel.%' and e.payload is not null"
    )
    texts = [row["entry"] for row in (*rows, *kept, *payloads)]
    assert texts
    for text in texts:
        shown = text if isinstance(text, str) else bytes(text).decode("utf-8", "replace")
        assert "Jane" not in shown
        assert "jane.doe@" not in shown


# --- the table ------------------------------------------------------------------------------

FEB, MAR, TODAY = date(2026, 2, 2), date(2026, 3, 2), date(2026, 1, 5)
OPEN = Known(starts_on=FEB, position=b"a", onboarding="open")
LATER = Known(starts_on=date(2026, 1, 1), position=b"a", onboarding="open")
ACTIVE = Known(starts_on=date(2025, 1, 1), position=b"a", onboarding="over")
LEAVING = Known(
    starts_on=date(2025, 1, 1), ends_on=FEB, position=b"a", onboarding="over", offboarding="open"
)


def employee(starts_on: date | None, ends_on: date | None = None) -> Employee:
    """A record with its dates."""
    return Employee(
        id="7", number="4711", given_name="J", family_name="D", starts_on=starts_on, ends_on=ends_on
    )


@pytest.mark.parametrize(
    ("known", "record", "position", "verdicts"),
    [
        (Known(), employee(FEB), b"a", ("start onboarding",)),
        (Known(), employee(None), b"a", ()),
        (Known(), None, b"", ()),
        (Known(), employee(FEB, TODAY), b"a", ()),
        (Known(), employee(date(2020, 1, 1)), b"a", ()),
        (Known(), employee(date(2020, 1, 1), date(2021, 1, 1)), b"a", ()),
        (Known(), employee(date(2020, 1, 1), MAR), b"a", ("start offboarding",)),
        (Known(), employee(FEB, MAR), b"a", ("start onboarding", "start offboarding")),
        (OPEN, employee(FEB), b"a", ()),
        (OPEN, employee(MAR), b"a", ("amend onboarding",)),
        (OPEN, employee(FEB), b"b", ("amend onboarding",)),
        (OPEN, None, b"", ("cancel onboarding",)),
        (OPEN, employee(FEB, TODAY), b"a", ("cancel onboarding",)),
        (OPEN, employee(FEB, MAR), b"a", ("start offboarding",)),
        (LATER, employee(FEB), b"a", ("ask: the first day was moved",)),
        (LATER, employee(LATER.starts_on), b"b", ("amend onboarding",)),
        (ACTIVE, employee(ACTIVE.starts_on), b"a", ()),
        (ACTIVE, employee(MAR), b"a", ("ask: the first day was moved",)),
        (ACTIVE, employee(ACTIVE.starts_on), b"b", ("start change",)),
        (ACTIVE, employee(ACTIVE.starts_on, MAR), b"a", ("start offboarding",)),
        (ACTIVE, None, b"", ("ask: the employment was taken back",)),
        (LEAVING, employee(LEAVING.starts_on, FEB), b"a", ()),
        (LEAVING, employee(LEAVING.starts_on, MAR), b"a", ("amend offboarding",)),
        (LEAVING, employee(LEAVING.starts_on), b"a", ("cancel offboarding",)),
        (LEAVING, employee(MAR), b"a", ("new employment", "start onboarding")),
    ],
)
def test_what_follows_from_a_record(known, record, position, verdicts):
    """Each row of the table: what is known, what HR says now, what is done."""
    late = timedelta(days=30)
    assert decided(known, record, position, today=TODAY, late=late) == verdicts


def test_what_was_done_is_known_and_follows_no_more():
    """Whatever follows, once it is known, the same record asks for nothing again."""
    for starts_on in (None, date(2020, 1, 1), TODAY, FEB):
        for ends_on in (None, date(2021, 1, 1), MAR):
            record = employee(starts_on, ends_on)
            first = decided(Known(), record, b"a", today=TODAY, late=timedelta(days=30))
            known = Known(
                starts_on=starts_on,
                ends_on=ends_on,
                position=b"a",
                onboarding="open" if "start onboarding" in first else "none",
                offboarding="open" if "start offboarding" in first else "none",
            )
            again = decided(known, record, b"a", today=TODAY, late=timedelta(days=30))
            assert again == (), (starts_on, ends_on, first)


def test_json_of_the_page_is_read_as_it_is():
    """The two shapes of BambooHR's messages both name the records they are about."""
    from newel.connectors.bamboohr_contract import hints_in

    single = orjson.loads(b'{"id":"e","type":"employee.created","data":{"employeeId":"7"}}')
    listed = orjson.loads(b'{"employees":[{"id":"7","action":"Updated"}]}')
    assert [hints_in(each)[0].employee for each in (single, listed)] == ["7", "7"]
