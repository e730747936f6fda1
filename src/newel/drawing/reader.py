"""From the source of a process and the objects it names to its region tree.

Reading runs no code of a process and has no effect. What cannot be drawn is a finding that says
how to write it instead; however a function is written, nothing but findings comes of it. Source:
drawing document, §3.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any, cast

from newel.base.findings import Finding
from newel.drawing import rules
from newel.drawing.authority import authority_of
from newel.drawing.blocks import Blocks
from newel.drawing.calls import DURABLE, assigned_once, is_coroutine_function
from newel.drawing.duties import of_duties
from newel.drawing.keying import of_keys
from newel.drawing.names import Names, Thing, is_machinery
from newel.drawing.pure import impure
from newel.drawing.regions import Seq, Where
from newel.drawing.shape import of_shape
from newel.drawing.sources import Source, source_of
from newel.drawing.state import Frame, Placed
from newel.flow.process import Process
from newel.flow.step import Step

__all__ = ["Reading", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What came of reading a process.

    tree: None where there was nothing to read. sources: the functions it is made of, the process
    first, in the order in which they are used. placed: its acts with what rules of keys look at.
    entrusted: processes that it begins only after somebody has said yes.
    """

    process: Process[..., Any]
    tree: Seq | None
    findings: tuple[Finding, ...]
    sources: tuple[Source, ...]
    placed: tuple[Placed, ...]
    entrusted: frozenset[str] = frozenset()

    @property
    def source_sha256(self) -> str:
        """Hex digest over the sources of the process and its helpers."""
        text = "\0".join(source.text for source in self.sources)
        return hashlib.sha256(text.encode()).hexdigest()


def read(process: Process[..., Any]) -> Reading:
    """Read a process; raises nothing."""
    return _Reader().process(process)


class _Reader(Blocks):
    """Reads one process."""

    def __init__(self) -> None:
        super().__init__()
        self._looked_at: set[tuple[Source, bool]] = set()

    def process(self, process: Process[..., Any]) -> Reading:
        function: Any = process.function
        plain = inspect.unwrap(function)
        source = source_of(plain)
        tree: Seq | None = None
        entrusted: frozenset[str] = frozenset()
        if source is None:
            self.findings.append(_without_source(plain, process.name))
        elif hidden := _hidden(function, source):
            where = Where(source.module, source.node.lineno, source.node.lineno)
            what = f"The decorator `{hidden}` hides the body of `{process.name}`."
            self.add("F107", where, what, "remove it, or move it to the step.")
        else:
            tree = self._read(plain, source)
            self.findings.extend(of_keys(self.placed))
            self.findings.extend(of_shape(tree, process))
            self.findings.extend(of_duties(tree))
            authority = authority_of(tree, process, source)
            self.findings.extend(authority.findings)
            entrusted = authority.entrusted
        return Reading(
            process=process,
            tree=tree,
            findings=tuple(sorted(set(self.findings))),
            sources=tuple(self.sources),
            placed=tuple(self.placed),
            entrusted=entrusted,
        )

    def _read(self, function: FunctionType, source: Source) -> Seq:
        frame = Frame(
            source=source,
            names=Names.of(function),
            region=":start",
            called_at=None,
            is_branch=False,
            labels=0,
            once=assigned_once(source.node),
        )
        given = source.node.args
        for each in (*given.posonlyargs, *given.args, *given.kwonlyargs):
            frame.names.known[each.arg] = Thing()
        try:
            return self.read(frame)
        except (RecursionError, AttributeError, KeyError, TypeError, ValueError) as error:
            where = Where(source.module, source.node.lineno, source.node.lineno)
            what = f"newel cannot read this yet ({type(error).__name__})."
            self.add("F100", where, what, "smaller functions, or a step.")
            return Seq(id="", where=where)

    def finished(self, frame: Frame) -> None:
        """F101 and F201 to F209: what only the whole of a function tells."""
        for call in self._never_awaited(frame):
            said = ast.unparse(call.func)
            what = f"`{said}` is called but never awaited: it will not happen."
            fix = f"`await {said}(…)`, or pass the call to `parallel`."
            self.add("F101", call, what, fix)
        if (frame.source, frame.is_branch) in self._looked_at:
            return
        self._looked_at.add((frame.source, frame.is_branch))
        for each in impure(frame.source, frame.names, is_branch=frame.is_branch):
            self.add(each.code, each.node, each.what, each.fix)

    def _never_awaited(self, frame: Frame) -> Iterator[ast.Call]:
        for statement in frame.source.body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Call) and id(node) not in frame.consumed:
                    function = node.func
                    if isinstance(function, ast.Subscript):
                        function = function.value
                    if _is_durable(frame.names.value(function)):
                        yield node


def _is_durable(value: object) -> bool:
    if isinstance(value, Step | Process) or any(value is each for each in DURABLE):
        return True
    return is_coroutine_function(value) and not is_machinery(value)


def _hidden(function: object, source: Source) -> str:
    """The decorator that hides the body of a process; empty if there is none."""
    if not hasattr(function, "__wrapped__"):
        return ""
    decorators = getattr(source.node, "decorator_list", [])
    return ast.unparse(cast("list[ast.expr]", decorators)[-1]) if decorators else "?"


def _without_source(function: object, name: str) -> Finding:
    module = str(getattr(function, "__module__", "?"))
    code = getattr(function, "__code__", None)
    line = getattr(code, "co_firstlineno", 1)
    what = f"The source of `{name}` is not there."
    return rules.found("F106", Where(module, line, line), what, "define it in a module.")
