"""Pattern 16, deferred choice: the world decides, the first event wins."""

from __future__ import annotations

from newel import Event, approval, days, first_of, process, team, timer
from tests.patterns.company import book, payroll
from tests.patterns.harness import Driver, Pattern, checks

contract_signed = Event("contract-signed", str)


@process(subject=None, owner="it")
async def choice(name: str) -> str:
    """A signature, or a deadline."""
    won = await first_of(
        "contract",
        signed=contract_signed.wait(),
        late=timer("contract-deadline", after=days(3)),
    )
    match won.name:
        case "signed":
            await payroll.create(name)
        case _:
            await approval("extend-deadline", by=team("hr"))
    return won.name


async def play_signed(run: Driver) -> None:
    """The message comes first: the timer is closed with it, and never fires."""
    assert await run.waiting() == {"contract-signed", "contract-deadline"}
    assert await run.send(contract_signed, "yes") == "delivered"
    assert await run.result() == "signed"
    trace = await run.trace()
    assert trace.count(("wait.closed", "contract-deadline")) == 1
    assert book.order == ["payroll.create"]


async def play_late(run: Driver) -> None:
    """The deadline comes first: a message after it is kept, and not taken."""
    await run.passes(days(4))
    assert await run.waiting() == {"extend-deadline"}
    assert await run.send(contract_signed, "yes") == "kept"
    await run.decide("extend-deadline")
    assert await run.result() == "late"
    assert book.order == []


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("signed", choice.request("jane"), play_signed),
    Pattern("late", choice.request("jane"), play_late),
)
