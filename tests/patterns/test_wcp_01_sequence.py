"""Pattern 1, sequence: B starts after A has ended."""

from __future__ import annotations

from newel import process
from tests.patterns.company import book, google, slack
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def sequence(name: str) -> str:
    """One after the other."""
    account = await google.create(name)
    return await slack.invite(account)


async def play(run: Driver) -> None:
    """The intent of the second rides with the outcome of the first, never earlier."""
    assert await run.result() == "slack:google:jane"
    assert book.order == ["google.create", "slack.invite"]
    trace = await run.trace()
    first = trace.index(("step.succeeded", "google.create"))
    assert trace.index(("step.started", "slack.invite")) > first


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("sequence", sequence.request("jane"), play)
)
