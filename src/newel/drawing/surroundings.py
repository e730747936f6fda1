"""What stands around a region while the graph is built, and which control it takes.

Control that leaves a region early goes outwards, from the innermost surrounding to the outermost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from newel.base.errors import ProcessError
from newel.drawing.graph import EdgeKind
from newel.drawing.labels import handled
from newel.drawing.regions import Act, Guarded, Kind, Promise, Raise, Region, walk

__all__ = [
    "Beside",
    "Bounds",
    "Caller",
    "Catching",
    "Lasting",
    "Loose",
    "Promises",
    "Rounds",
    "Surrounding",
    "Way",
]

_SAID: Final = {
    "return": "returns",
    "break": "leaves the loop",
    "continue": "goes round again",
    "raise": "fails",
}


@dataclass(frozen=True, slots=True)
class Loose:
    """An edge whose target is not known yet; src is empty for an exit that has no edge."""

    src: str
    kind: EdgeKind = "flow"
    label: str = ""
    cond: str = ""
    default: bool = False
    tag: str = ""

    def jumping(self) -> Loose:
        """The same, leaving its block early."""
        return replace(self, kind="jump")

    def labelled(self, label: str) -> Loose:
        """The same with a label."""
        return replace(self, label=label)

    def tagged(self, tag: str) -> Loose:
        """The same with the way that control is on."""
        return replace(self, tag=tag)


@dataclass(frozen=True, slots=True)
class Way:
    """How control leaves: by which word, and with which exceptions.

    is_group: whether they come as a group, which only `except*` opens.
    """

    verb: Literal["return", "break", "continue", "raise"]
    kinds: tuple[Kind, ...] = ()
    is_group: bool = False
    region: Region | None = None
    label: str = ""

    @classmethod
    def of_failure(cls, kind: Kind, region: Region | None = None) -> Way:
        """An exception."""
        said = handled(kind.__name__, "")
        return cls("raise", (kind,), region=region, label=said[:1].upper() + said[1:])

    @classmethod
    def of_group(cls, ways: Iterable[Way]) -> Way:
        """What several branches have failed with, together."""
        kinds = tuple(dict.fromkeys(kind for way in ways for kind in way.kinds))
        return cls("raise", kinds, is_group=True, label="If branches fail")

    @property
    def name(self) -> str:
        """The way's part of an id."""
        if self.verb != "raise":
            return self.verb
        return "ExceptionGroup" if self.is_group else self.kinds[0].__name__

    @property
    def tag(self) -> str:
        """What tells it apart from other ways through one `finally`."""
        at = self.region.id if self.region is not None and self.verb == "return" else self.name
        return f"{self.verb} {at}"

    @property
    def said(self) -> str:
        """The way in words."""
        return _SAID[self.verb]


class Surrounding:
    """Something around a region."""

    def taken(self, way: Way, ends: list[Loose]) -> Way | None:
        """Take what belongs here; gives the way that is left for those further out, if any."""
        del ends
        return way


@dataclass(eq=False)
class Bounds(Surrounding):
    """The border of a container."""

    id: str
    region: Region


@dataclass(eq=False)
class Caller(Surrounding):
    """The call of a helper: takes its returns."""

    returns: list[Loose] = field(default_factory=list[Loose])

    def taken(self, way: Way, ends: list[Loose]) -> Way | None:
        """Take what belongs here."""
        if way.verb != "return":
            return way
        self.returns += ends
        return None


@dataclass(eq=False)
class Rounds(Surrounding):
    """A loop: takes `break` and `continue`."""

    breaks: list[Loose] = field(default_factory=list[Loose])
    continues: list[Loose] = field(default_factory=list[Loose])

    def taken(self, way: Way, ends: list[Loose]) -> Way | None:
        """Take what belongs here."""
        if way.verb == "break":
            self.breaks += ends
        elif way.verb == "continue":
            self.continues += ends
        else:
            return way
        return None


@dataclass(eq=False)
class Beside(Surrounding):
    """A branch: takes its failures, which are raised when all branches rest."""

    failures: list[tuple[Way, Loose]] = field(default_factory=list[tuple[Way, Loose]])

    def taken(self, way: Way, ends: list[Loose]) -> Way | None:
        """Take what belongs here."""
        if way.verb != "raise":
            return way
        self.failures += [(way, end) for end in ends]
        return None


@dataclass(eq=False)
class Lasting(Surrounding):
    """A `finally`: takes everything."""

    entries: list[tuple[Way, Loose]] = field(default_factory=list[tuple[Way, Loose]])

    def taken(self, way: Way, ends: list[Loose]) -> Way | None:
        """Take what belongs here."""
        self.entries += [(way, end) for end in ends]
        return None


@dataclass(eq=False)
class Promises(Surrounding):
    """A block of promises: takes failures, with how many promises stood before them."""

    made: list[Promise] = field(default_factory=list[Promise])
    failures: list[tuple[int, Way, Loose]] = field(default_factory=list[tuple[int, Way, Loose]])

    def taken(self, way: Way, ends: list[Loose]) -> Way | None:
        """Take what belongs here."""
        if way.verb != "raise":
            return way
        self.failures += [(len(self.made), way, end) for end in ends]
        return None


class Catching(Surrounding):
    """The body of a `try`: each handler takes what it catches."""

    def __init__(self, region: Guarded) -> None:
        self.region = region
        self.entries: list[list[Loose]] = [[] for _ in region.handlers]
        self.unforeseen = _unforeseen(region)

    def taken(self, way: Way, ends: list[Loose]) -> Way | None:
        """Take what belongs here."""
        if way.verb != "raise":
            return way
        left = list(way.kinds)
        for index, handler in enumerate(self.region.handlers):
            if way.is_group and not handler.is_star:
                if any(issubclass(ExceptionGroup, kind) for kind in handler.types):
                    self.entries[index] += ends
                    return None
                continue
            caught = [kind for kind in left if issubclass(kind, handler.types)]
            may = [kind for kind in left if any(issubclass(each, kind) for each in handler.types)]
            if caught or may:
                self.entries[index] += ends
            left = [kind for kind in left if kind not in caught]
            if not left:
                return None
        return replace(way, kinds=tuple(left))


def _unforeseen(region: Guarded) -> tuple[Kind, ...]:
    """What handlers catch that no act of the body says it can end with: of the code between."""
    declared: set[Kind] = set()
    for each in walk(region.body):
        if isinstance(each, Act):
            declared.update(each.raises)
        elif isinstance(each, Raise) and each.type is not None:
            declared.add(each.type)
    return tuple(
        kind
        for handler in region.handlers
        for kind in handler.types
        if not issubclass(kind, ProcessError)
        and not any(issubclass(each, kind) for each in declared if kind is not Exception)
        and issubclass(kind, Exception)
        and not issubclass(kind, ExceptionGroup)
    )
