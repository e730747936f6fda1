"""What is known while a process is read: where the reader stands, and what it has found so far."""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from newel.base.errors import NotJournalable
from newel.base.findings import Finding
from newel.domain.keys import MAX_KEY_BYTES, checked_name, encoded
from newel.domain.patterns import ANY, Pattern
from newel.drawing import rules
from newel.drawing.names import UNKNOWN, Names, Thing, stored
from newel.drawing.regions import Act, Lock, Promise, Race, Region, Seq, Where
from newel.drawing.sources import Source

__all__ = ["DEEPEST", "MOST_ACTS", "Frame", "Keyed", "Label", "Placed", "Round", "State"]

DEEPEST: Final = 12
"""How deep helpers may be nested."""
MOST_ACTS: Final = 300
"""How many acts a process may have."""

Keyed = Act | Race | Lock | Promise


@dataclass(slots=True)
class Frame:
    """One function that is being read.

    called_at: where it is called; None for the process itself. is_branch: whether it runs beside
    others. labels: how many sections stood around its call. once: names assigned exactly once.
    """

    source: Source
    names: Names
    region: str
    called_at: Where | None
    is_branch: bool
    labels: int
    once: frozenset[str] = field(default_factory=frozenset[str])
    consumed: set[int] = field(default_factory=set[int])
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """A section around an act: its part of the key, and which loops it depends on."""

    text: str
    varies: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Round:
    """Something around an act that repeats it.

    kind: `data` for a loop over data, `count` for one over a range or a literal, `while`, `beside`
    for branches that run at once, `grows` for a `while` around what is added to a group.
    """

    id: str
    kind: Literal["data", "count", "while", "beside", "grows"]
    source: str
    where: Where
    target: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """A keyed region with what the rules of keys look at.

    varies: loops that its key depends on. chain: the calls around it, the outermost first.
    called: how it is called, as source; empty where an item cannot be added to the call.
    """

    region: Keyed
    varies: frozenset[str]
    is_position: bool
    rounds: tuple[Round, ...]
    chain: tuple[Where, ...]
    item: str
    called: str = ""


class State:
    """The reader's place and its findings; what it knows of names lives in the frames."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.frames: list[Frame] = []
        self.labels: list[Label] = []
        self.rounds: list[Round] = []
        self.placed: list[Placed] = []
        self.sources: list[Source] = []
        self._ids: Counter[str] = Counter()

    # --- places and ids -----------------------------------------------------------------------

    @property
    def frame(self) -> Frame:
        """The function that is being read."""
        return self.frames[-1]

    @property
    def names(self) -> Names:
        """The names of that function."""
        return self.frames[-1].names

    def where(self, node: ast.AST) -> Where:
        """The place of a node of the function that is being read."""
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        end = getattr(node, "end_lineno", None) or line
        return Where(self.frame.source.module, line, end, column + 1)

    def id_of(self, base: str) -> str:
        """An id that nothing has yet: twins get `~2`, `~3`, in the order of the source."""
        self._ids[base] += 1
        count = self._ids[base]
        return base if count == 1 else f"{base}~{count}"

    def id_of_source(self, kind: str, source: str) -> str:
        """The id of a gateway: its kind and the source of its condition."""
        return self.id_of(f"{kind}:{hashlib.sha256(source.encode()).hexdigest()[:8]}")

    def add(self, code: str, at: ast.AST | Where, what: str, fix: str) -> None:
        """Note a finding."""
        where = at if isinstance(at, Where) else self.where(at)
        self.findings.append(rules.found(code, where, what, fix))

    def seq(self, at: ast.AST | Where, kids: list[Region]) -> Seq:
        """Regions one after another; a sequence has no id of its own to be found by."""
        where = at if isinstance(at, Where) else self.where(at)
        return Seq(id="", where=where, kids=tuple(kids))

    # --- keys ---------------------------------------------------------------------------------

    def pattern(self, at: ast.AST, name: str, item: str | None, *, undo: bool = False) -> Pattern:
        """The pattern of an act here; notes F304 for a name that no key can have."""
        labels = tuple(label.text for label in self.labels)
        found = Pattern(("undo", *labels) if undo else labels, name, item)
        try:
            checked_name(name)
        except NotJournalable as error:
            self.add("F304", at, str(error), "another name.")
        if len(str(found).encode()) > MAX_KEY_BYTES:
            what = f"The key `{str(found)[:60]}…` is longer than {MAX_KEY_BYTES} bytes."
            self.add("F304", at, what, "shorter names of sections and acts.")
        return found

    def part(self, node: ast.expr) -> str:
        """A label or an item as it stands in keys; `*` where only a run can tell."""
        value = self.names.value(node)
        if value is UNKNOWN:
            parts = node.elts if isinstance(node, ast.Tuple) else []
            return ",".join(self._of_tuple(each) for each in parts) or ANY
        try:
            return encoded(value)  # type: ignore[arg-type]  # what does not fit is refused there
        except NotJournalable as error:
            self.add("F304", node, str(error), "a text, a number, an enum member or a tuple.")
            return ANY

    def _of_tuple(self, node: ast.expr) -> str:
        value = self.names.value(node)
        return ANY if value is UNKNOWN else self.part(ast.Tuple(elts=[node], ctx=ast.Load()))

    def place(self, region: Keyed, item: ast.expr | None, call: ast.Call | None = None) -> None:
        """Note a keyed region, with what its key depends on; call: where an item can be added."""
        varies = self.names.varies(item).union(*(label.varies for label in self.labels))
        is_position = item is not None and self.names.is_position(item)
        chain = tuple(each.called_at for each in self.frames if each.called_at is not None)
        source = "" if item is None else ast.unparse(item)
        called = "" if call is None or item is not None else ast.unparse(call)
        placed = Placed(region, varies, is_position, tuple(self.rounds), chain, source, called)
        self.placed.append(placed)
        if len(self.placed) == MOST_ACTS + 1:
            what = f"The process has more than {MOST_ACTS} acts: nobody could read its drawing."
            self.add("F409", region.where, what, "child processes for its parts.")

    @contextmanager
    def labelled(self, label: Label) -> Iterator[None]:
        """Read inside a section."""
        self.labels.append(label)
        try:
            yield
        finally:
            self.labels.pop()

    @contextmanager
    def repeated(self, *rounds: Round) -> Iterator[None]:
        """Read inside something that repeats."""
        before = list(self.rounds)
        self.rounds.extend(rounds)
        try:
            yield
        finally:
            self.rounds = before

    # --- names --------------------------------------------------------------------------------

    def bind(self, target: ast.expr | None, thing: Thing, *, once: bool = True) -> None:
        """Say what a target is bound to; what is assigned more than once is not followed."""
        if target is None:
            return
        if not isinstance(target, ast.Name):
            for name in stored(target):
                self._bind(name, Thing(varies=thing.varies, is_position=False), once=once)
            return
        self._bind(target.id, thing, once=once)

    def _bind(self, name: str, thing: Thing, *, once: bool) -> None:
        known = self.names.known
        earlier = known.get(name, Thing())
        if once and (name not in self.frame.once or earlier.is_parameter):
            thing = Thing(varies=thing.varies | earlier.varies, is_parameter=earlier.is_parameter)
        known[name] = thing

    @contextmanager
    def inner(self, generator: ast.comprehension, id_: str) -> Iterator[None]:
        """Read inside a comprehension, whose target is bound to an item of a loop."""
        names = self.names
        before = dict(names.inner)
        names.inner.update(self.items(generator.target, generator.iter, id_))
        try:
            yield
        finally:
            names.inner = before

    def items(self, target: ast.expr, over: ast.expr, id_: str) -> dict[str, Thing]:
        """What the targets of a loop are bound to: items, or their positions."""
        varies = self.names.varies(over) | {id_}
        counts = _counts(over)
        found = {name: Thing(varies=varies, is_position=counts == "all") for name in stored(target)}
        if counts == "first" and isinstance(target, ast.Tuple) and target.elts:
            for name in stored(target.elts[0]):
                found[name] = replace(found[name], is_position=True)
        return found


def _counts(over: ast.expr) -> str:
    if not (isinstance(over, ast.Call) and isinstance(over.func, ast.Name)):
        return ""
    if over.func.id == "enumerate":
        return "first"
    is_range = over.func.id == "range"
    return "all" if is_range and "len(" in ast.unparse(over) else ""
