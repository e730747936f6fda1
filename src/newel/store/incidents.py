"""Incidents: reading them, and moving them along their life."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from newel.base.ids import reference
from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

_SQL: Final = queries("incidents")


async def open_by_fingerprint(database: Database, fingerprint: str) -> Row | None:
    """The open incident of a cause."""
    return await database.fetchrow(_SQL.open_by_fingerprint, fingerprint)


async def open_incidents(database: Database) -> list[Row]:
    """All incidents that are not closed, oldest first."""
    return await database.fetch(_SQL.open_incidents)


async def locked(connection: Connection, incident: UUID) -> Row | None:
    """One incident under its row lock; None if it is closed."""
    return await connection.fetchrow(_SQL.locked, incident)


async def take_due_probes(database: Database, pause: timedelta) -> list[Row]:
    """Take the probes that are due; nobody else makes them before `pause` is over."""
    return await database.fetch(_SQL.take_due_probes, pause)


async def missed(database: Database, incident: UUID, gap: timedelta, error: str) -> None:
    """Note that the system does not answer; it is looked at again after `gap`."""
    await database.execute(_SQL.missed, incident, gap, error)


async def healing(database: Database, incident: UUID, lead_run: UUID, lead_key: str) -> None:
    """Note that the probe answered and that this step goes first."""
    await database.execute(_SQL.healing, incident, lead_run, lead_key)


async def healed(database: Database, incident: UUID) -> None:
    """Note that the lead step succeeded."""
    await database.execute(_SQL.healed, incident)


async def new_lead(database: Database, incident: UUID, lead_run: UUID, lead_key: str) -> None:
    """Let another step lead."""
    await database.execute(_SQL.new_lead, incident, lead_run, lead_key)


async def closed(connection: Connection, incident: UUID) -> None:
    """Close an incident, in the transaction that tells of it."""
    await connection.execute(_SQL.closed, incident)


async def members(database: Database, incident: UUID) -> list[Row]:
    """The open steps that an incident holds up, oldest first."""
    return await database.fetch(_SQL.members, incident)


async def members_in(connection: Connection, incident: UUID) -> list[Row]:
    """The same, inside a transaction."""
    return await connection.fetch(_SQL.members, incident)


async def lead_succeeded(database: Database, run: UUID, key: str) -> bool:
    """Whether the last outcome of a step is a success of its code."""
    return bool(await database.fetchval(_SQL.lead_succeeded, run, key))


async def attached(connection: Connection, incident: UUID, system: str) -> int:
    """How many steps an incident has held up."""
    count: int = await connection.fetchval(
        _SQL.attached, reference("inc", incident), f"system/{system}"
    )
    return count
