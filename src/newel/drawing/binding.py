"""What names are bound to: by targets that are taken apart, by calls, and behind several ways."""

from __future__ import annotations

from typing import Any

from newel.drawing.names import UNKNOWN
from newel.drawing.values import Scope, equal, parsed, unpacked, value_of

__all__ = ["bound", "defaults", "fits", "is_known", "joined"]


def bound(target: str, value: object, scope: Scope) -> None:
    """Bind a target, as source, to a value; what cannot be taken apart is not known."""
    if not target:
        return
    if isinstance(value, list | dict | set) and target in scope.changed:
        value = UNKNOWN  # what the body changes in place is not followed
    if target.isidentifier():
        scope.values[target] = value
        return
    unpacked(parsed(target), value, scope)


def defaults(function: Any) -> dict[str, object]:  # Any: a function
    """What the parameters of a function are where a call does not say it."""
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    values = function.__defaults__ or ()
    found = dict(zip(names[len(names) - len(values) :], values, strict=True))
    return found | dict(function.__kwdefaults__ or {})


def joined(scope: Scope, ways: list[Scope]) -> None:
    """What a name is bound to behind several ways: known only if all agree."""
    names = {name for each in ways for name in each.values}
    for name in names:
        values = [each.values.get(name, UNKNOWN) for each in ways]
        first = values[0] if values else UNKNOWN
        same = all(each is first or equal(each, first) is True for each in values)
        scope.values[name] = first if same else UNKNOWN
    scope.awaited.clear()


def fits(condition: str, subject: object, scope: Scope) -> object:
    """Whether a subject fits the pattern of a `case`; UNKNOWN for all but values."""
    if " if " in condition:
        return UNKNOWN
    found: list[object] = []
    for part in condition.split(" | "):
        value = value_of(part, scope)
        found.append(equal(subject, value) if is_known(value, subject) else UNKNOWN)  # fmt: skip
    return True if True in found else UNKNOWN if UNKNOWN in found else False


def is_known(*values: object) -> bool:
    """Whether all values are known."""
    return all(each is not UNKNOWN for each in values)
