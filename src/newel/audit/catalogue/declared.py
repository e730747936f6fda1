"""How a type of audit event is declared: a frozen class that checks itself when it is made.

`@audit_event("step.succeeded", step=True)` turns a class with annotated fields into a frozen
dataclass, checks every field when an event is made, and keeps the facts ready for the leaf. What an
annotation allows here is little: text, whole numbers, flags, digests, moments, fixed choices, lists
of text, sealed fields and parts made of these. A trailing underscore keeps a Python word out of the
way (`class_` is `class` in the leaf).

Events are made on the path of every commit, so a check is a comparison of exact types, and the
constructor of each class is one straight function without a loop.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    NamedTuple,
    TypeVar,
    dataclass_transform,
)

from newel.audit.canonical import Json
from newel.audit.leaf import instant
from newel.base.errors import NotJournalable

__all__ = [
    "TYPES",
    "AuditEvent",
    "Digest",
    "Part",
    "RunState",
    "Sealed",
    "Stream",
    "audit_event",
    "part",
]

RunState = Literal["running", "waiting", "parked", "completed", "failed", "cancelled"]
Stream = Literal["run", "system", "admin", "log", "auth", "service"]

Digest = Annotated[str, "sha256"]
"""A SHA-256 in 64 lower-case hex digits."""

Sealed = Annotated[Json, "sealed"]
"""A personal field under its person's key, as `personal.seal_field` makes it."""

_Allowed = tuple[
    frozenset[type],
    frozenset[object] | None,
    Callable[[Any], object] | None,  # Any: checked against the types just before
]


class _Rule(NamedTuple):
    """What one field may hold and how it is written; `choices` and `write` may be absent."""

    name: str
    kinds: frozenset[type]
    choices: frozenset[object] | None
    write: Callable[[Any], object] | None  # Any: checked against `kinds` just before
    default: object

    @property
    def is_optional(self) -> bool:
        """Tell whether the field may be absent."""
        return self.default is None


class Part:
    """A record inside the facts of an event."""

    __slots__ = ("_data",)
    _data: dict[str, Any]  # Any: the values JSON can hold

    def data(self) -> dict[str, Any]:  # Any: the values JSON can hold
        """Give the facts by name, absent ones left out; not to be changed."""
        return self._data


class AuditEvent(Part):
    """One recorded fact; what kind of fact is its class."""

    __slots__ = ()
    type: ClassVar[str]
    stream: ClassVar[Stream]
    has_process: ClassVar[bool]
    has_step: ClassVar[bool]
    run_state: ClassVar[str | None]


TYPES: Final[dict[str, type[AuditEvent]]] = {}
"""Every type of audit event by its name in the leaf."""

P = TypeVar("P", bound=Part)
E = TypeVar("E", bound=AuditEvent)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def part(cls: type[P]) -> type[P]:
    """Declare a record that stands inside the facts of events."""
    made = dataclass(frozen=True, slots=True, kw_only=True, init=False)(cls)
    hints = typing.get_type_hints(made, include_extras=True)
    rules = [
        _rule(field.name, hints[field.name], field.default)
        for field in fields(made)  # type: ignore[arg-type]  # made a dataclass just above
    ]
    made.__init__ = _constructor(rules)  # type: ignore[method-assign]  # the one dataclass left out
    return made


@dataclass_transform(kw_only_default=True, frozen_default=True)
def audit_event(
    name: str,
    *,
    stream: Stream = "run",
    process: bool = False,
    step: bool = False,
    run_state: RunState | None = None,
) -> Callable[[type[E]], type[E]]:
    """Declare a type of audit event and enter it into `TYPES`.

    process, step: the envelope carries these (marks P and S of the audit document). run_state: the
    run's state after it, where the type alone says so.
    """

    def declare(cls: type[E]) -> type[E]:
        made = part(cls)
        made.type, made.stream = name, stream
        made.has_process, made.has_step, made.run_state = process, step, run_state
        if name in TYPES:
            message = f"Two types of audit event are named {name}."
            raise ValueError(message)
        TYPES[name] = made
        return made

    return declare


def _constructor(rules: list[_Rule]) -> Callable[..., None]:
    """Write the constructor of a class as one straight function, in the manner of dataclasses.

    A loop over the rules costs three times as much, and two events are made for every step.
    """
    lines = [f"def __init__(self{', *' if rules else ''}{''.join(map(_parameter, rules))}):"]
    lines.append("    _data = {}")
    known: dict[str, Any] = {"_set": object.__setattr__, "_type": type, "_unfit": _unfit}
    for rule in rules:
        lines.extend("    " + line for line in _lines(rule))
        known |= {
            f"_kinds_{rule.name}": rule.kinds,
            f"_choices_{rule.name}": rule.choices,
            f"_write_{rule.name}": rule.write,
            f"_default_{rule.name}": rule.default,
        }
    lines.append("    _set(self, '_data', _data)")
    exec("\n".join(lines), known)  # noqa: S102  # the names are those of the class body above
    made: Callable[..., None] = known["__init__"]
    return made


def _parameter(rule: _Rule) -> str:
    return f", {rule.name}" + ("" if rule.default is MISSING else f"=_default_{rule.name}")


def _lines(rule: _Rule) -> list[str]:
    """Write the lines that check, write and keep one field."""
    name, member = rule.name, rule.name.removesuffix("_")
    check = f"if _type({name}) not in _kinds_{name}"
    if rule.choices is not None:
        check += f" or {name} not in _choices_{name}"
    lines = [f"{check}: raise _unfit(self, {name!r})"]
    if rule.write is None:
        lines.append(f"_data[{member!r}] = {name}")
    else:
        lines.append(f"try: _data[{member!r}] = _write_{name}({name})")
        lines.append(f"except ValueError: raise _unfit(self, {name!r}) from None")
    if rule.is_optional:
        lines = [f"if {name} is not None:", *("    " + line for line in lines)]
    return [*lines, f"_set(self, {name!r}, {name})"]


def _rule(name: str, hint: object, default: object) -> _Rule:
    """Read what a field may hold from its annotation."""
    kinds, choices, write = _allowed(_without_none(hint) if default is None else hint)
    return _Rule(name, kinds, choices, write, default)


def _without_none(hint: object) -> object:
    """Give what an optional field holds when it is there."""
    (member,) = (each for each in typing.get_args(hint) if each is not type(None))
    return member


def _allowed(hint: Any) -> _Allowed:  # Any: an annotation
    """Give the exact types, the choices if they are fixed, and how the value is written."""
    if typing.get_origin(hint) is Annotated:
        return _MARKED[typing.get_args(hint)[1]]
    if typing.get_origin(hint) is Literal:
        return frozenset({str}), frozenset(typing.get_args(hint)), None
    if typing.get_origin(hint) is tuple:
        (item, _) = typing.get_args(hint)
        return frozenset({tuple}), None, _texts if item is str else _parts
    if hint is datetime:
        return frozenset({datetime}), None, _moment
    members: tuple[type, ...] = typing.get_args(hint) or (hint,)
    kinds = frozenset[type](members)
    return kinds, None, _part if all(issubclass(kind, Part) for kind in kinds) else None


def _digest(value: str) -> str:
    if len(value) != 64:  # its digits are checked by whoever reads it; here a slip is caught
        raise ValueError
    return value


def _sealed(value: dict[str, object]) -> dict[str, object]:
    if value.keys() != {"enc", "kid", "iv", "ct"}:
        raise ValueError
    return value


def _texts(value: tuple[object, ...]) -> tuple[object, ...]:
    if not all(type(text) is str for text in value):
        raise ValueError
    return value


def _parts(value: tuple[Part, ...]) -> list[dict[str, Any]]:
    return [item.data() for item in value]


def _part(value: Part) -> dict[str, Any]:
    return value.data()


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError
    return instant(value)


_MARKED: Final[Mapping[str, _Allowed]] = {
    "sha256": (frozenset({str}), None, _digest),
    "sealed": (frozenset({dict}), None, _sealed),
}


def _unfit(event: Part, name: str) -> NotJournalable:
    where = event.type if isinstance(event, AuditEvent) else type(event).__name__
    return NotJournalable(f"The audit event `{where}` is missing a fit value for `{name}`.")
