"""Planted mistakes; both checkers must refuse every line marked `# refused`."""

from __future__ import annotations

from newel import Person, approval, parallel, process, step, timer


@step
async def grant(person: Person, *, level: int) -> str:
    """Grant something."""
    return f"{person.name}{level}"


@step
async def number() -> int:
    """Give a number."""
    return 1


@process(owner="it")
async def mistaken(person: Person) -> int:
    """Every planted mistake once."""
    await grant("jane", level=1)  # refused
    await grant(person)  # refused
    await grant[1.5](person, level=1)  # refused
    text, count = await parallel(grant["a"](person, level=1), number())
    text.bit_length()  # refused
    count.upper()  # refused
    await timer("both")  # refused
    decision = await approval("yes", by="jane")  # refused
    return decision.approved.upper()  # refused


mistaken.request("jane")  # refused
