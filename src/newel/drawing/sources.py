"""The source of a function: its tree with the lines of its file, and the comments beside it.

A file is read and parsed once however many functions of it are drawn. What was compiled and what
stands in the file must agree; where they do not, the function counts as having no source (F106).
"""

from __future__ import annotations

import ast
import io
import linecache
import textwrap
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import CodeType, FunctionType
from typing import Any

from newel.base.source import parsed

__all__ = ["Source", "source_of"]

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, eq=False)
class Source:
    """One function as it is written. file: where; node: its definition, with the file's lines."""

    module: str
    file: str
    node: Definition

    @cached_property
    def text(self) -> str:
        """Its source, dedented, decorators included."""
        node = self.node
        decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
        first = min([node.lineno, *(each.lineno for each in decorators)])
        lines = linecache.getlines(self.file)[first - 1 : node.end_lineno]
        return textwrap.dedent("".join(lines))

    @cached_property
    def comments(self) -> dict[int, str]:
        """The comments of its file by line, without the sign in front."""
        return _comments("".join(linecache.getlines(self.file)))

    @property
    def body(self) -> list[ast.stmt]:
        """Its statements; a lambda has one that returns."""
        if isinstance(self.node, ast.Lambda):
            return [ast.copy_location(ast.Return(self.node.body), self.node.body)]
        return self.node.body

    @property
    def docstring(self) -> str:
        """Its docstring; empty without one."""
        if isinstance(self.node, ast.Lambda):
            return ""
        return ast.get_docstring(self.node) or ""


def source_of(function: Callable[..., Any]) -> Source | None:  # Any: whatever it takes
    """The source of a plain or coroutine function; None where there is none to read."""
    if not isinstance(function, FunctionType):
        return None
    code: CodeType = function.__code__
    # A module in an archive is in no file: its loader has the text.
    linecache.lazycache(code.co_filename, function.__globals__)
    return _of_code(code, function.__module__ or "?")


@lru_cache(maxsize=4096)
def _of_code(code: CodeType, module: str) -> Source | None:
    text = "".join(linecache.getlines(code.co_filename))
    for node in _definitions(text).get((code.co_firstlineno, code.co_name), ()):
        if _parameters(node) == code.co_varnames[: _number_of_parameters(code)]:
            return Source(module, code.co_filename, node)
    return None


def _number_of_parameters(code: CodeType) -> int:
    varargs, varkeywords = bool(code.co_flags & 0x04), bool(code.co_flags & 0x08)
    return code.co_argcount + code.co_kwonlyargcount + varargs + varkeywords


def _parameters(node: Definition) -> tuple[str, ...]:
    given = node.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    rest = [each for each in (given.vararg, given.kwarg) if each is not None]
    return tuple(each.arg for each in (*named, *rest))


@lru_cache(maxsize=256)
def _definitions(text: str) -> dict[tuple[int, str], list[Definition]]:
    """All functions of a file by the line that their code names, and their names."""
    found: dict[tuple[int, str], list[Definition]] = {}
    try:
        tree = parsed(text)
    except (SyntaxError, ValueError):
        return found
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            found.setdefault((first, node.name), []).append(node)
        elif isinstance(node, ast.Lambda):
            found.setdefault((node.lineno, "<lambda>"), []).append(node)
        todo.extend(ast.iter_child_nodes(node))
    return found


@lru_cache(maxsize=64)
def _comments(text: str) -> dict[int, str]:
    found: dict[int, str] = {}
    if "#" not in text:
        return found
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                found[token.start[0]] = token.string.lstrip("# ").strip()
    except (tokenize.TokenError, SyntaxError):
        return found
    return found
