"""How an incident ends: by probe, scout, schedule or person, and who goes on by themselves."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import timedelta

import pytest

from newel.base.errors import AuthFailed, Invalid, Throttled, Transient
from newel.domain.people import Person, Team
from newel.domain.retry import urgent
from newel.domain.values import Absent, Found
from newel.engine.cutting import BY_HAND
from newel.engine.healing import NAME
from newel.flow.process import process
from newel.flow.step import Step, step
from newel.testing.desk import TicketDesk
from tests.engine.house import OPERATOR
from tests.engine.outages import (
    GitHub,
    closed,
    healed,
    incidents,
    inviting,
    one,
    opened_circuit,
    rested,
    until_parked,
)


async def ending(house) -> list[str]:
    """By what the closed incidents ended, as the journal tells."""
    rows = await house.database.fetch(
        "select convert_from(entry, 'UTF8')::jsonb -> 'data' ->> 'healed_by' as by "
        "from newel.event where type = 'incident.closed' order by occurred_at"
    )
    return [row["by"] for row in rows]


async def all_closed(house) -> None:
    """Wait until no incident is open."""

    async def are() -> bool:
        return await one(house, "select count(*) from newel.incident where state <> 'closed'") == 0

    await house.until(are)


def broken(github: GitHub) -> None:
    """One operation fails while the system answers its probe."""
    github.failing = lambda _: Transient("503", operation="orgs/create-invitation")


async def test_a_fault_of_one_operation_keeps_its_rounds_and_ends_by_a_scout(build):
    """The probe wakes nobody; three rounds in an hour, one ticket, and a try each five minutes."""
    github = GitHub()
    broken(github)
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        began = await house.now()
        run = await house.start("invite", "ann")
        while await house.rested(run) != "parked":
            await house.move_to_next(run)
        assert timedelta(minutes=58) < await house.now() - began < timedelta(minutes=61)
        kinds = Counter(kind for kind, _ in await house.events(run))
        assert kinds["step.round_failed"] == 3

        async def narrowed() -> bool:
            return await incidents(house) == [
                ("github:cafe/outage:orgs/create-invitation", "escalated")
            ]

        await house.until(narrowed)
        assert github.failed_probes == 0
        calls = len(github.calls)
        await house.move(timedelta(minutes=6))

        async def scouted() -> bool:
            return len(github.calls) == calls + 1

        await house.until(scouted)
        assert await house.rested(run) == "parked"
        await house.until(narrowed)
        github.up()
        await house.move(timedelta(minutes=16))
        assert await house.ended(run) == "completed"
        await closed(house)
        assert await ending(house) == ["probe"]
        assert len(house.desk.opened) == 1
        kinds = Counter(kind for kind, _ in await house.events(run))
        assert kinds["step.round_failed"] == 3


async def test_an_outage_that_the_steps_own_round_ends_says_so(build):
    """The second round's burst succeeds before any probe is due: healed by the schedule."""
    github = GitHub()
    broken(github)
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        run = await house.start("invite", "ann")
        while "step.round_failed" not in [kind for kind, _ in await house.events(run)]:
            assert await house.rested(run) == "waiting"
            await house.move_to_next(run)
            await house.rested(run)

        async def narrowed() -> bool:
            return ":" in (await incidents(house))[0][0].partition("/")[2]

        await house.until(narrowed)
        await house.database.execute("update newel.incident set probe_at = probe_at + '1 hour'")
        github.up()
        await house.move_to_next(run)
        assert await house.ended(run) == "completed"
        await all_closed(house)
        assert await ending(house) == ["schedule"]


@pytest.mark.parametrize("verb", ["retry", "complete_by_hand"])
async def test_an_incident_that_a_person_ended_says_so(build, verb):
    """Whoever retries with success, or does the step by hand, has healed it."""
    github = GitHub()
    github.down(Transient("503"))
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        run = await house.start("invite", "ann")
        await until_parked(house, [run])
        if verb == "retry":
            github.failing = lambda _: None  # the probe has not noticed yet
            await house.engine.retry(run, "github.invite", actor=OPERATOR)
        else:
            await house.engine.complete_by_hand(
                run, "github.invite", "x", evidence="seen", actor=OPERATOR, reason="by hand"
            )
        house.poke()
        assert await house.ended(run) == "completed"
        await all_closed(house)
        assert await ending(house) == ["person"]


async def test_a_probe_that_fails_unforeseen_is_a_probe_that_fails(build):
    """A fault in a connector's probe ends neither the worker nor the incident."""
    github = GitHub()
    github.down()

    async def faulty() -> None:
        if github.probe_fails is not None:
            github.failed_probes += 1
            raise KeyError("typo in the probe")

    github.probe = faulty  # type: ignore[method-assign]  # as a connector may have it
    async with build([inviting(github)], systems=[github]) as house, house.worker() as worker:
        run = await house.start("invite", "ann")
        await until_parked(house, [run])
        assert worker.failure is None
        await healed(house, github, timedelta(minutes=2))
        assert await house.ended(run) == "completed"
        await closed(house)


@pytest.mark.parametrize("answer", [True, False])
async def test_a_step_parked_for_more_than_a_day_asks_before_it_goes_on(build, answer):
    """One task; a yes tries the step again, after a no it stays parked and nothing was called."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        run = await house.start("invite", "ann")
        await until_parked(house, [run])
        await house.move(timedelta(hours=25))
        calls = len(github.calls)
        await healed(house, github, timedelta(minutes=16))

        async def asked() -> bool:
            return await one(house, "select count(*) from newel.task where state = 'open'") == 1

        await house.until(asked)
        assert len(github.calls) == calls
        assert await house.rested(run) == "parked"
        asking = await house.database.fetchval("select id from newel.run where process = $1", NAME)
        actor = await house.engine.actor("it@acme.example", via="api")
        task = await house.task(asking)
        await house.engine.decide(task, approved=answer, actor=actor, comment="because")
        house.poke()
        assert await house.ended(asking) == "completed"
        if answer:
            assert await house.ended(run) == "completed"
            await closed(house)
            assert len(github.calls) == calls + 1
        else:
            assert await house.rested(run) == "parked"
            assert len(github.calls) == calls
        assert await one(house, "select count(*) from newel.run where process = $1", NAME) == 1


async def test_an_author_can_have_a_person_asked_always(build):
    """`on_heal="ask"`: a minute after the outage the step still waits for a word."""
    github = GitHub()
    github.down()

    @step(in_doubt="repeat", on_heal="ask")
    async def careful(who: str) -> None:
        await github.call(who)

    asking = Step(careful.function, "careful", careful.options, owner=github)

    @process(subject=None, owner="it")
    async def both(who: str) -> None:
        await asking(who)

    async with (
        build([both, inviting(github)], systems=[github]) as house,
        house.worker(),
    ):
        runs = [await house.start("both", "ann"), await house.start("invite", "bob")]
        await until_parked(house, runs)
        await healed(house, github, timedelta(minutes=2))
        assert await house.ended(runs[1]) == "completed"

        async def asked() -> bool:
            return await one(house, "select count(*) from newel.task where state = 'open'") == 1

        await house.until(asked)
        assert await house.rested(runs[0]) == "parked"
        assert github.effects == ["bob"]
        assert await incidents(house) == [("github:cafe/outage", "healed")]
        assert Team("it").name == await house.database.fetchval("select owner from newel.task")


@pytest.mark.parametrize("why", ["paused", "access"])
async def test_a_run_that_is_paused_or_whose_person_has_left_is_asked_about(build, why):
    """Whoever is not guarded against goes on by itself; about the other one a person is asked."""
    github = GitHub()
    github.down()

    @step(in_doubt="repeat", grants="account")
    async def admit(person: Person) -> None:
        await github.call(person.name)

    options = dataclasses.replace(admit.options, system="github")
    admitting = Step(admit.function, "admit", options, owner=github)

    @process(owner="it")
    async def arrive(person: Person) -> None:
        await admitting(person)

    @step(in_doubt="repeat", system="wiki", revokes="account")
    async def lock_out(person: Person) -> None:
        """Take other access away."""

    @process(owner="it")
    async def offboarding(person: Person) -> None:
        await lock_out(person)

    async with build([arrive, offboarding], systems=[github]) as house, house.worker():
        ann, bob = ({"name": name, "email": f"{name}@acme.example"} for name in ("ann", "bob"))
        runs = [await house.start("arrive", ann), await house.start("arrive", bob)]
        await until_parked(house, runs)
        if why == "paused":
            await house.engine.pause(runs[0], actor=OPERATOR, reason="wait")
        else:
            await house.ended(await house.start("offboarding", ann))
        await healed(house, github, timedelta(minutes=2))
        assert await house.ended(runs[1]) == "completed"

        async def asked() -> bool:
            return await one(house, "select count(*) from newel.task where state = 'open'") == 1

        await house.until(asked)
        said = await house.database.fetchval("select instructions from newel.task")
        assert {"paused": "its run is paused", "access": "has ended since"}[why] in said
        assert (await house.acts(runs[0]))["admit"]["state"] == "parked"
        assert github.effects == ["bob"]


async def test_a_relapse_belongs_to_the_same_incident(build):
    """The system fails again while the parked steps go on: one incident still, and one ticket."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        runs = [await house.start("invite", name) for name in ("ann", "bob", "cem")]
        await until_parked(house, runs)
        github.probe_fails = None
        github.failing = lambda _: Transient("503") if github.effects else None
        await house.move(timedelta(minutes=2))

        async def relapsed() -> bool:
            flaps = await one(house, "select sum(flaps) from newel.incident")
            return flaps >= 1 and await incidents(house) == [("github:cafe/outage", "escalated")]

        await house.until(relapsed)
        await rested(house, runs)
        calls = len(github.calls)
        assert len(github.effects) == 1
        assert calls < 40
        github.up()
        await house.move(timedelta(minutes=20))
        for run in runs:
            assert await house.ended(run) == "completed"
        await closed(house)
        assert len(house.desk.opened) == 1
        assert await one(house, "select count(*) from newel.incident") == 1


async def test_parked_steps_go_on_at_the_pace_that_the_system_allows(build):
    """Thirty steps, five admitted a minute: each is throttled at most a few times, none is lost."""
    github = GitHub()
    github.down()
    names = [f"p{number}" for number in range(30)]
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        runs = [await house.start("invite", name) for name in names]
        await until_parked(house, runs)
        budget = {"left": 5}

        def limited(_: str):
            if budget["left"] == 0:
                return Throttled("429", retry_after=timedelta(minutes=1))
            budget["left"] -= 1
            return None

        github.probe_fails, github.failing = None, limited
        before = len(github.calls)
        for _ in range(40):
            await house.move(timedelta(minutes=1, seconds=1))
            await rested(house, runs)
            budget["left"] = 5
            if await one(house, "select count(*) from newel.incident where state <> 'closed'") == 0:
                break
        for run in runs:
            assert await house.ended(run) == "completed"
        # Never more than twenty are on their way, so few calls are refused.
        assert len(github.calls) - before <= 30 + 20 * 12


async def test_a_step_that_parks_for_another_cause_leaves_the_incident(build):
    """Woken after the outage it turns out to be invalid: a person's matter, not the incident's."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        run = await house.start("invite", "ann")
        await until_parked(house, [run])
        github.probe_fails = None
        github.failing = lambda _: Invalid("no such name")
        await house.move(timedelta(minutes=2))
        await closed(house)
        assert await house.rested(run) == "parked"
        assert (await house.acts(run))["github.invite"]["reason"] == "invalid"
        assert github.calls.count("ann") == 22


async def test_an_urgent_step_keeps_trying_while_it_is_parked(build):
    """Every five minutes, uncounted, whatever the probe says; parked within five minutes."""
    github = GitHub()
    github.down()

    @step(in_doubt="repeat", retry=urgent)
    async def cut(who: str) -> None:
        await github.call(who)

    cutting = Step(cut.function, "cut", cut.options, owner=github)

    @process(subject=None, owner="it")
    async def offboard(who: str) -> None:
        await cutting(who)

    async with build([offboard], systems=[github]) as house, house.worker():
        began = await house.now()
        run = await house.start("offboard", "ann")
        await until_parked(house, [run])
        assert await house.now() - began <= timedelta(minutes=5)
        for _ in range(2):
            calls = len(github.calls)
            await house.move(timedelta(minutes=5, seconds=1))

            async def tried(wanted: int = calls + 1) -> bool:
                return len(github.calls) == wanted

            await house.until(tried)
            assert await house.rested(run) == "parked"
        github.failing = lambda _: None  # the probe fails still
        await house.move(timedelta(minutes=5, seconds=1))
        assert await house.ended(run) == "completed"
        await closed(house)
        kinds = Counter(kind for kind, _ in await house.events(run))
        assert kinds["step.round_failed"] == 3


class Chat(TicketDesk):
    """A channel that tells and tracks nothing."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        super().__init__("chat")
        self.is_tracker = False


def cutting(github, *, looks):
    """A process with one urgent step, that can see whether it is done or cannot."""

    async def look(who: str) -> Found[None] | Absent:
        return Found(None) if who in github.effects else Absent()

    @step(verify=look, retry=urgent)
    async def cut_and_look(who: str) -> None:
        if who not in github.effects:
            await github.call(who)

    @step(in_doubt="repeat", retry=urgent)
    async def cut_blindly(who: str) -> None:
        await github.call(who)

    chosen = cut_and_look if looks else cut_blindly
    bound = Step(chosen.function, "cut", chosen.options, owner=github, verify=chosen.verify)

    @process(subject=None, owner="it")
    async def offboard(who: str) -> None:
        await bound(who)

    return offboard


async def _by_hand(house):
    """The run that asks for work by hand, once it has asked."""

    async def asked() -> bool:
        return await one(house, "select count(*) from newel.task where state = 'open'") == 1

    await house.until(asked)
    return await house.database.fetchval("select id from newel.run where process = $1", BY_HAND)


@pytest.mark.parametrize("looks", [True, False])
async def test_access_that_is_not_cut_is_told_of_at_once_and_may_be_cut_by_hand(build, looks):
    """A notice after the first round, a task beside the ticket, two more notices; then the step
    looks for itself where it can, and is completed by hand where it cannot.
    """
    github, chat = GitHub(), Chat()
    github.down()
    process_ = cutting(github, looks=looks)
    async with build([process_], systems=[github], channels=[chat]) as house, house.worker():
        began = await house.now()
        run = await house.start("offboard", "ann")

        async def first() -> bool:
            return len(chat.opened) == 1

        await house.rested(run)
        while ("step.round_failed", "cut") not in await house.events(run):
            await house.move_to_next(run)
            await house.rested(run)
        await house.until(first)
        assert await house.now() - began < timedelta(seconds=50)
        assert "access is not cut yet" in chat.opened[0]
        await until_parked(house, [run])
        asking = await _by_hand(house)
        task = await house.task(asking)
        row = await house.database.fetchrow("select * from newel.task where id = $1", task)
        assert (row["title"], row["owner"]) == ("revoke by hand in GitHub", "it")
        assert ("looks the account up itself" in row["instructions"]) is looks
        for how_many, after in ((2, timedelta(minutes=15)), (3, timedelta(minutes=45))):
            await house.move(after + timedelta(seconds=1))

            async def told(wanted: int = how_many) -> bool:
                return sum("access is not cut yet" in each for each in chat.opened) == wanted

            await house.until(told)
        if looks:
            github.effects.append("ann")  # the person has done it
        actor = await house.engine.actor("it@acme.example", via="api")
        await house.engine.fill(task, None, actor=actor, note="closed the account by hand")
        house.poke()
        assert await house.ended(run) == "completed"
        assert await house.ended(asking) == "completed"
        kinds = {kind for kind, key in await house.events(run) if key == "cut"}
        assert ("step.completed_by_hand" in kinds) is not looks


async def test_work_by_hand_is_withdrawn_when_the_step_gets_through(build):
    """Whichever way ends first wins: the task closes without anybody's answer."""
    github = GitHub()
    github.down()
    offboard = cutting(github, looks=True)
    async with build([offboard], systems=[github]) as house, house.worker():
        run = await house.start("offboard", "ann")
        await until_parked(house, [run])
        asking = await _by_hand(house)
        github.failing = lambda _: None  # the probe fails still
        await house.move(timedelta(minutes=5, seconds=1))
        assert await house.ended(run) == "completed"
        assert await house.ended(asking) == "completed"
        assert await one(house, "select count(*) from newel.task where state = 'open'") == 0
        assert github.effects == ["ann"]


async def test_a_refused_credential_is_asked_about_every_ten_minutes_and_when_it_changes(build):
    """No probe follows a 401 at once; a new secret is tried without waiting."""
    github = GitHub()
    github.down(AuthFailed("401"))
    secret = ["old"]
    github.secret_version = lambda: secret[0]  # type: ignore[attr-defined]  # as connectors have
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        run = await house.start("invite", "ann")
        assert await house.rested(run) == "parked"
        await house.move(timedelta(minutes=9))
        assert github.failed_probes == 0
        await house.move(timedelta(minutes=2))

        async def asked() -> bool:
            return github.failed_probes == 1

        await house.until(asked)
        await rested(house, [run])
        github.up()
        secret[0] = "new"
        assert await house.ended(run) == "completed"
        await closed(house)


async def test_nothing_is_sent_with_a_refused_credential(build):
    """Who comes after the 401 parks without a call; a person may try; all go on when it works."""
    github = GitHub()
    github.down(AuthFailed("401"))
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        first = await house.start("invite", "ann")
        assert await house.rested(first) == "parked"
        await opened_circuit(house)
        later = await house.start("invite", "bob")
        assert await house.rested(later) == "parked"
        assert (await house.acts(later))["github.invite"]["reason"] == "auth-failed"
        assert Counter(github.calls) == {"ann": 1}
        await house.engine.retry(later, "github.invite", actor=OPERATOR)
        house.poke()

        async def called() -> bool:
            return github.calls.count("bob") == 1

        await house.until(called)
        assert await rested(house, [first, later]) == ["parked", "parked"]
        await healed(house, github, timedelta(minutes=11))
        for run in (first, later):
            assert await house.ended(run) == "completed"
        await closed(house)
        assert len(house.desk.opened) == 1


async def test_fifty_waiting_steps_cost_one_probe_a_minute(build):
    """Ten minutes of an outage that holds up fifty runs: at most one probe for each minute."""
    github = GitHub()
    github.down()
    made = build([inviting(github)], systems=[github])
    async with made as house, house.worker(), house.worker():
        first = await house.start("invite", "lead")
        for _ in range(7):
            await house.rested(first)
            await house.move_to_next(first)
        await opened_circuit(house)
        for number in range(50):
            await house.start("invite", f"p{number}")
        for _ in range(10):

            async def noted() -> bool:
                misses = await one(house, "select sum(probe_misses) from newel.incident")
                return misses >= github.failed_probes > 0

            await house.until(noted)
            probes = github.failed_probes
            await house.move(timedelta(seconds=61))

            async def probed(wanted: int = probes + 1) -> bool:
                return github.failed_probes >= wanted

            await house.until(probed)
            assert github.failed_probes == probes + 1
        assert Counter(github.calls).keys() == {"lead"}
