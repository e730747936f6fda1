"""Pattern 31, blocking partial join: re-entry waits for the stragglers."""

from __future__ import annotations

from newel import n_of, process, section
from tests.patterns.company import Refused, book, conclude, signed
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it", raises=Refused)
async def closing(quarters: tuple[str, ...]) -> str:
    """Each quarter is closed by two signatures, and the next begins after all three."""
    closed = []
    for quarter in quarters:
        with section(quarter):
            two = await n_of(
                "sign-off", 2, signed("it"), signed("finance"), signed("legal"), losers="finish"
            )
            closed.append(await conclude(*two.values))
            await two.rest()
    return " ".join(closed)


async def play(run: Driver) -> None:
    """The second quarter opens no task before the third answer of the first."""
    await run.decide("q1/legal-signs")
    await run.decide("q1/it-signs")
    assert book.order == ["q1/conclude"]
    assert await run.waiting() == {"q1/finance-signs"}
    await run.decide("q1/finance-signs")
    assert await run.waiting() == {"q2/it-signs", "q2/finance-signs", "q2/legal-signs"}
    for who in ("it", "finance", "legal"):
        await run.decide(f"q2/{who}-signs")
    assert await run.result() == "legal+it it+finance"


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("two quarters", closing.request(("q1", "q2")), play)
)
