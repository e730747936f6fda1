"""Access that a cancelled run gave and nothing took back is put before whoever answers for it."""

from __future__ import annotations

from newel import Person, compensation, days, process, step, timer
from newel.base.ids import reference
from newel.testing import every_crash, running

TAKE_BACK = "newel.take-back"

LEO = Person(name="Leo Leaver", email="leo.leaver@acme.example", hr_key="E77")


@step(system="wiki", grants="space/{space}", in_doubt="repeat")
async def admit(person: Person, space: str) -> None:
    """Let them into a space."""


@step(system="wiki", revokes="space/{space}", in_doubt="repeat")
async def expel(person: Person, space: str) -> None:
    """Close a space to them."""


def version(space: str):
    """The process as it is when people of this kind get another space."""

    @process(name="joining", owner="it")
    async def joining(person: Person) -> None:
        """Give access with a promise, and wait."""
        async with compensation() as undo:
            undo(expel, person, space)
            await admit(person, space)
            await admit["all"](person, "lobby")
            await timer("first-day", after=days(3))

    return joining


@process(owner="it")
async def expelling(person: Person, space: str) -> None:
    """Take access away otherwise."""
    await expel(person, space)


async def cancelled(run):
    """Cancel a run whose code has drifted to other access; answers with the run that asks."""
    run.deploy(version("infra"))
    await run.cancel()
    assert run.state == "cancelled"
    run.deploy(version("infra"))  # a worker that begins looks at once
    (asking,) = run.runs(TAKE_BACK)
    return asking


def held(run):
    """What newel has given the subject of each space: its state."""
    return {
        row["entitlement"].removeprefix("wiki:space/"): row["state"]
        for row in run.intervals()
        if not row["since_unknown"]
    }


def keys(asking, run):
    """The key of the task about each space."""
    rows = {row["entitlement"]: reference("grt", row["id"]) for row in run.intervals()}
    return {
        entitlement.removeprefix("wiki:space/"): f"take-back[{grant}]"
        for entitlement, grant in rows.items()
        if f"take-back[{grant}]" in asking.waiting()
    }


async def test_what_no_promise_takes_back_is_asked_for_one_by_one():
    """What earlier code gave, and what never had a promise; by hand it ends, or it stays."""
    async with running(version("core").request(LEO), processes=[expelling]) as run:
        asking = await cancelled(run)
        assert held(run) == {"core": "active", "lobby": "active"}
        asked = keys(asking, run)
        assert set(asked) == {"core", "lobby"}
        await asking.fill(asked["core"], {"access": "taken away", "note": "in the administration"})
        await asking.fill(asked["lobby"], {"access": "stays", "note": "everybody has it"})
        assert (asking.state, held(run)) == ("completed", {"core": "revoked", "lobby": "active"})
        (fact,) = [leaf for leaf in asking.audit() if leaf["type"] == "access.revoked"]
        assert (fact["data"]["cause"], fact["data"]["how"]) == ("cancel", "removed")
        await run.do(run.engine.taking_back.look())
        assert len(run.runs(TAKE_BACK)) == 1


async def test_what_ends_otherwise_is_asked_of_nobody_any_more():
    """Another run takes it away: the task is withdrawn, and nothing is written twice."""
    async with running(version("core").request(LEO), processes=[expelling]) as run:
        asking = await cancelled(run)
        lobby = keys(asking, run)["lobby"]
        other = await run.start(expelling.request(LEO, "core"))
        assert other.state == "completed"
        await run.do(run.engine.taking_back.look())
        assert set(keys(asking, run)) == {"lobby"}
        await asking.fill(lobby, {"access": "stays", "note": "everybody has it"})
        assert asking.state == "completed"
        assert [leaf["type"] for leaf in asking.audit() if "access." in leaf["type"]] == []


async def test_people_are_asked_once_wherever_the_worker_dies():
    """Killed at every boundary, one run asks, and the grant ends once."""

    async def play(crash=None):
        async with running(version("core").request(LEO), processes=[expelling], crash=crash) as run:
            asking = await cancelled(run)
            asked = keys(asking, run)
            await asking.fill(asked["core"], {"access": "taken away", "note": "done by hand"})
            await asking.fill(asked["lobby"], {"access": "taken away", "note": "done by hand"})
            await run.do(run.engine.taking_back.look())
            assert asking.state == "completed"
            assert held(run) == {"core": "revoked", "lobby": "revoked"}
            told = [leaf["type"] for leaf in asking.audit() if leaf["type"] == "access.revoked"]
            assert len(told) == 2

    for crash in await every_crash(play):
        await play(crash)


async def test_the_next_cancelled_run_of_a_person_waits_for_the_first(engine):
    """On a real database: one run asks about a person at a time, and none is forgotten."""
    async with engine.running(version("core").request(LEO), processes=[expelling]) as run:
        first = await cancelled(run)
        again = await run.start(version("infra").request(LEO))
        await again.cancel()
        await run.do(run.engine.taking_back.look())
        assert again.state == "cancelled"
        assert len(run.runs(TAKE_BACK)) == 1
        for key in keys(first, run).values():
            await first.fill(key, {"access": "taken away", "note": "done by hand"})
        assert first.state == "completed"


async def test_people_without_a_work_address_are_asked_about_too():
    """HR has hired them, their start is cancelled before an address was reserved."""
    nobody_yet = Person(name="Leo O'Leaver 🌻", hr_key="E77")
    async with running(version("core").request(nobody_yet), processes=[expelling]) as run:
        asking = await cancelled(run)
        assert set(keys(asking, run)) == {"core", "lobby"}
