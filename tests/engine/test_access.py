"""The ledger: what a step gives or takes is written with its outcome, once, and as it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from newel import (
    Account,
    Invalid,
    Person,
    approval,
    compensation,
    days,
    parallel,
    process,
    spawn,
    step,
    team,
    timer,
)
from newel.base.errors import DefinitionError
from newel.connectors.looking import report
from newel.domain.values import Effect
from newel.store import ledger
from newel.testing import every_crash, running

LEO = Person(name="Leo Leaver", email="leo.leaver@acme.example", hr_key="E77")
WIKI = "wiki:account"


def account(state="active") -> Account:
    """The account that a step gives back."""
    return Account(system="wiki", id="u7", handle="leo", state=state)


@step(system="wiki", grants="account", in_doubt="repeat")
async def give(person: Person, state: str = "active") -> Account:
    """Give the account, or prepare it."""
    return account(state)


@step(system="wiki", grants="account", in_doubt="repeat")
async def equip(person: Person, *parts: str) -> Account:
    """Give the account, and with it parts of the wiki."""
    report(
        Effect(
            changed=True,
            external_id="u7",
            also=tuple(f"part/{each}" for each in parts),
            is_read=True,
        )
    )
    return account()


@step(system="wiki", revokes="account", in_doubt="repeat")
async def suspend(person: Person) -> Account:
    """Lock it."""
    return account("suspended")


@step(system="wiki", revokes="account", in_doubt="repeat")
async def remove(person: Person) -> None:
    """Delete it."""


@step(system="wiki", grants="space/{space}", in_doubt="repeat")
async def admit(person: Person, space: str) -> None:
    """Let them into a space."""


@step(system="wiki", revokes="space/{space}", in_doubt="repeat")
async def expel(person: Person, space: str) -> None:
    """Close a space to them."""


@step(system="wiki", grants="account", in_doubt="repeat")
async def impossible(person: Person) -> Account:
    """What the system never does."""
    raise Invalid("cannot be done")


@process(owner="it")
async def through(person: Person) -> None:
    """A whole life: prepared, active, suspended, given back, suspended, removed."""
    await give["invited"](person, "invited")
    await give(person)
    await timer("before-leave", after=days(1))
    await suspend["leave"](person)
    await give["back"](person)
    await suspend["end"](person)
    await remove(person)


def rows(run):
    """The subject's grants in the order in which they were made."""
    return run.intervals()


def told(run):
    """Type, state and key of the run's facts about access, in order."""
    return [
        (leaf["type"].removeprefix("access."), leaf["data"]["state"], leaf["step"]["key"])
        for leaf in run.audit()
        if leaf["type"].startswith("access.")
    ]


async def test_a_life_is_written_once_wherever_the_worker_dies():
    """Two intervals, the second one continuing the first and suspended before it is removed."""

    async def play(crash=None):
        async with running(through.request(LEO), at="2026-01-02", crash=crash) as run:
            run.clock.advance(days(1))
            assert run.state == "completed"
            first, second = rows(run)
            assert told(run) == [
                ("pending", "prepared", "give[invited]"),
                ("granted", "active", "give"),
                ("revoked", "suspended", "suspend[leave]"),
                ("granted", "active", "give[back]"),
                ("revoked", "suspended", "suspend[end]"),
                ("revoked", "revoked", "remove"),
            ]
            assert (first["state"], first["made_key"], first["ended_key"]) == (
                "suspended", "give[invited]", "suspend[leave]",
            )  # fmt: skip
            assert (second["state"], second["made_key"], second["ended_key"]) == (
                "revoked", "give[back]", "suspend[end]",
            )  # fmt: skip
            assert second["continues"] == first["id"]
            assert second["removed_key"] == "remove"
            assert second["removed_at"] >= second["valid_to"] >= second["valid_from"]
            seqs = {row["seq"]: (row["type"], row["key"]) for row in run.events()}
            for row in (first, second):
                assert seqs[row["made_seq"]] == ("step.succeeded", row["made_key"])
                assert seqs[row["ended_seq"]] == ("step.succeeded", row["ended_key"])

    for crash in await every_crash(play):
        await play(crash)


@process(owner="it")
async def onboarding(person: Person) -> None:
    """Access with a promise to take it back, and a wait during which it is called off."""
    async with compensation() as undo:
        undo(remove, person)
        await give(person)
        await timer("first-day", after=days(3))


async def test_a_cancelled_run_ends_what_it_gave_with_that_cause():
    """The promise is kept as a step, and its outcome ends the grant because of the cancellation."""
    async with running(onboarding.request(LEO), at="2026-01-02") as run:
        await run.cancel()
        assert run.state == "cancelled"
        assert run.grants() == {WIKI: "revoked"}
        (fact,) = [leaf["data"] for leaf in run.audit() if leaf["type"] == "access.revoked"]
        assert (fact["how"], fact["cause"], fact["entitlement"]) == ("removed", "cancel", WIKI)


@process(owner="it")
async def offboarding(person: Person) -> None:
    """Somebody leaves whose access newel never gave."""
    await remove(person)


async def test_what_newel_never_gave_is_ended_and_said_to_be_older():
    """One grant with an end and no beginning; the log says that nobody knows since when."""
    async with running(offboarding.request(LEO), at="2026-01-02") as run:
        assert run.state == "completed"
        (row,) = rows(run)
        assert (row["state"], row["valid_from"], row["since_unknown"]) == ("revoked", None, True)
        assert (row["made_key"], row["ended_key"], row["reason_kind"]) == (
            "remove", "remove", "adopted",
        )  # fmt: skip
        (fact,) = [leaf["data"] for leaf in run.audit() if leaf["type"] == "access.revoked"]
        assert (fact["cause"], fact["since_unknown"]) == ("leaver", True)


@step(system="wiki", revokes="account", in_doubt="repeat")
async def remove_at_last(person: Person) -> None:
    """What takes access away, once a person says that the system can."""
    raise Invalid("the system is closed today")


@process(owner="it")
async def leaving(person: Person) -> None:
    """Access that a person has to take away."""
    await give(person)
    await remove_at_last(person)


async def test_what_a_person_takes_away_by_hand_is_ended_by_hand():
    """The outcome that a person gave ends the grant; it was due when the run came to the step."""
    async with running(leaving.request(LEO), at="2026-01-02") as run:
        assert run.grants() == {WIKI: "active"}
        run.clock.advance(timedelta(hours=2))
        await run.complete_by_hand("remove_at_last", None)
        assert (run.state, run.grants()) == ("completed", {WIKI: "revoked"})
        (fact,) = [leaf["data"] for leaf in run.audit() if leaf["type"] == "access.revoked"]
        assert fact["due_at"].startswith("2026-01-02T")
        assert fact["late_us"] // 1_000_000 == timedelta(hours=2).total_seconds()


@process(owner="it")
async def arriving(person: Person) -> None:
    """Access that cannot be given."""
    await impossible(person)


@pytest.mark.parametrize(("by_hand", "state"), [(True, "active"), (False, "waived")])
async def test_what_a_person_did_or_left_out_stands_in_the_ledger(by_hand, state):
    """Done by hand it is a grant by that route; skipped, it is waived and the log names it."""
    async with running(arriving.request(LEO), at="2026-01-02") as run:
        if by_hand:
            await run.complete_by_hand(
                "impossible", {"system": "wiki", "id": "u7", "handle": "leo"}
            )
        else:
            await run.skip("impossible")
        (row,) = rows(run)
        assert (run.state, row["state"], row["route"]) == ("completed", state, "by_hand")
        (fact,) = [leaf for leaf in run.audit() if leaf["type"].startswith("step.")][-1:]
        assert bool(fact["data"].get("grants")) is not by_hand


@process(owner="it")
async def quarrel(person: Person) -> None:
    """Two branches of one run about one entitlement."""
    await admit(person, "plans")
    await parallel(expel["a"](person, "plans"), expel["b"](person, "plans"))


async def test_two_who_end_the_same_grant_end_it_once():
    """The second finds that it has ended, and writes what it found: nothing newel had given."""
    async with running(quarrel.request(LEO), at="2026-01-02") as run:
        assert run.state == "completed"
        first, *more = rows(run)
        assert (first["state"], first["entitlement"]) == ("revoked", "wiki:space/plans")
        assert all(row["since_unknown"] for row in more)


@process(owner="it")
async def taken_over(person: Person) -> None:
    """The grant of one run, ended by another."""
    await give(person)
    await spawn(offboarding, person)


async def test_a_run_ends_what_another_has_made():
    """The ended grant names both runs, and the log the grant under its one reference."""
    async with running(taken_over.request(LEO), processes=[offboarding], at="2026-01-02") as run:
        (other,) = run.runs("offboarding")
        assert (run.state, other.state) == ("completed", "completed")
        (row,) = rows(run)
        assert (row["made_run"], row["ended_run"]) == (run.id, other.id)
        (made,) = [leaf["data"] for leaf in run.audit() if leaf["type"] == "access.granted"]
        (ended,) = [leaf["data"] for leaf in other.audit() if leaf["type"] == "access.revoked"]
        assert made["grant"] == ended["grant"]


@dataclass(frozen=True, kw_only=True)
class Leaver(Person):
    """Somebody who leaves at a moment."""

    leaves_at: datetime


@process(owner="it", access_ends=lambda leaver: leaver.leaves_at)
async def departing(leaver: Leaver) -> None:
    """Give access, wait for the last day, and take it away once somebody has agreed."""
    async with compensation() as undo:
        undo(expel, leaver, "core")
        await admit(leaver, "core")
        await give(leaver)
        await timer("access-ends", at=leaver.leaves_at)
    await approval("agreed", by=team("hr"))
    await suspend(leaver)


LAST_DAY = datetime(2026, 1, 9, 17, tzinfo=UTC)
LEA = Leaver(name="Lea Leaver", email="lea@acme.example", leaves_at=LAST_DAY)


def ends(run):
    """When each access that was ended was due to end, and by how much that was late."""
    return {
        leaf["step"]["key"]: (
            leaf["data"]["due_at"],
            timedelta(microseconds=leaf["data"]["late_us"]),
        )
        for leaf in run.audit()
        if leaf["type"] == "access.revoked"
    }


async def test_a_removal_is_late_from_the_moment_that_the_input_says():
    """Also where the run came to the step only later; the start tells the moment, too."""
    async with running(departing.request(LEA), at="2026-01-02") as run:
        started = next(leaf for leaf in run.audit() if leaf["type"] == "run.started")
        assert started["data"]["effective_at"] == "2026-01-09T17:00:00.000000Z"
        run.clock.move_to(LAST_DAY + timedelta(days=2))
        await run.decide("agreed", approved=True)
        assert run.state == "completed"
        due, late = ends(run)["suspend"]
        assert due == "2026-01-09T17:00:00.000000Z"
        assert late >= timedelta(days=2)


async def test_it_follows_an_amendment_and_never_a_promise():
    """The moment is that of the input as it stands; what is called off is due when it is undone."""
    async with running(departing.request(LEA), at="2026-01-02") as run:
        later = replace(LEA, leaves_at=datetime(2026, 1, 12, 17, tzinfo=UTC))
        await run.amend(departing.request(later), reason="a week more")
        run.clock.move_to(datetime(2026, 1, 12, 17, tzinfo=UTC))
        await run.decide("agreed", approved=True)
        due, late = ends(run)["suspend"]
        assert due == "2026-01-12T17:00:00.000000Z"
        assert late < timedelta(minutes=1)
    async with running(departing.request(LEA), at="2026-01-02") as run:
        await run.cancel()
        due, late = ends(run)["undo/expel"]
        assert due.startswith("2026-01-02T")
        assert late < timedelta(minutes=1)


@pytest.mark.parametrize(
    "wrong", [lambda leaver: leaver.nothing, lambda leaver: leaver.leaves_at.replace(tzinfo=None)]
)
async def test_what_gives_no_moment_is_refused_at_the_start(wrong):
    """Before anything is written, and not when access is taken away."""

    @process(owner="it", access_ends=wrong)
    async def ending(leaver: Leaver) -> None:
        """Take access away."""
        await suspend(leaver)

    with pytest.raises(DefinitionError, match=r"F711.*`access_ends` of `ending` gives no moment"):
        async with running(ending.request(LEA)):
            pass


PARTS = ("blog", "forum", "shop")
WITH_PARTS = {WIKI} | {f"wiki:part/{each}" for each in PARTS}


@process
async def equipped(person: Person) -> None:
    """Give it with its parts, lock it, open it again, take one part, and take it away."""
    await equip(person, *PARTS)
    await timer("later", after=days(1))
    await suspend(person)
    await timer("back", after=days(1))
    await give(person)
    await drop(person, "shop")
    await timer("last", after=days(1))
    await remove(person)


@step(system="wiki", revokes="part/{part}", in_doubt="repeat")
async def drop(person: Person, part: str) -> None:
    """Take one part away."""


async def test_what_comes_with_an_account_ends_with_it():
    """Each part is a grant of its own, suspended, given back and ended with the account."""
    async with running(equipped.request(LEO)) as run:
        assert run.grants() == dict.fromkeys(WITH_PARTS, "active")
        run.clock.move_to_next()
        assert run.grants() == dict.fromkeys(WITH_PARTS, "suspended")
        run.clock.move_to_next()
        back = dict.fromkeys(WITH_PARTS, "active") | {"wiki:part/shop": "revoked"}
        assert run.grants() == back, "a part can go alone, and the account stays"
        run.clock.move_to_next()
        assert run.grants() == dict.fromkeys(WITH_PARTS, "revoked")
        told = [
            (leaf["type"], leaf["data"]["entitlement"])
            for leaf in run.audit()
            if leaf["type"] in {"access.granted", "access.revoked"}
        ]
        for name in WITH_PARTS:
            ends = [kind for kind, entitlement in told if entitlement == name]
            assert ends == ["access.granted", "access.revoked"] * 2


async def test_parts_are_turned_once_wherever_the_worker_dies():
    """Killed at every boundary, each interval begins and ends once."""

    async def play(crash=None):
        async with running(equipped.request(LEO), crash=crash) as run:
            for _ in range(3):
                run.clock.advance(days(2))
            await run.result()
            intervals = [row["entitlement"] for row in run.intervals()]
            assert sorted(intervals) == sorted([*WITH_PARTS] * 2)
            assert run.grants() == dict.fromkeys(WITH_PARTS, "revoked")

    for crash in await every_crash(play):
        await play(crash)


async def test_a_cancelled_account_is_asked_about_once():
    """What came with it is no question of its own, and goes when it goes."""

    @process(name="joining", owner="it")
    async def joining(person: Person) -> None:
        """Give it with its parts, and wait."""
        await equip(person, *PARTS)
        await timer("first-day", after=days(3))

    async with running(joining.request(LEO)) as run:
        await run.cancel()
        await run.do(run.engine.taking_back.look())
        (asking,) = run.runs("newel.take-back")
        (task,) = asking.tasks()
        await asking.fill(task["key"], {"access": "taken away", "note": "by hand"})
        assert run.grants() == dict.fromkeys(WITH_PARTS, "revoked")


async def test_postgresql_keeps_parts_and_accounts_together(engine):
    """On a real database: given, suspended, given back, ended; the slowest end of each is told."""
    async with engine.running(equipped.request(LEO)) as run:
        for _ in range(3):
            run.clock.advance(days(2))
        assert run.grants() == dict.fromkeys(WITH_PARTS, "revoked")
        begin, until = run.row["started_at"], run.clock.now() + days(1)
        database = run.engine.database
        had = run._scene.run(
            ledger.had_between(database, begin, until, system="wiki", how_many=100)
        )
        assert {row["entitlement"] for row in had} == WITH_PARTS
        assert all(row["entry"] is not None for row in had)
        ended = run._scene.run(
            ledger.ended_between(database, begin, until, system="wiki", cause=None)
        )
        assert sum(row["many"] for row in ended) == 2 * len(WITH_PARTS)
