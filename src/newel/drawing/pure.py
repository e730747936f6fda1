"""What a body must not do between two acts: the same outcomes must lead to the same acts.

Looked at are the calls and assignments of the process, of its helpers, and of the plain functions
that they call, five deep. What a library does is trusted unless it is listed here. Source: drawing
document, §5, F201 to F209.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Final, NamedTuple, cast

from newel.drawing.names import UNKNOWN, Names, is_machinery, qualified
from newel.drawing.sources import Source, source_of
from newel.flow.process import Process
from newel.flow.step import Step

__all__ = ["Impure", "impure"]

_DEEP: Final = 5


class Impure(NamedTuple):
    """One thing that a body must not do: its rule, where, and how it is said."""

    code: str
    node: ast.AST
    what: str
    fix: str


_CLOCK: Final = "`now()` of newel, `timer(…, after=…)`, or a step."
_CHANCE: Final = "a step, or a field of the input."
_REPLAY: Final = "gives another answer on replay."
_OUTSIDE: Final = "a step, or pass it as input."
_EXACT: Final = {
    "builtins.id": ("F201", _REPLAY, "a field of the input."),
    "builtins.hash": ("F201", _REPLAY, "a field of the input."),
    "os.urandom": ("F201", _REPLAY, _CHANCE),
    "uuid.uuid1": ("F201", _REPLAY, '`new_id("…")` of newel.'),
    "uuid.uuid4": ("F201", _REPLAY, '`new_id("…")` of newel.'),
    "builtins.open": ("F202", "reads or writes at every resumption.", _OUTSIDE),
    "builtins.input": ("F202", "asks at every resumption.", "`form`, or pass it as input."),
    "os.getenv": ("F202", "may differ between processes.", _OUTSIDE),
    "os.system": ("F202", "is run again at every resumption.", "a step."),
    "os.popen": ("F202", "is run again at every resumption.", "a step."),
    "builtins.exec": ("F207", "runs code that nobody can read here.", "plain code."),
    "builtins.eval": ("F207", "runs code that nobody can read here.", "plain code."),
    "builtins.compile": ("F207", "makes code that nobody can read here.", "plain code."),
    "builtins.__import__": ("F207", "loads code that nobody can read here.", "`import` on top."),
    "builtins.print": ("F208", "repeats at every resumption.", "`log.info(…)` of newel."),
    "time.sleep": ("F105", "holds up everybody else.", '`await timer("key", after=…)`.'),
}
_BELOW: Final = {
    "datetime.datetime.now": ("F201", _REPLAY, _CLOCK),
    "datetime.datetime.utcnow": ("F201", _REPLAY, _CLOCK),
    "datetime.datetime.today": ("F201", _REPLAY, _CLOCK),
    "datetime.date.today": ("F201", _REPLAY, _CLOCK),
    "time.": ("F201", _REPLAY, _CLOCK),
    "random.": ("F201", _REPLAY, _CHANCE),
    "secrets.": ("F201", _REPLAY, _CHANCE),
    "subprocess.": ("F202", "is run again at every resumption.", "a step."),
    "socket.": ("F202", "is called again at every resumption.", "a step."),
    "urllib.request.": ("F202", "is called again at every resumption.", "a step."),
    "http.client.": ("F202", "is called again at every resumption.", "a step."),
    "requests.": ("F202", "is called again at every resumption.", "a step."),
    "httpx2.": ("F202", "is called again at every resumption.", "a step."),
    "sqlite3.": ("F202", "is asked again at every resumption.", "a step."),
    "shutil.": ("F202", "is done again at every resumption.", "a step."),
    "importlib.": ("F207", "loads code that nobody can read here.", "`import` on top."),
    "threading.": ("F207", "runs beside the run without an owner.", "`parallel`, or a step."),
    "multiprocessing.": ("F207", "runs beside the run without an owner.", "a step."),
    "concurrent.futures.": ("F207", "runs beside the run without an owner.", "a step."),
    "logging.": ("F208", "repeats at every resumption.", "`log.info(…)` of newel."),
}
_PURE_BELOW: Final = ("time.struct_time", "random.Random", "logging.DEBUG")
_CHANGES: Final = frozenset({
    "append", "extend", "insert", "remove", "pop", "popitem", "clear", "update", "setdefault",
    "discard", "add", "sort", "reverse", "appendleft", "popleft",
})  # fmt: skip


def impure(source: Source, names: Names, *, is_branch: bool) -> Iterator[Impure]:
    """What one function does that a body must not do; is_branch: whether it runs beside others."""
    yield from _impure(source, names, is_branch=is_branch, depth=0)


def _impure(source: Source, names: Names, *, is_branch: bool, depth: int) -> Iterator[Impure]:
    for node in _nodes(source.node):
        match node:
            case ast.Call():
                yield from _of_call(node, names, depth)
                yield from _of_change(node, names, is_branch=is_branch)
            case ast.Global() | ast.Nonlocal():
                what = f"`{ast.unparse(node)}` changes what stands outside the body."
                yield Impure("F204", node, what, "return the value, or a step.")
            case ast.Attribute(ctx=ast.Load()) if qualified(names, node) == "os.environ":
                yield Impure("F202", node, "`os.environ` may differ between processes.", _OUTSIDE)
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                yield from _of_store(node, node.value, names, is_branch=is_branch)
            case ast.Subscript(ctx=ast.Store() | ast.Del()):
                yield from _of_store(node, node.value, names, is_branch=is_branch)
            case ast.For(iter=over) | ast.comprehension(iter=over):
                yield from _of_set(node, over, names)
            case ast.Yield() | ast.YieldFrom() if depth == 0:
                what = "A generator cannot be a process or a helper with acts."
                yield Impure("F109", node, what, "return a tuple.")
            case _:
                pass


def _nodes(root: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function; functions inside it are looked at with it, its decorators not."""
    body = root.body if isinstance(root, ast.FunctionDef | ast.AsyncFunctionDef) else [root]
    todo = list(cast("list[ast.AST]", body))
    while todo:
        node = todo.pop()
        yield node
        todo.extend(ast.iter_child_nodes(node))


def _of_call(call: ast.Call, names: Names, depth: int) -> Iterator[Impure]:
    function = call.func
    full = qualified(names, function)
    if not full:
        return
    said = f"`{ast.unparse(function)}()`"
    known = _EXACT.get(full) or _known_below(full)
    if known is not None:
        code, why, fix = known
        yield Impure(code, call, f"{said} {why}", fix)
        return
    value = names.value(function)
    if isinstance(value, FunctionType) and _is_plain(value):
        yield from _of_helper(call, value, depth)


def _known_below(full: str) -> tuple[str, str, str] | None:
    if full.startswith(_PURE_BELOW):
        return None
    for prefix, known in _BELOW.items():
        if full == prefix or (prefix.endswith(".") and full.startswith(prefix)):
            return known
    return None


def _is_plain(function: FunctionType) -> bool:
    """Whether a function is an author's own, without acts: its source is looked at."""
    if function.__code__.co_flags & 0x280 or is_machinery(function):  # coroutines and generators
        return False
    return not (function.__module__ or "").startswith("newel.")


def _of_helper(call: ast.Call, function: FunctionType, depth: int) -> Iterator[Impure]:
    """F206: what is wrong in a plain function is told where the process calls it."""
    source = source_of(function)
    if source is None or depth >= _DEEP or _is_library(function):
        return
    names = Names.of(function)
    for found in _impure(source, names, is_branch=False, depth=depth + 1):
        if found.code in {"F208", "F203"}:
            continue
        what = f"`{function.__name__}` is not pure: {found.what[:1].lower()}{found.what[1:]}"
        if found.code == "F206":
            what = found.what
        yield Impure("F206", call, what, "move that part into a step.")
        return


def _is_library(function: FunctionType) -> bool:
    file = function.__code__.co_filename
    return "site-packages" in file or "/lib/python" in file or file.startswith("<")


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node


def _of_change(call: ast.Call, names: Names, *, is_branch: bool) -> Iterator[Impure]:
    """A method that changes its object."""
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in _CHANGES:
        return
    if isinstance(names.value(function), Step):  # an operation of a system that is called so
        return
    root = _root(function.value)
    if not isinstance(root, ast.Name):
        return
    if names.thing(root.id).role in {"group", "undo", "race", "child"}:
        return
    yield from _changed(call, ast.unparse(function.value), root.id, names, is_branch=is_branch)


def _of_store(node: ast.AST, owner: ast.expr, names: Names, *, is_branch: bool) -> Iterator[Impure]:
    root = _root(owner)
    if isinstance(root, ast.Name):
        yield from _changed(node, ast.unparse(owner), root.id, names, is_branch=is_branch)


def _changed(
    node: ast.AST, said: str, root: str, names: Names, *, is_branch: bool
) -> Iterator[Impure]:
    thing = names.thing(root)
    if not names.is_local(root):
        value = thing.value
        is_own = isinstance(value, Step | Process | ModuleType) and not isinstance(
            value, ModuleType
        )
        if value is UNKNOWN or is_own or is_machinery(type(value)):
            return
        what = f"`{said}` is changed, and stands outside the body."
        yield Impure("F204", node, what, "return the value, or a step.")
    elif is_branch and thing.is_parameter:
        what = f"`{said}` is changed inside a branch, and others can see it."
        yield Impure("F209", node, what, "return the value, and join it after `parallel`.")


def _of_set(node: ast.AST, over: ast.expr, names: Names) -> Iterator[Impure]:
    value = names.value(over)
    is_set = isinstance(over, ast.Set | ast.SetComp) or isinstance(value, set | frozenset)
    if isinstance(over, ast.Call) and names.value(over.func) in (set, frozenset):
        is_set = True
    if is_set:
        what = "Iterating a set: the order differs between processes of the same code."
        at = over if isinstance(node, ast.comprehension) else node
        yield Impure("F203", at, what, f"`sorted({ast.unparse(over)})`.")
