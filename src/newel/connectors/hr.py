"""What HR systems have in common: a hint that somebody has changed, a record, facts with a date.

An event is a hint, the record is the truth: whatever comes, how often and in which order, the
person's record is read afterwards, and facts follow from the record alone. So deliveries that are
doubled, late or the wrong way round end in the same state.
Source: connectors document, §17.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

__all__ = ["Employee", "Fact", "Hint", "facts_of"]


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
