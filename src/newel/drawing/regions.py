"""The region tree: what a process does, block by block, in the order of its source.

It is the one truth from which graph, pictures, plan and checks are derived. Structured Python is
a tree of blocks, so nothing is lost by keeping it as one; a graph in which a loop is an edge
backwards is derived from it (`graph`) and never edited.

Every region has an `id` that survives edits elsewhere: an act's is its key pattern, that of any
other begins with its kind and a colon, which no key holds. Control leaves a region in the ways
that `exits` names. Source: drawing document, §2.4 and §4.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from newel.domain.patterns import Pattern

__all__ = [
    "Act",
    "ActKind",
    "Again",
    "Arm",
    "Branch",
    "Call",
    "Choice",
    "Compensation",
    "Each",
    "Group",
    "Guarded",
    "Handler",
    "Jump",
    "Lock",
    "Loop",
    "Member",
    "Par",
    "Promise",
    "Pure",
    "Race",
    "Raise",
    "Region",
    "Rest",
    "Return",
    "Scope",
    "Section",
    "Seq",
    "Where",
    "acts_of",
    "as_document",
    "exits",
    "kids_of",
    "walk",
]

ActKind = Literal["step", "approval", "form", "timer", "event", "child", "spawn", "mark"]
Kind = type[BaseException]


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in the source: lines count from 1, columns too; never a path of a file system."""

    module: str
    line: int
    end_line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.module}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A block of a process. label: what people read; in full, pictures may cut it."""

    kind: ClassVar[str] = "region"

    id: str
    label: str = ""
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Seq(Region):
    """Regions one after another; each but the last can go on to the next."""

    kind: ClassVar[str] = "seq"

    kids: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Act(Region):
    """A durable act.

    act: its kind; verb: of a mark, what it does (cancel, reach, leave, holds, reached, join,
    complete, result). name: of the step, event or process. target: the names its result is bound
    to, as source; "" where nobody looks at it. raises: declared exceptions that it can end with.
    by, within, remind, at, after, match, schema: arguments, as source. formerly: names it had.
    item: what the key names of many, as source. call: the whole call, as source.
    need: of a join, how many it waits for. live: the step, event or process itself.
    """

    kind: ClassVar[str] = "act"

    act: ActKind
    pattern: Pattern
    name: str
    verb: str = ""
    target: str = ""
    by: str = ""
    within: str = ""
    remind: str = ""
    at: str = ""
    after: str = ""
    match: str = ""
    schema: str = ""
    is_buffered: bool = True
    need: str = ""
    item: str = ""
    call: str = ""
    formerly: tuple[str, ...] = ()
    raises: tuple[Kind, ...] = ()
    system: str = ""
    live: object = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest(Region):
    """The wait for the stragglers of a race; it has no key, for each of them has its own."""

    kind: ClassVar[str] = "rest"

    race: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Region):
    """A helper, inlined; its returns meet where it ends.

    name: of the function. arguments: of the call, by parameter, as source. call: the call itself,
    as source. live: the function, bound to its object if it is a method.
    """

    kind: ClassVar[str] = "call"

    name: str
    kid: Seq
    target: str = ""
    arguments: tuple[tuple[str, str], ...] = ()
    call: str = ""
    live: object = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section(Region):
    """A prefix of keys. prefix: its label in keys, `*` where it is computed; source: as written."""

    kind: ClassVar[str] = "section"

    prefix: str
    source: str
    formerly: tuple[str, ...] = ()
    kid: Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way of a choice.

    condition: source of the test, None for what is left over. In a `match` it is the pattern's
    source, with its guard behind ` if `.
    """

    condition: str | None
    label: str
    kid: Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Region):
    """`if` and `match`: exactly one arm is taken. subject: of a `match`, as source."""

    kind: ClassVar[str] = "if"

    arms: tuple[Arm, ...]
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop(Region):
    """`while`, and a `for` that can be left early.

    test: acts of the condition. condition: source; None for `while True`. over, target: of a
    `for`. stores: names assigned inside, sorted.
    """

    kind: ClassVar[str] = "loop"

    test: Seq
    condition: str | None
    body: Seq
    orelse: Seq
    over: str = ""
    target: str = ""
    stores: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Each(Region):
    """One body for each of many; mode: one after another (`seq`) or beside each other (`par`).

    test: the condition of a comprehension, "" if there is none.
    """

    kind: ClassVar[str] = "each"

    body: Seq
    over: str
    target: str
    mode: Literal["seq", "par"]
    test: str = ""
    stores: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Par(Region):
    """`parallel`: everyone as far as they can; it ends when all have ended."""

    kind: ClassVar[str] = "par"

    branches: tuple[Seq, ...]
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A branch of a race; name: as the race knows it."""

    name: str
    kid: Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Race(Region):
    """`first_of`, `n_of`: decided by the first that ends, or by `need` (source) successes."""

    kind: ClassVar[str] = "race"

    pattern: Pattern
    need: str = ""
    losers: Literal["cancel", "finish"] = "cancel"
    branches: tuple[Branch, ...]
    target: str = ""
    item: str = ""
    formerly: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Region):
    """What is added to a group here; it runs beside the group's body from now on."""

    kind: ClassVar[str] = "member"

    kid: Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Region):
    """A block beside which its members run; its end joins what is left.

    Members stand in the body where they are added (`Member`), joins as acts. `name` leads the keys
    of its acts; the block itself has none.
    """

    kind: ClassVar[str] = "group"

    name: str
    body: Seq
    formerly: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[Member, ...]:
        """All members, in the order in which they stand."""
        return tuple(each for each in walk(self.body) if isinstance(each, Member))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope(Region):
    """A block that can be cancelled from elsewhere; it goes on behind its end then, too."""

    kind: ClassVar[str] = "scope"

    name: str
    body: Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock(Region):
    """A block that is entered by one at a time; taking the lock is an act of its own."""

    kind: ClassVar[str] = "lock"

    pattern: Pattern
    name: str
    is_shared: bool
    body: Seq
    item: str = ""
    formerly: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """What follows an exception. types: what it catches, as classes; is_star: `except*`."""

    types: tuple[Kind, ...]
    is_star: bool
    name: str
    label: str
    kid: Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded(Region):
    """`try`, and `with suppress(…)`. A `final` without acts is empty: it is not drawn."""

    kind: ClassVar[str] = "try"

    body: Seq
    handlers: tuple[Handler, ...]
    orelse: Seq
    final: Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise(Region):
    """`undo(step, …)`: from here on the block has this to put back. name: of the step."""

    kind: ClassVar[str] = "promise"

    pattern: Pattern
    name: str
    live: object = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensation(Region):
    """A block whose promises are kept, newest first, if it does not end well."""

    kind: ClassVar[str] = "compensation"

    body: Seq

    @property
    def promises(self) -> tuple[Promise, ...]:
        """Its own promises in the order in which they stand, not those of blocks inside."""
        return tuple(_promises(self.body))


@dataclass(frozen=True, slots=True, kw_only=True)
class Return(Region):
    """The end of the function that it stands in. value: source, "" for None."""

    kind: ClassVar[str] = "return"

    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise(Region):
    """An exception. type: its class where it can be told; None for `raise` in a handler."""

    kind: ClassVar[str] = "raise"

    type: Kind | None
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump(Region):
    """`break` or `continue` of the innermost loop."""

    kind: ClassVar[str] = "jump"

    verb: Literal["break", "continue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Again(Region):
    """A helper that is being read already: it begins again.

    frame: the id of its region. arguments: of this call, by parameter, as source.
    """

    kind: ClassVar[str] = "again"

    frame: str
    arguments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pure(Region):
    """A binding without an act, for the plan. targets: source; value: source, "" if unknown."""

    kind: ClassVar[str] = "pure"

    targets: tuple[str, ...]
    value: str = ""


def kids_of(region: Region) -> tuple[Region, ...]:
    """The regions right inside, in the order of the source."""
    match region:
        case Seq():
            return region.kids
        case Call() | Section() | Member():
            return (region.kid,)
        case Choice():
            return tuple(arm.kid for arm in region.arms)
        case Loop():
            return region.test, region.body, region.orelse
        case Each() | Group() | Scope() | Lock() | Compensation():
            return (region.body,)
        case Par():
            return region.branches
        case Race():
            return tuple(branch.kid for branch in region.branches)
        case Guarded():
            handled = (handler.kid for handler in region.handlers)
            return region.body, *handled, region.orelse, region.final
        case _:
            return ()


def walk(region: Region) -> Iterator[Region]:
    """The region and everything inside, in the order of the source."""
    yield region
    for kid in kids_of(region):
        yield from walk(kid)


def acts_of(region: Region) -> Iterator[Act | Race | Lock | Promise]:
    """Everything inside that has a key, in the order of the source."""
    for each in walk(region):
        if isinstance(each, Act | Race | Lock | Promise):
            yield each


def _promises(region: Region) -> Iterator[Promise]:
    for kid in kids_of(region):
        if isinstance(kid, Promise):
            yield kid
        elif not isinstance(kid, Compensation):
            yield from _promises(kid)


def exits(region: Region) -> frozenset[str]:
    """The ways in which control can leave a region: next, return, break, continue, raise.

    A cancelled or parked branch leaves nothing: it is no end. Raising counts only where a `raise`
    stands; what acts can end with is told by their `raises`.
    """
    match region:
        case Return():
            return frozenset({"return"})
        case Raise():
            return frozenset({"raise"})
        case Jump(verb=verb):
            return frozenset({verb})
        case Seq(kids=kids):
            return _of_sequence(kids)
        case Call(kid=kid):
            found = exits(kid)
            return (found - {"return"}) | ({"next"} if found & {"next", "return"} else set())
        case Choice(arms=arms):
            return frozenset().union(*(exits(arm.kid) for arm in arms))
        case Loop():
            return _of_loop(region)
        case Guarded():
            return _of_try(region)
        case Section() | Member() | Each() | Group() | Scope() | Lock() | Compensation():
            found = exits(kids_of(region)[0])
            always = isinstance(region, Each | Scope | Member)
            return found | {"next"} if always else found
        case _:
            return frozenset({"next"})


def _of_sequence(kids: tuple[Region, ...]) -> frozenset[str]:
    found: frozenset[str] = frozenset({"next"})
    for kid in kids:
        found = (found - {"next"}) | exits(kid)
        if "next" not in found:
            break
    return found


def _of_loop(loop: Loop) -> frozenset[str]:
    inside = exits(loop.body) | exits(loop.test) - {"next"}
    found = inside - {"break", "continue", "next"}
    if loop.condition is not None:
        found |= exits(loop.orelse)
    if "break" in inside:
        found |= {"next"}
    return found


def _of_try(block: Guarded) -> frozenset[str]:
    body = exits(block.body)
    found = body
    if "next" in body:
        found = (body - {"next"}) | exits(block.orelse)
    if block.handlers:
        found -= {"raise"}  # a handler may let it pass: then it is a fault or leaves as it came
        found |= {"raise"} & body
    for handler in block.handlers:
        found |= exits(handler.kid)
    final = exits(block.final)
    return found if "next" in final else final


def as_document(region: object) -> object:
    """A region as plain data for canonical JSON; live objects are left out, classes are names."""
    if isinstance(region, Pattern):
        return str(region)
    if isinstance(region, type):
        return region.__qualname__
    if isinstance(region, tuple):
        return [as_document(each) for each in region]
    if dataclasses.is_dataclass(region) and not isinstance(region, type):
        found: dict[str, object] = {}
        if isinstance(region, Region):
            found["kind"] = region.kind
        for each in dataclasses.fields(region):
            if each.name != "live":
                found[each.name] = as_document(getattr(region, each.name))
        return found
    return region
