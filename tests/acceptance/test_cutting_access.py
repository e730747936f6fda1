"""Rows of the authoring document's table B about cutting access while a system is down."""

from __future__ import annotations

from datetime import timedelta

from newel import Person, compensation, parallel, process
from newel.domain.retry import urgent
from newel.simulators.faults import LoseResponse
from tests.acceptance.outage import until_parked
from tests.engine.house import OPERATOR

LEO = {"name": "Leo Leaver", "email": "leo.leaver@acme.example", "hr_key": "E77"}


def leaving(systems):
    """Processes of somebody who comes and goes."""

    @process(owner="it")
    async def arrival(person: Person) -> None:
        """Give somebody their accounts."""
        await systems.google.ensure_account(person)
        await systems.github.ensure_member(person, "leo-leaver")

    @process(owner="it", retry=urgent)
    async def offboarding(person: Person) -> None:
        """Cut all access at once; whoever calls it off has it put back."""
        async with compensation() as undo:
            undo(systems.google.restore, person)
            await parallel(
                systems.google.suspend(person), systems.github.remove_member(person, "leo-leaver")
            )

    return [arrival, offboarding]


async def _arrived(house) -> None:
    run = await house.start("arrival", LEO)
    assert await house.ended(run) == "completed"


async def test_b13_what_can_be_cut_is_cut_while_google_is_down(acme, world):
    """B13: GitHub is cut at once, Google parks within five minutes; healed, it is suspended."""
    async with acme(processes=leaving) as house, house.worker():
        await _arrived(house)
        world.google.down()
        began = await house.now()
        run = await house.start("offboarding", LEO)
        await house.rested(run)
        assert list(await house.acts(run)) == ["google.suspend"]
        assert world.github.accounts() == [] or all(
            "leo" not in str(each) for each in world.github.accounts()
        )
        await until_parked(house, run)
        assert await house.now() - began <= timedelta(minutes=5, seconds=30)
        parked = [leaf for leaf in await house.leaves(run) if leaf["type"] == "step.parked"]
        assert [each["data"]["rounds"] for each in parked] == [3]
        world.google.heal()
        await house.move(timedelta(minutes=1))
        assert await house.ended(run) == "completed"
        (account,) = [each for each in world.google.accounts() if "leo" in str(each)]
        assert account["state"] == "suspended"
        events = await house.events(run)
        assert not any(kind.startswith("run.cancel") for kind, _ in events)
        assert not any((key or "").startswith("undo/") for _, key in events)
        assert await _grants(house) == [
            ("github:account", "revoked", "github.ensure_member"),
            ("google:account", "suspended", "google.ensure_account"),
        ]


async def _grants(house) -> list[tuple[str, str, str]]:
    rows = await house.database.fetch(
        "select entitlement, state, made_key from newel.access_grant "
        "order by entitlement, recorded_at, state not in ('suspended', 'revoked')"
    )
    return [tuple(row) for row in rows]


async def test_b14_a_doubt_is_settled_before_the_run_is_cancelled(acme, world):
    """B14: the answer of `suspend` is lost, then cancel: it is looked up before it is undone."""
    async with acme(processes=leaving) as house, house.worker():
        await _arrived(house)
        world.google.fail("directory.users.update", LoseResponse(), times=1)
        run = await house.start("offboarding", LEO)

        async def is_in_doubt() -> bool:  # the run itself may not rest yet: GitHub is paced
            return "step.in_doubt" in [kind for kind, _ in await house.events(run)]

        await house.until(is_in_doubt)
        await house.engine.cancel(run, actor=OPERATOR, reason="a mistake")
        house.poke()
        for _ in range(6):
            await house.rested(run)
            row = await house.row(run)
            if row["finished_at"] is not None or row["wake_at"] is None:
                break
            await house.move_to_next(run)
        events = await house.events(run)
        kinds = [kind for kind, key in events if key == "google.suspend"]
        assert kinds[:6] == [
            "step.started",
            "step.attempt_failed",
            "step.in_doubt",
            "step.started",  # it looks, and finds
            "step.resolved",
            "step.succeeded",
        ]
        resolved = events.index(("step.resolved", "google.suspend"))
        assert resolved < events.index(("step.started", "undo/google.restore"))
        assert (await house.row(run))["state"] == "cancelled"
        assert len(world.google.calls("directory.users.update", committed=True)) == 2
        (account,) = [each for each in world.google.accounts() if "leo" in str(each)]
        assert account["state"] == "active"
        assert [each for each in await _grants(house) if each[0] == "google:account"] == [
            ("google:account", "suspended", "google.ensure_account"),
            ("google:account", "active", "undo/google.restore"),
        ]
