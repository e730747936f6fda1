"""Planted mistakes; both checkers must refuse every line marked `# refused`, and no other."""

from __future__ import annotations

from dataclasses import dataclass

from newel import (
    Absent,
    Connection,
    Event,
    Found,
    Person,
    Won,
    approval,
    compensation,
    first_of,
    form,
    parallel,
    process,
    spawn,
    step,
    team,
    timer,
)
from newel.audit.leaf import Actor
from newel.engine import Engine


@dataclass(frozen=True)
class Size:
    """What somebody wears."""

    shirt: str


parcel = Event("parcel", Size)


@step
async def grant(person: Person, *, level: int) -> str:
    """Grant something."""
    return f"{person.name}{level}"


@step
async def number() -> int:
    """Give a number."""
    return 1


async def look(person: Person) -> Found[int] | Absent:
    """Look for the wrong thing."""
    return Found(len(person.name))


@step(verify=look)  # refused
async def named(person: Person) -> str:
    """Give another type than its look-up."""
    return person.name


@step(verify=look)  # refused
async def counted(person: Person, more: int) -> int:
    """Take other parameters than its look-up."""
    return len(person.name) + more


class Desks:
    """A connector that wants a transaction."""

    name = "desks"

    @step(transactional=True)  # refused
    async def reserve(self, db: Connection) -> int:
        """Be a transactional method."""
        return len(str(db))


@step(transactional=True)  # refused
async def unconnected(person: Person) -> int:
    """Take no connection."""
    return len(person.name)


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
    decision = await approval("yes", by=7)  # refused
    async with compensation() as undo:
        undo(grant, person)  # refused
        undo(grant, level=1)  # refused
    await spawn(mistaken, "jane")  # refused
    return decision.approved.upper()  # refused


async def wrong_schema() -> str:
    """Give a filled form where its field was meant."""
    return await form("size", Size, by=team("hr"))  # refused


async def wrong_race() -> Won[int]:
    """Take a race for one of another kind."""
    return await first_of("who", a=grant["x"](Person(name="x", email="x"), level=1))  # refused


async def wrong_payload(engine: Engine, actor: Actor) -> None:
    """Send what nobody waits for."""
    await engine.send(parcel, "large", actor=actor, match="a")  # refused


mistaken.request("jane")  # refused
