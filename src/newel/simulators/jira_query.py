"""The part of JQL the Jira simulator understands: clauses joined by AND, and an order.

`labels = "x" AND project = OPS AND statusCategory != Done ORDER BY created DESC`. What is valid JQL
but not understood here is answered with 501, never with a wrong list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .wire import Document

_CLAUSE = re.compile(
    r"""\s*(?P<field>"[^"]+"|[\w.\[\]]+)\s*
        (?:(?P<operator>=|!=|~|>=|<=|>|<|\bnot\s+in\b|\bin\b)\s*
           (?P<value>\([^)]*\)|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s()]+)
          |\bis\s+(?P<presence>not\s+empty|empty|not\s+null|null)\b)\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_ORDER = re.compile(r"\border\s+by\b(?P<order>.*)$", re.IGNORECASE | re.DOTALL)
_AND = re.compile(r"and\b", re.IGNORECASE)
_VALUE = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s,()]+)""")

Read = Callable[[Document], list[str]]


class NotJql(ValueError):
    """The text is not JQL; Jira answers 400 with this message."""


class NotUnderstood(ValueError):
    """The text may be JQL, but this simulator does not understand it."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition: field, operator in lower case, wanted values in lower case."""

    field: str
    operator: str
    values: tuple[str, ...]

    def holds(self, present: list[str]) -> bool:
        """Say whether the condition holds for the field's present values."""
        have = {value.lower() for value in present}
        match self.operator:
            case "=" | "in":
                return not have.isdisjoint(self.values)
            case "!=" | "not in":
                # As in Jira, an empty field matches no inequality.
                return bool(have) and have.isdisjoint(self.values)
            case "~":
                return any(self.values[0].strip("*") in value for value in have)
            case "empty":
                return not have
            case "not empty":
                return bool(have)
            case ">=":
                return any(value >= self.values[0] for value in have)
            case "<=":
                return any(value <= self.values[0] for value in have)
            case ">":
                return any(value > self.values[0] for value in have)
            case "<":
                return any(value < self.values[0] for value in have)
            case unknown:
                message = f"operator {unknown!r}"
                raise NotUnderstood(message)


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query: all clauses must hold; `order` is the name of a field."""

    clauses: tuple[Clause, ...]
    order: str
    descending: bool


def parsed(jql: str) -> Query:
    """Parse the text. Raises NotJql, NotUnderstood."""
    order, descending = "", False
    if found := _ORDER.search(jql):
        words = found["order"].replace(",", " ").split()
        if not words:
            raise NotJql("Error in the JQL Query: expecting a field after ORDER BY.")
        order = words[0].lower()
        descending = len(words) > 1 and words[1].lower() == "desc"
        jql = jql[: found.start()]
    clauses: list[Clause] = []
    rest = jql.strip()
    while rest:
        clause, rest = _clause(rest)
        clauses.append(clause)
        if rest:
            joined = _AND.match(rest)
            if joined is None:
                raise NotUnderstood(f"anything but clauses joined by AND, at {rest!r}")
            rest = rest[joined.end() :].strip()
            if not rest:
                raise NotJql("Error in the JQL Query: a clause is expected after AND.")
    return Query(tuple(clauses), order, descending)


def _clause(text: str) -> tuple[Clause, str]:
    found = _CLAUSE.match(text)
    if found is None:
        if text.startswith("(") or text.lower().startswith("not "):
            raise NotUnderstood(f"brackets and NOT, at {text!r}")
        message = f"Error in the JQL Query: {text!r} is not a clause."
        raise NotJql(message)
    name = found["field"].strip('"').lower()
    rest = text[found.end() :].strip()
    if found["presence"]:
        negated = found["presence"].lower().startswith("not")
        return Clause(name, "not empty" if negated else "empty", ()), rest
    operator = " ".join(found["operator"].lower().split())
    values = tuple(
        re.sub(r"\\(.)", r"\1", next(part for part in each if part)).lower()
        for each in _VALUE.findall(found["value"])
        if any(each)
    )
    if not values:
        message = f"Error in the JQL Query: {found['field']} has no value."
        raise NotJql(message)
    return Clause(name, operator, values), rest
