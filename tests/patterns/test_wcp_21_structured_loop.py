"""Pattern 21, structured loop: repeat while, or until."""

from __future__ import annotations

from newel import approval, process, team
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def budget(name: str) -> int:
    """Revised until it is approved."""
    passes = 0
    while not (await approval("budget", by=team("ceo"))).approved:
        await approval("revise-budget", by=team("hr"))
        passes += 1
    return passes


def case(refusals: int) -> Pattern:
    """Each pass has keys of its own."""

    def key(name: str, turn: int) -> str:
        return name if turn == 0 else f"{name}#{turn + 1}"

    async def play(run: Driver) -> None:
        for turn in range(refusals):
            await run.decide(key("budget", turn), approved=False)
            await run.decide(key("revise-budget", turn))
        await run.decide(key("budget", refusals))
        assert await run.result() == refusals

    return Pattern(f"{refusals} refusals", budget.request("x"), play)


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    case(0), case(1), case(5)
)
