"""People in an input: each is known already or is registered, and gets its reference.

An author writes `Person` and never a reference; newel fills it in when a run starts, so that
the manager who is asked and the subject a grant is made for are the same people for ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from newel.audit import catalogue as facts
from newel.audit import personal
from newel.audit.leaf import Actor
from newel.base.errors import InvalidInput
from newel.base.ids import parse_reference, reference
from newel.domain.change import Beside, Change
from newel.domain.people import Person
from newel.engine.vault import Vault
from newel.store import registry
from newel.store.database import Connection


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
        self._refs: dict[str, str] = {}

    async def resolve(self, arguments: Mapping[str, object], change: Change) -> dict[str, object]:
        """Give the arguments with every person's reference filled in.

        Registrations are told on the stream `admin` with the Change of the start. Managers come
        first, so that a person's row can name theirs.
        """
        for person in _people(arguments):
            if person.email not in self._refs:
                self._refs[person.email] = await self._ref(person, change)
        return {name: self._filled(value) for name, value in arguments.items()}

    async def _ref(self, person: Person, change: Change) -> str:
        email = person.email.strip().lower()
        if "@" not in email:
            raise InvalidInput({"email": f"of {person.name!r} is no mail address"})
        known = await registry.person_known(
            self._connection,
            ref=parse_reference(person.ref)[1] if person.ref else None,
            hr_key=person.hr_key,
            email=email,
        )
        manager = None
        if person.manager is not None:
            manager = parse_reference(self._refs[person.manager.email])[1]
        if known is None:
            ref = await self._register(person, email, manager, change)
        else:
            ref = known["ref"]
            if manager is not None:
                await registry.set_manager(self._connection, ref, manager)
        return reference("per", ref)

    async def _register(
        self, person: Person, email: str, manager: UUID | None, change: Change
    ) -> UUID:
        ref = uuid4()
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
            raise InvalidInput({"email": "or the employee number belongs to another person"})
        self._tell(change, ref, person, key)
        return ref

    def _tell(self, change: Change, ref: UUID, person: Person, key: personal.PersonKey) -> None:
        event_id = self._new_event_id()
        name = personal.seal_field(
            key, person.name, event_id=event_id, pointer="/data/name", entropy=os.urandom
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
            return replace(value, ref=self._refs[value.email], manager=manager)
        if is_dataclass(value) and not isinstance(value, type):
            inner = {field.name: getattr(value, field.name) for field in fields(value)}
            filled = {name: self._filled(each) for name, each in inner.items()}
            changed = {name: each for name, each in filled.items() if each is not inner[name]}
            return replace(value, **changed) if changed else value
        if isinstance(value, tuple) and any(_people({"": each}) for each in value):
            return tuple(self._filled(each) for each in value)
        return value


def _people(arguments: Mapping[str, object]) -> list[Person]:
    return [person for value in arguments.values() for person in _inside(value)]


def _inside(value: object) -> Iterator[Person]:
    """Every person inside a value, managers before those who answer to them."""
    if isinstance(value, tuple | list):
        for each in value:
            yield from _inside(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _inside(getattr(value, field.name))
        if isinstance(value, Person):
            yield value
