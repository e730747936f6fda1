"""Pattern 10, arbitrary cycles: loops with more than one entry or exit."""

from __future__ import annotations

from newel import approval, process, team
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def cycle(name: str) -> str:
    """A contract goes back and forth until it is signed."""
    state, walk = "draft", []
    while state != "done":
        walk.append(state)
        match state:
            case "draft":
                await approval("draft", by=team("hr"))
                state = "review"
            case "review":
                state = "sign" if (await approval("review", by=team("legal"))).approved else "draft"
            case _:
                state = "done" if (await approval("sign", by=team("ceo"))).approved else "review"
    return " ".join(walk)


async def play(run: Driver) -> None:
    """The walk gives each pass its own key, in program order."""
    walk = [
        ("draft", True), ("review", False), ("draft#2", True), ("review#2", True),
        ("sign", False), ("review#3", True), ("sign#2", True),
    ]  # fmt: skip
    for key, approved in walk:
        assert await run.waiting() == {key}
        await run.decide(key, approved=approved)
    assert await run.result() == "draft review draft review sign review sign"


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("there and back", cycle.request("jane"), play)
)
