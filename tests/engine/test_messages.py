"""Messages reach the waits that ask for them, wherever these stand in the body."""

from __future__ import annotations

from newel import Event, parallel, process, section
from tests.engine.house import OPERATOR, House

paid = Event("paid", str)


@process(subject=None, owner="it")
async def collecting() -> tuple[str, ...]:
    """Wait for one message plainly, one in a section, one for one of many, and for a second."""
    found = await parallel(in_section(), paid["x/1"].wait(match="b"))
    return (*found, *[await paid.wait(match="c") for _ in range(2)])


async def in_section() -> str:
    """Wait inside a section."""
    with section("inner"):
        return await paid.wait(match="a")


async def _sent(house: House, match: str, payload: str) -> None:
    await house.engine.send(paid, payload, match=match, actor=OPERATOR)
    house.poke()


async def test_a_message_finds_its_wait_in_sections_and_items_and_loops(build):
    """Early or late, the name of an event is what counts, not the place of its wait."""
    async with build([collecting]) as house, house.worker():
        await _sent(house, "a", "1")  # before anybody waits
        run = await house.start("collecting")

        async def one_is_left() -> bool:
            return set(await house.acts(run)) == {"paid[x%2F1]"}

        await house.until(one_is_left)
        for match, payload in (("b", "2"), ("c", "3"), ("c", "4")):
            await _sent(house, match, payload)
            await house.rested(run)
        assert await house.ended(run) == "completed"
