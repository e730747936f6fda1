"""What of a plan a person will do by hand, because no program can on this plan or with this token.

The step's owner knows that, if it is a connector; it is asked for what it knows now, and asks
nobody. What has begun says so itself. Source: connectors document, §7 and §23 (C30).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from newel.drawing.plan import Plan, Planned
from newel.drawing.regions import Act, Region, walk
from newel.flow.step import Step

__all__ = ["with_hands"]

_BY_HAND = "by_hand"


def with_hands(plan: Plan, tree: Region) -> Plan:
    """Say of each act to come that it is done by hand, and why, where that is so."""
    why = {
        region.id: said
        for region in walk(tree)
        if isinstance(region, Act) and (said := _why(region.live))
    }
    if not why:
        return plan
    return replace(plan, lines=tuple(_said(each, why.get(each.node, "")) for each in plan.lines))


def _why(live: object) -> str:
    """Why a step is done by hand; empty for what a program does."""
    if not isinstance(live, Step):
        return ""
    step: Step[..., Any] = live  # Any: whatever it takes and gives
    way_of = getattr(step.owner, "way_of", None)
    if way_of is None:
        return ""
    chosen = way_of(step)
    return f"by hand: {chosen.sentence}" if chosen.path == _BY_HAND else ""


def _said(line: Planned, why: str) -> Planned:
    if not why or line.state:
        return line
    return replace(line, reason=f"{line.reason}; {why}" if line.reason else why)
