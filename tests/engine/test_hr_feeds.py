"""What HR enters starts and changes runs: by delivery and by asking, in any order, once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import orjson

from newel.simulators.faults import Fault, WebhookDuplicate
from tests.engine.hr_office import Office, hired
from tests.engine.hr_office import office as office


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
    """A record with somebody else's work address is asked about; when it is right, it starts."""
    hired(office.sim)
    await office.tell()
    office.sim.hire("Sam", "Poe", "", "2026-02-02")  # who has none is told by the number
    await office.tell()
    assert await office.runs() == [("onboarding", "waiting")] * 2
    pat = office.sim.hire("Pat", "Poe", "jane.doe@acme.example", "2026-02-02")
    await office.tell()
    assert await office.runs() == [("onboarding", "waiting")] * 2
    (question,) = await office.questions()
    assert "could not start onboarding" in question
    assert "Poe" not in question
    office.sim.change(pat, "workEmail", "pat.poe@acme.example")
    await office.tell()
    assert await office.runs() == [("onboarding", "waiting")] * 3


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


def test_json_of_the_page_is_read_as_it_is():
    """The two shapes of BambooHR's messages both name the records they are about."""
    from newel.connectors.bamboohr_contract import hints_in

    single = orjson.loads(b'{"id":"e","type":"employee.created","data":{"employeeId":"7"}}')
    listed = orjson.loads(b'{"employees":[{"id":"7","action":"Updated"}]}')
    assert [hints_in(each)[0].employee for each in (single, listed)] == ["7", "7"]
