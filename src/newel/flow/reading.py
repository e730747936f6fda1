"""Reading a process's source for its steps: which there are, and whether results are used.

Only what can be seen is said: a call of a step by its own name, in the body or in a helper that
the body calls. `skip` gives the body None, so it is allowed where nobody uses the result, and
completing by hand needs the step's result type before any run has reached it.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any, cast

from newel.base.codec import Codec
from newel.base.source import parsed, tree_of
from newel.flow.act import Place
from newel.flow.process import Process
from newel.flow.step import Step
from newel.flow.waits import Event


@dataclass(frozen=True, slots=True)
class Site:
    """One call of a step. is_unused: whether nobody looks at its result."""

    step: Step[..., Any]  # Any: each step has its own result
    is_unused: bool


def name_of(key: str) -> str:
    """The name inside a key: without sections, subscript and counter."""
    return key.rpartition("/")[2].partition("#")[0].partition("[")[0]


def sites(process: Process[..., Any]) -> dict[str, Site]:  # Any: a process has its own result
    """Every step that a process is seen to call, by name."""
    found: dict[str, Site] = {}
    for site in _sites(process.function, set()):
        earlier = found.get(site.step.name)
        unused = site.is_unused and (earlier is None or earlier.is_unused)
        found[site.step.name] = Site(site.step, unused)
    return found


def events(process: Process[..., Any]) -> Iterator[Event[Any]]:  # Any: each has its own payload
    """Every event that a process is seen to wait for, in its body or in a helper it calls."""
    yield from _events(process.function, set())


def _events(function: Callable[..., Any], seen: set[object]) -> Iterator[Event[Any]]:
    for called, scope in _called(function, seen):
        if isinstance(called, ast.Attribute) and called.attr == "wait":
            event = _resolved(called.value, scope)
            if isinstance(event, Event):
                yield event
        elif inspect.iscoroutinefunction(helper := _resolved(called, scope)):
            yield from _events(helper, seen)


def steps(process: Process[..., Any]) -> list[Step[..., Any]]:  # Any: as above
    """Every step that a process is seen to call, also where two have one name."""
    return [site.step for site in _sites(process.function, set())]


def reached(process: Process[..., Any]) -> Iterator[Step[..., Any]]:  # Any: as above
    """Every step that a process is seen to call, itself or in a process that it starts."""
    yield from _reached(process.function, set())


def _reached(function: Callable[..., Any], seen: set[object]) -> Iterator[Step[..., Any]]:
    for called, scope in _called(function, seen):
        target = _resolved(called, scope)
        if isinstance(target, Step):
            yield cast("Step[..., Any]", target)
        elif isinstance(target, Process):
            yield from _reached(target.function, seen)
        elif inspect.iscoroutinefunction(target):
            yield from _reached(target, seen)


def _called(
    function: Callable[..., Any], seen: set[object]
) -> Iterator[tuple[ast.expr, dict[str, Any]]]:
    """What a function that was not read before calls, each with the names it is read by."""
    tree = _unseen(function, seen)
    if tree is None:
        return
    scope = _scope(function)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.func, scope


def result_of(process: Process[..., Any], key: str) -> Codec[Any] | None:
    """How the result of the step at a key is written and read; None if the step is not seen."""
    site = sites(process).get(name_of(key))
    return None if site is None else site.step.result


def is_unused_at(place: Place) -> bool:
    """Whether nobody looks at the result of the very call that was made at a place.

    False where the source is not there, or is not what was compiled.
    """
    positions = next(itertools.islice(place.code.co_positions(), place.at // 2, None), None)
    if positions is None:
        return False
    _, line, _, column = positions
    return (line, column) in _unused_calls(place.code.co_filename)


@lru_cache(maxsize=256)
def _unused_calls(file: str) -> frozenset[tuple[int | None, int | None]]:
    """Where the calls end whose awaited result is not used, in a file as it was imported."""
    try:
        tree = parsed("".join(linecache.getlines(file)))
    except SyntaxError:
        return frozenset()
    return frozenset(
        (call.end_lineno, call.end_col_offset) for call, is_unused in _awaited(tree) if is_unused
    )


def result_is_unused(process: Process[..., Any], key: str) -> bool:
    """Whether the body can go on with None in place of the step's result."""
    site = sites(process).get(name_of(key))
    if site is None:
        return False
    return site.is_unused or site.step.result.admits_none


def _sites(function: Callable[..., Any], seen: set[object]) -> Iterator[Site]:
    tree = _unseen(function, seen)
    if tree is None:
        return
    scope = _scope(function)
    for call, unused in _awaited(tree):
        target = _resolved(call.func, scope)
        if isinstance(target, Step):
            yield Site(cast("Step[..., Any]", target), unused)
        elif inspect.iscoroutinefunction(target):
            yield from _sites(target, seen)


def _unseen(function: Callable[..., Any], seen: set[object]) -> ast.Module | None:
    """The source of a function that was not read before; None where there is none to read."""
    if function in seen:
        return None
    seen.add(function)
    code = getattr(inspect.unwrap(function), "__code__", None)
    try:
        return tree_of(code) if isinstance(code, CodeType) else None
    except (OSError, SyntaxError):
        return None


def _scope(function: Callable[..., Any]) -> dict[str, Any]:
    closure = inspect.getclosurevars(function)
    return {**closure.builtins, **closure.globals, **closure.nonlocals}


def _awaited(tree: ast.AST) -> Iterator[tuple[ast.Call, bool]]:
    """Every awaited call with whether its result is unused; calls inside `parallel` one by one."""
    told: set[ast.AST] = set()
    for node in ast.walk(tree):  # statements come before what is inside them
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Await):
            told.add(node.value)
            yield from _calls(node.value.value, None)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Await):
            told.add(node.value)
            yield from _calls(node.value.value, node.targets[0])
        elif isinstance(node, ast.Await) and node not in told:
            yield from _calls(node.value, ast.Name(id="used"))


def _calls(node: ast.expr, target: ast.expr | None) -> Iterator[tuple[ast.Call, bool]]:
    if not isinstance(node, ast.Call):
        return
    if _last_name(node.func) != "parallel":
        yield node, _is_unused(target)
        return
    targets = target.elts if isinstance(target, ast.Tuple) else [target] * len(node.args)
    for index, argument in enumerate(node.args):
        branch = argument.value if isinstance(argument, ast.Starred) else argument
        if isinstance(branch, ast.ListComp):
            branch = branch.elt
        chosen = [branch.body, branch.orelse] if isinstance(branch, ast.IfExp) else [branch]
        for each in chosen:
            if isinstance(each, ast.Call):
                yield each, _is_unused(targets[index] if index < len(targets) else target)


def _last_name(node: ast.expr) -> str | None:
    """The name by which something is called: `parallel`, also in `newel.parallel`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _is_unused(target: ast.expr | None) -> bool:
    return target is None or (isinstance(target, ast.Name) and target.id == "_")


def _resolved(node: ast.expr, scope: dict[str, Any]) -> object:
    """What a call's function is: a name, an attribute of it, or one of many of it."""
    match node:
        case ast.Name(id=name):
            return scope.get(name)
        case ast.Attribute(value=value, attr=attribute):
            return getattr(_resolved(value, scope), attribute, None)
        case ast.Subscript(value=value):
            return _resolved(value, scope)
        case _:
            return None
