"""Callers of a transactional step do not see its connection."""

from __future__ import annotations

from typing import assert_type

from newel import Connection, Step, process, step


class NoDesk(Exception):
    """No desk is free."""


@step(transactional=True, raises=NoDesk)
async def reserve(db: Connection, person: str, *, floor: int) -> int:
    """Take a free desk."""
    row = await db.fetchrow("select number from company.desk where floor = $1", floor)
    if row is None:
        raise NoDesk(floor)
    await db.execute("update company.desk set holder = $1", person)
    number: int = row["number"]
    return number


@process(subject=None, owner="it")
async def facts() -> None:
    """The connection is not the caller's business."""
    assert_type(await reserve("jane", floor=2), int)
    assert_type(await reserve["second"]("jane", floor=2), int)


assert_type(reserve.skips, int)
step_of_two: Step[..., int] = reserve
