"""Forms: typed data that a person fills in, work that a person does by hand, and reminders."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta

import pytest

from newel.base.errors import (
    AlreadyDecided,
    DefinitionError,
    InvalidInput,
    NotAllowed,
    NotWaiting,
    Overdue,
)
from newel.base.ids import reference
from newel.domain.people import Person, manager_of, team
from newel.flow.forms import form
from newel.flow.process import process
from newel.flow.regions import section
from newel.flow.waits import approval
from tests.engine.test_waits import JANE, result


@dataclass(frozen=True)
class Receipt:
    """What the receipt form asks for."""

    url: str
    pages: int = 1


@process(owner="finance")
async def receipt(person: Person) -> str:
    """The person shows a receipt, the manager hands over a card."""
    with section("papers"):
        found = await form("receipt", Receipt, by=person, within=timedelta(days=30))
    done = await form(
        "hand-over", by=manager_of(person), instructions="Hand over the card.", evidence="note"
    )
    return f"{found.url} {found.pages} {done.by} {done.note}"


@process(owner="finance")
async def reminding(person: Person) -> str:
    """The team is reminded until it answers."""
    with contextlib.suppress(Overdue):
        await form("early", Receipt, by=person, within=timedelta(days=3), remind=timedelta(days=1))
    decision = await approval("late", by=team("hr"), remind=timedelta(days=2))
    return str(decision.approved)


async def asked(house, name, **people):
    """Start a process and wait until it asks."""
    run = await house.start(name, {**JANE, **people})
    assert await house.rested(run) == "waiting"
    return run, await house.task(run)


async def person(house, address):
    """Somebody who acts by address."""
    return await house.engine.actor(address, via="api")


async def test_a_form_gives_typed_data_and_a_manual_task_a_done(build):
    """The subject may fill in a form; what is done by hand names who did it."""
    async with build([receipt]) as house, house.worker():
        run, task = await asked(house, "receipt")
        jane = await person(house, "jane@example.com")
        await house.engine.fill(task, {"url": "https://x.test/1", "pages": 2}, actor=jane)
        house.poke()
        assert await house.rested(run) == "waiting"
        mary = await person(house, "mary@example.com")
        by_hand = await house.task(run)
        with pytest.raises(InvalidInput) as short:
            await house.engine.fill(by_hand, actor=mary, note="done")
        assert short.value.fields == {"note": "needs at least 10 characters of evidence"}
        with pytest.raises(InvalidInput) as surplus:
            await house.engine.fill(by_hand, {"done": True}, actor=mary, note="seen at her desk")
        assert surplus.value.fields == {"value": "is not asked for: this is done by hand"}
        await house.engine.fill(by_hand, actor=mary, note="seen at her desk")
        house.poke()
        assert await house.ended(run) == "completed"
        told = f"https://x.test/1 2 {mary.on_behalf_of} seen at her desk"
        assert await result(house, run) == told
        decided = [leaf["data"]["decision"] for leaf in await house.leaves(run)
                   if leaf["type"] == "task.decided"]  # fmt: skip
        assert decided == ["submit", "submit"]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"pages": 2}, {"url": "is missing"}),
        ({"url": "x", "pages": "two"}, {"pages": "must be an integer"}),
        ({"url": "x", "colour": "red"}, {"colour": "is not known"}),
    ],
)
async def test_what_a_form_does_not_ask_for_is_refused_by_field(build, value, wrong):
    """Nothing is recorded, the task stays open, and every error names its field."""
    async with build([receipt]) as house, house.worker():
        run, task = await asked(house, "receipt")
        before = await house.events(run)
        with pytest.raises(InvalidInput) as refused:
            await house.engine.fill(task, value, actor=await person(house, "jane@example.com"))
        assert set(refused.value.fields) == set(wrong)
        assert await house.events(run) == before
        assert await house.task(run) == task


async def test_a_form_is_filled_by_whom_it_asks_and_once(build):
    """Another person is refused, a second answer is told of the first, and no form is decided."""
    async with build([receipt]) as house, house.worker():
        _, task = await asked(house, "receipt")
        jane, mary = [await person(house, f"{name}@example.com") for name in ("jane", "mary")]
        with pytest.raises(NotAllowed):
            await house.engine.fill(task, {"url": "x"}, actor=mary)
        with pytest.raises(NotWaiting, match="a form: fill it in"):
            await house.engine.decide(task, approved=True, actor=jane)
        answers = await asyncio.gather(
            *(house.engine.fill(task, {"url": str(n)}, actor=jane) for n in range(4)),
            return_exceptions=True,
        )
        assert sorted(type(each).__name__ for each in answers) == [
            "AlreadyDecided", "AlreadyDecided", "AlreadyDecided", "NoneType",
        ]  # fmt: skip
        with pytest.raises(AlreadyDecided, match="Jane Doe"):
            await house.engine.fill(task, {"url": "x"}, actor=jane)


async def test_reminders_come_after_the_first_span_and_then_daily(build):
    """Each is an event with its number; days that were missed bring one reminder, not many."""
    async with build([reminding]) as house, house.worker():
        run, early = await asked(house, "reminding")
        await house.move(timedelta(days=1, minutes=1))
        await reminded(house, run, 1)
        await house.move(timedelta(days=1))
        await reminded(house, run, 2)
        await house.move(timedelta(days=2))

        async def follows() -> bool:
            return await house.find_task(run) not in {None, early}

        await house.until(follows)
        task = await house.task(run)
        await house.move(timedelta(days=2, minutes=1))
        await reminded(house, run, 3)
        await house.move(timedelta(days=9))
        await reminded(house, run, 4)
        row = await house.database.fetchrow("select * from newel.task where id = $1", task)
        assert (row["reminders"], row["reminded_at"] is not None) == (2, True)
        await house.engine.decide(task, approved=True, actor=await person(house, "hr@example.com"))
        house.poke()
        assert await house.ended(run) == "completed"
        leaves = [leaf for leaf in await house.leaves(run) if leaf["type"] == "task.reminded"]
        assert [leaf["data"]["n"] for leaf in leaves] == [1, 2, 1, 2]
        assert leaves[0]["data"]["task"] == reference("tsk", early)


async def reminded(house, run, times) -> None:
    """Wait until so many reminders of a run are recorded."""

    async def has() -> bool:
        return [kind for kind, _ in await house.events(run)].count("task.reminded") >= times

    await house.until(has)
    await house.rested(run)


async def test_who_cannot_be_asked_parks_the_run_with_what_to_write(build):
    """A person without a reference and an address that nobody has are told as a fault."""

    @process(owner="it", subject=None)
    async def unknown(name: str) -> str:
        """Ask somebody whom newel does not know."""
        whom = Person(name=name, email="x@example.com") if name == "person" else "x@example.com"
        return (await form("ask", by=whom)).note

    async with build([unknown]) as house, house.worker():
        for name in ("person", "address"):
            run = await house.start("unknown", name)
            assert await house.rested(run) == "parked"
            assert (await house.row(run))["parked_reason"] == "bug"
    with pytest.raises(DefinitionError, match="evidence"):
        form("x", by=team("hr"), evidence="video")  # type: ignore[call-overload]  # what is tested
