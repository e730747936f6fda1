"""Source in words: conditions as questions, keys and names as people say them.

What has no known form stays Python: a wrong word would be worse than a strange one. Labels may
hold text from the code, so every output escapes them. Source: drawing document, §7.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from enum import Enum
from typing import Final, cast

from newel.drawing.names import UNKNOWN, Names
from newel.drawing.sources import source_of
from newel.flow.process import Process
from newel.flow.step import Step

__all__ = [
    "capital",
    "ending",
    "first_lower",
    "first_sentence",
    "handled",
    "in_words",
    "question",
    "spoken",
]

_COMPARED: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "is",
    ast.NotEq: "is not",
    ast.Lt: "under",
    ast.LtE: "at most",
    ast.Gt: "over",
    ast.GtE: "at least",
    ast.In: "is one of",
    ast.NotIn: "is none of",
    ast.Is: "is",
    ast.IsNot: "is not",
}
_SPELT: Final = frozenset({"api", "ceo", "cfo", "coo", "cto", "hr", "mfa", "nda", "sso", "vpn"})
"""What is said letter by letter; `it` is a word, too, and stays one."""
_SPANS: Final = {
    "days": ("day", "days"),
    "hours": ("hour", "hours"),
    "minutes": ("minute", "minutes"),
    "seconds": ("second", "seconds"),
    "business_days": ("working day", "working days"),
}


def in_words(name: str) -> str:
    """A name or key as words: `manager-confirms`, `is_engineer`, `NewHire`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.rpartition(".")[2])
    words = apart.replace("_", " ").replace("-", " ").split()
    return " ".join(each.upper() if each.lower() in _SPELT else each for each in words)


def capital(text: str) -> str:
    """The same, beginning as a sentence does."""
    return text[:1].upper() + text[1:]


def first_lower(text: str) -> str:
    """The same, in the middle of a sentence; a word in capitals keeps them."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def first_sentence(docstring: str) -> str:
    """What a docstring says first, without its full stop."""
    return docstring.strip().partition("\n")[0].partition(". ")[0].rstrip(".")


def question(node: ast.expr, names: Names) -> str:
    """A condition as a question; Python where it has no words."""
    said = _said(node, names)
    return f"{said}?" if said is not None else ast.unparse(node)


def spoken(node: ast.expr, names: Names) -> str:
    """A value in words; Python where it has none."""
    return _said(node, names) or ast.unparse(node)


def ending(node: ast.expr | None, names: Names) -> str:
    """What an end is called: the constant that is returned, else "Done"."""
    value = UNKNOWN if node is None else names.value(node)
    match value:
        case str(text) if text:
            return capital(in_words(text) if " " not in text else text)
        case bool(answer):
            return "Yes" if answer else "No"
        case Enum():
            return capital(_of_value(value) or "done")
        case _:
            return "Done"


def handled(name: str, within: str) -> str:
    """What has happened where a handler begins; within: the deadline in words, if there is one."""
    match name:
        case "Overdue":
            return f"if nobody answers within {within}" if within else "if it is overdue"
        case "Rejected":
            return "if it is declined"
        case "StepFailed":
            return "if it fails for good"
        case "ChildFailed":
            return "if the run it started fails"
        case _:
            return f"if {in_words(name).lower()}"


def _said(node: ast.expr, names: Names) -> str | None:
    match node:
        case ast.Constant(value=value):
            return _of_value(value)
        case ast.Name(id=name):
            known = names.thing(name).value
            return (_of_value(known) if isinstance(known, Enum) else None) or in_words(name)
        case ast.Attribute():
            return _of_attribute(node, names)
        case ast.Await(value=value):
            return _said(value, names)
        case ast.NamedExpr(value=value):
            return _said(value, names)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _said(operand, names)
            return None if inner is None else f"not {inner}"
        case ast.BoolOp(op=operator, values=values):
            parts = [_said(each, names) for each in values]
            word = " and " if isinstance(operator, ast.And) else " or "
            return None if None in parts else word.join(cast("list[str]", parts))
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return _of_comparison(left, operator, right, names)
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            parts = [_said(each, names) for each in elements]
            return None if None in parts else ", ".join(cast("list[str]", parts))
        case ast.Call():
            return _of_call(node, names)
        case ast.Subscript(value=value):
            return _said(value, names) if isinstance(value, ast.Name) else None
        case _:
            return None


def _of_value(value: object) -> str | None:
    match value:
        case Enum():
            given: object = value.value
            return given if isinstance(given, str) else in_words(value.name.lower())
        case None:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case str():
            return value or "empty"
        case int():
            return f"{value:,}" if abs(value) >= 1000 else str(value)
        case float():
            return str(value)
        case _:
            return None


def _of_attribute(node: ast.Attribute, names: Names) -> str | None:
    value = names.value(node)
    if isinstance(value, Enum):
        return _of_value(value)
    if node.attr == "approved":
        inner = node.value
        if isinstance(inner, ast.Await):
            return f"{_said(inner.value, names) or 'it'} approved"
        return "approved"
    owner = _said(node.value, names)
    return None if owner is None else f"{owner}'s {in_words(node.attr)}"


def _of_comparison(
    left: ast.expr, operator: ast.cmpop, right: ast.expr, names: Names
) -> str | None:
    one = _said(left, names)
    if one is None:
        return None
    if isinstance(right, ast.Constant) and right.value is None:
        return f"{one} is missing" if isinstance(operator, ast.Is | ast.Eq) else f"{one} is given"
    two = _said(right, names)
    return None if two is None else f"{one} {_COMPARED[type(operator)]} {two}"


def _of_call(call: ast.Call, names: Names) -> str | None:
    function = call.func.value if isinstance(call.func, ast.Subscript) else call.func
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    first = call.args[0] if call.args else None
    if name in _SPANS and isinstance(first, ast.Constant) and isinstance(first.value, int):
        one, many = _SPANS[name]
        return f"{first.value} {one if first.value == 1 else many}"
    if name == "len" and first is not None:
        inner = _said(first, names)
        return None if inner is None else f"number of {inner}"
    if name in {"approval", "form", "timer"} and isinstance(first, ast.Constant):
        return in_words(str(first.value))
    value = names.value(function)
    if isinstance(value, Step):
        return in_words(cast("Step[..., object]", value).name)
    if isinstance(value, Process):
        return in_words(cast("Process[..., object]", value).title).lower()
    if name == "team" and isinstance(first, ast.Constant):
        return f"team {first.value!s}"
    source = source_of(cast("Callable[..., object]", value)) if callable(value) else None
    if source is not None:
        said = first_sentence(source.docstring) or in_words(name)
        return said[:1].lower() + said[1:].rstrip("?")
    return None
