"""The part of SOQL the Salesforce simulator understands: one object, AND or OR, ORDER BY, LIMIT.

`SELECT Id, Profile.Name FROM User WHERE Username = 'jane@acme.example' AND IsActive = true`.
Clauses are joined by AND alone or by OR alone: Salesforce itself asks for brackets where both stand
on one level. What is not understood is answered 501, never with a wrong list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

_QUERY = re.compile(
    r"""\s*select\s+(?P<fields>.+?)\s+from\s+(?P<object>\w+)
        (?:\s+where\s+(?P<where>.+?))?
        (?:\s+order\s+by\s+(?P<order>[\w.]+)(?:\s+(?P<direction>asc|desc))?)?
        (?:\s+limit\s+(?P<limit>\d+))?\s*""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_CLAUSE = re.compile(
    r"""\s*(?P<field>[\w.]+)\s*
        (?P<operator>=|!=|<>|\blike\b|\bnot\s+in\b|\bin\b)\s*
        (?P<value>\((?:'(?:[^'\\]|\\.)*'|[^()'])*\)|'(?:[^'\\]|\\.)*'|[\w.:+-]+)\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_JOINT = re.compile(r"(and|or)\b", re.IGNORECASE)
_VALUE = re.compile(r"'((?:[^'\\]|\\.)*)'|([^\s,()]+)")
_ESCAPE = re.compile(r"\\(.)")

Value: TypeAlias = str | bool | float | None


class MalformedQuery(ValueError):
    """The text is not SOQL; Salesforce answers MALFORMED_QUERY with this message."""


class NotUnderstood(ValueError):
    """The text may be SOQL, but this simulator does not understand it."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition on a field, which may follow a relationship by a dot."""

    field: str
    operator: str
    values: tuple[Value, ...]

    def holds(self, present: Value) -> bool:
        """Say whether the condition holds; texts compare without regard to case."""
        have = present.lower() if isinstance(present, str) else present
        wanted = {value.lower() if isinstance(value, str) else value for value in self.values}
        match self.operator:
            case "=" | "in":
                return have in wanted
            case "!=" | "<>" | "not in":
                return have not in wanted
            case "like":
                pattern = re.escape(str(next(iter(wanted)))).replace("%", ".*").replace("_", ".")
                return re.fullmatch(pattern, str(have or "")) is not None
            case unknown:
                message = f"operator {unknown}"
                raise NotUnderstood(message)


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; `limit` is None where there is none.

    any_holds: whether one of the clauses is enough (OR); else all must hold.
    """

    fields: tuple[str, ...]
    object: str
    clauses: tuple[Clause, ...]
    any_holds: bool
    order: str
    descending: bool
    limit: int | None


def parsed(text: str) -> Query:
    """Parse the text. Raises MalformedQuery, NotUnderstood."""
    found = _QUERY.fullmatch(text)
    if found is None:
        message = f"unexpected token: {text.split(maxsplit=1)[0] if text.split() else '<EOF>'!r}"
        raise MalformedQuery(message)
    fields = tuple(field.strip() for field in found["fields"].split(","))
    if any(not re.fullmatch(r"[\w.]+", field) for field in fields):
        message = f"fields {found['fields']!r}"
        raise NotUnderstood(message)
    clauses, any_holds = _clauses(found["where"] or "")
    return Query(
        fields=fields,
        object=found["object"],
        clauses=tuple(clauses),
        any_holds=any_holds,
        order=found["order"] or "",
        descending=(found["direction"] or "").lower() == "desc",
        limit=int(found["limit"]) if found["limit"] else None,
    )


def _clauses(text: str) -> tuple[list[Clause], bool]:
    """Read the clauses, and whether they are joined by OR."""
    clauses: list[Clause] = []
    joints: set[str] = set()
    rest = text.strip()
    while rest:
        found = _CLAUSE.match(rest)
        if found is None:
            if rest.startswith("(") or rest.lower().startswith("not "):
                message = f"brackets and NOT, at {rest!r}"
                raise NotUnderstood(message)
            message = f"unexpected token: {rest.split()[0]!r}"
            raise MalformedQuery(message)
        operator = " ".join(found["operator"].lower().split())
        values = tuple(_value(quoted, bare) for quoted, bare in _VALUE.findall(found["value"]))
        clauses.append(Clause(found["field"], operator, values))
        rest = rest[found.end() :]
        if rest:
            joined = _JOINT.match(rest)
            if joined is None:
                message = f"anything but clauses joined by AND or OR, at {rest!r}"
                raise NotUnderstood(message)
            joints.add(joined[1].lower())
            rest = rest[joined.end() :].strip()
    if len(joints) > 1:
        message = "unexpected token: AND and OR on one level need brackets"
        raise MalformedQuery(message)
    return clauses, joints == {"or"}


def _value(quoted: str, bare: str) -> Value:
    if not bare:
        return _ESCAPE.sub(r"\1", quoted)
    if bare.lower() in ("true", "false"):
        return bare.lower() == "true"
    if bare.lower() == "null":
        return None
    try:
        return float(bare)
    except ValueError:
        message = f"unexpected token: {bare!r}"
        raise MalformedQuery(message) from None
