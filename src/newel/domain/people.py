"""People as processes see them: who a run is about, and who is asked.

A `Person` is a frozen value, not a row: it travels in inputs and outcomes. Its `ref` is
opaque and random; newel gives it when a start registers the person, so that an author never
has to make one up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self


@dataclass(frozen=True, kw_only=True)
class Person:
    """A human: the subject of a run, a manager, an approver.

    ref: opaque reference (`per_…`), given by newel at registration; empty before.
    email: the work address, unique among all people for all time; empty until one is reserved,
    then an employee number is needed to tell who it is.
    hr_key: the employee number of the HR system, where there is one.
    """

    name: str
    email: str = ""
    ref: str = ""
    hr_key: str | None = None
    manager: Person | None = None

    def at(self, email: str) -> Self:
        """Give the same person with a work address, for instance one that was just reserved."""
        return replace(self, email=email)


@dataclass(frozen=True, slots=True)
class Team:
    """A group of people that owns tasks and processes, by its name."""

    name: str


def team(name: str) -> Team:
    """Name a team as the one who is asked: `by=team("hr")`."""
    return Team(name)


class Owned(Protocol):
    """A system, as far as somebody answers for it: owner is the name of a team."""

    owner: str


def owner_of(system: Owned) -> Team:
    """The team that answers for a system: `by=owner_of(github)`."""
    return Team(system.owner)


def manager_of(person: Person) -> Person | Team:
    """The person's manager, or the team `hr` where none is on record."""
    return person.manager if person.manager is not None else Team("hr")
