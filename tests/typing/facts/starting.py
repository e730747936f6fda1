"""Requests, children and promises are checked against what they call."""

from __future__ import annotations

from typing import assert_type

from newel import Child, Request, compensation, process, spawn, step


@step
async def undo_it(what: str, *, times: int) -> None:
    """Take something back."""


@process(subject=None, owner="it")
async def child(what: str, *, often: int = 1) -> bytes:
    """Be a child."""
    return what.encode() * often


@process(subject=None, owner="it")
async def parent() -> int:
    """Start children, and promise."""
    assert_type(await child("x", often=2), bytes)
    spawned = await spawn(child["spare"], "x", often=2)
    assert_type(spawned, Child[bytes])
    assert_type(await spawned.result(), bytes)
    bound = await spawn(child.request("y"), with_parent=True)
    assert_type(bound, Child[bytes])
    async with compensation() as undo:
        undo(undo_it, "x", times=2)
        undo(undo_it["again"], "x", times=3)
    return 1


assert_type(child.request("x", often=2), Request[bytes])
