"""Statements as regions: each block of Python is a block of the drawing.

Source: drawing document, §3.3.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, cast

from newel.base.errors import NotJournalable
from newel.domain.keys import named
from newel.drawing.calls import Calls, round_kind
from newel.drawing.expressions import has_await
from newel.drawing.labels import capital, ending, handled, in_words, spoken
from newel.drawing.names import UNKNOWN, Thing, qualified, stored
from newel.drawing.regions import (
    Act,
    Arm,
    Choice,
    Compensation,
    Each,
    Group,
    Guarded,
    Handler,
    Jump,
    Kind,
    Lock,
    Loop,
    Member,
    Pure,
    Raise,
    Region,
    Return,
    Scope,
    Section,
    Seq,
    acts_of,
    exits,
    walk,
)
from newel.drawing.state import Label, Round
from newel.drawing.words import former_of
from newel.flow.compensation import compensation
from newel.flow.groups import group
from newel.flow.locks import Lock as FlowLock
from newel.flow.regions import section
from newel.flow.scopes import Scope as FlowScope

__all__ = ["Blocks"]

_WAITS: Final = frozenset({"approval", "form", "timer", "event", "child"})
_SLOW_MARKS: Final = frozenset({"reached", "join", "result"})


class Blocks(Calls):
    """Reads statements."""

    def statements(self, body: list[ast.stmt]) -> list[Region]:
        """The regions of statements, up to the first behind which control cannot go on."""
        found: list[Region] = []
        for index, statement in enumerate(body):
            regions = self._statement(statement)
            found += regions
            if any("next" not in exits(each) for each in regions):
                self._unreachable(body[index + 1 :])
                break
        return found

    def _unreachable(self, rest: list[ast.stmt]) -> None:
        for statement in rest:
            if has_await(statement):
                what = "What follows here is never reached, and is not drawn."
                self.add("F404", statement, what, "remove it, or what leaves before it.")
                break
        for statement in rest:
            self.frame.consumed.update(id(each) for each in ast.walk(statement))

    def _statement(self, node: ast.stmt) -> list[Region]:
        match node:
            case ast.Expr(value=value):
                return self._expression(value)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                return self._assignment(node)
            case ast.If():
                return self._if(node)
            case ast.Match():
                return self._match(node)
            case ast.While():
                return self._while(node)
            case ast.For():
                return self._for(node)
            case ast.Try() | ast.TryStar():
                return self._try(node)
            case ast.With() | ast.AsyncWith():
                return self._with(node, list(node.items))
            case ast.Return() | ast.Raise() | ast.Break() | ast.Continue():
                return self._leaving(node)
            case _:
                return self._other(node)

    def _other(self, node: ast.stmt) -> list[Region]:
        match node:
            case ast.AsyncFor():
                self.add("F109", node, "`async for` cannot be drawn.", "iterate over a result.")
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if any(isinstance(each, ast.Await) for each in ast.walk(node)):
                    what = f"`{node.name}` holds acts and is defined inside another function."
                    self.add("F108", node, what, "define it at module level.")
                self.bind(ast.Name(id=node.name, ctx=ast.Store()), Thing(), once=False)
            case ast.Assert() if has_await(node):
                what = "`await` in an `assert` happens only sometimes and cannot be drawn."
                self.add("F401", node, what, "await it before, and look at its value.")
            case ast.Import() | ast.ImportFrom():
                for each in node.names:
                    name = (each.asname or each.name).partition(".")[0]
                    self.bind(ast.Name(id=name, ctx=ast.Store()), Thing(), once=False)
            case ast.Assert() | ast.Delete() | ast.Pass() | ast.Global() | ast.Nonlocal():
                pass
            case _:
                what = f"newel cannot read `{type(node).__name__}` yet."
                self.add("F100", node, what, "write it in another way, or in a step.")
        return []

    # --- expressions and names ----------------------------------------------------------------

    def _expression(self, value: ast.expr) -> list[Region]:
        if isinstance(value, ast.Call):
            if isinstance(value.func, ast.Name):
                thing = self.names.thing(value.func.id)
                if thing.role == "undo":
                    before = self._all(value.args)
                    promise = self.promise(value)
                    return [*before, *([] if promise is None else [promise])]
            if isinstance(value.func, ast.Attribute) and value.func.attr == "add":
                owner = value.func.value
                thing = self.names.thing(owner.id) if isinstance(owner, ast.Name) else Thing()
                if thing.role == "group" and value.args:
                    return self._member(value, thing.what_at)
        return self.acts_in(value)

    def _member(self, call: ast.Call, depth: int) -> list[Region]:
        """`members.add(call)`: what is added runs beside the body from here on."""
        self.frame.consumed.add(id(call))
        added = call.args[0]
        before = self._before_branches([added])
        beside = [_beside(each) for each in self.rounds[depth:]]
        outer = self.rounds
        self.rounds = [*outer[:depth], *beside]
        self.beside += 1
        try:
            kid = self.seq(call, self.awaitable(added, None))
        finally:
            self.beside -= 1
            self.rounds = outer
        first = next(acts_of(kid), None)
        id_ = self.id_of(f"add:{'' if first is None else first.pattern}")
        return [*before, Member(id=id_, label="Adds", where=self.where(call), kid=kid)]

    def _assignment(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> list[Region]:
        targets: list[ast.expr] = node.targets if isinstance(node, ast.Assign) else [node.target]
        found: list[Region] = []
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
            found += self.acts_in(node.target.slice)
        target = targets[0] if isinstance(node, ast.Assign | ast.AnnAssign) else None
        value = node.value
        if has_await(value):
            found += self.acts_in(value, target)
            for each in targets[1:]:
                self.bind(each, Thing())
            if not isinstance(value, ast.Await):
                self.bind(target, Thing())
            if not isinstance(value, ast.Await) or isinstance(node, ast.AugAssign):
                found.append(self._computed(node, targets))
        elif value is not None:
            found += self._pure(node, targets, value)
        for each in targets:
            if not isinstance(node, ast.AugAssign):
                found += self.acts_in(each)
        return found

    def _computed(
        self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, targets: list[ast.expr]
    ) -> Region:
        """A binding to what is made of the results of acts."""
        is_plain = not isinstance(node, ast.AugAssign) and node.value is not None
        source = ast.unparse(cast("ast.expr", node.value)) if is_plain else ""
        texts = tuple(ast.unparse(each) for each in targets)
        return Pure(id="", where=self.where(node), targets=texts, value=source)

    def _pure(
        self,
        node: ast.Assign | ast.AnnAssign | ast.AugAssign,
        targets: list[ast.expr],
        value: ast.expr,
    ) -> list[Region]:
        known = Thing(UNKNOWN)
        if not isinstance(node, ast.AugAssign):
            known = Thing(
                self.names.value(value), self.names.varies(value), self.names.is_position(value)
            )
        if isinstance(value, ast.Name):
            alias = self.names.thing(value.id)
            known = Thing(known.value, known.varies, known.is_position, False, alias.role,
                          alias.what, alias.what_at)  # fmt: skip
        for each in targets:
            self.bind(each, known)
        return [self._computed(node, targets)]

    # --- choices ------------------------------------------------------------------------------

    def _if(self, node: ast.If) -> list[Region]:
        parts = _and_parts(node)
        if parts is not None:
            return self._nested_if(node, *parts)
        before = self.acts_in(node.test)
        source = ast.unparse(node.test)
        id_ = self.id_of_source("if", source)
        first = Arm(condition=source, label="yes", kid=self.seq(node, self.statements(node.body)))
        arms = [first]
        rest = node.orelse
        while len(rest) == 1 and isinstance(rest[0], ast.If) and not has_await(rest[0].test):
            inner = rest[0]
            label = self.question(inner.test).rstrip("?")
            kid = self.seq(inner, self.statements(inner.body))
            arms.append(Arm(condition=ast.unparse(inner.test), label=label, kid=kid))
            rest = inner.orelse
        last = self.seq(node, self.statements(rest))
        asked = self.question(node.test)
        if len(arms) > 1:
            arms[0] = Arm(condition=source, label=asked.rstrip("?"), kid=first.kid)
        arms.append(Arm(condition=None, label="no" if len(arms) == 1 else "otherwise", kid=last))
        where = self.where(node)
        return [*before, Choice(id=id_, label=asked, where=where, arms=tuple(arms))]

    def _nested_if(self, node: ast.If, first: ast.expr, rest: ast.expr) -> list[Region]:
        """`if a and (await b()): …` without `else`: a choice inside a choice."""
        before = self.acts_in(first)
        id_ = self.id_of_source("if", ast.unparse(first))
        inner = ast.copy_location(ast.If(test=rest, body=node.body, orelse=[]), node)
        return [*before, self.choice(node, id_, first, self._if(inner), [])]

    def _match(self, node: ast.Match) -> list[Region]:
        before = self.acts_in(node.subject)
        subject = ast.unparse(node.subject)
        id_ = self.id_of_source("match", subject)
        arms: list[Arm] = []
        for case in node.cases:
            if has_await(case.guard):
                what = "`await` in a guard happens only sometimes and cannot be drawn."
                self.add("F401", case.pattern, what, "an `if` inside the case.")
            for name in stored(case.pattern):
                self.bind(ast.Name(id=name, ctx=ast.Store()), Thing(), once=False)
            arms.append(self._arm(node, case))
        if not any(arm.condition is None for arm in arms):
            arms.append(Arm(condition=None, label="otherwise", kid=self.seq(node, [])))
        label = self._asked_by_comment(node) or f"{capital(spoken(node.subject, self.names))}?"
        where = self.where(node)
        return [
            *before,
            Choice(id=id_, label=label, where=where, arms=tuple(arms), subject=subject),
        ]

    def _asked_by_comment(self, node: ast.stmt) -> str:
        comment = self.frame.source.comments.get(node.lineno, "")
        return comment if comment.endswith("?") else ""

    def _arm(self, node: ast.Match, case: ast.match_case) -> Arm:
        kid = self.seq(node, self.statements(case.body))
        is_open = isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None
        if is_open and case.guard is None:
            return Arm(condition=None, label="otherwise", kid=kid)
        guard = "" if case.guard is None else f" if {ast.unparse(case.guard)}"
        source = f"{ast.unparse(case.pattern)}{guard}"
        return Arm(condition=source, label=f"{self._said(case.pattern)}{guard}", kid=kid)

    def _said(self, pattern: ast.pattern) -> str:
        match pattern:
            case ast.MatchValue(value=value):
                return spoken(value, self.names)
            case ast.MatchOr(patterns=patterns):
                return " or ".join(self._said(each) for each in patterns)
            case ast.MatchSingleton(value=value):
                return {None: "missing", True: "yes", False: "no"}[value]
            case ast.MatchClass(cls=cls, patterns=[], kwd_patterns=[]):
                return in_words(ast.unparse(cls)).lower()
            case _:
                return ast.unparse(pattern)

    # --- loops --------------------------------------------------------------------------------

    def _while(self, node: ast.While) -> list[Region]:
        value = self.names.value(node.test) if isinstance(node.test, ast.Constant) else UNKNOWN
        is_endless = value is not UNKNOWN and bool(value)
        source = ast.unparse(node.test)
        id_ = self.id_of_source("while", source)
        around = Round(id_, "while", source, self.where(node))
        with self.repeated(around):
            test = self.seq(node, self.acts_in(node.test))
            body = self.seq(node, self.statements(node.body))
        orelse = self.seq(node, self.statements(node.orelse))
        label = "For ever" if is_endless else f"While {self._plainly(node.test)}"
        loop = Loop(
            id=id_,
            label=self._asked_by_comment(node) or label,
            where=self.where(node),
            test=test,
            condition=None if is_endless else source,
            body=body,
            orelse=orelse,
            stores=tuple(sorted(set(stored(node)))),
        )
        if is_endless and not exits(body) & {"break", "return", "raise"} and not _waits(body):
            what = "`while True` neither ends nor waits: it would never let go of the run."
            self.add("F403", node, what, "`break`, `return`, or a wait inside.")
        return self._kept(loop, node)

    def _plainly(self, test: ast.expr) -> str:
        said = self.question(test).rstrip("?")
        return said[:1].lower() + said[1:]

    def _kept(self, loop: Loop | Each, node: ast.stmt) -> list[Region]:
        """A loop in which nothing is drawn is a computation."""
        if any(
            not isinstance(each, Seq | Pure | Choice | Loop | Each | Jump) for each in walk(loop)
        ):
            return [loop]
        names = tuple(sorted(set(stored(node))))
        return [Pure(id="", where=self.where(node), targets=names)] if names else []

    def _for(self, node: ast.For) -> list[Region]:
        before = self.acts_in(node.iter)
        source = ast.unparse(node.iter)
        id_ = self.id_of_source("for", source)
        for name, thing in self.items(node.target, node.iter, id_).items():
            self.bind(ast.Name(id=name, ctx=ast.Store()), thing)
        kind = round_kind(self.names, node.iter)
        with self.repeated(Round(id_, kind, source, self.where(node), ast.unparse(node.target))):
            body = self.seq(node, self.statements(node.body))
        orelse = self.seq(node, self.statements(node.orelse))
        target = ast.unparse(node.target)
        stores = tuple(sorted(set(stored(node))))
        label = f"For each {in_words(target) if target.isidentifier() else target}"
        where = self.where(node)
        if node.orelse or exits(body) & {"break", "return"}:
            empty = self.seq(node, [])
            loop = Loop(id=id_, label=label, where=where, test=empty, condition=source, body=body,
                        orelse=orelse, over=source, target=target, stores=stores)  # fmt: skip
            return [*before, *self._kept(loop, node)]
        each = Each(id=id_, label=label, where=where, body=body, over=source, target=target,
                    mode="seq", stores=stores)  # fmt: skip
        return [*before, *self._kept(each, node)]

    # --- blocks -------------------------------------------------------------------------------

    def _with(self, node: ast.With | ast.AsyncWith, items: list[ast.withitem]) -> list[Region]:
        if not items:
            return self.statements(node.body)
        item, *rest = items
        made = item.context_expr
        call = made if isinstance(made, ast.Call) else None
        value = UNKNOWN if call is None else self.names.value(call.func)
        before = self.acts_in(made)
        inner: Callable[[], list[Region]] = lambda: self._with(node, rest)  # noqa: E731
        if call is not None and isinstance(node, ast.With):
            if value is section:
                return [*before, self._section(node, call, inner)]
            if value is suppress and has_await_in(node.body):
                return [*before, self._suppressing(node, call, inner)]
        if isinstance(node, ast.AsyncWith):
            found = self._own_block(node, item, call, value, inner)
            if found is not None:
                return [*before, found]
        if has_await_in(node.body) or isinstance(node, ast.AsyncWith):
            self._foreign(node, made, value)
        return [*before, *inner()]

    def _foreign(self, node: ast.AST, made: ast.expr, value: object) -> None:
        said = ast.unparse(made)
        full = qualified(self.names, made.func if isinstance(made, ast.Call) else made)
        if full.startswith(("asyncio.", "anyio.", "trio.")):
            self._not_durable(cast("ast.Call", made), cast("ast.Call", made).func, value)
            return
        what = f"`{said}` around an act would be left and entered again at every resumption."
        self.add("F110", node, what, "do it inside a step.")

    def _own_block(
        self,
        node: ast.AsyncWith,
        item: ast.withitem,
        call: ast.Call | None,
        value: object,
        inner: Callable[[], list[Region]],
    ) -> Region | None:
        where = self.where(node)
        if value is compensation:
            self.bind(item.optional_vars, Thing(role="undo"))
            body = self.seq(node, inner())
            first = next(acts_of(body), None)
            id_ = self.id_of(f"comp:{'' if first is None else first.pattern}")
            label = "If this fails, put back"
            return Compensation(id=id_, label=label, where=where, body=body)
        if value is group and call is not None:
            return self._group(node, item, call, inner)
        made = item.context_expr
        chosen = made.slice if isinstance(made, ast.Subscript) else None
        owner = self.names.value(made.value if isinstance(made, ast.Subscript) else made)
        if isinstance(owner, FlowScope):
            id_ = self.id_of(f"scope:{owner.name}")
            label = capital(in_words(owner.name))
            body = self.seq(node, inner())
            return Scope(id=id_, label=label, where=where, name=owner.name, body=body)
        if isinstance(owner, FlowLock):
            part = None if chosen is None else self.part(chosen)
            pattern = self.pattern(made, owner.name, part)
            id_ = self.id_of(str(pattern))
            slot = len(self.placed)
            body = self.seq(node, inner())
            lock = Lock(id=id_, label=capital(in_words(owner.name)), where=where, pattern=pattern,
                        name=owner.name, is_shared=owner.is_shared, body=body,
                        item="" if chosen is None else ast.unparse(chosen),
                        formerly=owner.formerly)  # fmt: skip
            self.place(lock, chosen)
            self.placed.insert(slot, self.placed.pop())
            return lock
        return None

    def _group(
        self,
        node: ast.AsyncWith,
        item: ast.withitem,
        call: ast.Call,
        inner: Callable[[], list[Region]],
    ) -> Region:
        key = self.key(call, "group")
        name = "?"
        if key is not None:
            literal = "" if key[2] is None else f"[{key[2]}]"
            computed = "" if key[1] is None else f"[{self.part(key[1])}]"
            name = f"{key[0]}{literal or computed}"
            with suppress(NotJournalable):
                name = named(name) if not computed else name
        id_ = self.id_of(f"group:{name}")
        self.bind(item.optional_vars, Thing(role="group", what=name, what_at=len(self.rounds)))
        self.frame.consumed.add(id(call))
        body = self.seq(node, inner())
        label = capital(in_words(name))
        where = self.where(node)
        former = former_of(call)
        return Group(id=id_, label=label, where=where, name=name, body=body, formerly=former)

    def _section(self, node: ast.With, call: ast.Call, inner: Callable[[], list[Region]]) -> Region:
        said = call.args[0] if call.args else ast.Constant("")
        prefix = self.part(said)
        id_ = self.id_of(f"sec:{prefix}")
        if prefix == "undo":
            self.add("F304", node, "The label `undo` is reserved for promises.", "another label.")
        with self.labelled(Label(prefix, self.names.varies(said))):
            kid = self.seq(node, inner())
        if not any(acts_of(kid)) and not has_await_in(node.body):
            what = f"The section `{ast.unparse(said)}` holds no act."
            self.add("F308", node, what, "remove it.")
        label = capital(prefix) if prefix != "*" else capital(spoken(said, self.names))
        return Section(id=id_, label=label, where=self.where(node), prefix=prefix,
                       source=ast.unparse(said), formerly=former_of(call), kid=kid)  # fmt: skip

    # --- failures -----------------------------------------------------------------------------

    def _try(self, node: ast.Try | ast.TryStar) -> list[Region]:
        body = self.seq(node, self.statements(node.body))
        handlers = tuple(self._handler(node, each, body) for each in node.handlers)
        orelse = self.seq(node, self.statements(node.orelse))
        self.frame.is_final, outer = True, self.frame.is_final
        final = self.seq(node, self.statements(node.finalbody))
        self.frame.is_final = outer
        if any(acts_of(final)):
            left = exits(final) & {"return", "break", "continue"}
            if left:
                what = f"`{min(left)}` inside this `finally` would swallow a failure."
                self.add("F411", node.finalbody[0], what, "put it after the `try`.")
        else:
            final = self.seq(node, [])
        if has_await_in(node.body):
            self._too_wide(node)
        first = next((act for part in (body, orelse, final) for act in acts_of(part)), None)
        id_ = self.id_of(f"try:{'' if first is None else first.pattern}")
        found = Guarded(id=id_, where=self.where(node), body=body, handlers=handlers, orelse=orelse,
                    final=final)  # fmt: skip
        drawn = any(not isinstance(each, Seq | Pure | Choice | Guarded) for each in walk(found))
        if drawn:
            return [found]
        names = tuple(sorted(set(stored(node))))
        return [Pure(id="", where=self.where(node), targets=names)] if names else []

    def _handler(self, node: ast.Try | ast.TryStar, each: ast.ExceptHandler, body: Seq) -> Handler:
        if each.name:
            self.bind(ast.Name(id=each.name, ctx=ast.Store()), Thing(), once=False)
        types = self._types(each.type)
        name = "Exception" if each.type is None else ast.unparse(each.type)
        withins = [act.live for act in walk(body) if isinstance(act, Act) and act.within]
        within = str(withins[0]) if len(withins) == 1 else ""
        kid = self.seq(each, self.statements(each.body))
        label = capital(handled(name.rpartition(".")[2], within))
        is_star = isinstance(node, ast.TryStar)
        return Handler(types=types, is_star=is_star, name=name, label=label, kid=kid)

    def _types(self, node: ast.expr | None) -> tuple[Kind, ...]:
        """The classes that a handler catches; `Exception` for what cannot be told."""
        parts = node.elts if isinstance(node, ast.Tuple) else [] if node is None else [node]
        values = [self.names.value(each) for each in parts]
        kinds = tuple(
            each for each in values if isinstance(each, type) and issubclass(each, BaseException)
        )
        return kinds if kinds and len(kinds) == len(parts) else (Exception,)

    def _too_wide(self, node: ast.Try | ast.TryStar) -> None:
        for each in node.handlers:
            parts = each.type.elts if isinstance(each.type, ast.Tuple) else [each.type]
            for part in parts:
                if part is None or self.names.value(part) is BaseException:
                    said = "except:" if part is None else "except BaseException"
                    what = f"`{said}` around an act catches the signals that let go of a run."
                    self.add("F205", each, what, "`except Exception`.")

    def _suppressing(
        self, node: ast.With, call: ast.Call, inner: Callable[[], list[Region]]
    ) -> Region:
        body = self.seq(node, inner())
        types = tuple(kind for each in call.args for kind in self._types(each))
        name = ", ".join(ast.unparse(each) for each in call.args)
        empty = self.seq(node, [])
        handler = Handler(types=types, is_star=False, name=name, kid=empty,
                          label=capital(handled(name.rpartition(".")[2], "")))  # fmt: skip
        first = next(acts_of(body), None)
        id_ = self.id_of(f"try:{'' if first is None else first.pattern}")
        return Guarded(id=id_, where=self.where(node), body=body, handlers=(handler,), orelse=empty,
                   final=empty)  # fmt: skip

    # --- leaving ------------------------------------------------------------------------------

    def _leaving(self, node: ast.Return | ast.Raise | ast.Break | ast.Continue) -> list[Region]:
        where = self.where(node)
        match node:
            case ast.Return(value=value):
                before = self.acts_in(value)
                source = "" if value is None else ast.unparse(value)
                label = ending(value, self.names)
                kind = in_words(label).lower().replace(" ", "-") if label != "Done" else "end"
                found = Return(id=self.id_of(f"return:{kind}"), label=label, where=where,
                               value=source)  # fmt: skip
                return [*before, found]
            case ast.Raise(exc=raised):
                before = self.acts_in(raised)
                made = raised.func if isinstance(raised, ast.Call) else raised
                value_ = UNKNOWN if made is None else self.names.value(made)
                is_kind = isinstance(value_, type) and issubclass(value_, BaseException)
                type_ = cast("Kind", value_) if is_kind else None
                name = "" if made is None else ast.unparse(made).rpartition(".")[2]
                label = f"Fails: {in_words(name).lower()}" if name else "Fails again"
                id_ = self.id_of(f"raise:{name or 'again'}")
                return [*before, Raise(id=id_, label=label, where=where, type=type_, name=name)]
            case ast.Break():
                return [Jump(id=self.id_of("break:"), where=where, verb="break")]
            case ast.Continue():
                return [Jump(id=self.id_of("continue:"), where=where, verb="continue")]


def has_await_in(body: list[ast.stmt]) -> bool:
    """Whether something is awaited in statements."""
    return any(has_await(each) for each in body)


def _beside(around: Round) -> Round:
    """What a loop between a group and an addition is for what is added: it runs all at once."""
    return replace(around, kind="grows" if around.kind == "while" else "beside")


def _waits(body: Region) -> bool:
    return any(
        isinstance(each, Act) and (each.act in _WAITS or each.verb in _SLOW_MARKS)
        for each in walk(body)
    )


def _and_parts(node: ast.If) -> tuple[ast.expr, ast.expr] | None:
    """The first part of a test `a and …` whose rest awaits, and that rest; `else` forbids it."""
    test = node.test
    if node.orelse or not isinstance(test, ast.BoolOp) or not isinstance(test.op, ast.And):
        return None
    first, *rest = test.values
    if not any(has_await(each) for each in rest):
        return None
    joined = rest[0] if len(rest) == 1 else ast.BoolOp(op=ast.And(), values=rest)
    return first, ast.copy_location(joined, test)
