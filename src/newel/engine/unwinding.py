"""Whether an act stands in a `finally` that a fault of the body is passing through.

A fault is no end of the run: it parks, and goes on with mended code. So the acts of a `finally`
that a fault has entered must not run; they run once, at the real end (authoring document, §8).
Python gives no sign of it at run time, so which lines belong to a `finally` is read from the
source of the functions that are being awaited.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Coroutine
from functools import cache
from types import CodeType
from typing import Any

from newel.base.errors import Unwind
from newel.base.source import tree_of


def breaks_off(
    coroutine: Coroutine[Any, Any, object],
    during: BaseException,
    is_declared: Callable[[BaseException], bool],
) -> bool:
    """Whether the act that a branch has come to stands in a `finally` that a fault has entered.

    during: the exception being handled where the act is awaited.
    """
    if isinstance(during, Unwind) or is_declared(during):
        return False
    inner: Any = coroutine
    while inner is not None:
        frame = getattr(inner, "cr_frame", None)
        if frame is not None and frame.f_lineno in _lines_of_finally(frame.f_code):
            return True
        inner = getattr(inner, "cr_await", None)
    return False


@cache
def _lines_of_finally(code: CodeType) -> frozenset[int]:
    """The lines inside the `finally` blocks of a function; none where its source is not there."""
    try:
        tree = tree_of(code)
    except (OSError, SyntaxError):
        return frozenset()
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and node.finalbody:
            end = node.finalbody[-1].end_lineno or node.finalbody[-1].lineno
            found.update(range(node.finalbody[0].lineno, end + 1))
    return frozenset(line + code.co_firstlineno - 1 for line in found)
