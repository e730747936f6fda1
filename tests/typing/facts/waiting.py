"""Waits give what was asked for: a decision, a filled form, `Done`, a payload, nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_type

from newel import (
    Decision,
    Done,
    Event,
    approval,
    business_days,
    days,
    form,
    hours,
    process,
    team,
    timer,
)


@dataclass(frozen=True)
class Size:
    """What somebody wears."""

    shirt: str


parcel = Event("parcel", Size)


@process(subject=None, owner="it")
async def facts() -> None:
    """Every wait once."""
    assert_type(await approval("yes", by=team("hr"), within=days(1), remind=hours(4)), Decision)
    assert_type(await form("size", Size, by=team("hr")), Size)
    assert_type(await form("desk", by=team("it"), instructions="Set it up."), Done)
    await timer("then", at=datetime(2026, 1, 5, tzinfo=UTC))
    await timer("later", after=hours(1))
    assert_type(await parcel.wait(match="a"), Size)
    assert_type(await parcel["b"].wait(within=days(2)), Size)
    assert_type(await parcel["c"].wait(within=business_days(2)), Size)
    await timer("monday", after=business_days(1))
