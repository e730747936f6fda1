"""Acts that the tests of words put into branches."""

from __future__ import annotations

from newel.flow.step import step


@step
async def work(name: str) -> str:
    """Some work."""
    return name


async def one(name: str) -> str:
    """A branch with one act."""
    return await work[name](name)


async def two(name: str) -> str:
    """A branch with two acts in a row."""
    return await work[f"{name}1"](name) + await work[f"{name}2"](name)
