"""Pattern 20, cancel case: withdraw the whole run."""

from __future__ import annotations

from newel import approval, compensation, days, process, team, timer
from tests.patterns.company import book, google, slack
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def onboarding(name: str) -> str:
    """Promises before acts, and a wait."""
    await approval("hr-confirms", by=team("hr"))
    async with compensation() as undo:
        undo(google.suspend, name)
        await google.create(name)
        undo(slack.suspend, name)
        await slack.invite(name)
        await timer("first-day", after=days(20))
    return name


async def play_before(run: Driver) -> None:
    """Cancelled before anything was promised: nothing is undone."""
    await run.cancel()
    assert await run.state() == "cancelled"
    assert await run.open() == set()
    assert book.order == []


async def play_within(run: Driver) -> None:
    """Cancelled while it waits: what was promised is undone, newest first."""
    await run.decide("hr-confirms")
    assert await run.waiting() == {"first-day"}
    await run.cancel()
    assert await run.state() == "cancelled"
    assert await run.open() == set()
    assert book.order[-2:] == ["undo/slack.suspend", "undo/google.suspend"]
    last = (await run.leaves())[-1]
    assert last["type"] == "run.cancelled"
    assert sorted(last["data"]["undone"]) == ["undo/google.suspend", "undo/slack.suspend"]
    asked = next(leaf for leaf in await run.leaves() if leaf["type"] == "run.cancel_requested")
    assert asked["actor"]["id"] == "svc_test"
    assert asked["reason"]["code"] == "cancel"


async def play_halfway(run: Driver) -> None:
    """Cancelled between rounds of the second act: it is withdrawn, and both are undone."""
    await run.decide("hr-confirms")
    await run.cancel()
    assert await run.state() == "cancelled"
    assert book.order == ["google.create", "undo/slack.suspend", "undo/google.suspend"]


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("before", onboarding.request("jane"), play_before),
    Pattern("while it waits", onboarding.request("jane"), play_within),
    Pattern("halfway", onboarding.request("jane"), play_halfway, down=("slack.invite",)),
)
