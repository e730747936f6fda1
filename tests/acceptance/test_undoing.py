"""What fails, is undone or is begun beside a run ends the same, wherever the worker dies."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from newel import (
    Invalid,
    Person,
    approval,
    compensation,
    days,
    minutes,
    parallel,
    process,
    spawn,
    step,
    team,
    timer,
)
from newel.base.ids import reference
from newel.testing import Failed, every_crash, running
from tests.acceptance.company_house import browser
from tests.acceptance.test_cutting_access import LEO
from tests.engine.house import OPERATOR, opened
from tests.patience import PATIENCE_S

done: list[str] = []
broken: set[str] = set()


class Taken(Exception):
    """Somebody else has it."""


@step(raises=Taken, in_doubt="repeat")
async def reserve(name: str) -> str:
    """Reserve a name that is taken."""
    raise Taken(name)


@step(in_doubt="repeat")
async def act(what: str) -> str:
    """Do something, or find that it cannot be done."""
    if what in broken:
        raise Invalid(f"{what} cannot be done")
    done.append(what)
    return what


@pytest.fixture(autouse=True)
def _nothing_done():
    done.clear()
    broken.clear()


# --- B4 ---------------------------------------------------------------------------------------


@process(subject=None, owner="it")
async def joined() -> str:
    """A reservation beside a decision that takes its time."""
    said = "both"
    try:
        await parallel(reserve("jane"), approval("agree", by=team("hr"), within=days(7)))
    except* Taken as group:
        said = f"{len(group.exceptions)}: {group.exceptions[0]}"
    return said


async def test_b4_a_branch_that_failed_is_told_at_once_and_raised_when_all_have_ended():
    """B4: six days lie between the failed key and the group, whatever dies meanwhile."""

    async def play(crash=None):
        async with running(joined.request(), at="2026-01-02", crash=crash) as run:
            assert (run.waiting(), run.done()) == ({"agree"}, ["reserve"])
            assert isinstance(run.outcome("reserve"), Failed)
            run.clock.advance(days(6))
            assert (run.waiting(), run.state) == ({"agree"}, "waiting")
            await run.decide("agree", approved=True)
            assert await run.result() == "1: jane"
            assert Counter(run.trace())["step.failed", "reserve"] == 1

    for crash in await every_crash(play):
        await play(crash)


# --- B12 --------------------------------------------------------------------------------------


def leaving(begun: asyncio.Event, go_on: asyncio.Event):
    """Processes of somebody who comes, and leaves until it is called off."""

    def made(systems):
        @step(in_doubt="repeat")
        async def transfer() -> str:
            """Hand the files over, which takes as long as the test says."""
            begun.set()
            await go_on.wait()
            return "handed over"

        @process(owner="it")
        async def arrival(person: Person) -> None:
            """Give somebody their accounts."""
            await systems.google.ensure_account(person)
            await systems.github.ensure_member(person, "leo-leaver")

        @process(owner="it")
        async def offboarding(person: Person) -> None:
            """Cut access, hand the files over."""
            async with compensation() as undo:
                undo(systems.google.restore, person)
                undo(systems.github.ensure_member, person, "leo-leaver")
                await parallel(
                    systems.google.suspend(person),
                    systems.github.remove_member(person, "leo-leaver"),
                )
                await transfer()
                await timer("handed-over", after=days(1))

        return [arrival, offboarding]

    return made


def _state(world) -> str:
    (account,) = [each for each in world.google.accounts() if "leo" in each["email"]]
    return str(account["state"])


async def test_b12_a_leave_that_is_called_off_puts_access_back_newest_first(acme, world):
    """B12: the call in flight ends, then each promise is kept once; the grants show the gap."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    async with acme(processes=leaving(begun, go_on)) as house, house.worker():
        await house.ended(await house.start("arrival", LEO))
        run = await house.start("offboarding", LEO)
        await asyncio.wait_for(begun.wait(), PATIENCE_S)
        assert _state(world) == "suspended"
        assert world.github.store.rows("memberships").get("leo-leaver") is None
        await house.engine.cancel(run, actor=OPERATOR, reason="they stay")
        house.poke()
        go_on.set()
        assert await house.ended(run) == "cancelled"
        ended = [key for kind, key in await house.events(run) if kind == "step.succeeded"]
        assert sorted(ended[:2]) == ["github.remove_member", "google.suspend"]
        assert ended[2:] == ["transfer", "undo/github.ensure_member", "undo/google.restore"]
        assert _state(world) == "active"
        assert world.doubled() == {}
        await _shows_the_gap(house, run)


async def _shows_the_gap(house, run) -> None:
    """Both accounts have an interval that the leave ended and one that its undoing began."""
    rows = await house.database.fetch(
        "select g.*, c.entitlement as continued from newel.access_grant g "
        "left join newel.access_grant c on c.id = g.continues "
        "order by g.entitlement, g.recorded_at, g.valid_to nulls last"
    )
    columns = ("entitlement", "state", "ended_key", "made_key")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("github:account", "revoked", "github.remove_member", "github.ensure_member"),
        ("github:account", "prepared", None, "undo/github.ensure_member"),
        ("google:account", "suspended", "google.suspend", "google.ensure_account"),
        ("google:account", "active", None, "undo/google.restore"),
    ]  # fmt: skip
    suspended, back = rows[2:]
    assert (back["continues"], back["made_run"]) == (suspended["id"], run)
    assert suspended["valid_from"] <= suspended["valid_to"] <= back["valid_from"]
    facts = {
        leaf["step"]["key"]: leaf["data"]
        for leaf in await house.leaves(run)
        if leaf["type"].startswith("access.") and leaf["type"] != "access.verified"
    }
    assert facts["google.suspend"]["how"] == "suspended"
    assert facts["github.remove_member"]["how"] == "removed"
    assert {facts[key]["cause"] for key in ("google.suspend", "github.remove_member")} == {"leaver"}
    assert facts["undo/google.restore"]["continues"] == facts["google.suspend"]["grant"]


@process(subject=None, owner="it")
async def leaves() -> None:
    """Three acts with a promise each, and a wait during which it is called off."""
    async with compensation() as undo:
        for name in ("a", "b", "c"):
            undo(act[f"back-{name}"], f"back-{name}")
            await act[name](name)
        await timer("transfer", after=days(5))


async def test_b12_a_crash_anywhere_undoes_each_once_newest_first():
    """B12: killed at every boundary, also while undoing, each promise is kept once, in order."""

    async def play(crash=None):
        async with running(leaves.request(), at="2026-01-02", crash=crash) as run:
            await run.cancel()
            assert run.state == "cancelled"
            assert run.done()[-3:] == [f"undo/act[back-{name}]" for name in "cba"]
            ended = Counter(key for kind, key in run.trace() if kind == "step.succeeded")
            assert set(ended.values()) == {1}

    for crash in await every_crash(play):
        await play(crash)


# --- B15 --------------------------------------------------------------------------------------


async def test_b15_an_undo_that_cannot_be_done_waits_for_a_person():
    """B15: the run parks in the middle of undoing, says what is back, and a person finishes it."""

    async def play(crash=None):
        broken.add("back-b")
        async with running(leaves.request(), at="2026-01-02", crash=crash) as run:
            await run.cancel()
            parked = run.parked()
            assert (run.state, set(parked)) == ("parked", {"undo/act[back-b]"})
            assert parked["undo/act[back-b]"].owner == "it"
            assert "undo/act[back-c]" in run.done()
            assert "undo/act[back-a]" not in run.done()
            await run.complete_by_hand("undo/act[back-b]", "back-b")
            assert run.state == "cancelled"
            assert run.done()[-3:] == [f"undo/act[back-{name}]" for name in "cba"]

    for crash in await every_crash(play):
        await play(crash)


async def test_b15_the_console_lists_what_is_back(database_url, tmp_path):
    """B15: the page of the run names what has been put back while the rest waits for a person."""
    broken.add("back-b")
    house = await opened(database_url, tmp_path / "kek", [leaves])
    try:
        async with house.worker():
            run = await house.start("leaves")
            await house.rested(run)
            await house.engine.cancel(run, actor=OPERATOR, reason="they stay")
            house.poke()

            async def parked() -> bool:
                return (await house.row(run))["state"] == "parked"

            await house.until(parked)
        async with browser(house) as client:
            view = (await client.get(f"/api/v1/runs/{reference('run', run)}")).json()
            page = (await client.get(f"/runs/{reference('run', run)}")).text
        titles = {key["key"]: key["title"] for key in view["keys"]}
        assert view["back"] == [titles["undo/act[back-c]"]]
        assert f'Put back so far: <b id="back">{view["back"][0]}</b>' in page
    finally:
        await house.database.close()


# --- B18 --------------------------------------------------------------------------------------


@process(subject=None, owner="it")
async def ordering(what: str) -> str:
    """A child with a promise, that cannot go on."""
    async with compensation() as undo:
        undo(act["child-back"], "child-back")
        await act["child"]("child")
        return await act["impossible"]("impossible")


@process(subject=None, owner="it")
async def equipping(what: str) -> str:
    """A parent with a promise, that waits for the child."""
    async with compensation() as undo:
        undo(act["parent-back"], "parent-back")
        await act["parent"]("parent")
        return await ordering(what)


async def test_b18_a_parent_that_is_cancelled_ends_after_its_parked_child():
    """B18: the child's promises come first, both are cancelled, and each names the other."""

    async def play(crash=None):
        broken.add("impossible")
        async with running(equipping.request("laptop"), processes=[ordering], crash=crash) as run:
            (child,) = run.runs("ordering")
            assert (run.state, child.state) == ("waiting", "parked")
            assert child.row["parent_run"] == run.id
            assert child.row["parent_key"] == "ordering"
            named = [leaf for leaf in run.audit() if child.name in str(leaf["data"])]
            assert {leaf["step"]["key"] for leaf in named} == {"ordering"}
            assert any(run.name in str(leaf) for leaf in child.audit())
            before = len(done)
            await run.cancel()
            run.clock.advance(minutes(1))  # who was to end the child may have died: it is seen to
            assert (run.state, child.state) == ("cancelled", "cancelled")
            assert list(dict.fromkeys(done[before:])) == ["child-back", "parent-back"]

    for crash in await every_crash(play):
        await play(crash)


# --- B19 --------------------------------------------------------------------------------------


@process(subject=None, owner="it")
async def course(name: str) -> str:
    """A child with a life of its own."""
    await approval("attended", by=team("hr"))
    return name


@process(subject=None, owner="it")
async def enrolling(names: tuple[str, ...]) -> int:
    """Starts children in a loop, with an act between two of them."""
    for name in names:
        await spawn(course[name], name)
        await act[name](name)
    return len(names)


NAMES = ("a", "b", "c")


async def test_b19_a_crash_between_two_children_starts_each_once():
    """B19: killed at every boundary of the loop, there is one child of each name."""

    async def play(crash=None):
        async with running(enrolling.request(NAMES), processes=[course], crash=crash) as run:
            assert await run.result() == len(NAMES)
            children = run.runs("course")
            assert [child.row["parent_key"] for child in children] == [
                f"course[{name}]" for name in NAMES
            ]

    for crash in await every_crash(play):
        await play(crash)


async def test_b19_on_postgresql_a_worker_dies_between_two_children(database_url, tmp_path):
    """B19: its lease runs out between the second and the third; another starts only the third."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    @step(in_doubt="repeat")
    async def pause(name: str) -> None:
        begun.set()
        await go_on.wait()

    @process(subject=None, owner="it")
    async def pausing(names: tuple[str, ...]) -> int:
        for name in names:
            await spawn(course[name], name)
            if name == "b":
                await pause(name)
        return len(names)

    house = await opened(database_url, tmp_path / "kek", [pausing, course])
    try:
        async with house.doomed():
            run = await house.start("pausing", list(NAMES))
            await asyncio.wait_for(begun.wait(), PATIENCE_S)
        go_on.set()
        async with house.worker():
            assert await house.ended(run) == "completed"
        rows = await house.database.fetch(
            "select parent_key from newel.run where parent_run = $1 order by parent_key", run
        )
        assert [row["parent_key"] for row in rows] == [f"course[{name}]" for name in NAMES]
    finally:
        await house.database.close()
