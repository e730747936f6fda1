"""Telling people: one ticket, the channels in turn, and what follows until the incident is over."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

from newel.base.errors import Forbidden, Transient
from newel.connectors.trackers.mail import mail
from newel.engine.desks import TrackerDesk
from newel.engine.ticketing import NAME, NEWS, Case, Issue
from newel.flow.process import process
from newel.flow.step import step
from newel.simulators import MailSimulator, serve
from tests.engine.house import Desk
from tests.engine.outages import GitHub, closed, healed, inviting, one, until_parked
from tests.patience import PATIENCE_S


def down(desk: Desk, error: Exception | None = None) -> None:
    """Let a channel fail whatever it is asked to open."""

    async def failing(case: Case) -> Issue:
        raise error or Transient("no answer")

    desk.open = failing  # type: ignore[method-assign]  # a channel that is down


async def telling(house):
    """The id of the incident's own run."""
    return await house.database.fetchval("select id from newel.run where process = $1", NAME)


async def told(house, desks) -> None:
    """Move the clock from moment to moment until one of the channels has been told."""
    run = await telling(house)
    for _ in range(40):
        if any(desk.opened for desk in desks):
            return
        await house.rested(run)
        await house.move_to_next(run)
        await house.rested(run)
    raise AssertionError(await house.told())


async def tickets(house) -> list[tuple[str, str]]:
    """Channel and state of all tickets."""
    rows = await house.database.fetch("select channel, state from newel.ticket order by 1")
    return [(row["channel"], row["state"]) for row in rows]


async def facts(house, kind: str) -> list[dict[str, Any]]:
    """The data of all facts of a kind."""
    rows = await house.database.fetch(
        "select convert_from(entry, 'UTF8')::jsonb -> 'data' as data from newel.event "
        "where type = $1 order by occurred_at",
        kind,
    )
    return [row["data"] for row in rows]


async def test_a_tracker_that_is_down_is_followed_by_the_next_channel_and_promoted_later(build):
    """Five minutes for the tracker, then chat; when the tracker answers, it gets the issue."""
    github, chat = GitHub(), Desk("chat:1", "chat", is_tracker=False)
    github.down()
    async with (
        build([inviting(github)], systems=[github], channels=[chat]) as house,
        house.worker(),
    ):
        tracker = house.desk
        real = tracker.open
        down(tracker)
        run = await house.start("invite", "ann")
        await until_parked(house, [run])
        began = await house.now()
        await told(house, [chat])
        assert await house.now() - began < timedelta(minutes=6)
        assert await tickets(house) == [("chat", "open")]
        failed = await facts(house, "incident.ticket_failed")
        assert [each["tracker"] for each in failed] == ["desk"]
        assert [each["channel"] for each in await facts(house, "incident.ticketed")] == ["fallback"]
        tracker.open = real
        await told(house, [tracker])
        assert await house.now() - began < timedelta(minutes=20)
        await healed(house, github, timedelta(minutes=11))
        assert await house.ended(run) == "completed"
        await closed(house)
        assert await house.ended_in_time(await telling(house)) == "completed"
        assert (chat.closed, tracker.closed) == (["OPS-1"], ["OPS-1"])
        assert [each.partition("/")[2] for each in chat.comments] == ["promoted"]
        assert tracker.links == {"OPS-1": [house.reference(run)]}


async def test_a_channel_that_shares_the_outage_is_skipped_at_once(build):
    """The tracker is the system that is down: nobody waits five minutes to find that out."""
    github, other = GitHub(), Desk("other:1", "other")
    github.down()
    async with (
        build([inviting(github)], systems=[github], channels=[other]) as house,
        house.worker(),
    ):
        house.desk.credential = github.credential
        run = await house.start("invite", "ann")
        await until_parked(house, [run])

        async def opened() -> bool:
            return len(other.opened) == 1

        await house.until(opened)
        assert house.desk.opened == []


async def test_where_every_channel_refuses_the_inbox_takes_it(build):
    """A permission that is missing is no end: a task for IT is opened, and withdrawn at the end."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        down(house.desk, Forbidden("403"))
        run = await house.start("invite", "ann")
        await until_parked(house, [run])
        ours = await telling(house)

        async def asked() -> bool:
            return await one(house, "select count(*) from newel.task where state = 'open'") == 1

        for _ in range(30):
            await house.rested(ours)
            if await asked() or (await house.row(ours))["wake_at"] is None:
                break
            await house.move_to_next(ours)
            await house.rested(ours)
        await house.until(asked)
        assert await tickets(house) == [("inbox", "open")]
        assert await house.database.fetchval("select owner from newel.task") == "it"
        await healed(house, github, timedelta(minutes=2))
        assert await house.ended(run) == "completed"
        assert await house.ended_in_time(ours) == "completed"
        assert await tickets(house) == [("inbox", "closed")]

        async def withdrawn() -> bool:
            return not await asked()

        await house.until(withdrawn)


async def test_twelve_runs_of_one_outage_are_twelve_links_of_one_issue(build):
    """Each that waits is linked once; comments come when their number has doubled, and rarely."""
    github = GitHub()
    github.down()
    names = [f"p{number}" for number in range(12)]
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        runs = [await house.start("invite", name) for name in names[:3]]
        await until_parked(house, runs)

        async def linked(many: int) -> None:
            async def are() -> bool:
                return len(house.desk.links.get("OPS-1", [])) == many

            await house.until(are)

        await linked(3)
        runs += [await house.start("invite", names[3])]
        await house.rested(runs[3])
        await house.move(timedelta(minutes=1))  # so often it is told who waits
        await linked(4)  # told just now: the next are told all at once, a minute later
        runs += [await house.start("invite", name) for name in names[4:]]
        for run in runs[4:]:
            await house.rested(run)
        await house.move(timedelta(minutes=12))
        await linked(12)

        async def commented() -> bool:
            return house.desk.comments == ["OPS-1/waiting-12"]

        await house.until(commented)
        assert sorted(house.desk.links["OPS-1"]) == sorted(house.reference(run) for run in runs)
        await healed(house, github, timedelta(minutes=2))
        for run in runs:
            assert await house.ended(run) == "completed"
        await closed(house)
        assert (len(house.desk.opened), len(house.desk.issues)) == (1, 1)
        assert house.desk.comments == ["OPS-1/waiting-12", "OPS-1/over"]
        assert "12 resumed, 0 open" in house.desk.texts[-1]


async def test_the_ticket_tells_what_is_needed_and_nothing_personal(build):
    """System, class, status, request, rounds and the run; an address in a message is left out."""
    github = GitHub()
    github.down(Transient("no answer for ann@acme.example", status=503, request_id="ABCD:1"))
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        run = await house.start("invite", "ann")
        await until_parked(house, [run])

        async def opened() -> bool:
            return len(house.desk.cases) == 1

        await house.until(opened)
        case = house.desk.cases[0]
        assert case.title.startswith("[newel] github: no answer since ")
        for part in ("GitHub: no answer", "transient", "status 503", "request ABCD:1", "3 rounds"):
            assert part in case.body
        assert house.reference(run) in case.body
        assert "ann" not in case.body


async def test_the_same_cause_within_a_day_opens_the_same_ticket_again(build):
    """Not a second issue: the first is opened again, told of the relapse, and closed again."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        first = await house.start("invite", "ann")
        await until_parked(house, [first])
        await healed(house, github, timedelta(minutes=2))
        assert await house.ended(first) == "completed"
        await closed(house)
        await house.move(timedelta(hours=5))
        github.down()
        again = await house.start("invite", "bob")
        await until_parked(house, [again])

        async def reopened() -> bool:
            return house.desk.reopened == ["OPS-1"]

        await house.until(reopened)
        await healed(house, github, timedelta(minutes=2))
        assert await house.ended(again) == "completed"
        await closed(house, 2)
        assert len(house.desk.opened) == 1
        assert house.desk.comments == ["OPS-1/over", "OPS-1/again", "OPS-1/over"]


async def test_a_ticket_made_in_doubt_is_swept_for_a_second_one(build):
    """A second one was risked after a lost answer: ten minutes later it is looked for."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house:
        posted = asyncio.Event()
        real, found = house.desk.open, house.desk.find

        async def dying(case: Case) -> Issue:
            posted.set()
            await asyncio.Event().wait()
            raise AssertionError

        async def hidden(case: Case) -> None:
            return None

        house.desk.open, house.desk.find = dying, hidden
        async with house.doomed():
            run = await house.start("invite", "ann")
            await until_parked(house, [run])
            await asyncio.wait_for(posted.wait(), PATIENCE_S)
        house.desk.open = real
        async with house.worker():
            ours = await telling(house)
            for _ in range(12):
                await house.rested(ours)
                if house.desk.swept:
                    break
                await house.move_to_next(ours)
                await house.rested(ours)
            assert house.desk.swept == ["OPS-1"]
            assert len(house.desk.opened) == 1
        house.desk.find = found


async def test_a_company_can_tell_people_in_its_own_way(build):
    """A process of the name `newel.incident` stands where the built-in one did."""
    github, said = GitHub(), []
    github.down()

    @step(in_doubt="repeat")
    async def say(text: str) -> None:
        said.append(text)

    @process(name=NAME, title="Our way", subject=None, owner="it")
    async def ours(case: Case) -> None:
        """Say it, and wait for the end."""
        await say(case.title)
        while (await NEWS.wait(match=case.incident)).kind != "over":
            pass
        await say["over"]("over")

    async with build([inviting(github), ours], systems=[github]) as house, house.worker():
        run = await house.start("invite", "ann")
        await until_parked(house, [run])
        await healed(house, github, timedelta(minutes=2))
        assert await house.ended(run) == "completed"
        assert await house.ended_in_time(await telling(house)) == "completed"
        assert (said[0].startswith("[newel] github"), said[1:]) == (True, ["over"])
        assert house.desk.opened == []


async def test_mail_takes_over_where_the_tracker_is_down(build):
    """One mail by real SMTP, and one in its thread at the end; no name and no address inside."""
    github, server = GitHub(), MailSimulator()
    github.down()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(serve([server]))
        told = server.credentials()
        channel = TrackerDesk(
            mail(
                "oncall@acme.example",
                sender="newel@acme.example",
                host=told["MAIL_HOST"],
                port=int(told["MAIL_PORT"]),
            ),
            console_url="https://newel.acme.example/",
        )
        house = await stack.enter_async_context(
            build([inviting(github)], systems=[github], channels=[channel])
        )
        await stack.enter_async_context(house.worker())
        down(house.desk)
        run = await house.start("invite", "ann")
        await until_parked(house, [run])
        ours = await telling(house)
        for _ in range(30):
            if server.mails():
                break
            await house.rested(ours)
            await house.move_to_next(ours)
            await house.rested(ours)
        [opened] = server.mails()
        retry = f"Retry: https://newel.acme.example/runs/{house.reference(run)}/retry"
        assert retry in opened["text"]
        await healed(house, github, timedelta(minutes=2))
        assert await house.ended(run) == "completed"
        assert await house.ended_in_time(ours) == "completed"
        _, over = server.mails()
        assert over["references"] == [opened["message_id"]]
        assert await tickets(house) == [("mail:oncall", "closed")]
        assert all("ann@" not in each["source"] for each in server.mails())
        assert server.book.doubled() == {}
