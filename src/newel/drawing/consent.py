"""What an expression tells of a decision: whether it being true, or false, means that one said yes.

Nothing is run: `decision.approved`, its negation, and what is joined of such parts are read from
their source. *yes* of an expression: where it is true, somebody has agreed; *no*: where it is
false. What is always false is *yes* for want of a case, so that `return False` spoils nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

__all__ = [
    "DECISION",
    "DECISIONS",
    "GRANTED",
    "NOTHING",
    "REACHED",
    "WON",
    "Said",
    "parsed",
    "said_of",
]

Said = frozenset[str]

NOTHING: Final[Said] = frozenset()
YES: Final[Said] = frozenset({"yes"})
NO: Final[Said] = frozenset({"no"})
GRANTED: Final[Said] = YES | NO
"""Of whatever is looked at where somebody has agreed already."""
DECISION: Final[Said] = frozenset({"decision"})
DECISIONS: Final[Said] = frozenset({"decisions"})
WON: Final[Said] = frozenset({"won"})
REACHED: Final[Said] = frozenset({"reached"})
_PARTS: Final = {
    ("approved", "decision"): YES,
    ("value", "won"): DECISION,
    ("values", "reached"): DECISIONS,
}


def said_of(source: str, known: Mapping[str, Said]) -> Said:
    """What an expression tells; known: by name, and by call for what was awaited."""
    node = parsed(source)
    return NOTHING if node is None else _said(node, known)


@lru_cache(maxsize=4096)
def parsed(source: str) -> ast.expr | None:
    """An expression from its source; None for what is none (a pattern, or too deep)."""
    try:
        return ast.parse(source, mode="eval").body
    except (SyntaxError, RecursionError, ValueError):
        return None


def _said(node: ast.expr, known: Mapping[str, Said]) -> Said:
    match node:
        case ast.Name(id=name):
            return known.get(name, NOTHING)
        case ast.Await(value=call):
            return known.get(ast.unparse(call), NOTHING)
        case ast.Constant(value=value):
            return NO if value else YES
        case ast.NamedExpr(value=value):
            return _said(value, known)
        case ast.Attribute(value=value, attr=attr):
            inner = _said(value, known)
            return next((_PARTS[attr, each] for each in inner if (attr, each) in _PARTS), NOTHING)
        case ast.Subscript(value=value):
            return DECISION if "decisions" in _said(value, known) else NOTHING
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _turned(_said(operand, known))
        case ast.BoolOp(op=op, values=values):
            parts = [_said(each, known) for each in values]
            return _joined(parts, some=YES if isinstance(op, ast.And) else NO)
        case ast.IfExp():
            return _chosen(node, known)
        case ast.Compare(left=left, ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=v)]):
            inner = _said(left, known) & GRANTED
            return inner if v is True else _turned(inner) if v is False else NOTHING
        case ast.Call(func=ast.Name(id="bool"), args=[value]):
            return _said(value, known)
        case ast.Call(func=ast.Name(id="all" | "any"), args=[value]):
            return _of_many(value, known)
        case _:
            return NOTHING


def _turned(said: Said) -> Said:
    return (NO if said & YES else NOTHING) | (YES if said & NO else NOTHING)


def _joined(parts: list[Said], *, some: Said) -> Said:
    """`and` is true only where all are, so one that tells is enough; `or` is the mirror of it."""
    every = GRANTED - some
    told = some if any(each & some for each in parts) else NOTHING
    return told | (every if all(each & every for each in parts) else NOTHING)


def _chosen(node: ast.IfExp, known: Mapping[str, Said]) -> Said:
    test = _said(node.test, known)
    body = _said(node.body, known) | (GRANTED if test & YES else NOTHING)
    return body & (_said(node.orelse, known) | (GRANTED if test & NO else NOTHING))


def _of_many(node: ast.expr, known: Mapping[str, Said]) -> Said:
    """Tell `all(each.approved for each in decisions)`, and `any(…)`."""
    match node:
        case (
            ast.GeneratorExp(elt=elt, generators=[generator])
            | ast.ListComp(elt=elt, generators=[generator])
        ):
            over, target = generator.iter, generator.target
            several = over.elts if isinstance(over, ast.Tuple | ast.List) else ()
            are_decisions = (
                all("decision" in _said(each, known) for each in several)
                if several
                else "decisions" in _said(over, known)
            )
            if are_decisions and isinstance(target, ast.Name):
                return _said(elt, {**known, target.id: DECISION}) & YES
        case _:
            pass
    return NOTHING
