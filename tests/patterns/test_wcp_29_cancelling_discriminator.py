"""Pattern 29, cancelling discriminator: the first wins, the rest are withdrawn."""

from __future__ import annotations

from newel import approval, first_of, process, team
from tests.patterns.company import book, conclude, do
from tests.patterns.harness import Driver, Pattern, checks


async def translated(where: str) -> str:
    """One way to a translation, with an act behind the wait."""
    await approval(where, by=team("it"))
    return await do[where](where)


@process(subject=None, owner="it")
async def fastest(name: str) -> str:
    """Whichever is first."""
    won = await first_of("translation", inhouse=translated("inhouse"), agency=translated("agency"))
    return await conclude(won.value)


async def play(run: Driver) -> None:
    """The loser's wait is closed in the winner's transaction, and its later acts never start."""
    await run.decide("agency")
    assert await run.result() == "agency"
    assert book.order == ["do[agency]", "conclude"]
    trace = await run.trace()
    closed, ended = (
        trace.index(("wait.closed", "inhouse")),
        trace.index(("step.succeeded", "do[agency]")),
    )
    assert ended < closed < trace.index(("step.started", "conclude"))
    assert "do[inhouse]" not in book.begun


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("agency first", fastest.request("x"), play)
)
