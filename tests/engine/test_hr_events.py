"""What HR enters in a hurry, too late, in the wrong order, or about somebody who comes back."""

from __future__ import annotations

import hmac
from base64 import b64encode
from datetime import timedelta
from typing import Any

import httpx2
import orjson
import pytest

from newel import SecretRef
from newel.base.errors import SelfApproval
from newel.base.settings import Settings
from newel.connectors.hr_feed import hr_feed
from newel.connectors.hr_mapped import MappedHr
from newel.connectors.signatures import BodySigned
from newel.domain.limits import RANKS
from newel.simulators.faults import Fault, WebhookDuplicate, WebhookReorder
from newel.web.app import create_app
from tests.connectors.hr_desk import MAPPINGS, HrDesk
from tests.engine.hr_office import (
    START,
    Office,
    changes,
    ends,
    hired,
    offboarding,
    onboarding,
    role_change,
    starts,
)
from tests.engine.hr_office import office as office


async def open_tasks(office: Office) -> dict[str, Any]:
    """The open tasks of built-in runs by their key."""
    rows = await office.house.database.fetch(
        "select t.id, t.key, t.instructions from newel.task t where t.state = 'open'"
    )
    return {row["key"].rpartition("/")[2]: row for row in rows}


async def answer(office: Office, key: str, *, yes: bool = True, who: str = "hedda") -> None:
    """Let somebody of HR decide the task of a key."""
    task = (await open_tasks(office))[key]["id"]
    engine = office.house.engine
    decider = await engine.actor(f"{who}@acme.example", via="api")
    await engine.decide(task, approved=yes, actor=decider, comment="as I see it")
    await office.settled()


async def at_work(office: Office) -> str:
    """Let somebody be hired, and begin."""
    jane = hired(office.sim)
    await office.tell()
    await office.move(timedelta(days=40))
    await office.settled()
    assert await office.runs() == [("onboarding", "completed")]
    return jane


# --- at once ------------------------------------------------------------------------------------


async def test_a_last_day_that_has_come_waits_for_a_second_person_and_goes_first(office: Office):
    """R33: nothing is cut before somebody confirms it; then that goes before all else."""
    jane = await at_work(office)
    office.sim.terminate(jane, "2026-02-14")
    await office.tell()
    assert await office.runs() == [("onboarding", "completed")]
    assert list(await open_tasks(office)) == ["end-now"]
    await answer(office, "end-now")
    assert (await office.runs())[1:] == [("offboarding", "completed")]
    row = await office.house.database.fetchrow(
        "select priority from newel.run where process = 'offboarding'"
    )
    assert row is not None
    assert row["priority"] == RANKS["high"]
    (given,) = await office.inputs("offboarding")
    assert given["at_once"] is True
    await office.ask()
    assert await open_tasks(office) == {}


async def test_a_last_day_that_was_a_mistake_cuts_nothing(office: Office):
    """R33: refused, or taken back before the answer: no offboarding starts."""
    jane = await at_work(office)
    office.sim.terminate(jane, "2026-02-14")
    await office.tell()
    await answer(office, "end-now", yes=False)
    office.sim.change(jane, "terminationDate", None)
    await office.tell()
    office.sim.terminate(jane, "2026-02-13")
    await office.tell()
    office.sim.change(jane, "terminationDate", None)
    await office.tell()
    await answer(office, "end-now")
    assert await office.runs() == [("onboarding", "completed")]


async def test_who_leaves_does_not_decide_about_it(office: Office):
    """R33: her own no counts for nothing; somebody else is asked, and their answer holds."""
    jane = await at_work(office)
    office.sim.terminate(jane, "2026-02-14")
    await office.tell()
    await answer(office, "end-now", yes=False, who="jane.doe")
    assert list(await open_tasks(office)) == ["end-now-by-another"]
    with pytest.raises(SelfApproval):
        await answer(office, "end-now-by-another", yes=False, who="jane.doe")
    await answer(office, "end-now-by-another")
    assert (await office.runs())[1:] == [("offboarding", "completed")]


async def test_a_last_day_during_the_onboarding_pauses_it_at_once(office: Office):
    """R33: who leaves before all is there is given no more while the second person is asked."""
    jane = hired(office.sim, on="2026-01-06")
    office.sim.change(jane, "jobTitle", "Sleeper")
    await office.tell()
    await office.move(timedelta(days=2))
    await office.settled()
    assert await office.runs() == [("onboarding", "waiting")]
    office.sim.terminate(jane, "2026-01-07")
    await office.tell()
    assert await office.house.database.fetchval(
        "select paused_at is not null from newel.run where process = 'onboarding'"
    )
    await answer(office, "end-now")
    assert (await office.runs())[1:] == [("offboarding", "completed")]


# --- who does not come --------------------------------------------------------------------------


async def test_who_did_not_come_is_undone_when_a_second_person_says_so(office: Office):
    """R33: after the first day an onboarding is not taken back by a record alone."""
    jane = hired(office.sim, on="2026-01-06")
    office.sim.change(jane, "jobTitle", "Sleeper")
    await office.tell()
    await office.move(timedelta(days=2))
    office.sim.terminate(jane, "2026-01-06")
    await office.tell()
    await office.ask()
    assert await office.runs() == [("onboarding", "waiting")]
    assert list(await open_tasks(office)) == ["cancel-onboarding"]
    await answer(office, "cancel-onboarding")
    assert await office.runs() == [("onboarding", "cancelled")]


async def test_a_last_day_without_a_first_one_is_held_three_days(office: Office):
    """R33: the hire comes within 72 hours: nobody is asked; it does not come: HR is, once."""
    jane, sam = hired(office.sim), office.sim.hire("Sam", "Poe", "sam@acme.example", "2026-02-02")
    for each in (jane, sam):
        office.sim.change(each, "hireDate", None)
        office.sim.terminate(each, "2026-06-30")
    await office.tell()
    assert (await office.runs(), await open_tasks(office)) == ([], {})
    await office.move(timedelta(days=2))
    office.sim.change(jane, "hireDate", "2026-02-02")
    await office.tell()
    assert await office.runs() == [("onboarding", "waiting"), ("offboarding", "waiting")]
    await office.move(timedelta(days=1))
    await office.ask()
    await office.ask()
    (question,) = await office.questions()
    assert "a last day and no first day" in question
    assert len(await office.runs()) == 2


# --- another name, and who comes back -----------------------------------------------------------


async def test_another_name_is_a_task_for_whoever_keeps_the_accounts(office: Office):
    """R33: before the first day the onboarding gets the name; after it accounts are renamed."""
    jane = hired(office.sim)
    await office.tell()
    office.sim.change(jane, "lastName", "O'Doe-Müller 🎉")
    await office.tell()
    (given,) = await office.inputs("onboarding")
    assert given["person"]["name"] == "Jane O'Doe-Müller 🎉"
    assert await open_tasks(office) == {}
    await office.move(timedelta(days=40))
    await office.settled()
    office.sim.change(jane, "lastName", "Roe")
    await office.tell()
    await office.ask()
    task = (await open_tasks(office))["rename-accounts"]
    assert "Roe" not in task["instructions"]
    assert await office.runs() == [("onboarding", "completed")]


async def test_who_comes_back_starts_when_the_former_employment_has_ended(office: Office):
    """R33: hired again while the offboarding is open: that ends first, then the other starts."""
    jane = await at_work(office)
    office.sim.terminate(jane, "2026-02-20")
    await office.tell()
    office.sim.change(jane, "hireDate", "2026-03-09")
    office.sim.change(jane, "terminationDate", None)
    await office.tell()
    await office.ask()
    assert (await office.runs())[1:] == [("offboarding", "waiting")]
    await office.move(timedelta(days=8))
    await office.settled()
    await office.ask()
    assert (await office.runs())[1:] == [("offboarding", "completed"), ("onboarding", "waiting")]
    assert await open_tasks(office) == {}


# --- in any order -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order", ["as it happened", "newest first", "the last day before the hire"]
)
async def test_the_order_of_events_makes_no_difference(office: Office, order: str):
    """C41: the last day before the hire, a first day moved twice: the same runs and dates."""
    if order == "newest first":
        office.sim.faults.add(Fault(id="order", effect=WebhookReorder()))
        office.sim.faults.add(Fault(id="copies", effect=WebhookDuplicate(2)))
    jane = hired(office.sim)
    if order == "the last day before the hire":
        office.sim.change(jane, "hireDate", None)
        office.sim.terminate(jane, "2026-06-30")
        await office.tell()
    if order == "as it happened":
        await office.tell()
    for first_day in ("2026-03-02", "2026-02-16"):
        office.sim.change(jane, "hireDate", first_day)
        if order == "as it happened":
            await office.tell()
    office.sim.terminate(jane, "2026-06-30")
    await office.tell()
    await office.ask()
    assert await office.runs() == [("onboarding", "waiting"), ("offboarding", "waiting")]
    (came,), (leaves,) = await office.inputs("onboarding"), await office.inputs("offboarding")
    assert (came["on"], leaves["on"]) == ("2026-02-16", "2026-06-30")
    assert await open_tasks(office) == {}


# --- HR systems of other makes ------------------------------------------------------------------


@pytest.mark.parametrize("dialect", sorted(MAPPINGS))
async def test_a_hire_in_any_hr_system_is_one_onboarding(build, database, monkeypatch, dialect):
    """R33: three payloads: told three times and found by asking, the hire starts one onboarding."""
    monkeypatch.setattr("newel.engine.schedules._IDLE_S", 0.02)
    monkeypatch.setenv("T_HR_TOKEN", "t0ken")
    moved = "update newel.deployment set kind = 'test', clock_offset = $1 - clock_timestamp()"
    await database.execute(moved, START)
    desk = HrDesk(dialect, START)
    system = MappedHr(
        name=dialect,
        base_url="https://hr.example",
        token=SecretRef("env:T_HR_TOKEN"),
        mapping=MAPPINGS[dialect],
        transport=desk.transport(),
    )
    signed = BodySigned(SecretRef("env:T_HR_TOKEN"), header="X-HR-Signature")
    feed = hr_feed(system, signed=signed, starts=starts, changes=changes, ends=ends)
    processes = [onboarding, role_change, offboarding]
    async with build(processes, systems=[system], feeds=[feed]) as house:
        transport = httpx2.ASGITransport(app=create_app(house.engine, settings=Settings()))
        async with (
            httpx2.AsyncClient(transport=transport, base_url="https://newel.example") as web,
            house.worker(),
        ):
            desk.enter("4", given_name="Sam", family_name="Ó", work_email="sam@acme.example")
            desk.enter("4", title="Clerk", starts_on="2026-02-02")
            body = orjson.dumps(desk.event("4"))
            key = hmac.digest(b"t0ken", body, "sha256")
            statuses: list[int] = []
            for sign in (key.hex(), b64encode(key).decode(), f"sha256={key.hex()}", "forged"):
                headers = {"X-HR-Signature": sign}
                answer = await web.post(f"/hooks/{dialect}", content=body, headers=headers)
                statuses.append(answer.status_code)
            assert statuses == [202, 200, 200, 401]
            office = Office(house, None, web)  # type: ignore[arg-type]  # another system
            await office.settled()
            await house.move(timedelta(minutes=15))

            async def asked() -> bool:
                return desk.asked.count(MAPPINGS[dialect].listing) > 0

            await house.until(asked)
            await office.settled()
            assert await office.runs() == [("onboarding", "waiting")]
            (given,) = await office.inputs("onboarding")
            assert (given["title"], given["on"]) == ("Clerk", "2026-02-02")
