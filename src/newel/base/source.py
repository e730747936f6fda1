"""Reading Python source at run time."""

from __future__ import annotations

import ast
import gc

__all__ = ["parsed"]


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
