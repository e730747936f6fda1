"""Pattern 30, structured partial join: N of M distinct branches, the rest finish."""

from __future__ import annotations

from newel import n_of, process
from tests.patterns.company import Refused, book, conclude, signed
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it", raises=Refused)
async def hardware(name: str) -> str:
    """Two of three signatures are enough."""
    two = await n_of(
        "sign-off", 2, signed("it"), signed("finance"), signed("legal"), losers="finish"
    )
    return await conclude(*two.values)


def case(first: str, second: str, third: str) -> Pattern:
    """It is ordered after the second signature; the third stays open and closes as ever."""

    async def play(run: Driver) -> None:
        await run.decide(f"{first}-signs")
        assert book.order == []
        await run.decide(f"{second}-signs")
        assert book.order == ["conclude"]
        assert await run.waiting() == {f"{third}-signs"}
        await run.decide(f"{third}-signs")
        assert await run.result() == f"{first}+{second}"

    return Pattern(f"{first} {second} {third}", hardware.request("x"), play)


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    case("it", "finance", "legal"),
    case("it", "legal", "finance"),
    case("finance", "it", "legal"),
    case("finance", "legal", "it"),
    case("legal", "it", "finance"),
    case("legal", "finance", "it"),
)
