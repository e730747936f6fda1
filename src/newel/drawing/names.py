"""What a name in a function means: the live object behind it, or what is known of a local one.

The tree of a source gives the shape, live objects give the meaning: one word may be a step, a
helper or a function of a library. Properties and other descriptors are never executed, so that
reading a process has no effect. Source: drawing document, §3.1.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import EnumMeta
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final, cast

from newel.flow.step import Step

__all__ = ["UNKNOWN", "Names", "Thing", "is_library", "is_machinery", "qualified", "stored"]


class Unknown:
    """Nothing that could be told without running the code."""


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Thing:
    """What is known of a local name.

    value: the live object or constant, or UNKNOWN. varies: ids of the loops whose item it comes
    from. is_position: whether it counts (`enumerate`). is_parameter: whether it is the caller's.
    role: what newel made it (`group`, `race`, `child`, `undo`); what: which one; what_at: how many
    rounds stand around a group.
    """

    value: object = UNKNOWN
    varies: frozenset[str] = frozenset()
    is_position: bool = False
    is_parameter: bool = False
    role: str = ""
    what: object = None
    what_at: int = 0


@dataclass(slots=True)
class Names:
    """The names of one function while it is read."""

    function: FunctionType
    locals: frozenset[str]
    known: dict[str, Thing] = field(default_factory=dict[str, Thing])
    inner: dict[str, Thing] = field(default_factory=dict[str, Thing])
    """Of comprehensions that are being read: they shadow all others."""

    @classmethod
    def of(cls, function: FunctionType) -> Names:
        """The names of a function before it is called."""
        code = function.__code__
        return cls(function, frozenset(code.co_varnames) | frozenset(code.co_cellvars))

    def thing(self, name: str) -> Thing:
        """What is known of a name."""
        if name in self.inner:
            return self.inner[name]
        if name in self.known:
            return self.known[name]
        if name in self.locals:
            return Thing()
        return Thing(self._live(name))

    def _live(self, name: str) -> object:
        code = self.function.__code__
        if name in code.co_freevars:
            cell = (self.function.__closure__ or ())[code.co_freevars.index(name)]
            try:
                return cast("object", cell.cell_contents)
            except ValueError:  # not filled yet
                return UNKNOWN
        # A field, and no method, though pyright binds it.
        globals_ = self.function.__globals__  # pyright: ignore[reportAttributeAccessIssue]
        if name in globals_:
            return cast("object", globals_[name])
        return cast("object", getattr(builtins, name, UNKNOWN))

    def is_local(self, name: str) -> bool:
        """Whether a name belongs to the function itself."""
        return name in self.locals or name in self.inner

    def value(self, node: ast.expr) -> object:
        """The live object or constant that an expression is; UNKNOWN if that takes running code."""
        match node:
            case ast.Constant(value=value):
                return cast("object", value)
            case ast.Name(id=name):
                return self.thing(name).value
            case ast.Attribute(value=owner, attr=attribute):
                found = self.value(owner)
                return UNKNOWN if found is UNKNOWN else attribute_of(found, attribute)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
                return -number
            case ast.Tuple(elts=elements):
                values = tuple(self.value(each) for each in elements)
                return UNKNOWN if any(each is UNKNOWN for each in values) else values
            case ast.JoinedStr(values=parts):
                return self._joined(parts)
            case _:
                return UNKNOWN

    def _joined(self, parts: list[ast.expr]) -> object:
        texts: list[str] = []
        for part in parts:
            if isinstance(part, ast.FormattedValue):
                if part.conversion != -1 or part.format_spec is not None:
                    return UNKNOWN
                part = part.value  # noqa: PLW2901 - the hole's own expression
            value = self.value(part)
            if not isinstance(value, str | int) or isinstance(value, bool):
                return UNKNOWN
            texts.append(str(value))
        return "".join(texts)

    def varies(self, node: ast.AST | None) -> frozenset[str]:
        """The loops whose item an expression depends on."""
        found: set[str] = set()
        for name in _names_in(node):
            found |= self.thing(name).varies
        return frozenset(found)

    def is_position(self, node: ast.expr) -> bool:
        """Whether an expression is made of positions alone."""
        names = [self.thing(name) for name in _names_in(node)]
        moving = [each for each in names if each.varies]
        return bool(moving) and all(each.is_position for each in moving)


def _names_in(node: ast.AST | None) -> Iterator[str]:
    if node is None:
        return
    if isinstance(node, ast.Name):
        yield node.id
        return
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id


def attribute_of(owner: object, name: str) -> object:
    """An attribute, without running a property or `__getattr__`; a step is bound to its owner."""
    try:
        static: object = inspect.getattr_static(owner, name)
    except AttributeError:
        return UNKNOWN
    if isinstance(owner, ModuleType):
        return static
    kind = owner if isinstance(owner, type) else type(owner)
    if isinstance(owner, EnumMeta):  # its members stand behind descriptors
        members = cast("Mapping[str, object]", type.__getattribute__(owner, "_member_map_"))
        return members.get(name, static)
    if isinstance(static, staticmethod):
        return cast("object", static.__func__)
    if isinstance(static, classmethod):
        return MethodType(cast("Callable[..., Any]", static.__func__), kind)
    if isinstance(static, property):
        return UNKNOWN
    if isinstance(owner, type) or name in _own(owner):
        return static
    if isinstance(static, Step):
        return cast("object", cast("Any", static).__get__(owner, kind))
    if isinstance(static, FunctionType):
        return MethodType(static, owner)
    is_descriptor = hasattr(type(static), "__get__")
    return UNKNOWN if is_descriptor and not callable(static) else static


def _own(owner: object) -> Mapping[str, object]:
    try:
        return cast("Mapping[str, object]", object.__getattribute__(owner, "__dict__"))
    except AttributeError:
        return {}


def stored(node: ast.AST) -> Iterator[str]:
    """The names that something assigns, in order, each as often as it does."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id
        elif isinstance(each, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and each.name:
            yield each.name


_MACHINERY: Final = ("newel.flow.", "newel.base.", "newel.domain.")


def is_library(value: object) -> bool:
    """Whether a coroutine function comes from a library that knows nothing of newel.

    Its source is no helper: nothing in it can be an act. A package of the company's own may be
    installed like a library; it is told by the words or steps that stand in its modules.
    """
    function = getattr(value, "__func__", value) if isinstance(value, MethodType) else value
    if not isinstance(function, FunctionType):
        return False
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    if code is None or function.__module__.partition(".")[0] in sys.stdlib_module_names:
        return code is not None
    if not {"site-packages", "dist-packages"} & {*Path(code.co_filename).parts}:
        return False
    known = vars(sys.modules[function.__module__]).values()
    return not any(_comes_from_newel(each) for each in known)


def _comes_from_newel(value: object) -> bool:
    module = _fact(value, "__module__") or _fact(value, "__name__")
    return f"{module}.".startswith("newel.") or f"{type(value).__module__}.".startswith("newel.")


def is_machinery(function: object) -> bool:
    """Whether something is newel's own and no code of a process."""
    module = _fact(function, "__module__")
    return isinstance(module, str) and module.startswith(_MACHINERY)


def qualified(names: Names, node: ast.expr) -> str:
    """The full name of what an expression stands for: `datetime.datetime.now`; "" if unknown."""
    if isinstance(node, ast.Attribute):
        owner = names.value(node.value)
        if isinstance(owner, ModuleType):
            return f"{owner.__name__}.{node.attr}"
        if isinstance(owner, type):
            return f"{owner.__module__}.{owner.__qualname__}.{node.attr}"
    return name_of(names.value(node))


def name_of(value: object) -> str:
    """The full name of a class, function or module; "" for anything else."""
    if value is UNKNOWN:
        return ""
    if isinstance(value, ModuleType):
        return value.__name__
    owner = _fact(value, "__self__")
    if owner is not None and not isinstance(owner, ModuleType):
        kind = owner if isinstance(owner, type) else type(owner)
        return f"{kind.__module__}.{kind.__qualname__}.{_fact(value, '__name__') or '?'}"
    if callable(value):
        module, name = _fact(value, "__module__"), _fact(value, "__qualname__")
        return f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else ""
    return ""


def _fact(value: object, name: str) -> object:
    """What a function, class or thing says of itself; None where code would run to say it."""
    if isinstance(value, FunctionType | BuiltinFunctionType | MethodType):
        return getattr(value, name, None)
    if isinstance(value, type):
        try:
            return cast("object", type.__getattribute__(value, name))
        except AttributeError:
            return None
    static: object = inspect.getattr_static(value, name, None)
    return None if hasattr(type(static), "__get__") else static
