"""The plan: what is still to come for one run, and why, or what a run that starts now would do.

It is the region tree, walked with what is known: the input, and the outcomes so far. An act that
has none takes the forecast of the way that leads to it. No code of the process runs, so what its
conditions ask is known only as far as `values` can tell. Source: drawing document, §9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from newel.drawing.drawing import Drawing, drawing_of
from newel.drawing.names import UNKNOWN
from newel.flow.process import Process, Request

__all__ = ["FRESH", "Forecast", "Open", "Outcome", "Past", "Plan", "Planned", "planned"]

Forecast = Literal["will-run", "expected", "maybe", "not-needed"]
State = Literal[
    "",
    "done",
    "by-hand",
    "skipped",
    "failed",
    "cancelled",
    "running",
    "retrying",
    "in-doubt",
    "task",
    "waiting",
    "parked",
]
"""What a person is shown of an act that has begun; empty for one that has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an act has come to. word: as a state; error: what it raised into the process.

    is_unused: a race, a group or a scope that has decided. names: who decided a race.
    """

    word: State = "done"
    value: object = UNKNOWN
    error: BaseException | None = None
    names: tuple[str, ...] = ()
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """An act that has begun and has no outcome. said: of whom, until when, why, in words."""

    word: State
    said: str = ""
    due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is known of one run, by key. ended: in which state it is over, if it is."""

    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    outcomes: Mapping[str, Outcome] = field(default_factory=dict[str, Outcome])
    open: Mapping[str, Open] = field(default_factory=dict[str, Open])
    ended: str = ""


FRESH: Final = Past()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One line of a plan.

    node: id in the drawing. key: None where only the run will tell. state: of what has begun;
    forecast: of what has not. reason: in words.
    """

    node: str
    key: str | None
    label: str
    state: State = ""
    forecast: Forecast | None = None
    reason: str = ""
    due: datetime | None = None

    @property
    def said(self) -> str:
        """State or forecast in words, with the reason."""
        word = self.state or self.forecast or ""
        return f"{word} ({self.reason})" if self.reason else word


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All lines, in the order of the source.

    elsewhere: keys of the journal that this code does not come to: done under an earlier version.
    taken: which arm of a choice, by its id, where that is known. critical: the longest row of
    steps that have to wait for each other.
    """

    lines: tuple[Planned, ...]
    elsewhere: tuple[str, ...] = ()
    taken: Mapping[str, int] = field(default_factory=dict[str, int])
    critical: tuple[Planned, ...] = ()

    def of(self, node: str) -> list[Planned]:
        """The lines of one part of the drawing."""
        return [each for each in self.lines if each.node == node]

    def counts(self) -> dict[str, int]:
        """How many lines there are in each state and of each forecast."""
        found: dict[str, int] = {}
        for each in self.lines:
            word = each.state or each.forecast or ""
            found[word] = found.get(word, 0) + 1
        return found

    def as_text(self) -> str:
        """One line for each act: key or pattern, and what is said of it."""
        return "".join(f"{each.key or each.node}: {each.said}\n" for each in self.lines)


def planned(what: Drawing | Process[..., Any] | Request[Any], past: Past = FRESH) -> Plan:
    """What comes, for a run with this past; of a request, what it would do if it started now.

    Raises NotJournalable for a request whose arguments cannot be kept.
    """
    from newel.drawing.critical import critical_path  # noqa: PLC0415 - it reads what stands here
    from newel.drawing.forecasts import Forecaster  # noqa: PLC0415 - it makes what stands here
    from newel.drawing.hands import with_hands  # noqa: PLC0415 - as above

    if isinstance(what, Request):
        drawing = drawing_of(what.process)
        past = Past(arguments=what.arguments)
    else:
        drawing = what if isinstance(what, Drawing) else drawing_of(what)
    plan = with_hands(Forecaster(drawing, past).plan(), drawing.tree)
    return replace(plan, critical=critical_path(drawing.tree, plan))
