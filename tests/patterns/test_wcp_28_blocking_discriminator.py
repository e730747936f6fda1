"""Pattern 28, blocking discriminator: the next round waits for this round's stragglers."""

from __future__ import annotations

from newel import approval, first_of, process, section, team
from tests.patterns.company import book, do
from tests.patterns.harness import Driver, Pattern, checks


async def scanned(where: str) -> str:
    """One of two scanners."""
    await approval(where, by=team("it"))
    return where


@process(subject=None, owner="it")
async def batches(names: tuple[str, ...]) -> str:
    """Each batch is released by the first scan, and the next begins after both."""
    released = []
    for name in names:
        with section(name):
            first = await first_of(
                "scan", here=scanned("here"), there=scanned("there"), losers="finish"
            )
            released.append(await do["release"](first.value))
            await first.rest()
    return " ".join(released)


async def play(run: Driver) -> None:
    """No act of the second batch starts while a scan of the first is open."""
    await run.decide("x/there")
    assert book.order == ["x/do[release]"]
    assert await run.waiting() == {"x/here"}
    await run.decide("x/here")
    assert await run.waiting() == {"y/here", "y/there"}
    await run.decide("y/here")
    assert await run.waiting() == {"y/there"}
    await run.decide("y/there")
    assert await run.result() == "there here"


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("two batches", batches.request(("x", "y")), play)
)


@process(subject=None, owner="it")
async def careless(names: tuple[str, ...]) -> int:
    """Neither section nor rest: the second round meets the stragglers of the first."""
    for _ in names:
        await first_of("scan", here=scanned("here"), there=scanned("there"), losers="finish")
    return 1


async def test_a_straggler_is_not_mistaken_for_the_next_round() -> None:
    """Without `rest()` and sections the key is in use, and the run parks and says so."""
    from newel.testing import running

    async with running(careless.request(("x", "y"))) as run:
        await run.decide("here", approved=True)
        assert run.state == "parked"
        assert "here" in run.waits_for() or "there" in run.waits_for()
