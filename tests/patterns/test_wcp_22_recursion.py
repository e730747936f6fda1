"""Pattern 22, recursion: a process calls itself."""

from __future__ import annotations

from newel import approval, process, team
from tests.patterns.harness import Driver, Pattern, checks


async def approved_by(chain: tuple[str, ...]) -> bool:
    """Everybody up the chain, until somebody refuses."""
    decision = await approval(f"level[{chain[0]}]", by=team(chain[0]))
    if not decision.approved or len(chain) == 1:
        return decision.approved
    return await approved_by(chain[1:])


@process(subject=None, owner="it")
async def chained(chain: tuple[str, ...]) -> bool:
    """A helper that calls itself."""
    return await approved_by(chain)


@process(subject=None, owner="it")
async def level(chain: tuple[str, ...]) -> bool:
    """A process that calls itself: each level is a run of its own."""
    decision = await approval("signs", by=team(chain[0]))
    if not decision.approved or len(chain) == 1:
        return decision.approved
    return await level(chain[1:])


def case(length: int, refusal: int | None = None) -> Pattern:
    """It stops at the first refusal, or at the end of the chain."""
    chain = tuple(f"l{n}" for n in range(length))

    async def play(run: Driver) -> None:
        for number, name in enumerate(chain):
            await run.decide(f"level[{name}]", approved=number != refusal)
            if number == refusal:
                break
        assert await run.result() is (refusal is None)

    return Pattern(f"{length} levels, {refusal} refuses", chained.request(chain), play)


async def play_runs(run: Driver) -> None:
    """Three levels are three runs; the innermost answer comes back to the first."""
    for number in range(3):
        runs = await run.children("level")
        assert len(runs) == number + 1
        await runs[number].decide("signs")
    assert await run.result() is True


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    case(1),
    case(6),
    case(4, 2),
    Pattern("as child runs", level.request(("a", "b", "c")), play_runs),
)
