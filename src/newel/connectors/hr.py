"""What HR systems have in common: a hint that somebody has changed, a record, facts with a date.

An event is a hint, the record is the truth: whatever comes, how often and in which order, the
person's record is read afterwards, and facts follow from the record alone. So deliveries that are
doubled, late or the wrong way round end in the same state.
Source: connectors document, §17.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any, Final, Literal

from newel.base.errors import ContractDrift, Forbidden, Invalid

__all__ = ["Employee", "Fact", "Hint", "employee_of", "facts_of"]

_REQUIRED: Final = ("number", "given_name", "family_name")
_DATES: Final = ("starts_on", "ends_on")
_NO_DATE: Final = "0000-00-00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Somebody's record may have changed. event: unique per source, for leaving doubles out."""

    event: str
    employee: str
    kind: Literal["created", "updated", "deleted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Employee:
    """One person as HR keeps them; what HR has not entered is None.

    id: the HR system's own; number: the employee number, which marks accounts everywhere.
    more: further fields by our names, where a mapping asks for them.
    """

    id: str
    number: str
    given_name: str
    family_name: str
    work_email: str | None = None
    private_email: str | None = None
    title: str | None = None
    department: str | None = None
    location: str | None = None
    manager: str | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    is_active: bool = True
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What is true of an employment from a day on.

    kind: `starts`, `is` (what the person does, from today or the first day) or `ends`.
    """

    kind: Literal["starts", "is", "ends"]
    number: str
    effective_on: date
    fields: Mapping[str, str] = field(default_factory=dict)


def facts_of(employee: Employee, *, today: date) -> tuple[Fact, ...]:
    """Derive the facts of a record; the same record gives the same facts. Pure.

    Without a first day nothing is known yet: HR has entered somebody who may come.
    """
    if employee.starts_on is None:
        return ()
    held = {
        "title": employee.title,
        "department": employee.department,
        "location": employee.location,
        "manager": employee.manager,
        **employee.more,
    }
    known = {name: value for name, value in held.items() if value}
    found = [
        Fact(kind="starts", number=employee.number, effective_on=employee.starts_on),
        Fact(
            kind="is",
            number=employee.number,
            effective_on=max(today, employee.starts_on),
            fields=known,
        ),
    ]
    if employee.ends_on is not None:
        found.append(Fact(kind="ends", number=employee.number, effective_on=employee.ends_on))
    return tuple(found)


def employee_of(
    identity: str,
    record: Mapping[str, Any],  # Any: JSON
    names: Mapping[str, str],
    *,
    system: str,
    operation: str,
) -> Employee:
    """Read a record by a mapping of our names to the HR system's. Pure.

    identity: the HR system's own id. Raises Forbidden naming what is hidden from the credential,
    Invalid for a record that is not complete, ContractDrift for a value of another kind.
    """
    hidden = [theirs for theirs in names.values() if theirs not in record]
    if hidden:
        raise Forbidden(
            f"{system} hides {', '.join(hidden)} from this key.",
            missing=", ".join(f"field:{each}" for each in hidden),
            operation=operation,
        )
    texts = {ours: _text(record[theirs], theirs, operation) for ours, theirs in names.items()}
    for ours in _REQUIRED:
        if not texts.get(ours):
            raise Invalid(
                "The record is not complete.",
                fields={names[ours]: "is not entered"},
                operation=operation,
            )
    known = {name: value for name, value in texts.items() if name in _KNOWN}
    dates = {name: _date(known.pop(name, None), name, operation) for name in _DATES}
    is_active = (known.pop("is_active", None) or "active").casefold() == "active"
    required = {name: known.pop(name) or "" for name in _REQUIRED}
    plain = Employee(
        id=identity,
        number=required["number"],
        given_name=required["given_name"],
        family_name=required["family_name"],
        starts_on=dates["starts_on"],
        ends_on=dates["ends_on"],
        is_active=is_active,
        more={name: value for name, value in texts.items() if name not in _KNOWN and value},
    )
    return replace(plain, **known)  # type: ignore[arg-type]  # texts and None, as declared


_KNOWN: Final = frozenset(each.name for each in fields(Employee)) - {"id", "more"}


def _text(value: object, name: str, operation: str) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int):
        return str(value)
    raise ContractDrift(
        f"The record holds something else than a text in `{name}`.",
        expected=f"{name}: str",
        seen=f"{name}: {type(value).__name__}",
        operation=operation,
    )


def _date(value: str | None, name: str, operation: str) -> date | None:
    """Read a day; of a moment, the day that it is written with."""
    if value is None or value == _NO_DATE:
        return None
    try:
        return date.fromisoformat(value.partition("T")[0])
    except ValueError:
        raise ContractDrift(
            f"The record holds something else than a date in `{name}`.",
            expected=f"{name}: date",
            seen=f"{name}: text",
            operation=operation,
        ) from None
