"""Where a worker can die: before and after each of its commits, and of each call it makes.

`Boundaries` counts the points that a run passes, in order. A `Crash` names one of them and what
happens there: the worker is killed, or frozen until another has taken over and then woken. Counted
in the same order again, the point is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from newel.store.queries import queries

__all__ = ["Boundaries", "Crash", "How", "Point", "told"]

How = Literal["killed", "frozen"]

_COMMIT: Final = queries("changes").commit_batch
_TYPES: Final = slice(25, 27)
"""Where the types and the keys of events stand among the parameters of `commit_batch`."""

_VERB: Final = "a verb: "
_TELLING: Final = {
    "run.started": "start",
    "run.completed": "end",
    "run.failed": "end",
    "run.cancelled": "end",
    "step.started": "intent",
    "step.succeeded": "outcome",
    "step.failed": "outcome",
    "step.attempt_failed": "failure",
    "step.cancelled": "outcome",
    "wait.opened": "wait",
    "wait.closed": "outcome",
}


@dataclass(frozen=True, slots=True)
class Point:
    """One boundary of a run: its number, when it is, what it is a boundary of."""

    number: int
    when: str
    what: str

    @property
    def is_freezable(self) -> bool:
        """Whether a sleeper who wakes here still has something to write.

        A transaction of a verb holds the run's row: the server ends it when it is idle.
        """
        if self.what.startswith(_VERB):
            return False
        return self.when in {"before the commit of", "after the effect of"}

    def __str__(self) -> str:
        return f"{self.when} {self.what}"


@dataclass(frozen=True, slots=True)
class Crash:
    """What happens to a worker, and at which point; without a point nothing happens.

    seen: the points that the run has passed; it goes by the number of `point` alone. Who cannot
    be frozen there is killed.
    """

    point: Point | None = None
    how: How = "killed"
    seen: Boundaries = field(default_factory=lambda: Boundaries(), compare=False)  # noqa: PLW0108 - defined below

    @classmethod
    def at(cls, number: int, how: How) -> Crash:
        """The crash at a point of which only the number is known."""
        return cls(Point(number, "at", f"boundary {number}"), how)

    def __str__(self) -> str:
        if self.point is None:
            return "no crash"
        passed = self.seen.points[self.point.number :]
        return f"{self.how} {passed[0] if passed else self.point}"


class Boundaries:
    """The points that a run has passed so far."""

    def __init__(self) -> None:
        """Begin with none."""
        self.points: list[Point] = []

    def passed(self, when: str, what: str) -> Point:
        """Count a point."""
        point = Point(len(self.points), when, what)
        self.points.append(point)
        return point

    def crashes(self) -> Iterable[Crash]:
        """Every crash that could happen at the points that were passed."""
        for point in self.points:
            yield Crash(point)
            if point.is_freezable:
                yield Crash(point, "frozen")


def told(statement: str, values: tuple[Any, ...]) -> str | None:
    """What a statement commits, in words: None where it is no Change of runs."""
    if statement != _COMMIT:
        return None
    types, keys = values[_TYPES]
    words: dict[str, list[str]] = {}
    for kind, key in zip(types, keys, strict=True):
        if kind in _TELLING:
            words.setdefault(_TELLING[kind], []).append(key or "the run")
    text = "; ".join(f"{name} {', '.join(dict.fromkeys(of))}" for name, of in words.items())
    text = text or "what was found out"
    return text if values[0] is not None else f"{_VERB}{text}"
