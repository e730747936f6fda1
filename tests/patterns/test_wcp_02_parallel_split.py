"""Pattern 2, parallel split: one thread becomes several."""

from __future__ import annotations

from newel import hours, parallel, process
from tests.patterns.company import book, jira, slack
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def split(name: str) -> tuple[str, str]:
    """Both at once."""
    return await parallel(
        slack.invite(name),
        jira.create(name),
    )


async def play(run: Driver) -> None:
    """Both intents are recorded before either outcome; both are made."""
    assert await run.result() == ("slack:jane", "jira:jane")
    kinds = [kind for kind, key in await run.trace() if key is not None]
    assert kinds[:2] == ["step.started", "step.started"]
    assert sorted(book.order) == ["jira.create", "slack.invite"]


async def play_parked(run: Driver) -> None:
    """A branch that cannot go on leaves the other running, and parks alone."""
    assert book.order == ["slack.invite"]
    await run.passes(hours(2))
    assert await run.open() == {"jira.create"}
    assert await run.state() == "parked"
    book.down.clear()
    await run.retry("jira.create")
    assert await run.result() == ("slack:jane", "jira:jane")
    assert book.begun.count("slack.invite") == 1


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("split", split.request("jane"), play),
    Pattern("one parked", split.request("jane"), play_parked, down=("jira.create",)),
)
