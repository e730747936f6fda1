"""Pattern 3, synchronization: go on when all branches have ended."""

from __future__ import annotations

from newel import hours, parallel, process
from tests.patterns.company import announce, book, jira, slack
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def synchronized(name: str) -> str:
    """Two branches, then one act."""
    member, user = await parallel(slack.invite(name), jira.create(name))
    return await announce(member, user)


async def play(run: Driver) -> None:
    """What follows is never intended before both outcomes."""
    assert await run.result() == "slack:jane+jira:jane"
    trace = await run.trace()
    started = trace.index(("step.started", "announce"))
    assert started > trace.index(("step.succeeded", "slack.invite"))
    assert started > trace.index(("step.succeeded", "jira.create"))


async def play_parked(run: Driver) -> None:
    """With one branch parked it waits, and asks the other for nothing again."""
    await run.passes(hours(2))
    assert "announce" not in book.begun
    book.down.clear()
    await run.retry("jira.create")
    assert await run.result() == "slack:jane+jira:jane"
    assert book.begun.count("slack.invite") == book.begun.count("announce") == 1


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("both", synchronized.request("jane"), play),
    Pattern("parked", synchronized.request("jane"), play_parked, down=("jira.create",)),
)
