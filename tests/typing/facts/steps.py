"""A step keeps its full signature, also subscripted, as a function and as a method."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import assert_type

from newel import Step, parallel, process, seconds, step


@step(title="Count desks", timeout=seconds(5))
async def count(floor: int, *, free: bool = True) -> int:
    """Count desks."""
    return floor if free else 0


@step
def read(name: str) -> bytes:
    """Read something; a plain function is awaited like any other."""
    return name.encode()


@step(pool="process", in_doubt="repeat")
def weigh(numbers: tuple[int, ...]) -> float:
    """Weigh something heavy."""
    return float(sum(numbers))


class Door:
    """A connector."""

    name = "door"

    @step
    async def open(self, badge: str, *, twice: bool = False) -> bool:
        """Open the door."""
        return bool(badge) and not twice


door = Door()


@process(subject=None, owner="it")
async def facts() -> None:
    """Every fact once."""
    assert_type(await count(1), int)
    assert_type(await count["third"](3, free=False), int)
    assert_type(await count[("a", 1)](3), int)
    assert_type(await read("x"), bytes)
    assert_type(await weigh((1, 2)), float)
    assert_type(await door.open("b"), bool)
    assert_type(await door.open["side"]("b", twice=True), bool)
    number, data = await parallel(count["a"](1), read["a"]("x"))
    assert_type(number, int)
    assert_type(data, bytes)


async def outside() -> None:
    """Outside a run a step is an ordinary coroutine."""
    assert_type(await count.plain(1), int)


read_again: Step[[str], bytes] = read
act: Awaitable[int] = count(1)
