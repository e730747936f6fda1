"""What is awaited, as regions: acts, branches beside each other, and helpers, which are inlined.

Every `await` of a process is an act, a joint of branches, or the call of a helper whose source can
be read. Anything else cannot rest and is refused (F103, F104, F105), with what to write instead.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from types import FunctionType, MethodType
from typing import Any, Final, cast

from newel.domain.patterns import ANY
from newel.drawing.expressions import has_await
from newel.drawing.labels import capital, first_sentence, in_words, question, spoken
from newel.drawing.names import (
    UNKNOWN,
    Names,
    Thing,
    is_library,
    is_machinery,
    qualified,
    stored,
)
from newel.drawing.regions import (
    Act,
    Again,
    Arm,
    Branch,
    Call,
    Choice,
    Each,
    Par,
    Race,
    Region,
    Rest,
    Seq,
    acts_of,
    walk,
)
from newel.drawing.sources import Source, source_of
from newel.drawing.state import DEEPEST, Frame, Round
from newel.drawing.words import WAITS, Words, former_of, keyword
from newel.flow.children import spawn
from newel.flow.milestones import Milestone
from newel.flow.parallel import parallel
from newel.flow.process import Process
from newel.flow.races import first_of, n_of
from newel.flow.scopes import Scope
from newel.flow.step import Step
from newel.flow.waits import Event

__all__ = ["DURABLE", "Calls", "is_coroutine_function"]

DURABLE: Final[tuple[object, ...]] = (*WAITS, parallel, first_of, n_of, spawn)
"""The words whose call is an act or a joint."""

_LOOPS: Final = frozenset({"asyncio", "anyio", "trio"})
_INSTEAD: Final = {
    "gather": ("cannot rest: a branch that waits would leave the others without an owner.",
               "`await parallel(…)` with the same calls."),
    "wait": ("cannot rest: a branch that waits would leave the others without an owner.",
             "`await parallel(…)`, or `first_of(…)` for the first that ends."),
    "as_completed": ("cannot rest.", "`group`, or `parallel` and its results."),
    "TaskGroup": ("cancels the others in the middle of a call.", "`await parallel(…)`."),
    "create_task": ("runs on without an owner.", "`await parallel(…)`, or `group`."),
    "ensure_future": ("runs on without an owner.", "`await parallel(…)`, or `group`."),
    "sleep": ("is forgotten at a restart.", '`await timer("key", after=…)`.'),
    "wait_for": ("breaks off a call in its middle.", "`within=` at the wait itself."),
    "timeout": ("breaks off a call in its middle.", "`within=` at the wait itself."),
    "timeout_at": ("breaks off a call in its middle.", "`within=` at the wait itself."),
    "Queue": ("is forgotten at a restart.", "`Event`, or `group`."),
    "Lock": ("is forgotten at a restart.", '`lock("key")` at module level.'),
    "Semaphore": ("is forgotten at a restart.", '`lock("key")` at module level.'),
    "Event": ("is forgotten at a restart.", "newel's `Event`, or a milestone."),
    "to_thread": ("is called again at every resumption.", "a plain `def` with `@step`."),
    "shield": ("cannot rest.", "nothing: a call in flight is never broken off."),
}  # fmt: skip


def is_coroutine_function(value: object) -> bool:
    """Whether a call of something gives a coroutine that the reader may look into."""
    function = value.__func__ if isinstance(value, MethodType) else value
    return isinstance(function, FunctionType) and inspect.iscoroutinefunction(function)


class Calls(Words):
    """Reads awaited expressions; statements of helpers are read by `statements`."""

    def __init__(self) -> None:
        super().__init__()
        self.beside = 0
        """How many branches the reader stands in."""

    def statements(self, body: list[ast.stmt]) -> list[Region]:
        """The regions of statements; makes no sequence of them."""
        raise NotImplementedError

    def finished(self, frame: Frame) -> None:
        """Look at a function that has been read for what only the whole of it tells."""
        raise NotImplementedError

    # --- awaiting -----------------------------------------------------------------------------

    def awaited(self, node: ast.Await, target: ast.expr | None) -> list[Region]:
        """The regions of an awaited expression; none if it has been read already."""
        if id(node) in self.frame.consumed:
            return []
        self.frame.consumed.add(id(node))
        return self.awaitable(node.value, target)

    def awaitable(
        self, node: ast.expr, target: ast.expr | None, *, may_be_empty: bool = False
    ) -> list[Region]:
        """The regions of something that is awaited here, or runs as a branch."""
        match node:
            case ast.Call():
                return self._call(node, target)
            case ast.IfExp():
                return self._chosen(
                    node, lambda side: self.awaitable(side, target, may_be_empty=may_be_empty)
                )
            case ast.Constant(value=None) if may_be_empty:
                return []
            case _:
                self._unseen(node)
                return self.acts_in(node)

    def _chosen(self, node: ast.IfExp, read: Callable[[ast.expr], list[Region]]) -> list[Region]:
        """`a if c else b`: what is read of one side or the other."""
        before = self.acts_in(node.test)
        id_ = self.id_of_source("if", ast.unparse(node.test))
        yes, no = read(node.body), read(node.orelse)
        return [*before, self.choice(node, id_, node.test, yes, no)]

    def _either(self, node: ast.IfExp, target: ast.expr | None) -> list[Region]:
        """`await a() if c else b`: the acts of one side or the other."""
        if not (has_await(node.body) or has_await(node.orelse)):
            return self.acts_in(node.test)
        return self._chosen(node, lambda side: self.acts_in(side, target))

    def choice(
        self, at: ast.AST, id_: str, test: ast.expr, yes: list[Region], no: list[Region]
    ) -> Choice:
        """A choice with two arms."""
        arms = (
            Arm(condition=ast.unparse(test), label="yes", kid=self.seq(at, yes)),
            Arm(condition=None, label="no", kid=self.seq(at, no)),
        )
        label = self.question(test)
        return Choice(id=id_, label=label, where=self.where(at), arms=arms)

    def question(self, test: ast.expr) -> str:
        """A condition in words: a comment on its line that asks, else its source."""
        comment = self.frame.source.comments.get(test.lineno, "")
        return comment if comment.endswith("?") else capital(question(test, self.names))

    def _unseen(self, node: ast.expr) -> None:
        what = f"Cannot see what is awaited here (`{ast.unparse(node)}`)."
        self.add("F103", node, what, "call it by its own name; choose with `match`.")

    # --- calls --------------------------------------------------------------------------------

    def _call(self, call: ast.Call, target: ast.expr | None) -> list[Region]:
        function = call.func
        item = function.slice if isinstance(function, ast.Subscript) else None
        plain = function.value if isinstance(function, ast.Subscript) else function
        value = self.names.value(plain)
        if value is parallel:
            return self._parallel(call, target)
        if value is first_of or value is n_of:
            return self._race(call, target, needs=value is n_of)
        self.frame.consumed.add(id(call))
        before = self._all([item, *call.args, *(each.value for each in call.keywords)])
        return [*before, *self._act(call, plain, item, value, target)]

    def _act(
        self,
        call: ast.Call,
        plain: ast.expr,
        item: ast.expr | None,
        value: object,
        target: ast.expr | None,
    ) -> list[Region]:
        found: Region | None = None
        if isinstance(value, Step):
            found = self.step(call, cast("Step[..., Any]", value), item, target)
        elif isinstance(value, Process):
            found = self.child(call, cast("Process[..., Any]", value), item, target)
        elif value is spawn:
            found = self.spawn(call, target)
            if found is None:
                self._unseen(call)
        elif value is not UNKNOWN and (kind := _wait_kind(value)) is not None:
            found = self.wait(call, kind, target)
        elif isinstance(plain, ast.Attribute) and (known := self._method(call, plain, target)):
            return known
        elif is_coroutine_function(value) and not (
            is_machinery(value) or _is_loop(value) or is_library(value)
        ):
            return self.inlined(call, value, target)
        else:
            self._not_durable(call, plain, value)
        return [] if found is None else [found]

    def _method(
        self, call: ast.Call, function: ast.Attribute, target: ast.expr | None
    ) -> list[Region] | None:
        """A method of something that newel made: an event, a scope, a race, a group, a child."""
        owner = function.value
        item = owner.slice if isinstance(owner, ast.Subscript) else None
        plain = owner.value if isinstance(owner, ast.Subscript) else owner
        value = self.names.value(plain)
        if isinstance(value, Event) and function.attr == "wait":
            return [self.event(call, value, item, target)]
        if isinstance(value, Scope | Milestone):
            found = self.mark(call, value, function.attr, target)
            return None if found is None else [found]
        thing = self.names.thing(plain.id) if isinstance(plain, ast.Name) else Thing()
        match thing.role, function.attr:
            case "group", ("join" | "complete" | "cancel") as verb:
                return [self.of_group(call, str(thing.what), verb, target)]
            case "race", "rest":
                return [self._rest(call, str(thing.what))]
            case "child", "result":
                return [self.result(call, cast("Act", thing.what), target)]
            case _:
                return None

    def _rest(self, call: ast.Call, race: str) -> Region:
        id_ = self.id_of(f"rest:{race}")
        return Rest(id=id_, label="Waits for the rest", where=self.where(call), race=race)

    def _not_durable(self, call: ast.Call, plain: ast.expr, value: object) -> None:
        said = ast.unparse(plain)
        full = qualified(self.names, plain)
        top, _, last = full.partition(".")
        last = last.rpartition(".")[2]
        if top in _LOOPS:
            why, fix = _INSTEAD.get(last, ("cannot rest.", "move it into a `@step`."))
            self.add("F105", call, f"`{said}` {why}", fix)
        elif value is UNKNOWN and not full:
            what = f"Cannot see what is awaited here (`{said}`)."
            self.add("F103", call, what, "call it by its own name; choose with `match`.")
        else:
            what = f"`{said}` is not durable: it would be called again at every resumption."
            self.add("F104", call, what, "move it into a `@step`.")

    # --- branches -----------------------------------------------------------------------------

    def _parallel(self, call: ast.Call, target: ast.expr | None) -> list[Region]:
        self.frame.consumed.add(id(call))
        before = self._before_branches(call.args)
        for each in call.keywords:
            what = f"Cannot see which branches `{ast.unparse(each)}` gives."
            self.add("F103", each.value, what, "hand each call over: `parallel(a(…), b(…))`.")
        if not call.args:
            self.bind(target, Thing())
            return before
        branches = tuple(self._branch(each) for each in call.args)
        firsts = [next(acts_of(each), None) for each in branches]
        first = sorted("" if act is None else str(act.pattern) for act in firsts)
        digest = hashlib.sha256("\n".join(first).encode()).hexdigest()[:8]
        self.bind(target, Thing())
        return [
            *before,
            Par(
                id=self.id_of(f"par:{digest}"),
                label="All at the same time",
                where=self.where(call),
                branches=branches,
                target="" if target is None else ast.unparse(target),
            ),
        ]

    def _before_branches(self, branches: list[ast.expr]) -> list[Region]:
        """Acts in the arguments of branches: they run before any branch begins."""
        found: list[Region] = []
        for each in branches:
            if isinstance(each, ast.Call) and has_await(each):
                found += self._all([*each.args, *(one.value for one in each.keywords)])
        return found

    def _branch(self, node: ast.expr) -> Seq:
        self.beside += 1
        try:
            if isinstance(node, ast.Starred):
                return self.seq(node, self._many(node.value))
            return self.seq(node, self.awaitable(node, None, may_be_empty=True))
        finally:
            self.beside -= 1

    def _many(self, node: ast.expr) -> list[Region]:
        """`*[x[v.id](v) for v in vs]`: one branch for each."""
        is_one = isinstance(node, ast.ListComp | ast.GeneratorExp) and len(node.generators) == 1
        if not is_one or not isinstance(node, ast.ListComp | ast.GeneratorExp):
            what = f"Cannot see which branches `*{ast.unparse(node)}` gives."
            fix = "`*[x[v.id](v) for v in vs]` in its place, with one `for`."
            self.add("F103", node, what, fix)
            return []
        generator = node.generators[0]
        before = self.acts_in(generator.iter)
        id_ = self.id_of_source("for", ast.unparse(generator.iter))
        around = Round(
            id_,
            "beside",
            ast.unparse(generator.iter),
            self.where(node),
            ast.unparse(generator.target),
        )
        with self.inner(generator, id_), self.repeated(around):
            body = self.awaitable(node.elt, None, may_be_empty=True)
        each = self._each(node, id_, generator, body, "par")
        return [*before, each]

    def fan_out(self, node: ast.ListComp, target: ast.expr | None) -> list[Region]:
        """`[await x[v.id](v) for v in vs]`: one after another."""
        generator = node.generators[0]
        source = ast.unparse(generator.iter)
        id_ = self.id_of_source("for", source)
        kind = round_kind(self.names, generator.iter)
        with (
            self.inner(generator, id_),
            self.repeated(
                Round(id_, kind, source, self.where(generator.iter), ast.unparse(generator.target))
            ),
        ):
            body = self.acts_in(node.elt)
        self.bind(target, Thing())
        return [self._each(node, id_, generator, body, "seq")]

    def _each(
        self,
        node: ast.AST,
        id_: str,
        generator: ast.comprehension,
        body: list[Region],
        mode: Any,  # Any: one of the two words of Each
    ) -> Each:
        source = ast.unparse(generator.iter)
        return Each(
            id=id_,
            label=f"For each of {spoken(generator.iter, self.names)}",
            where=self.where(node),
            body=self.seq(node, body),
            over=source,
            target=ast.unparse(generator.target),
            mode=mode,
            test=" and ".join(ast.unparse(each) for each in generator.ifs),
            stores=tuple(sorted(set(stored(generator.target)))),
        )

    def _race(self, call: ast.Call, target: ast.expr | None, *, needs: bool) -> list[Region]:
        self.frame.consumed.add(id(call))
        key = self.key(call, "n_of" if needs else "first_of")
        name, item, fixed = key or (ANY, None, None)
        named = [
            (each.arg, each.value)
            for each in call.keywords
            if each.arg not in {"losers", "formerly", "key"}
        ]
        if needs:
            named = [(str(number), each) for number, each in enumerate(call.args[2:], 1)]
        need = ast.unparse(call.args[1]) if needs and len(call.args) > 1 else ""
        before = self._before_branches([each for _, each in named])
        if key is None:
            return before
        part = fixed if item is None else self.part(item)
        pattern = self.pattern(call, name, part)
        id_ = self.id_of(str(pattern))
        branches: list[Branch] = []
        if not named:
            what = f"`{name}` has no branches: it would never be decided."
            self.add("F103", call, what, "name each: `first_of(…, signed=…, late=…)`.")
        for said, each in named:
            if said is None:
                what = f"Cannot see which branches `**{ast.unparse(each)}` gives."
                self.add("F103", each, what, "name each: `first_of(…, signed=…, late=…)`.")
            else:
                branches.append(Branch(name=said, kid=self._branch(each)))
        losers = keyword(call, "losers")
        finishes = losers is not None and self.names.value(losers) == "finish"
        many = "n" if any(isinstance(each, ast.Starred) for _, each in named) else len(branches)
        race = Race(
            id=id_,
            label=f"{need} of {many}" if needs else "First of",
            where=self.where(call),
            pattern=pattern,
            need=need,
            losers="finish" if finishes else "cancel",
            branches=tuple(branches),
            target="" if target is None else ast.unparse(target),
            item="" if item is None else ast.unparse(item),
            formerly=former_of(call),
        )
        self.place(race, item)
        self.bind(target, Thing(role="race", what=id_))
        return [*before, race]

    # --- helpers ------------------------------------------------------------------------------

    def inlined(self, call: ast.Call, value: object, target: ast.expr | None) -> list[Region]:
        """A helper read in the place where it is called."""
        function = cast("FunctionType", getattr(value, "__func__", value))
        name = function.__name__
        for frame in self.frames:
            if frame.names.function.__code__ is function.__code__:
                return [self._again(call, value, frame)]
        source = self._readable(call, function, name)
        if source is None:
            return []
        if len(self.frames) > DEEPEST:
            what = f"Helpers are nested deeper than {DEEPEST} at `{name}`."
            self.add("F409", call, what, "a child process.")
            return []
        id_ = self.id_of(f"in:{name}")
        frame = Frame(
            source=source,
            names=Names.of(function),
            region=id_,
            called_at=self.where(call),
            is_branch=self.beside > 0,
            labels=len(self.labels),
            once=assigned_once(source.node),
        )
        bound = self._bound(call, value, source)
        frame.names.known.update(self._parameters(bound, value, source))
        body = self.read(frame)
        where = self.where(call)
        if not any(isinstance(each, Again | Rest) for each in walk(body)) and not any(
            acts_of(body)
        ):
            if not self.has_errors_in(source):
                what = f"`{name}` holds no act: awaiting it keeps nothing."
                self.add("F104", call, what, f"a plain `def {name}`, or `@step` for work outside.")
            return []
        self.bind(target, Thing(varies=frozenset()))
        label = capital(first_sentence(source.docstring) or in_words(name))
        return [
            Call(
                id=id_,
                label=label,
                where=where,
                name=name,
                kid=body,
                target="" if target is None else ast.unparse(target),
                arguments=_as_source(bound),
                call=ast.unparse(call),
                live=value,
            )
        ]

    def read(self, frame: Frame) -> Seq:
        """Read a function's body, and look at it as a whole."""
        if frame.source not in self.sources:
            self.sources.append(frame.source)
        self.frames.append(frame)
        try:
            regions = self.statements(frame.source.body)
            self.finished(frame)
            return self.seq(frame.source.node, regions)
        finally:
            self.frames.pop()

    def has_errors_in(self, source: Source) -> bool:
        """Whether something is wrong with a function already."""
        node = source.node
        last = node.end_lineno or node.lineno
        return any(
            each.module == source.module and node.lineno <= each.line <= last
            for each in self.findings
        )

    def _readable(self, call: ast.Call, function: FunctionType, name: str) -> Source | None:
        if hasattr(function, "__wrapped__"):
            what = f"A decorator hides the body of `{name}`."
            self.add("F107", call, what, "remove it, or move it to the step.")
            return None
        source = source_of(function)
        if source is None:
            what = f"The source of `{name}` is not there."
            self.add("F106", call, what, "define it in a module.")
            return None
        decorators = getattr(source.node, "decorator_list", [])
        unknown = [
            each for each in decorators if _last(each) not in {"staticmethod", "classmethod"}
        ]
        if unknown:
            what = f"The decorator `{ast.unparse(unknown[0])}` hides the body of `{name}`."
            self.add("F107", call, what, "remove it, or move it to the step.")
            return None
        return source

    def _again(self, call: ast.Call, value: object, frame: Frame) -> Region:
        name = frame.names.function.__name__
        if len(self.labels) != frame.labels:
            what = f"`{name}` calls itself inside a section: each level would have other keys."
            self.add("F304", call, what, f"an item instead: `…[{name}_level](…)`.")
        id_ = self.id_of(f"again:{name}")
        return Again(id=id_, label=f"{capital(in_words(name))} again", where=self.where(call),
                     frame=frame.region,
                     arguments=_as_source(self._bound(call, value, frame.source)))  # fmt: skip

    def _bound(self, call: ast.Call, value: object, source: Source) -> dict[str, ast.expr | None]:
        """What each parameter of a helper is given at a call; None where it is not given here."""
        given = source.node.args
        names = [each.arg for each in (*given.posonlyargs, *given.args)]
        names = names[1:] if isinstance(value, MethodType) else names
        known = [*names, *(each.arg for each in given.kwonlyargs)]
        found: dict[str, ast.expr | None] = {}
        if not any(isinstance(each, ast.Starred) for each in call.args):
            found = dict.fromkeys(known) | dict(zip(names, call.args, strict=False))
        return found | {each.arg: each.value for each in call.keywords if each.arg in known}

    def _parameters(
        self, bound: dict[str, ast.expr | None], value: object, source: Source
    ) -> dict[str, Thing]:
        """What is known of the parameters of a helper at this call."""
        found: dict[str, Thing] = {}
        given = source.node.args
        names = [*given.posonlyargs, *given.args]
        if isinstance(value, MethodType) and names:
            found[names[0].arg] = Thing(value.__self__, is_parameter=True)
        for name, node in bound.items():
            passed = Thing(_default(value, name), is_parameter=True)
            found[name] = passed if node is None else self._passed(node)
        return found

    def _passed(self, node: ast.expr) -> Thing:
        if isinstance(node, ast.Name):
            known = self.names.thing(node.id)
            return replace(known, is_parameter=True)
        varies = self.names.varies(node)
        return Thing(self.names.value(node), varies, self.names.is_position(node), True)


def _is_loop(function: object) -> bool:
    """Whether a function belongs to an event loop's library, which a body cannot use."""
    return str(getattr(function, "__module__", "")).partition(".")[0] in _LOOPS


def _as_source(bound: dict[str, ast.expr | None]) -> tuple[tuple[str, str], ...]:
    return tuple((name, ast.unparse(node)) for name, node in bound.items() if node is not None)


def round_kind(names: Names, over: ast.expr) -> Any:  # Any: one of the words of Round
    """Whether a loop runs over data, or over numbers and literals, whose order is fixed."""
    if isinstance(over, ast.Tuple | ast.List) and all(
        isinstance(each, ast.Constant) for each in over.elts
    ):
        return "count"
    is_range = isinstance(over, ast.Call) and names.value(over.func) is range
    return "count" if is_range or names.value(over) is not UNKNOWN else "data"


def assigned_once(node: ast.AST) -> frozenset[str]:
    """The names that a function assigns exactly once."""
    seen: dict[str, int] = {}
    for name in stored(node):
        seen[name] = seen.get(name, 0) + 1
    return frozenset(name for name, count in seen.items() if count == 1)


def _default(value: object, name: str) -> object:
    function = getattr(value, "__func__", value)
    parameter = inspect.signature(cast("Callable[..., Any]", function)).parameters.get(name)
    if parameter is None or parameter.default is inspect.Parameter.empty:
        return UNKNOWN
    return cast("object", parameter.default)


def _last(node: ast.expr) -> str:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2]


def _wait_kind(value: object) -> Any:  # Any: a kind of act, or None
    return next((kind for word, kind in WAITS.items() if word is value), None)
