"""C29: what takes access away en masse is held until a person decides; nothing is sent before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import orjson
import pytest

from newel import SecretRef, hours, minutes, parallel, process, urgent
from newel.base.errors import InvalidInput, SelfApproval
from newel.connectors.github import GitHub
from newel.connectors.scim import Scim
from newel.domain.people import Person
from newel.flow.process import Request
from newel.simulators.github import GitHubSimulator
from newel.simulators.scim import ScimSimulator
from newel.simulators.scim_schema import USER
from newel.testing import Crash, every_crash, running
from newel.testing.running import OPERATOR, Run
from tests.connectors.support import agreed

DIRECTORY = ScimSimulator(seed=29)
directory = Scim(
    name="directory",
    base_url="https://scim.example/scim/v2",
    token=SecretRef("env:SCIM_C29_TOKEN"),
    transport=agreed(DIRECTORY),
)
TASK = "mass-action-hold"


def _people(first: int, last: int) -> tuple[Person, ...]:
    return tuple(
        Person(
            name=f"Pat O'Hara {number} 🌻",
            email=f"pat{number}@acme.example",
            hr_key=str(number),
        )
        for number in range(first, last + 1)
    )


@process(owner="it", subject=None)
async def wrong_export(people: tuple[Person, ...]) -> int:
    """Take the accounts of all who are missing in an export, which may be nearly all."""
    gone = await parallel(*[directory.deactivate[str(each.hr_key)](each) for each in people])
    return len(gone)


@process(owner="hr")
async def leaving_now(person: Person) -> str:
    """End one person's access at once."""
    account = await directory.deactivate(person)
    for group in ("c29 staff", "c29 sales"):
        await directory.leave_group[group](account, group)
    return account.state


immediate = process(name="leaving_at_once", owner="hr", retry=urgent)(leaving_now.function)


@pytest.fixture(autouse=True)
def staff(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Twenty people with accounts of ours, each in two groups."""
    DIRECTORY.reset()
    monkeypatch.setenv("SCIM_C29_TOKEN", DIRECTORY.credentials()["SCIM_TOKEN"])
    SecretRef("env:SCIM_C29_TOKEN").resolve(fresh=True)
    people = _people(1, 20)
    ids = [str(DIRECTORY.new_resource("Users", _user(each))["id"]) for each in people]
    for group in ("c29 staff", "c29 sales"):
        members = [{"value": each} for each in ids]
        DIRECTORY.new_resource("Groups", {"displayName": group, "members": members})
    directory.forget()
    yield
    directory.forget()


def _user(person: Person) -> dict[str, object]:
    return {
        "schemas": [USER],
        "userName": person.email,
        "emails": [{"value": person.email, "type": "work", "primary": True}],
        "externalId": person.hr_key,
        "active": True,
    }


def _shut() -> set[str]:
    return {each["email"] for each in DIRECTORY.accounts() if each["state"] != "active"}


def _told(run: Run[int]) -> list[tuple[str, int, int]]:
    """What the log says of holds: what happened, of how many, and the limit."""
    leaves = [orjson.loads(row["entry"]) for row in run._scene.rows("event")]
    return [
        (leaf["type"].removeprefix("admin."), leaf["data"]["n"], leaf["data"]["limit"])
        for leaf in leaves
        if leaf["type"].startswith("admin.hold")
    ]


def _playing(
    request: Request[int], *, crash: Crash | None = None
) -> AbstractAsyncContextManager[Run[int]]:
    """Run it in a deployment that has the directory, and what else takes access away."""
    return running(request, crash=crash, processes=[immediate, leaving_now], connectors=[directory])


async def _held(run: Run[int]) -> Run[object]:
    """Let the question be put, and give the run in which it is."""
    run.clock.advance(minutes(1))
    (hold,) = [each for each in run.runs("newel.hold") if each.tasks()]
    return hold


async def test_the_first_one_too_many_is_not_sent_and_exactly_the_released_go() -> None:
    """C29: ten go, three wait on one task; two are released and go, the third stays parked."""
    async with _playing(wrong_export.request(_people(1, 13))) as run:
        assert len(_shut()) == 10
        held = run.parked()
        assert {(each.reason, each.owner) for each in held.values()} == {("held", "admin")}
        assert len(held) == 3
        hold = await _held(run)
        (task,) = hold.tasks()
        assert (task["key"], task["owner"], task["kind"]) == (TASK, "admin", "form")
        said = task["instructions"]
        assert all(key in said for key in held) and "pat" not in said.lower()
        run.clock.advance(minutes(30))
        assert len(_shut()) == 10 and len(run.runs("newel.hold")) == 1
        for wrong in (
            {"release": "all", "reason": " "},
            {"release": "some", "reason": "wrong export"},
            {"release": "some", "reason": "wrong export", "only": ["one"]},
            {"release": "all", "reason": "wrong export", "only": ["1"]},
        ):
            with pytest.raises(InvalidInput):
                await hold.fill(TASK, wrong)
        numbers = {key: place for place, key in enumerate(_in_order(said, held), start=1)}
        stays = "directory.deactivate[12]" if "directory.deactivate[12]" in held else min(held)
        goes = sorted(str(numbers[key]) for key in held if key != stays)
        await hold.fill(TASK, {"release": "some", "reason": "left in March", "only": goes})
        assert len(_shut()) == 12
        (parked,) = run.parked().items()
        assert (parked[0], parked[1].reason, parked[1].owner) == (stays, "held", "it")
        run.clock.advance(minutes(20))
        assert [each.tasks() for each in run.runs("newel.hold")] == [[]]
        assert _told(run) == [("hold_triggered", 3, 10), ("hold_released", 2, 10)]
        run.clock.advance(hours(2))
        await run.retry(stays)
        assert await run.result() == 13
    assert len(_shut()) == 13


def _in_order(said: str, keys: object) -> list[str]:
    assert isinstance(keys, dict)
    return sorted(keys, key=lambda key: said.index(f"{key} of"))


async def test_an_immediate_offboarding_is_not_held_meanwhile() -> None:
    """C29: while others wait, a person who has to go at once goes, groups and all."""
    async with _playing(wrong_export.request(_people(1, 12))) as run:
        await _held(run)
        (last,) = _people(20, 20)
        chief = await run.engine.actor("chief@acme.example", via="test")
        gone = await run.start(immediate.request(last), actor=chief)
        assert await gone.result() == "suspended"
        assert last.email in _shut() and len(_shut()) == 11
        assert len(run.parked()) == 2


@pytest.mark.parametrize("how", ["by nobody", "not urgent"])
async def test_what_only_looks_like_one_is_held(how: str) -> None:
    """An urgent run that no person has started, or a person's that is not urgent, is held."""
    wanted = immediate if how == "by nobody" else leaving_now
    async with _playing(wrong_export.request(_people(1, 10))) as run:
        (last,) = _people(20, 20)
        chief = await run.engine.actor("chief@acme.example", via="test")
        actor = OPERATOR if how == "by nobody" else chief
        gone = await run.start(wanted.request(last), actor=actor)
        (parked,) = gone.parked().values()
        assert (parked.reason, len(_shut())) == ("held", 10)


async def test_a_person_counts_once_however_much_they_lose() -> None:
    """Groups of one person are one removal; an hour later the count begins anew."""
    async with _playing(wrong_export.request(_people(1, 9))) as run:
        assert await run.result() == 9
        assert len(run._scene.rows("removal")) == 9
        (tenth, *_, last) = _people(10, 20)
        gone = await run.start(leaving_now.request(tenth))
        assert await gone.result() == "suspended"
        held = await run.start(leaving_now.request(last))
        (parked,) = held.parked().values()
        assert parked.reason == "held"
        run.clock.advance(hours(1))
        await held.retry("directory.deactivate")
        assert await held.result() == "suspended"
        run.clock.advance(minutes(61))
        run.deploy(leaving_now)  # a worker that begins looks at once
        assert run._scene.rows("removal") == []  # nor is it known who has left
    assert DIRECTORY.mutations() and len(_shut()) == 11


async def test_a_user_of_many_teams_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub goes by user names: a dozen teams of one user are one removal."""
    world = GitHubSimulator(seed=29)
    monkeypatch.setenv("GITHUB_C29_TOKEN", world.credentials()["GITHUB_TOKEN"])
    SecretRef("env:GITHUB_C29_TOKEN").resolve(fresh=True)
    github = GitHub(
        org="acme-example",
        token=SecretRef("env:GITHUB_C29_TOKEN"),
        transport=agreed(world),
    )
    teams = [f"c29-{number}" for number in range(12)]
    for team in teams:
        world.add_team(team)
    world.create_by_hand("pat-o-hara")

    @process(owner="it")
    async def in_and_out(person: Person) -> int:
        for team in teams:
            await github.join_team[team](person, "pat-o-hara", team)
        gone = [await github.leave_team[team](person, "pat-o-hara", team) for team in teams]
        return len(gone)

    (someone,) = _people(1, 1)
    async with running(in_and_out.request(someone), connectors=[github]) as run:
        run.clock.advance(minutes(5))
        assert run.parked() == {}
        assert await run.result() == 12
        assert len(run._scene.rows("removal")) == 1


async def test_nothing_to_take_counts_for_nothing() -> None:
    """Accounts that are shut already are found so, whatever their number."""
    for _ in range(2):
        async with _playing(wrong_export.request(_people(1, 10))) as run:
            assert await run.result() == 10
    async with _playing(wrong_export.request(_people(1, 12))) as run:
        assert await run.result() == 12


async def test_refused_means_it_stays() -> None:
    """Whoever refuses lets nothing go; a retry is held again, and asked about again."""
    async with _playing(wrong_export.request(_people(1, 12))) as run:
        hold = await _held(run)
        await hold.fill(TASK, {"release": "none", "reason": "the export is wrong"})
        run.clock.advance(minutes(5))
        assert {each.owner for each in run.parked().values()} == {"it"}
        assert [each.tasks() for each in run.runs("newel.hold")] == [[]]
        assert _told(run) == [("hold_triggered", 2, 10), ("hold_released", 0, 10)]
        key = min(run.parked())
        await run.retry(key)
        hold = await _held(run)
        assert f"1. a person: {key} of" in hold.tasks()[0]["instructions"]
        assert len(_shut()) == 10


async def test_what_is_cancelled_takes_the_question_back() -> None:
    """With the runs that wanted it, the question goes."""
    async with _playing(wrong_export.request(_people(1, 12))) as run:
        hold = await _held(run)
        await run.cancel()
        run.clock.advance(minutes(1))
        assert hold.tasks() == []
        assert await hold.result() is None


async def test_under_the_strict_rule_two_people_release() -> None:
    """F9: whoever releases cannot confirm it; a second person's no lets nothing go."""
    async with _playing(wrong_export.request(_people(1, 12))) as run:
        operating = run.engine.holding._operating
        run.engine.holding._operating = replace(operating, second_person="strict")
        hold = await _held(run)
        first = await run.engine.actor("ada@acme.example", via="test")
        await hold.fill(TASK, {"release": "all", "reason": "they have left"}, actor=first)
        assert len(_shut()) == 10
        with pytest.raises(SelfApproval):
            await hold.decide("second-person", approved=True, actor=first)
        await hold.decide("second-person", approved=True)
        assert await run.result() == 12


async def test_a_worker_that_dies_anywhere_lets_go_what_was_released() -> None:
    """Whatever boundary a worker dies at: ten at first, one question, and then all twelve."""

    async def play(crash: Crash | None = None) -> None:
        for row in [*DIRECTORY.store.rows("Users").values()]:
            DIRECTORY.keep("Users", row, {**row["resource"], "active": True})
        async with _playing(wrong_export.request(_people(1, 12)), crash=crash) as run:
            run.clock.advance(minutes(5))
            assert len(_shut()) == 10
            hold = await _held(run)
            await hold.fill(TASK, {"release": "all", "reason": "they have left"})
            run.clock.advance(minutes(5))
            assert await run.result() == 12
            assert len(run.runs("newel.hold")) == 1
            assert _told(run) == [("hold_triggered", 2, 10), ("hold_released", 2, 10)]

    found = await every_crash(play)
    assert len(found) > 20
    let_go = [each for each in found if "after the commit of a verb" in str(each)]
    for crash in [*found[:: max(len(found) // 6, 1)], *let_go]:
        await play(crash)
