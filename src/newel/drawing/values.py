"""Values of expressions without running a process's code: known, or not known.

Conditions are looked at with the input and the outcomes of one run. What takes a call of somebody
else's code, a property or an operator of a foreign class is not known, and so is whatever fails:
nothing here can have an effect. Source: drawing document, §9.2.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from types import FunctionType, MemberDescriptorType
from typing import Any, Final, cast
from uuid import UUID

from pydantic import BaseModel

from newel.base import durations
from newel.drawing.names import UNKNOWN, Names, attribute_of
from newel.drawing.sources import source_of

__all__ = ["Known", "Scope", "equal", "parsed", "truth", "unpacked", "value_of"]

_NOT_TOLD: Final = (
    ArithmeticError, AttributeError, LookupError, RecursionError, SyntaxError, TypeError,
    ValueError,
)  # fmt: skip
"""What an expression may end with: then its value is not known."""
MOST: Final = 20_000
"""How many expressions are looked at for one plan."""
_MANY: Final = 1_000
_PLAIN: Final = (
    bool, int, float, str, bytes, Decimal, date, datetime, timedelta, UUID, Enum, type(None),
)  # fmt: skip
_SUMS: Final = (int, float, Decimal, date, datetime, timedelta)
_COMPARED: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_COUNTED: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_CALLED: Final[tuple[Callable[..., Any], ...]] = (
    len, any, all, min, max, sum, sorted, bool, str, int, abs, tuple, list,
    durations.days, durations.hours, durations.minutes,
)  # fmt: skip
_OF_TEXT: Final = frozenset({
    "lower", "upper", "strip", "startswith", "endswith", "split", "replace", "title",
    "removeprefix", "removesuffix", "join",
})  # fmt: skip


@dataclass(frozen=True)
class Known:
    """Something whose parts are known one by one, as who has won a race."""

    parts: Mapping[str, object]


@dataclass
class Scope:
    """The names of one function in one run.

    awaited: results by the call that gave them. budget: what is left to look at, shared.
    """

    names: Names | None
    values: dict[str, object] = field(default_factory=dict[str, object])
    awaited: dict[str, object] = field(default_factory=dict[str, object])
    budget: list[int] = field(default_factory=lambda: [MOST])

    @property
    def changed(self) -> frozenset[str]:
        """The names whose values the function changes in place."""
        return frozenset() if self.names is None else changed_in_place(self.names.function)

    def copied(self) -> Scope:
        """The same for one of several ways on; what is bound there does not show here."""
        return dataclasses.replace(self, values=dict(self.values), awaited=dict(self.awaited))

    def inner(self, names: Names | None, values: dict[str, object]) -> Scope:
        """The names of a function that is called here."""
        return Scope(names, values, budget=self.budget)


@lru_cache(maxsize=1024)
def changed_in_place(function: FunctionType) -> frozenset[str]:
    """The names of a function's variables whose values it changes: `found.append(…)`."""
    source = source_of(function)
    found: set[str] = set()
    for node in () if source is None else ast.walk(source.node):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
                found.add(name)
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.AugAssign(target=ast.Name(id=name)):
                found.add(name)
            case _:
                pass
    return frozenset(found)


def parsed(source: str) -> ast.expr:
    """An expression from its source; raises SyntaxError."""
    return ast.parse(source, mode="eval").body


def value_of(source: str, scope: Scope) -> object:
    """The value of an expression, or UNKNOWN."""
    try:
        return _value(parsed(source), scope)
    except _NOT_TOLD:
        return UNKNOWN


def truth(value: object) -> object:
    """Whether a value counts as true; UNKNOWN where only its own code could tell."""
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(value, (*_PLAIN, tuple, list, dict, set, frozenset)):
        return bool(value)
    kind = type(value)
    own = hasattr(kind, "__bool__") or hasattr(kind, "__len__")
    return UNKNOWN if own else True


def equal(one: object, two: object) -> object:
    """Whether two values are equal; UNKNOWN where only their own code could tell."""
    if isinstance(one, _PLAIN) and isinstance(two, _PLAIN):
        return one == two
    sequences = (tuple, list)
    if isinstance(one, sequences) and isinstance(two, sequences):
        if type(one) is not type(two) or len(one) != len(two):
            return False
        each = [equal(a, b) for a, b in zip(one, two, strict=True)]
        return False if False in each else UNKNOWN if UNKNOWN in each else True
    return UNKNOWN


def _value(node: ast.expr, scope: Scope) -> object:
    scope.budget[0] -= 1
    if scope.budget[0] < 0:
        return UNKNOWN
    match node:
        case ast.Constant(value=value):
            return cast("object", value)
        case ast.Name(id=name):
            return _named(name, scope)
        case ast.Await(value=value):
            return scope.awaited.get(ast.unparse(value), UNKNOWN)
        case ast.NamedExpr(value=value):
            return _value(value, scope)
        case ast.Attribute(value=owner, attr=name):
            return _part(_value(owner, scope), name)
        case ast.Subscript(value=owner, slice=index):
            return _item(_value(owner, scope), _value(index, scope))
        case ast.BoolOp(op=operator_, values=values):
            return _joined(isinstance(operator_, ast.And), values, scope)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            known = truth(_value(operand, scope))
            return UNKNOWN if known is UNKNOWN else not known
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = _value(operand, scope)
            return -number if isinstance(number, int | float | Decimal | timedelta) else UNKNOWN
        case ast.IfExp(test=test, body=body, orelse=orelse):
            known = truth(_value(test, scope))
            return UNKNOWN if known is UNKNOWN else _value(body if known else orelse, scope)
        case ast.Compare(left=left, ops=operators, comparators=others):
            return _compared(left, operators, others, scope)
        case ast.BinOp(left=left, op=operator_, right=right):
            return _counted(_value(left, scope), operator_, _value(right, scope))
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return _displayed(node, parts, scope)
        case ast.Dict(keys=keys, values=values):
            return _mapped(keys, values, scope)
        case ast.JoinedStr(values=parts):
            return _text(parts, scope)
        case (
            ast.ListComp(elt=element, generators=[one])
            | ast.GeneratorExp(elt=element, generators=[one])
        ):
            return _comprehended(element, one, scope)
        case ast.Call():
            return _called(node, scope)
        case _:
            return UNKNOWN


def _named(name: str, scope: Scope) -> object:
    if name in scope.values:
        return scope.values[name]
    if scope.names is None or scope.names.is_local(name):
        return UNKNOWN
    return scope.names.thing(name).value


def _part(owner: object, name: str) -> object:
    if owner is UNKNOWN:
        return UNKNOWN
    if isinstance(owner, Known):
        return owner.parts.get(name, UNKNOWN)
    if isinstance(owner, Enum) and name in {"name", "value"}:
        return cast("object", owner._name_ if name == "name" else owner._value_)
    if isinstance(owner, BaseModel) and name in type(owner).model_fields:
        return cast("object", owner.__dict__.get(name, UNKNOWN))
    if isinstance(owner, date | timedelta | Decimal) and not name.startswith("_"):
        found: object = getattr(owner, name)
        return UNKNOWN if callable(found) else found
    if isinstance(owner, tuple) and name in getattr(type(owner), "_fields", ()):
        return cast("object", owner[type(owner)._fields.index(name)])  # type: ignore[attr-defined]
    static = inspect.getattr_static(type(owner), name, None)
    if isinstance(static, MemberDescriptorType):
        return cast("object", static.__get__(owner, type(owner)))
    return attribute_of(owner, name)


def _item(owner: object, index: object) -> object:
    if UNKNOWN in {_hashed(owner), _hashed(index)}:
        return UNKNOWN
    if isinstance(owner, tuple | list | str | dict) and isinstance(index, _PLAIN):
        return cast("Any", owner)[index]
    return UNKNOWN


def _hashed(value: object) -> object:
    return UNKNOWN if value is UNKNOWN else None


def _joined(is_and: bool, values: list[ast.expr], scope: Scope) -> object:  # noqa: FBT001
    """`and`, `or`: one that decides is enough, though others are not known."""
    unknown = False
    last: object = UNKNOWN
    for each in values:
        value = _value(each, scope)
        known = truth(value)
        if known is UNKNOWN:
            unknown = True
        elif bool(known) is not is_and:
            return value if not unknown else not is_and
        last = value
    return UNKNOWN if unknown else last


def _compared(
    left: ast.expr, operators: list[ast.cmpop], others: list[ast.expr], scope: Scope
) -> object:
    one, found = _value(left, scope), []
    for operator_, other in zip(operators, others, strict=True):
        two = _value(other, scope)
        found.append(_two(one, operator_, two))
        one = two
    return False if False in found else UNKNOWN if UNKNOWN in found else True


def _two(one: object, operator_: ast.cmpop, two: object) -> object:
    if one is UNKNOWN or two is UNKNOWN:
        return UNKNOWN
    match operator_:
        case ast.Eq():
            return equal(one, two)
        case ast.NotEq():
            return _not(equal(one, two))
        case ast.Is() | ast.IsNot():
            if not isinstance(one, bool | Enum | None) and not isinstance(two, bool | Enum | None):
                return UNKNOWN
            return (one is two) is isinstance(operator_, ast.Is)
        case ast.In() | ast.NotIn():
            found = _within(one, two)
            return found if isinstance(operator_, ast.In) else _not(found)
        case _ if isinstance(one, _PLAIN) and isinstance(two, _PLAIN):
            return _COMPARED[type(operator_)](one, two)
        case _:
            return UNKNOWN


def _not(value: object) -> object:
    return UNKNOWN if value is UNKNOWN else not value


def _within(one: object, many: object) -> object:
    if isinstance(many, str):
        return one in many if isinstance(one, str) else UNKNOWN
    if not isinstance(many, tuple | list | set | frozenset | dict) or len(many) > _MANY:
        return UNKNOWN
    found = [equal(one, each) for each in many]
    return True if True in found else UNKNOWN if UNKNOWN in found else False


def _counted(one: object, operator_: ast.operator, two: object) -> object:
    count = _COUNTED.get(type(operator_))
    if count is None:
        return UNKNOWN
    if isinstance(operator_, ast.Add) and type(one) is type(two) and isinstance(one, str | tuple):
        joined = cast("Any", one) + two
        return joined if len(joined) <= _MANY else UNKNOWN
    if not isinstance(one, _SUMS) or not isinstance(two, _SUMS):
        return UNKNOWN
    return cast("object", count(one, two))


def _displayed(node: ast.expr, parts: list[ast.expr], scope: Scope) -> object:
    values = [_value(each, scope) for each in parts]
    if any(each is UNKNOWN for each in values):
        return UNKNOWN
    kind: Any = {ast.Tuple: tuple, ast.List: list, ast.Set: frozenset}[type(node)]
    return cast("object", kind(values))


def _mapped(keys: list[ast.expr | None], values: list[ast.expr], scope: Scope) -> object:
    found: dict[Any, object] = {}
    for key, value in zip(keys, values, strict=True):
        known = UNKNOWN if key is None else _value(key, scope)
        if not isinstance(known, _PLAIN):
            return UNKNOWN
        found[known] = _value(value, scope)
    return found


def _text(parts: list[ast.expr], scope: Scope) -> object:
    found: list[str] = []
    for part in parts:
        if isinstance(part, ast.FormattedValue):
            if part.conversion != -1 or part.format_spec is not None:
                return UNKNOWN
            part = part.value  # noqa: PLW2901 - the hole's own expression
        value = _value(part, scope)
        if not isinstance(value, str | int):
            return UNKNOWN
        found.append(str(value))
    return "".join(found)


def _comprehended(element: ast.expr, one: ast.comprehension, scope: Scope) -> object:
    many = _value(one.iter, scope)
    if not isinstance(many, tuple | list | frozenset | set | dict) or len(many) > _MANY:
        return UNKNOWN
    found: list[object] = []
    for each in many:
        inner = scope.copied()
        unpacked(one.target, each, inner)
        tests = [truth(_value(test, inner)) for test in one.ifs]
        if UNKNOWN in tests:
            return UNKNOWN
        if all(tests):
            found.append(_value(element, inner))
    return UNKNOWN if any(each is UNKNOWN for each in found) else found


def _called(call: ast.Call, scope: Scope) -> object:
    if isinstance(call.func, ast.Attribute) and call.func.attr in _OF_TEXT:
        owner = _value(call.func.value, scope)
        if isinstance(owner, str):
            given = [_value(each, scope) for each in call.args]
            plain = not call.keywords and all(isinstance(each, str | int | list) for each in given)
            return getattr(owner, call.func.attr)(*given) if plain else UNKNOWN
    function = _value(call.func, scope)
    arguments = [_value(each, scope) for each in call.args]
    if any(function is each for each in _CALLED):
        if call.keywords or not all(_is_plain(each) for each in arguments):
            return UNKNOWN
        return cast("Callable[..., object]", function)(*arguments)
    if isinstance(function, FunctionType):
        return _of_helper(function, call, arguments, scope)
    return UNKNOWN


def _is_plain(value: object) -> bool:
    """Whether a function of Python's own may look at a value without running anybody's code."""
    if isinstance(value, tuple | list | set | frozenset | dict) and len(value) <= _MANY:
        return all(_is_plain(each) for each in value)
    return isinstance(value, _PLAIN)


def _of_helper(
    function: FunctionType, call: ast.Call, arguments: list[object], scope: Scope
) -> object:
    """A plain function of one `return` is looked into; anything longer is not known."""
    source = source_of(function)
    if source is None or isinstance(source.node, ast.AsyncFunctionDef) or call.keywords:
        return UNKNOWN
    body = [each for each in source.body if not _is_docstring(each)]
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        return UNKNOWN
    given = source.node.args
    names = [each.arg for each in (*given.posonlyargs, *given.args)]
    if len(names) != len(arguments) or given.kwonlyargs or given.vararg or given.kwarg:
        return UNKNOWN
    inner = scope.inner(Names.of(function), dict(zip(names, arguments, strict=True)))
    return _value(body[0].value, inner)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def unpacked(target: ast.expr, value: object, scope: Scope) -> None:
    """Bind the names of a target to the parts of a value."""
    match target:
        case ast.Name(id=name):
            scope.values[name] = value
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            starred = any(isinstance(each, ast.Starred) for each in parts)
            fits = isinstance(value, tuple | list) and len(value) == len(parts) and not starred
            values = list(cast("Iterable[object]", value)) if fits else [UNKNOWN] * len(parts)
            for part, each in zip(parts, values, strict=True):
                unpacked(part, each, scope)
        case ast.Starred(value=inner):
            unpacked(inner, UNKNOWN, scope)
        case _:
            pass
