"""Reserving a work address: before anything is made, everybody is asked whether they know it.

    candidate ──given to somebody else──▶ the next one
        │ free
        ▼
    every system that the run may touch is asked ──in use──▶ the next one; of an address that was
        │ in use by nobody, or by their own                  asked for by name, a person decides
        ▼
    the deployment's book: given to this person for all time

So an account that is met at the address later, in a system that cannot hold our mark, can only be
our own work. Nothing is changed in any system. Source: connectors document, §4.3; product
document, §16 (E1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from newel.base.errors import Forbidden, Invalid, OwnershipConflict, StepError
from newel.connectors.base import Connector, marker_of
from newel.connectors.looking import adopts, is_looking
from newel.connectors.owning import Book
from newel.domain.naming import user_names
from newel.domain.people import Person
from newel.flow.context import ATTEMPT
from newel.flow.reading import reached

__all__ = ["IN_USE", "Address", "PassedOver", "reserved"]

_GIVEN: Final = "given to somebody else"
IN_USE: Final = "in use before anything was made"
"""What speaks against an address that a person comes with."""


@dataclass(frozen=True, kw_only=True)
class PassedOver:
    """An address that was not taken, and why."""

    email: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Address:
    """A work address that was reserved. passed_over: those that come before it by the rule."""

    email: str
    passed_over: tuple[PassedOver, ...] = ()


@dataclass(frozen=True, slots=True)
class _Use:
    """An account at an address that is not known to be the person's. id: empty where unknown."""

    title: str
    id: str

    def __str__(self) -> str:
        return f"{self.title}: {self.id or 'more than one'}"


async def reserved(connector: Connector, person: Person, *, domain: str, book: Book) -> Address:
    """Reserve an address for a person; the one that was reserved before is theirs for good.

    An address that the person comes with is the only one that is tried. Raises OwnershipConflict
    where it is in use, Invalid where no address can be made of the name, and what a system raises
    that does not answer: with its name, for it is that system that everybody waits for.
    """
    held = await book.reserved(person)
    if held is not None and person.email.strip().lower() in {"", held}:
        return Address(email=held)
    asked = (connector, *(each for each in _touched() if each.name != connector.name))
    passed_over: list[PassedOver] = []
    for email in _candidates(person, domain):
        if not await book.is_free(person, email):
            passed_over.append(PassedOver(email=email, why=_GIVEN))
            continue
        used = await _used(asked, person.at(email))
        if used and person.email:
            _refuse(used)
        elif used:
            why = f"in use in {', '.join(each.title for each in used)}"
            passed_over.append(PassedOver(email=email, why=why))
            continue
        if is_looking() or await book.reserve(person, email):
            return Address(email=email, passed_over=tuple(passed_over))
        passed_over.append(PassedOver(email=email, why=_GIVEN))
    raise Invalid(
        "No address can be made for them by the rule: enter one.",
        fields={"email": "has to be entered"},
    )


def _candidates(person: Person, domain: str) -> Iterator[str]:
    if person.email:
        yield person.email.strip().lower()
        return
    for each in user_names(person.name):
        yield f"{each}@{domain}"


def _touched() -> tuple[Connector, ...]:
    """Every system that the process of this run is seen to call, children included."""
    attempting = ATTEMPT.get()
    if attempting is None or attempting.process is None:
        return ()
    owners = (each.owner for each in reached(attempting.process))
    return tuple({each.name: each for each in owners if isinstance(each, Connector)}.values())


async def _used(asked: Sequence[Connector], person: Person) -> list[_Use]:
    """Ask all systems at once for an account at the address that is not known to be theirs."""
    found = await asyncio.gather(*(_use(each, person) for each in asked))
    return [each for each in found if each is not None]


async def _use(connector: Connector, person: Person) -> _Use | None:
    try:
        found = await connector.at_address(person)
    except OwnershipConflict as several:
        return _Use(connector.title, several.external_id or "")
    except StepError as failed:
        failed.elsewhere = connector.name, connector.credential
        raise
    if found is None or found.marker == marker_of(person):
        return None
    return _Use(connector.title, found.account.id)


def _refuse(used: Sequence[_Use]) -> None:
    """Let a person decide, unless they have said of just these accounts that they are theirs."""
    conflict = OwnershipConflict(
        "The address is in use by an account that is not known to be theirs.",
        external_id="; ".join(str(each) for each in used),
        evidence=IN_USE,
        shown=("Nothing has been made anywhere yet.",),
    )
    if adopts() != conflict.external_id:
        raise conflict


def without_a_book() -> Forbidden:
    """The refusal outside a deployment, where nobody knows what was given to whom."""
    return Forbidden(
        "An address can be reserved only in a deployment: this connector is used without one.",
        reason="blocked",
    )
