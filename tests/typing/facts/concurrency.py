"""Joins are typed by position; races, groups and fan-outs by what their branches have in common."""

from __future__ import annotations

from typing import assert_type

from newel import (
    Decision,
    Reached,
    Won,
    approval,
    first_of,
    group,
    lock,
    milestone,
    n_of,
    parallel,
    process,
    scope,
    step,
    team,
)


@step
async def text(item: str) -> str:
    """Give text."""
    return item


@step
async def number() -> int:
    """Give a number."""
    return 1


@process(subject=None, owner="it")
async def facts(names: tuple[str, ...]) -> None:
    """Every word of concurrency once."""
    one, two, three = await parallel(text["a"]("x"), number["a"](), helper())
    assert_type(one, str)
    assert_type(two, int)
    assert_type(three, bytes)
    maybe, sure = await parallel(text["b"]("x") if names else None, number["b"]())
    assert_type(maybe, str | None)
    assert_type(sure, int | None)
    assert_type(await parallel(*[text[name](name) for name in names]), tuple[str, ...])
    won = await first_of(
        "who", anna=approval("anna", by=team("a")), bert=approval("bert", by=team("b"))
    )
    assert_type(won, Won[Decision])
    assert_type(won.value.approved, bool)
    reached = await n_of("two", 2, *[text[f"n{name}"](name) for name in names])
    assert_type(reached, Reached[str])
    async with group("all", str) as all_of_them:
        for name in names:
            all_of_them.add(text[f"g{name}"](name))
        assert_type(await all_of_them.join(), tuple[str, ...])
    async with scope("inner") as inner:
        assert_type(inner.cancelled, bool)
    async with lock("printer"):
        await number["c"]()
    mark = milestone("ready")
    assert_type(await mark.reach(), bool)


async def helper() -> bytes:
    """Be a helper made of acts."""
    return (await text["h"]("x")).encode()
