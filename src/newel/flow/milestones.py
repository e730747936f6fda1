"""`milestone`: a state of the run that can hold and cease, and that other branches ask for."""

from __future__ import annotations

from typing import Literal

from newel.domain.keys import checked_name, named
from newel.flow.act import Act, Place

Verb = Literal["reach", "leave", "holds", "reached"]


class Marking(Act[bool]):
    """Change a milestone, ask for it, or wait for it; only `holds` looks at the answer."""

    __slots__ = ("milestone", "verb")

    def __init__(self, milestone: Milestone, verb: Verb, base: str, place: Place) -> None:
        super().__init__(base, place)
        self.milestone = milestone
        self.verb: Verb = verb


class Milestone:
    """A named state of the run; it holds from `reach` to `leave`."""

    def __init__(self, name: str) -> None:
        self.name = checked_name(name)

    def reach(self) -> Act[bool]:
        """From here on the state holds."""
        return Marking(self, "reach", f"{self.name}.reach", Place.of_caller())

    def leave(self) -> Act[bool]:
        """From here on the state does not hold."""
        return Marking(self, "leave", f"{self.name}.leave", Place.of_caller())

    def holds(self, key: str) -> Act[bool]:
        """Whether the state holds now; the answer is recorded under `key`."""
        return Marking(self, "holds", named(key), Place.of_caller())

    def reached(self, key: str) -> Act[bool]:
        """Wait until the state holds."""
        return Marking(self, "reached", named(key), Place.of_caller())


def milestone(key: str) -> Milestone:
    """Declare a milestone, at module level."""
    return Milestone(key)
