"""`milestone`: a state of the run that can hold and cease, and that other branches ask for."""

from __future__ import annotations

from typing import Literal

from newel.domain.keys import Formerly, checked_name, former, former_with_verb, named
from newel.flow.act import Act, Place

Verb = Literal["reach", "leave", "holds", "reached"]


class Marking(Act[bool]):
    """Change a milestone, ask for it, or wait for it; only `holds` looks at the answer."""

    __slots__ = ("milestone", "verb")

    def __init__(
        self,
        milestone: Milestone,
        verb: Verb,
        base: str,
        place: Place,
        formerly: tuple[str, ...],
    ) -> None:
        super().__init__(base, place, formerly)
        self.milestone = milestone
        self.verb: Verb = verb


class Milestone:
    """A named state of the run; it holds from `reach` to `leave`."""

    def __init__(self, name: str, formerly: Formerly = ()) -> None:
        self.name = checked_name(name)
        self.formerly = former(formerly)

    def reach(self) -> Act[bool]:
        """From here on the state holds."""
        return self._changed("reach", Place.of_caller())

    def leave(self) -> Act[bool]:
        """From here on the state does not hold."""
        return self._changed("leave", Place.of_caller())

    def _changed(self, verb: Literal["reach", "leave"], place: Place) -> Act[bool]:
        names = former_with_verb(self.formerly, verb)
        return Marking(self, verb, f"{self.name}.{verb}", place, names)

    def holds(self, key: str, *, formerly: Formerly = ()) -> Act[bool]:
        """Whether the state holds now; the answer is recorded under `key`."""
        return Marking(self, "holds", named(key), Place.of_caller(), former(formerly))

    def reached(self, key: str, *, formerly: Formerly = ()) -> Act[bool]:
        """Wait until the state holds."""
        return Marking(self, "reached", named(key), Place.of_caller(), former(formerly))


def milestone(key: str, *, formerly: Formerly = ()) -> Milestone:
    """Declare a milestone, at module level; formerly: names that it had."""
    return Milestone(key, formerly)
