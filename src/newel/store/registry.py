"""Registering people, definitions, systems and requests; each is written once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from newel.domain.search import grams
from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

_SQL: Final = queries("registry")


async def person_known(
    connection: Connection, *, ref: UUID | None, hr_key: str | None, email: str
) -> Row | None:
    """A person by reference, employee number or work address."""
    return await connection.fetchrow(_SQL.person_known, ref, hr_key, email)


async def people_known(
    connection: Connection,
    *,
    ref: UUID | None,
    hr_key: str | None,
    email: str,
    digest: bytes | None = None,
) -> list[Row]:
    """At most two people who are meant by a reference, an employee number or a work address.

    digest: of the address; who has it, has it for all time, also where it is not theirs any more.
    """
    return await connection.fetch(_SQL.people_known, ref, hr_key, email, digest)


async def people_named(connection: Connection, name: str) -> list[Row]:
    """At most two people of exactly this name."""
    return await connection.fetch(_SQL.person_by_name, name)


async def add_person(
    connection: Connection,
    *,
    ref: UUID,
    hr_key: str | None,
    name: str,
    email: str | None,
    manager: UUID | None,
    wrapped_key: bytes,
    kek_id: str,
) -> bool:
    """Register a person with a first key; False if the address or number is taken."""
    added = await connection.fetchval(
        _SQL.add_person, ref, hr_key, name, email, manager, grams(name, email or "")
    )
    if added is None:
        return False
    await connection.execute(_SQL.add_key, ref, 1, wrapped_key, kek_id)
    return True


async def give_address(
    connection: Connection, digest: bytes, person: UUID
) -> Literal["new", "theirs", "another's"]:
    """Give an address to a person for all time, unless it was given before; tells whose it is."""
    if await connection.fetchval(_SQL.give_address, digest, person) is not None:
        return "new"
    row = await given_to(connection, digest)
    return "theirs" if row is not None and row["person"] == person else "another's"


async def given_to(connection: Connection | Database, digest: bytes) -> Row | None:
    """To whom an address was given, and when they have reserved it; None for a free one."""
    return await connection.fetchrow(_SQL.given_to, digest)


async def reserve_address(connection: Connection, digest: bytes) -> None:
    """Say that an address was reserved for the person who has it."""
    await connection.execute(_SQL.reserve_address, digest)


async def set_address(connection: Connection, person: UUID, *, name: str, email: str) -> None:
    """Make an address that was given to a person their work address."""
    await connection.execute(_SQL.set_address, person, email, grams(name, email))


async def work_address(database: Database, person: UUID) -> str | None:
    """The work address of a person; None before they have one."""
    address: str | None = await database.fetchval(_SQL.work_address, person)
    return address


async def set_manager(connection: Connection, person: UUID, manager: UUID) -> None:
    """Record whom a person answers to."""
    await connection.execute(_SQL.set_manager, person, manager)


async def key_of(connection: Connection, person: UUID) -> tuple[int, bytes] | None:
    """The number and wrapped bytes of a person's newest living key."""
    row = await connection.fetchrow(_SQL.key_of, person)
    return None if row is None else (row["n"], row["wrapped"])


async def foreign_key(connection: Connection, kek_ids: Sequence[str]) -> Row | None:
    """A key that is wrapped under none of these key-encryption keys: person, n, wrapped."""
    return await connection.fetchrow(_SQL.foreign_key, list(kek_ids))


async def keep_key(connection: Connection, person: UUID, n: int, wrapped: bytes, kek: str) -> None:
    """Keep a key, wrapped under a key-encryption key, unless there is one of this number."""
    await connection.execute(_SQL.keep_key, person, n, wrapped, kek)


async def stale_keys(connection: Connection, kek_id: str, how_many: int) -> list[Row]:
    """Keys that are not wrapped under a key-encryption key, locked: person, n, wrapped."""
    rows: list[Row] = await connection.fetch(_SQL.stale_keys, kek_id, how_many)
    return rows


async def rewrap(connection: Connection, person: UUID, n: int, wrapped: bytes, kek: str) -> None:
    """Keep a key as it is wrapped under another key-encryption key."""
    await connection.execute(_SQL.rewrap, person, n, wrapped, kek)


async def register_definition(
    connection: Connection,
    *,
    process: str,
    sha256: str,
    source: str,
    title: str,
    owner: str | None,
    drawing: Callable[[], str | None],
) -> tuple[int, bool]:
    """Give a source its version number; True if it is new, which alone asks for the drawing."""
    while True:
        version = await connection.fetchval(_SQL.definition, process, sha256)
        if version is not None:
            return version, False
        version = await connection.fetchval(
            _SQL.add_definition, process, sha256, source, title, owner, drawing()
        )
        if version is not None:
            return version, True


async def register_system(
    connection: Connection,
    *,
    key: str,
    title: str,
    connector: str,
    owner: str,
    credential: str | None,
) -> None:
    """Register a system and its base entitlement; owner: the team that answers for it."""
    await connection.execute(_SQL.add_system, key, title, connector, owner, credential)
    await connection.execute(_SQL.add_entitlement, f"{key}:account", key, f"{title} account")


async def claim_request(
    connection: Connection, *, scope: str, key: str, digest: bytes, run: UUID
) -> Row | None:
    """Claim a request for a run; answers with what was made before, if it was.

    Waits while another request with the same key is being carried out.
    """
    claimed = await connection.fetchval(_SQL.claim_request, scope, key, digest, run)
    if claimed is not None:
        return None
    return await connection.fetchrow(_SQL.known_request, scope, key)


async def now(connection: Connection | Database) -> datetime:
    """The database's time."""
    moment: datetime = await connection.fetchval(_SQL.now)
    return moment
