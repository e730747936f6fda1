"""Events from outside: matched by name and correlation, kept in order or lost, taken once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from newel.base.errors import DefinitionError, InvalidInput, NotFound, NotJournalable, Overdue
from newel.engine.verifying import Trusted, verified
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.regions import section
from newel.flow.waits import Event
from newel.store.database import whole
from tests.engine.house import OPERATOR
from tests.engine.test_waits import result


@dataclass(frozen=True)
class Payment:
    """What the bank says."""

    reference: str
    cents: int = 0


paid = Event("paid", Payment)
rang = Event("rang", Payment, buffered=False)


@process(owner="finance", subject=None)
async def settling(match: str) -> str:
    """Three payments, one in a section, one of many, with a deadline on the last."""
    first = await paid.wait(match=match)
    with section("second"):
        second = await paid[7].wait(match=match)
    try:
        third = await paid["late"].wait(match=match, within=timedelta(days=1))
    except Overdue as late:
        return f"{first.reference} {second.reference} {late.key}"
    return f"{first.reference} {second.reference} {third.reference}"


@process(owner="finance", subject=None)
async def listening(times: int) -> int:
    """Waits for a ring that nobody keeps, sent to this run."""
    heard = [(await rang.wait()).cents for _ in range(times)]
    return sum(heard)


@process(owner="finance", subject=None)
async def both(match: str) -> str:
    """Two branches wait for the same event."""
    one, other = await parallel(paid["a"].wait(match=match), paid["b"].wait(match=match))
    return "".join(sorted(one.reference + other.reference))


async def test_kept_messages_are_taken_in_the_order_in_which_they_came(build):
    """They came before anybody waited; each wait takes one, in sections and with items too."""
    async with build([settling]) as house:
        for name in "abc":
            sent = await house.engine.send(paid, Payment(name), match="F1", actor=OPERATOR)
            assert (sent.fate, sent.is_new) == ("kept", True)
        async with house.worker():
            run = await house.start("settling", "F1")
            assert await house.ended(run) == "completed"
            assert await result(house, run) == "a b c"


async def test_a_message_sent_twice_is_one(build):
    """The second is told what became of the first; another message under the id is refused."""
    async with build([settling]) as house, house.worker():
        run = await house.start("settling", "F2")
        assert await house.rested(run) == "waiting"
        sent = [
            await house.engine.send(paid, Payment("a"), match="F2", event_id="e1", actor=OPERATOR)
            for _ in range(2)
        ]
        assert [(each.fate, each.is_new, each.run) for each in sent] == [
            ("delivered", True, run),
            ("delivered", False, run),
        ]
        with pytest.raises(InvalidInput, match="event_id"):
            await house.engine.send(paid, Payment("b"), match="F2", event_id="e1", actor=OPERATOR)
        house.poke()
        await house.rested(run)
        assert set(await house.acts(run)) == {"second/paid[7]"}


async def test_an_event_wait_ends_at_its_deadline(build):
    """Overdue is raised with the wait's key; a message that comes afterwards is kept."""
    async with build([settling]) as house, house.worker():
        for name in "ab":
            await house.engine.send(paid, Payment(name), match="F3", actor=OPERATOR)
        run = await house.start("settling", "F3")

        async def stands_at_the_last() -> bool:
            return set(await house.acts(run)) == {"paid[late]"}

        await house.until(stands_at_the_last)
        await house.move(timedelta(days=1, seconds=1))
        assert await house.ended(run) == "completed"
        assert await result(house, run) == "a b paid[late]"
        sent = await house.engine.send(paid, Payment("c"), match="F3", actor=OPERATOR)
        assert sent.fate == "kept"


async def test_what_nobody_waits_for_is_lost_where_it_is_not_kept(build):
    """The sender is told, an audit event tells of it, and it is never delivered later."""
    async with build([listening]) as house, house.worker():
        run = await house.start("listening", 2)
        assert await house.rested(run) == "waiting"
        first = await house.engine.send(rang, Payment("a", 5), to=run, actor=OPERATOR)
        lost = await house.engine.send(
            rang, Payment("a", 100), match="nobody", event_id="e9", source="bell", actor=OPERATOR
        )
        again = await house.engine.send(
            rang, Payment("a", 100), match="nobody", event_id="e9", source="bell", actor=OPERATOR
        )
        assert (first.is_delivered, lost.is_delivered, lost.fate) == (True, False, "lost")
        assert (again.fate, again.is_new) == ("lost", False)
        house.poke()
        assert await house.rested(run) == "waiting"
        await house.engine.send(rang, Payment("b", 7), to=run, actor=OPERATOR)
        house.poke()
        assert await house.ended(run) == "completed"
        assert await result(house, run) == 12
        told = await house.database.fetch(
            "select convert_from(e.entry, 'UTF8')::jsonb -> 'data' as data from newel.event e "
            "join newel.audit_stream s on s.id = e.stream_id where s.name = 'system/bell'"
        )
        assert [row["data"] for row in told] == [
            {"source": "bell", "cause": "nobody-waits", "n": 1, "window_s": 0}
        ]


@pytest.mark.parametrize("source", ["the bell/at the 🚪", "", "/ /"])
async def test_whoever_sends_the_log_stays_readable(build, database, source):
    """A sender may be called anything: the stream that tells of it has a name the log can have."""
    async with build([listening]) as house:
        lost = await house.engine.send(
            rang, Payment("a", 1), match="nobody", source=source, actor=OPERATOR
        )
        assert lost.fate == "lost"
        async with whole(database):
            report = await verified(database, Trusted(policy=None))
        assert [each for each in report.findings if each["result"] == "fail"] == []


async def test_two_waits_for_one_event_take_two_messages(build):
    """Sent at once by many, each message is taken by one wait and each wait takes one."""
    async with build([both]) as house, house.worker():
        run = await house.start("both", "F4")
        assert await house.rested(run) == "waiting"
        await asyncio.gather(
            *(
                house.engine.send(paid, Payment(name), match="F4", actor=OPERATOR)
                for name in ("x", "y")
            )
        )
        house.poke()
        assert await house.ended(run) == "completed"
        assert await result(house, run) == "xy"
        taken = await house.database.fetchval(
            "select count(*) from newel.inbox where taken_by = $1", run
        )
        assert taken == 2


async def test_a_payload_is_validated_before_it_is_kept(build):
    """By type for code, by field for documents; unknown events, runs and no address are refused."""
    async with build([settling]) as house:
        send = house.engine.send_document
        with pytest.raises(InvalidInput) as wrong:
            await send("paid", {"reference": 7}, match="F5", actor=OPERATOR)
        assert set(wrong.value.fields) == {"reference"}
        with pytest.raises(NotFound):
            await send("unheard-of", {}, match="F5", actor=OPERATOR)
        with pytest.raises(InvalidInput, match="match"):
            await send("paid", {"reference": "a"}, actor=OPERATOR)
        with pytest.raises(NotFound):
            await send(
                "paid", {"reference": "a"}, to=house.engine.vault.ids().new(), actor=OPERATOR
            )
        with pytest.raises(NotJournalable):
            await house.engine.send(paid, Payment(5), match="F5", actor=OPERATOR)  # type: ignore[arg-type]
        assert await house.database.fetchval("select count(*) from newel.inbox") == 0


async def test_one_name_is_one_event(build):
    """Two events of one name with different payloads are refused when the code is registered."""
    twin = Event("paid", int)

    @process(owner="finance", subject=None)
    async def other(match: str) -> int:
        """Waits for the twin."""
        return await twin.wait(match=match)

    with pytest.raises(DefinitionError, match="Two events are named `paid`"):
        async with build([settling, other]):
            pass
