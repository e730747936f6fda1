"""Filters and paths of SCIM: `userName eq "jane" and emails[type eq "work" and value co "@"]`.

A filter becomes a predicate over a resource; a path becomes the names to walk and, between them, a
filter on the values of a list. Source: RFC 7644, §3.4.2.2, §3.5.2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from .scim_schema import SCHEMAS, Attribute, Wrong, named
from .wire import Document

Predicate: TypeAlias = Callable[[Document], bool]
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<sign>[()\[\]])|(?P<word>[^\s()\[\]"]+))"""
)
_LITERAL = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a path leads: attribute, a filter on its values, and a sub-attribute."""

    attribute: Attribute
    where: Predicate | None = None
    part: Attribute | None = None


def predicate(text: str, attributes: tuple[Attribute, ...]) -> Predicate:
    """Read a filter. Raises Wrong(invalidFilter)."""
    reader = _Reader(_tokens(text), attributes)
    found = reader.either()
    if reader.rest:
        reader.fail()
    return found


def target(path: str, attributes: tuple[Attribute, ...]) -> Target:
    """Read a path of a PATCH or of a list of attributes. Raises Wrong(invalidPath)."""
    attribute, rest = _first(path.strip(), attributes)
    if attribute is None:
        text = f"no such path: {path}"
        raise Wrong(text, "invalidPath")
    where: Predicate | None = None
    if rest.startswith("["):
        inside, closed, rest = rest[1:].rpartition("]")
        if not closed:
            text = f"the bracket is not closed: {path}"
            raise Wrong(text, "invalidPath")
        where = predicate(inside, attribute.parts)
    if not rest:
        return Target(attribute, where)
    part = named(attribute.parts, rest.lstrip(".:"))
    if part is None:
        nested = target(rest.lstrip(".:"), attribute.parts) if ":" in path else None
        if nested is None:
            text = f"no such path: {path}"
            raise Wrong(text, "invalidPath")
        return nested
    return Target(attribute, where, part)


def _first(path: str, attributes: tuple[Attribute, ...]) -> tuple[Attribute | None, str]:
    """Split the first attribute from a path; a core schema's URN in front says nothing more."""
    for urn in SCHEMAS:
        if path.lower().startswith(urn.lower()):
            extension, rest = named(attributes, urn), path[len(urn) :].lstrip(":")
            return (extension, rest) if extension else _first(rest, attributes)
    name = re.split(r"[.\[]", path, maxsplit=1)[0]
    return named(attributes, name), path[len(name) :]


def values_at(resource: Document, reached: Target) -> list[Any]:  # Any: JSON values
    """Give every value a target leads to, lists taken apart."""
    value = resource.get(reached.attribute.name)
    values = value if isinstance(value, list) else [] if value is None else [value]
    if reached.where is not None:
        values = [each for each in values if reached.where(each)]
    if reached.part is None:
        return values
    return [each[reached.part.name] for each in values if each.get(reached.part.name) is not None]


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            wrong = f"the filter cannot be read at {text[at:]!r}"
            raise Wrong(wrong, "invalidFilter")
        found.append(token[token.lastgroup or 0])
        at = token.end()
    return found


class _Reader:
    """Reads tokens by the grammar: `or` binds weakest, `not` strongest."""

    def __init__(self, tokens: list[str], attributes: tuple[Attribute, ...]) -> None:
        self.rest = tokens
        self._attributes = attributes

    def either(self) -> Predicate:
        found = [self._both()]
        while self._took("or"):
            found.append(self._both())
        return lambda row: any(each(row) for each in found)

    def _both(self) -> Predicate:
        found = [self._single()]
        while self._took("and"):
            found.append(self._single())
        return lambda row: all(each(row) for each in found)

    def _single(self) -> Predicate:
        if self._took("not"):
            inner = self._single()
            return lambda row: not inner(row)
        if self._took("("):
            inner = self.either()
            self._need(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        name = self._next()
        if self._took("["):
            attribute, _ = _first(name, self._attributes)
            if attribute is None:
                self.fail(name)
            within = _Reader(self.rest, attribute.parts)
            inner = within.either()
            self.rest = within.rest
            self._need("]")
            return lambda row: any(inner(each) for each in values_at(row, Target(attribute)))
        try:
            reached = target(name, self._attributes)
        except Wrong:
            self.fail(name)
        operator = self._next().lower()
        if operator == "pr":
            return lambda row: any(value not in (None, "") for value in values_at(row, reached))
        return _compared(reached, operator, self._literal())

    def _literal(self) -> object:
        token = self._next()
        if token.startswith('"'):
            try:
                return json.loads(token)
            except ValueError:
                self.fail(token)
        if token.lower() in _LITERAL:
            return _LITERAL[token.lower()]
        try:
            return float(token)
        except ValueError:
            self.fail(token)

    def _next(self) -> str:
        if not self.rest:
            self.fail("its end")
        token, self.rest = self.rest[0], self.rest[1:]
        return token

    def _took(self, word: str) -> bool:
        if self.rest and self.rest[0].lower() == word:
            self.rest = self.rest[1:]
            return True
        return False

    def _need(self, sign: str) -> None:
        if not self._took(sign):
            self.fail()

    def fail(self, at: str = "") -> NoReturn:
        text = f"the filter cannot be read at {at or ' '.join(self.rest) or 'its end'}"
        raise Wrong(text, "invalidFilter")


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {  # Any: two values of one attribute
    "eq": lambda have, want: have == want,
    "ne": lambda have, want: have != want,
    "co": lambda have, want: want in have,
    "sw": lambda have, want: have.startswith(want),
    "ew": lambda have, want: have.endswith(want),
    "gt": lambda have, want: have > want,
    "ge": lambda have, want: have >= want,
    "lt": lambda have, want: have < want,
    "le": lambda have, want: have <= want,
}


def _compared(reached: Target, operator: str, wanted: object) -> Predicate:
    compare = _ORDERS.get(operator)
    if compare is None:
        text = f"there is no operator {operator}"
        raise Wrong(text, "invalidFilter")
    last = reached.part or reached.attribute
    if last.kind == "complex":
        value = named(last.parts, "value")
        if value is None:
            text = f"{last.name} has parts; name one"
            raise Wrong(text, "invalidFilter")
        reached, last = Target(reached.attribute, reached.where, value), value

    def folded(value: object) -> object:
        return value.lower() if isinstance(value, str) and not last.exact else value

    def holds(row: Document) -> bool:
        values = [folded(each) for each in values_at(row, reached)] or [None]
        return any(_safely(compare, values, folded(wanted)))

    return holds


def _safely(
    compare: Callable[[Any, Any], bool],  # Any: two values of one attribute
    values: Iterable[object],
    wanted: object,
) -> Iterable[bool]:
    """Compare; values that do not compare with each other do not fit."""
    for value in values:
        try:
            yield compare(value, wanted)
        except (TypeError, AttributeError):
            yield False
