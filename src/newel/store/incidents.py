"""Incidents: reading them, and moving them along their life."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from newel.base.ids import reference
from newel.store.database import Connection, Database, Row
from newel.store.queries import queries
from newel.store.streams import stream_name

_SQL: Final = queries("incidents")


async def open_by_fingerprint(database: Database, fingerprints: Sequence[str]) -> Row | None:
    """The open incident of a cause, the narrower of two."""
    return await database.fetchrow(_SQL.open_by_fingerprint, list(fingerprints))


async def open_incidents(database: Database) -> list[Row]:
    """All incidents that are not closed, oldest first."""
    return await database.fetch(_SQL.open_incidents)


async def locked(connection: Connection, incident: UUID) -> Row | None:
    """One incident under its row lock; None if it is closed."""
    return await connection.fetchrow(_SQL.locked, incident)


async def take_due_probes(
    database: Database, pause: timedelta, urgent_pause: timedelta
) -> list[Row]:
    """Take the probes that are due; nobody else makes them before the pause is over."""
    return await database.fetch(_SQL.take_due_probes, pause, urgent_pause)


async def missed(database: Database, incident: UUID, gap: timedelta, error: str) -> None:
    """Note that the system does not answer; it is looked at again after `gap`."""
    await database.execute(_SQL.missed, incident, gap, error)


async def narrowed(database: Database, incident: UUID, gap: timedelta) -> None:
    """Note that only one operation of the system fails."""
    await database.execute(_SQL.narrowed, incident, gap)


async def later(database: Database, incident: UUID, gap: timedelta) -> None:
    """Look again after `gap`."""
    await database.execute(_SQL.later, incident, gap)


async def looked_at_once(database: Database, incident: UUID) -> None:
    """Look again now."""
    await database.execute(_SQL.looked_at_once, incident)


async def hurried(database: Database, incident: UUID) -> None:
    """Look more often from now on."""
    await database.execute(_SQL.hurried, incident)


async def healing(database: Database, incident: UUID, lead_run: UUID, lead_key: str) -> None:
    """Note that the probe answered and that this step goes first."""
    await database.execute(_SQL.healing, incident, lead_run, lead_key)


async def flapped(database: Database, incident: UUID, gap: timedelta, error: str) -> None:
    """Note that the step that went first has failed."""
    await database.execute(_SQL.flapped, incident, gap, error)


async def healed(database: Database, incident: UUID, by: str) -> None:
    """Note that the lead step succeeded, and what made it be tried."""
    await database.execute(_SQL.healed, incident, by)


async def relapsed(database: Database, incident: UUID, gap: timedelta, error: str) -> None:
    """Note that steps fail again before all have gone on."""
    await database.execute(_SQL.relapsed, incident, gap, error)


async def new_lead(database: Database, incident: UUID, lead_run: UUID, lead_key: str) -> None:
    """Let another step lead."""
    await database.execute(_SQL.new_lead, incident, lead_run, lead_key)


async def closed(connection: Connection, incident: UUID, by: str) -> None:
    """Close an incident, in the transaction that tells of it."""
    await connection.execute(_SQL.closed, incident, by)


async def members(database: Database, incident: UUID) -> list[Row]:
    """The open steps that an incident holds up, in the order in which they go on."""
    return await database.fetch(_SQL.members, incident)


async def members_in(connection: Connection, incident: UUID) -> list[Row]:
    """The same, inside a transaction."""
    return await connection.fetch(_SQL.members, incident)


async def urgent_over(database: Database, event: str) -> list[Row]:
    """Runs that wait to hear that a step is no longer open, and may be told so now."""
    return await database.fetch(_SQL.urgent_over, event)


async def urgent_by_hand(database: Database) -> list[Row]:
    """Urgent steps that only a person can do, and that nobody has done yet."""
    return await database.fetch(_SQL.urgent_by_hand)


async def stranded(database: Database) -> list[Row]:
    """Steps that wait for an incident that is closed."""
    return await database.fetch(_SQL.stranded)


async def last_outcome(source: Database | Connection, run: UUID, key: str) -> str | None:
    """How a step ended; None if it has not."""
    found: str | None = await source.fetchval(_SQL.last_outcome, run, key)
    return found


async def last_retried_by(source: Database | Connection, run: UUID, key: str) -> str | None:
    """Who asked last that a step be tried again; None if nobody has."""
    found: str | None = await source.fetchval(_SQL.last_retried_by, run, key)
    return found


async def attached(connection: Connection, incident: UUID, system: str) -> int:
    """How many steps an incident has held up."""
    count: int = await connection.fetchval(
        _SQL.attached, reference("inc", incident), stream_name(f"system/{system}")
    )
    return count


async def changed_since(
    database: Database, run: UUID, subject: UUID | None, moment: datetime
) -> bool:
    """Whether a run's input, or whom it is about, was changed after a moment."""
    return bool(await database.fetchval(_SQL.changed_since, run, subject, moment))


async def told(database: Database, incident: UUID, who: str) -> None:
    """Note that the ticket's run knows who waits."""
    await database.execute(_SQL.told, incident, who)


async def busy(database: Database, credentials: Sequence[str]) -> set[str]:
    """Which of these credentials have an open incident of their own."""
    rows = await database.fetch(_SQL.busy, list(credentials))
    return {row["credential"] for row in rows}


async def ticket_before(database: Database, fingerprint: str, moment: datetime) -> Row | None:
    """The ticket of the same cause that was closed last, if not before the moment."""
    return await database.fetchrow(_SQL.ticket_before, fingerprint, moment)
