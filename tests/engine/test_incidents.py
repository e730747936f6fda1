"""Incidents: one cause, one ticket, and everybody goes on when it is over."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from newel.base.errors import (
    AuthFailed,
    ContractDrift,
    Forbidden,
    Invalid,
    NoCapacity,
    NotReady,
    NotWaiting,
    OwnershipConflict,
    StepFailed,
    Throttled,
    Transient,
)
from newel.domain.retry import urgent
from newel.engine.ticketing import NAME, Case, Issue
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.step import Step, step
from newel.flow.waits import timer
from newel.store import incidents as probes
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
from tests.patience import PATIENCE_S

FIVE = ["ann", "bob", "cem", "dia", "eve"]


async def start_all(house, names=FIVE):
    """Start one run for each name, one after another."""
    return [await house.start("invite", name) for name in names]


async def test_five_runs_of_one_outage_share_one_incident_and_one_ticket(build):
    """Each fails three rounds, the lead step alone makes its calls, one ticket tells of all."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        runs = await start_all(house)
        await until_parked(house, runs)
        assert await incidents(house) == [("github:cafe/outage", "escalated")]
        members = await one(
            house, "select count(*) from newel.open_act where incident_id is not null"
        )
        assert members == 5
        for run in runs:
            kinds = Counter(kind for kind, _ in await house.events(run))
            assert kinds["step.round_failed"] == 3
            assert kinds["step.parked"] == 1
        calls = Counter(github.calls)
        # The others call in their first round alone, until they hear of the outage.
        assert max(calls.values()) == 21
        assert sorted(calls.values())[-2] <= 7

        async def ticketed() -> bool:
            return await one(house, "select count(*) from newel.ticket") == 1

        await house.until(ticketed)
        assert len(house.desk.opened) == 1
        kinds = await house.database.fetch(
            "select e.type from newel.event e join newel.audit_stream s on s.id = e.stream_id "
            "where s.name = 'system/github' order by e.seq"
        )
        assert [row["type"] for row in kinds] == [
            "incident.opened",
            *["incident.attached"] * 4,
            "incident.ticketed",
        ]
        await healed(house, github, timedelta(minutes=2))
        for run in runs:
            assert await house.ended(run) == "completed"
        assert sorted(github.effects) == FIVE
        await closed(house)
        assert (house.desk.comments, house.desk.closed) == (["OPS-1/over"], ["OPS-1"])
        assert await incidents(house) == [("github:cafe/outage", "closed")]


async def test_a_step_that_meets_a_known_outage_joins_before_its_first_call(build):
    """Whoever comes later makes no call at all until the system has healed."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        first = await house.start("invite", "ann")
        await until_parked(house, [first])
        await opened_circuit(house)
        later = await house.start("invite", "bob")
        assert await house.rested(later) == "waiting"
        assert github.calls.count("bob") == 0
        assert await one(house, "select count(*) from newel.incident") == 1
        await healed(house, github, timedelta(minutes=2))
        for run in (first, later):
            assert await house.ended(run) == "completed"
        assert sorted(github.effects) == ["ann", "bob"]
        assert Counter(github.calls)["bob"] == 1
        await closed(house)


async def test_a_paused_system_is_not_probed(build):
    """An open incident asks nothing of a system that is left alone; resumed, it asks again."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house:
        async with house.worker():
            await until_parked(house, [await house.start("invite", "ann")])
            await house.engine.systems.pause("github", actor=OPERATOR, reason="it moves")
        await house.move(timedelta(hours=1))
        pauses = timedelta(minutes=2), timedelta(seconds=30)
        assert await probes.take_due_probes(house.database, *pauses) == []
        await house.engine.systems.resume("github", actor=OPERATOR, reason="it has moved")
        assert len(await probes.take_due_probes(house.database, *pauses)) == 1


async def test_what_a_probe_is_told_is_kept_without_the_systems_words(build):
    """Status and code say enough, and a code that PostgreSQL cannot hold stops nobody's look."""
    github = GitHub()
    github.down()
    github.probe_fails = Transient("Ann O'Quill is ill", status=503, code="a\0b")
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        await until_parked(house, [await house.start("invite", "ann")])
        before = await one(house, "select probe_misses from newel.incident")
        await house.move(timedelta(minutes=16))

        async def missed() -> bool:
            return await one(house, "select probe_misses from newel.incident") > before

        await house.until(missed)
        said = await house.database.fetchval("select last_error from newel.incident")
        assert said == "The system answered 503 (a?b) when it was asked whether it is well"


async def test_an_outage_of_57_minutes_ends_without_a_ticket(build):
    """Two rounds fail, the probe finds the system well, and the step completes; nobody is told."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        began = await house.now()
        run = await house.start("invite", "ann")
        while True:
            assert await house.rested(run) == "waiting"
            row = await house.row(run)
            if row["wake_at"] - began > timedelta(minutes=57):
                break
            await house.move_to_next(run)
            if await one(house, "select count(*) from newel.incident"):
                await opened_circuit(house)
        kinds = Counter(kind for kind, _ in await house.events(run))
        assert kinds["step.round_failed"] == 2
        now = await house.now()
        await healed(house, github, began + timedelta(minutes=57, seconds=2) - now)
        assert await house.ended(run) == "completed"

        async def over() -> bool:
            return await incidents(house) == [("github:cafe/outage", "closed")]

        await house.until(over)
        assert house.desk.opened == []
        assert github.effects == ["ann"]
        assert await one(house, "select count(*) from newel.run where process = $1", "invite") == 1
        assert await one(house, "select count(*) from newel.run") == 1


async def test_a_system_that_flaps_is_not_stormed(build):
    """The probe answers and the lead step still fails: nobody else calls, and no round counts."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        runs = await start_all(house)
        await until_parked(house, runs)
        before = Counter(github.calls)
        github.probe_fails = None
        for turn in range(3):
            await house.move(timedelta(minutes=20))

            async def tried(wanted: int = sum(before.values()) + turn + 1) -> bool:
                return len(github.calls) == wanted

            await house.until(tried)
            await rested(house, runs)

            async def watched() -> bool:
                return await incidents(house) == [("github:cafe/outage", "escalated")]

            await house.until(watched)
        extra = Counter(github.calls) - before
        assert sum(extra.values()) == 3
        assert len(extra) == 1
        for run in runs:
            kinds = Counter(kind for kind, _ in await house.events(run))
            assert kinds["step.round_failed"] == 3
        await healed(house, github, timedelta(minutes=20))
        for run in runs:
            assert await house.ended(run) == "completed"
        assert sorted(github.effects) == FIVE
        await closed(house)
        assert len(house.desk.opened) == 1


@pytest.mark.parametrize("verb", ["retry", "skip", "complete_by_hand", "cancel"])
async def test_what_an_operator_does_to_the_lead_step_hands_the_lead_over(build, verb):
    """The incident stays with those who are left, and all of them go on when it heals."""
    github = GitHub()
    github.down()

    @process(subject=None, owner="it")
    async def invite(who: str) -> None:
        """Invite somebody; nobody needs the answer."""
        await github.invite(who)

    async with build([invite], systems=[github]) as house, house.worker():
        runs = await start_all(house, FIVE[:3])
        await until_parked(house, runs)
        lead = await house.database.fetchval("select lead_run from newel.incident")
        others = [run for run in runs if run != lead]
        match verb:
            case "retry":
                await house.engine.retry(lead, "github.invite", actor=OPERATOR)
                house.poke()
                assert await house.rested(lead) == "waiting"
            case "skip":
                await house.engine.skip(lead, "github.invite", actor=OPERATOR, reason="no need")
                house.poke()
                assert await house.ended(lead) == "completed"
            case "complete_by_hand":
                await house.engine.complete_by_hand(
                    lead, "github.invite", "x", evidence="seen", actor=OPERATOR, reason="by hand"
                )
                house.poke()
                assert await house.ended(lead) == "completed"
            case _:
                await house.engine.cancel(lead, actor=OPERATOR, reason="no need")
                house.poke()
                assert await house.ended(lead) == "cancelled"
        if verb != "retry":

            async def handed() -> bool:
                found = await house.database.fetchval("select lead_run from newel.incident")
                return found in others

            await house.until(handed)
        assert await rested(house, others) == ["parked", "parked"]
        await healed(house, github, timedelta(minutes=6))
        for run in others:
            assert await house.ended(run) == "completed"
        assert await house.ended(lead) == ("cancelled" if verb == "cancel" else "completed")
        assert len(github.effects) == (3 if verb == "retry" else 2)
        await closed(house)
        assert len(house.desk.opened) == 1


async def test_a_worker_that_dies_between_the_tickets_post_and_the_commit_leaves_one_issue(build):
    """The next worker looks for the issue by its mark before it makes a second one."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house:
        posted = asyncio.Event()
        real = house.desk.open

        async def dying(case: Case) -> Issue:
            await real(case)
            posted.set()
            await asyncio.Event().wait()
            raise AssertionError

        house.desk.open = dying
        async with house.doomed():
            run = await house.start("invite", "ann")
            await until_parked(house, [run])
            await asyncio.wait_for(posted.wait(), PATIENCE_S)
        house.desk.open = real
        async with house.worker():

            async def ticketed() -> bool:
                return await one(house, "select count(*) from newel.ticket") == 1

            await house.until(ticketed)
            assert len(house.desk.issues) == 1
            assert len(house.desk.opened) == 1
            await healed(house, github, timedelta(minutes=2))
            assert await house.ended(run) == "completed"
            await closed(house)


async def test_a_tracker_that_is_down_as_well_gets_its_ticket_later(build):
    """Opening the ticket is a step like any other: it is tried again until the tracker answers."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        real = house.desk.open
        failures = 0

        async def down(case: Case) -> Issue:
            nonlocal failures
            failures += 1
            raise Transient("no answer")

        house.desk.open = down
        run = await house.start("invite", "ann")
        await until_parked(house, [run])
        ticketing = await house.database.fetchval(
            "select id from newel.run where process = 'newel.incident'"
        )
        assert await house.rested(ticketing) == "waiting"
        for _ in range(8):
            await house.move_to_next(ticketing)
            assert await house.rested(ticketing) == "waiting"
        assert failures >= 8
        assert house.desk.opened == []
        house.desk.open = real
        await house.move_to_next(ticketing)

        async def ticketed() -> bool:
            return await one(house, "select count(*) from newel.ticket") == 1

        await house.until(ticketed)
        await healed(house, github, timedelta(minutes=2))
        assert await house.ended(run) == "completed"
        await closed(house)
        assert house.desk.closed == ["OPS-1"]


@pytest.mark.parametrize(
    ("error", "reason", "fingerprint"),
    [
        (AuthFailed("401"), "auth-failed", "github:cafe/auth"),
        (Forbidden("403", missing="members"), "forbidden", "github:cafe/permission:members"),
        (NoCapacity("full", what="seats"), "no-capacity", "github:cafe/capacity:seats"),
        (ContractDrift("id", operation="invite"), "contract-drift", "github:cafe/drift:invite"),
        (None, "bug", "bug:invite:1:github.invite:Bug"),
    ],
)
async def test_what_no_repetition_can_mend_parks_at_once_with_one_incident(
    build, error, reason, fingerprint
):
    """One call for each run, one incident for the cause, one ticket; a retry of all goes on."""
    github = GitHub()

    def failing(_: str):
        if error is None:
            raise KeyError("typo")
        return error

    github.failing = failing
    github.probe_fails = error if isinstance(error, AuthFailed) else None
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        runs = await start_all(house, FIVE[:2])
        assert await rested(house, runs) == ["parked", "parked"]
        assert Counter(github.calls) == Counter(FIVE[:2])
        for run in runs:
            assert (await house.acts(run))["github.invite"]["reason"] == reason
            assert (await house.row(run))["parked_reason"] == reason
        assert await incidents(house) == [(fingerprint, "escalated")]

        async def ticketed() -> bool:
            return await one(house, "select count(*) from newel.ticket") == 1

        await house.until(ticketed)
        github.up()
        for run in runs:
            try:
                await house.engine.retry(run, "github.invite", actor=OPERATOR)
            except NotWaiting:
                assert isinstance(error, AuthFailed)
            house.poke()
        for run in runs:
            assert await house.ended(run) == "completed"
        await closed(house)
        assert len(house.desk.opened) == 1
        assert sorted(github.effects) == FIVE[:2]


async def test_a_credential_that_works_again_frees_its_steps_by_itself(build):
    """The check of an auth incident shows that it is over: the parked steps resume."""
    github = GitHub()
    github.down(AuthFailed("401"))
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        runs = await start_all(house, FIVE[:2])
        assert await rested(house, runs) == ["parked", "parked"]
        await healed(house, github, timedelta(minutes=11))
        for run in runs:
            assert await house.ended(run) == "completed"
        await closed(house)


@pytest.mark.parametrize("error", [Invalid("x"), OwnershipConflict("x")])
async def test_what_concerns_one_persons_data_makes_no_incident(build, error):
    """Invalid data and a conflict of ownership park for a person, without ticket."""
    github = GitHub()
    github.failing = lambda _: error
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        run = await house.start("invite", "ann")
        assert await house.rested(run) == "parked"
        assert await incidents(house) == []
        assert house.desk.opened == []
        assert await one(house, "select count(*) from newel.run") == 1


async def test_what_is_not_ready_yet_is_tried_again(build):
    """An object that was just made and cannot be seen yet costs a second, not a person."""
    github = GitHub()
    answers = [NotReady("not yet"), NotReady("not yet"), None]
    github.failing = lambda _: answers.pop(0)
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        run = await house.start("invite", "ann")
        for _ in range(2):
            assert await house.rested(run) == "waiting"
            await house.move_to_next(run)
        assert await house.ended(run) == "completed"
        kinds = Counter(kind for kind, _ in await house.events(run))
        assert (kinds["step.attempt_failed"], kinds["step.round_failed"]) == (2, 0)
        assert await incidents(house) == []


async def test_a_stated_reset_is_waited_for_and_fails_nothing(build):
    """429 with a moment: the step waits until then, no round fails, no incident opens."""
    github = GitHub()
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        reset = await house.now() + timedelta(minutes=40)
        answers = [Throttled("429", retry_at=reset), None]
        github.failing = lambda _: answers.pop(0)
        run = await house.start("invite", "ann")
        assert await house.rested(run) == "waiting"
        assert (await house.row(run))["wake_at"] == reset
        await house.move_to_next(run)
        assert await house.ended(run) == "completed"
        kinds = Counter(kind for kind, _ in await house.events(run))
        assert kinds["step.round_failed"] == 0
        assert await incidents(house) == []


async def test_a_step_that_asked_for_failure_gives_up_without_a_ticket(build):
    """`exhausted="fail"`: after the third round the process gets StepFailed, live and replayed."""
    seen: list[object] = []

    @step(in_doubt="repeat", exhausted="fail")
    async def brittle() -> None:
        raise Transient("503")

    @process(subject=None, owner="it")
    async def careful() -> str:
        try:
            await brittle()
        except StepFailed as failed:
            seen.append((failed.key, failed.failures))
            await timer("pause", after=timedelta(days=1))
            return "instead"
        return "done"

    async with build([careful], reads=False) as house, house.worker():
        run = await house.start("careful")
        while "pause" not in await house.acts(run):
            assert await house.rested(run) == "waiting"
            await house.move_to_next(run)
            await house.rested(run)
        await house.move_to_next(run)
        assert await house.ended(run) == "completed"
        assert seen == [("brittle", ("503",))] * 2
        assert house.desk.opened == []
        failed = [leaf for leaf in await house.leaves(run) if leaf["type"] == "step.failed"]
        assert [leaf["data"]["cause"] for leaf in failed] == ["given_up"]


async def test_others_of_the_same_run_go_on_while_one_system_is_down(build):
    """Four branches end, one parks; the run is parked only when nothing else can move."""
    github = GitHub()
    github.down()

    @step(in_doubt="repeat")
    async def fine(name: str) -> str:
        return name

    @process(subject=None, owner="it")
    async def onboarding() -> tuple[str, ...]:
        return await parallel(
            fine["google"]("g"), fine["slack"]("s"), fine["jira"]("j"), github.invite("ann")
        )

    async with build([onboarding], systems=[github]) as house, house.worker():
        run = await house.start("onboarding")
        await until_parked(house, [run])
        assert list(await house.acts(run)) == ["github.invite"]
        done = [key for kind, key in await house.events(run) if kind == "step.succeeded"]
        assert sorted(str(key) for key in done) == ["fine[google]", "fine[jira]", "fine[slack]"]
        await healed(house, github, timedelta(minutes=2))
        assert await house.ended(run) == "completed"


async def test_two_steps_that_give_up_at_the_same_moment_raise_one_ticket(build):
    """Both have read that nobody has escalated yet: one of them is told to look again."""
    github = GitHub()
    github.down()

    @step(in_doubt="repeat", retry=urgent)
    async def cut(who: str) -> None:
        raise Transient("503")

    cutting = Step(cut.function, "cut", cut.options, owner=github)

    @process(subject=None, owner="it")
    async def offboard(who: str) -> None:
        await cutting(who)

    async with build([offboard], systems=[github]) as house, house.worker() as worker:
        runs = [await house.start("offboard", name) for name in ("ann", "bob")]
        while True:
            await rested(house, runs)
            rows = [await house.row(run) for run in runs]
            acts = [(await house.acts(run))["cut"] for run in runs]
            if min(act["detail"]["progress"]["slot"] for act in acts) == 5 and {
                act["detail"]["progress"]["round"] for act in acts
            } == {3}:
                break
            latest = max(row["wake_at"] for row in rows)
            await house.move(latest - rows[0]["as_of"] + timedelta(milliseconds=1))
        both_have_read, read = asyncio.Event(), []
        real = worker.incidents.view

        async def together(*facts):
            found = await real(*facts)
            read.append(found.row["state"])
            if len(read) == 2:
                both_have_read.set()
            await asyncio.wait_for(both_have_read.wait(), PATIENCE_S)
            return found

        worker.incidents.view = together
        latest = max(row["wake_at"] for row in [await house.row(run) for run in runs])
        await house.move(latest - await house.now() + timedelta(milliseconds=1))
        assert await rested(house, runs) == ["parked", "parked"]
        assert await one(house, "select count(*) from newel.run where process = $1", NAME) == 1
        assert await incidents(house) == [("github:cafe/outage", "escalated")]
        assert read[:2] == ["watching", "watching"]


async def test_a_ticket_is_raised_although_the_lead_has_left(build):
    """The lead step is done by hand; another exhausts its rounds without a call: one ticket."""
    github = GitHub()
    github.down()
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        first = await house.start("invite", "ann")
        while not await one(house, "select count(*) from newel.incident"):
            await house.rested(first)
            await house.move_to_next(first)
            await house.rested(first)
        await opened_circuit(house)
        second = await house.start("invite", "bob")
        assert await house.rested(second) == "waiting"
        await house.move(timedelta(minutes=30))
        await house.rested(first)
        await house.engine.retry(first, "github.invite", actor=OPERATOR)
        await until_parked(house, [second])

        async def escalated() -> bool:
            return await incidents(house) == [("github:cafe/outage", "escalated")]

        await house.until(escalated)

        async def ticketed() -> bool:
            return len(house.desk.opened) == 1

        await house.until(ticketed)
        assert await house.rested(first) == "waiting"
        await until_parked(house, [first, second])
        assert len(house.desk.opened) == 1
        await healed(house, github, timedelta(minutes=6))
        for run in (first, second):
            assert await house.ended(run) == "completed"
