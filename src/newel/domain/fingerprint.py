"""Inputs of acts as they are compared: what is written down of them, and how they differ. Pure.

A fingerprint tells that an input has changed, and nothing of it; the input itself is kept sealed
beside it, for as long as the run's payloads are kept, so that a person can be shown what changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

Json = Any
"""What JSON can hold."""

_SHOWN: Final = 4
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs; `before` or `after` is None where the field was not there."""

    field: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.field} is new: `{self.after}`"
        if self.after is None:
            return f"{self.field} is gone, it was `{self.before}`"
        return f"{self.field} `{self.before}` → `{self.after}`"


def differences(before: Json, after: Json) -> list[Difference]:
    """Compare two inputs field by field, in the order of the fields' names."""
    return list(_differences(before, after, ""))


def _differences(before: Json, after: Json, at: str) -> Iterator[Difference]:
    if before == after:
        return
    one, other = _fields(before), _fields(after)
    if one is None or other is None:
        yield Difference(at or "the input", _shown(before), _shown(after))
        return
    for name in sorted({*one, *other}):
        field = f"{at}.{name}" if at else name
        if name not in one:
            yield Difference(field, None, _shown(other[name]))
        elif name not in other:
            yield Difference(field, _shown(one[name]), None)
        else:
            yield from _differences(one[name], other[name], field)


def _fields(value: Json) -> Mapping[str, Json] | None:
    return cast("Mapping[str, Json]", value) if isinstance(value, dict) else None


def _shown(value: Json) -> str:
    match value:
        case None:
            text = "nothing"
        case bool():
            text = "yes" if value else "no"
        case list():
            text = ", ".join(map(_shown, value)) or "nothing"
        case dict():
            pairs = cast("Mapping[str, Json]", value).items()
            text = ", ".join(f"{name} {_shown(part)}" for name, part in pairs)
        case _:
            text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def said(found: list[Difference]) -> str:
    """Say what differs, in half a sentence; empty where nothing is known of it."""
    text = ", ".join(map(str, found[:_SHOWN]))
    more = len(found) - _SHOWN
    return f"{text} and {more} more" if more > 0 else text
