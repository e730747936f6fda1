"""Pattern 24, persistent trigger: an event is kept until it is wanted."""

from __future__ import annotations

from newel import Event, approval, process, team
from tests.patterns.harness import Driver, Pattern, checks

contract_signed = Event("contract-signed", str)


@process(subject=None, owner="it")
async def contracts(name: str) -> str:
    """Two contracts, when somebody is ready for them."""
    await approval("ready", by=team("hr"))
    first = await contract_signed.wait()
    await approval("ready-again", by=team("hr"))
    second = await contract_signed["second"].wait()
    return f"{first} {second}"


async def play(run: Driver) -> None:
    """Two come early and are kept, in order; the same message twice counts once."""
    assert await run.send(contract_signed, "one", id_="m1") == "kept"
    assert await run.send(contract_signed, "two", id_="m2") == "kept"
    await run.send(contract_signed, "one", id_="m1")
    await run.decide("ready")
    assert await run.waiting() == {"ready-again"}
    await run.decide("ready-again")
    assert await run.result() == "one two"


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("two early", contracts.request("x"), play)
)
