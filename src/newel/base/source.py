"""Reading Python source at run time."""

from __future__ import annotations

import ast
import gc
import inspect
import textwrap
from functools import lru_cache
from types import CodeType

__all__ = ["parsed", "tree_of"]


@lru_cache(maxsize=1024)
def tree_of(code: CodeType) -> ast.Module:
    """The tree of a function's source, whose lines count from the function's first; not to be
    changed, for all who ask share it. Raises OSError where there is no source, SyntaxError where it
    is no whole statement.
    """
    return parsed(textwrap.dedent(inspect.getsource(code)))


def parsed(text: str) -> ast.Module:
    """Parse source; raises SyntaxError.

    Python 3.11 counts how deep a parse is in one place for all of them: a collection of garbage in
    its middle that has a traceback formatted (which parses, too) ends it with a SystemError. So
    nothing is collected meanwhile. Source: https://github.com/python/cpython/issues/106905
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(text)
    finally:
        if was_on:
            gc.enable()
