"""People in an input: each is known already or is registered, and gets its reference.

An author writes `Person` and never a reference; newel fills it in when a run starts, so that
the manager who is asked and the subject a grant is made for are the same people for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit import personal
from newel.audit.leaf import Actor
from newel.base.errors import InvalidInput
from newel.base.ids import parse_reference, reference
from newel.domain.change import Beside, Change
from newel.domain.people import Person
from newel.engine.vault import Vault
from newel.store import registry
from newel.store.database import Connection, Row

_GIVEN: Final = "was given to somebody else before; no address is given twice"
_Who = tuple[str, str | None, str]


class Intake:
    """Resolves the people of one input, in the transaction of the start."""

    def __init__(
        self, connection: Connection, vault: Vault, actor: Actor, new_event_id: Callable[[], str]
    ) -> None:
        """Prepare for one start."""
        self._connection = connection
        self._vault = vault
        self._actor = actor
        self._new_event_id = new_event_id
        self._refs: dict[_Who, str] = {}

    async def resolve(self, arguments: Mapping[str, object], change: Change) -> dict[str, object]:
        """Give the arguments with every person's reference filled in.

        Registrations are told on the stream `admin` with the Change of the start. Managers come
        first, so that a person's row can name theirs.
        """
        for at, person in _people(arguments):
            if _who(person) not in self._refs:
                self._refs[_who(person)] = await self._ref(person, at, change)
        return {name: self._filled(value) for name, value in arguments.items()}

    async def _ref(self, person: Person, at: str, change: Change) -> str:
        email = _address(person, at)
        manager = None
        if person.manager is not None:
            manager = parse_reference(self._refs[_who(person.manager)])[1]
        ref = await self._known(person, email, at)
        if ref is None:
            ref = await self._register(person, email, manager, at, change)
        if ref is None:  # somebody has registered this person meanwhile
            ref = await self._known(person, email, at)
        elif manager is not None:
            await registry.set_manager(self._connection, ref, manager)
        assert ref is not None, "an address or number that is taken belongs to somebody"
        return reference("per", ref)

    async def _known(self, person: Person, email: str | None, at: str) -> UUID | None:
        """Find who is meant; an address that they have not had before is theirs from now on."""
        given = _given(person.ref, at)
        digest = None if email is None else self._vault.mark_of(email)
        known = await registry.people_known(
            self._connection, ref=given, hr_key=person.hr_key, email=email or "", digest=digest
        )
        if given is not None and (given, "live") not in _told(known):
            raise InvalidInput({f"{at}ref": "is the reference of nobody"})
        if any(row["key_state"] != "live" for row in known):
            raise InvalidInput({f"{at}email": _GIVEN})
        if len(known) > 1 or any(_is_another(person, row) for row in known):
            raise InvalidInput(
                {f"{at}email": "belongs to another person than the reference or employee number"}
            )
        if not known:
            return None
        ref: UUID = known[0]["ref"]
        if email is None or email == known[0]["work_email"]:
            return ref
        if await self._give(email, ref, at) == "new":
            await registry.set_address(self._connection, ref, name=person.name, email=email)
        return ref

    async def _give(self, email: str, ref: UUID, at: str) -> str:
        whose = await registry.give_address(self._connection, self._vault.mark_of(email), ref)
        if whose == "another's":
            raise InvalidInput({f"{at}email": _GIVEN})
        return whose

    async def _register(
        self, person: Person, email: str | None, manager: UUID | None, at: str, change: Change
    ) -> UUID | None:
        ref = self._vault.ids().person_id()
        wrapped, key = self._vault.new_key(ref)
        added = await registry.add_person(
            self._connection,
            ref=ref,
            hr_key=person.hr_key,
            name=person.name,
            email=email,
            manager=manager,
            wrapped_key=wrapped,
            kek_id=self._vault.kek_id,
        )
        if not added:
            return None
        if email is not None:
            await self._give(email, ref, at)
        self._tell(change, ref, person, key)
        return ref

    def _tell(self, change: Change, ref: UUID, person: Person, key: personal.PersonKey) -> None:
        event_id = self._new_event_id()
        name = personal.seal_field(
            key, person.name, event_id=event_id, pointer="/data/name", entropy=self._vault.entropy
        )
        at = change.last_at
        assert at is not None, "the start has its moment before people are told of"
        subject = reference("per", ref)
        fact = facts.PersonRegistered(kind="person", name=dict(name))
        change.beside.append(Beside("admin", fact, at, self._actor, None, subject, event_id))
        made = facts.PersonKeyCreated(n=1)
        change.beside.append(Beside("admin", made, at, self._actor, None, subject, None))

    def _filled(self, value: Any) -> Any:  # Any: every part of an input
        if isinstance(value, Person):
            manager = None if value.manager is None else self._filled(value.manager)
            return replace(value, ref=self._refs[_who(value)], manager=manager)
        if is_dataclass(value) and not isinstance(value, type):
            inner = {field.name: getattr(value, field.name) for field in fields(value)}
            filled = {name: self._filled(each) for name, each in inner.items()}
            changed = {name: each for name, each in filled.items() if each is not inner[name]}
            return replace(value, **changed) if changed else value
        if isinstance(value, tuple) and any(any(_inside(each, "")) for each in value):
            return tuple(self._filled(each) for each in value)
        return value


def _who(person: Person) -> _Who:
    """By what an input tells people apart."""
    return person.ref, person.hr_key, person.email


def _address(person: Person, at: str) -> str | None:
    """Give the work address as it is kept; None for somebody who has none yet."""
    email = person.email.strip().lower()
    if "@" in email:
        return email
    if email:
        raise InvalidInput({f"{at}email": "is no mail address"})
    if person.hr_key is None and not person.ref:
        raise InvalidInput({f"{at}email": "is missing, and so is the employee number"})
    return None


def _told(known: Iterable[Row]) -> set[tuple[UUID, str]]:
    """Who they are, and whether they are known by name."""
    return {(row["ref"], row["key_state"]) for row in known}


def _is_another(person: Person, known: Row) -> bool:
    """Whether the number says that somebody else is meant than the address does."""
    return None not in {person.hr_key, known["hr_key"]} and person.hr_key != known["hr_key"]


def _given(ref: str, at: str) -> UUID | None:
    if not ref:
        return None
    try:
        kind, given = parse_reference(ref)
    except ValueError:
        kind, given = "", None
    if kind != "per":
        raise InvalidInput({f"{at}ref": "is no reference of a person"})
    return given


def _people(arguments: Mapping[str, object]) -> list[tuple[str, Person]]:
    """Every person of an input with the place of the fields, as `Process.parsed` names them."""
    is_only = len(arguments) == 1
    return [
        found
        for name, value in arguments.items()
        for found in _inside(value, "" if is_only else f"{name}.")
    ]


def _inside(value: object, at: str) -> Iterator[tuple[str, Person]]:
    """Every person inside a value, managers before those who answer to them."""
    if isinstance(value, tuple | list):
        for number, each in enumerate(value):
            yield from _inside(each, f"{at}{number}.")
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _inside(getattr(value, field.name), f"{at}{field.name}.")
        if isinstance(value, Person):
            yield at, value
