"""A run begun in a transaction of its caller's: its people, its subject, its first event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg

from newel.base.errors import AlreadyStarted, InvalidInput, StoreError
from newel.base.ids import parse_reference, reference
from newel.domain.change import Change
from newel.engine.intake import Intake
from newel.engine.operating import with_streams
from newel.engine.starting import FIRST_CAME_ANOTHER, Start, Wanted, born
from newel.engine.vault import Vault
from newel.store import registry, runs
from newel.store.changes import apply
from newel.store.database import Connection

T = TypeVar("T")

Begin = Callable[[Connection, Wanted], Coroutine[Any, Any, tuple[Change, UUID | None]]]
"""`begin` with all but the caller's own given."""

_TRIES: Final = 5


async def in_turn(work: Callable[[], Awaitable[T]]) -> T:
    """Do in a transaction what begins runs; again, where another start came first.

    Raises StoreError once that has happened too often.
    """
    for _ in range(_TRIES):
        try:
            return await work()
        except asyncpg.PostgresError as error:
            if error.sqlstate not in FIRST_CAME_ANOTHER:
                raise
    raise StoreError(f"{_TRIES} other starts came first, one after another. Try again.")


async def begin(
    connection: Connection,
    vault: Vault,
    versions: Mapping[str, int],
    new_event_id: Callable[[], str],
    wanted: Wanted,
) -> tuple[Change, UUID | None]:
    """Write a run and its first event; answers with the Change, and whom the run is about.

    versions: the version number of each process. Raises InvalidInput for people who cannot be
    told, AlreadyStarted if the subject has an open run of this process (a child has its parent and
    key for that), UniqueViolationError if another start came first.
    """
    at = await registry.now(connection)
    people = Change(run=wanted.run, from_seq=0, last_at=at)
    intake = Intake(connection, vault, wanted.actor, new_event_id)
    process = wanted.process
    filled = await intake.resolve(wanted.arguments, people)
    subject = process.subject_of(filled)
    person = None if subject is None else parse_reference(subject.ref)[1]
    if person is not None and wanted.child_of is None:
        for name in (process.name, *process.formerly):
            open_run = await runs.open_of_subject(connection, name, person)
            if open_run is not None:
                raise AlreadyStarted(run=reference("run", open_run))
    key = None if person is None else await registry.key_of(connection, person)
    if person is not None and key is None:
        raise InvalidInput({"person": f"{reference('per', person)} was erased meanwhile"})
    n, wrapped = key or (None, None)
    change, _, _, _ = born(
        Start(
            run=wanted.run,
            process=process,
            version=versions[process.name],
            arguments=filled,
            subject=person,
            actor=wanted.actor,
            source=wanted.source,
            source_ref=wanted.source_ref,
            at=at,
            sealer=vault.sealer(wanted.run, person, n, wrapped),
            idempotency_key=wanted.idempotency_key,
            priority=wanted.priority,
            child_of=wanted.child_of,
            approved=wanted.approved,
        ),
        new_event_id,
    )
    change.beside = people.beside
    await with_streams(connection, change, new_event_id)
    if await apply(connection, [change]):
        raise asyncpg.UniqueViolationError  # undone, and looked at again: it is there now
    return change, person
