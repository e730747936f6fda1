"""What `newel doctor` reads: facts about the server and the deployment, without a judgement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from newel.store.database import Database, Row
from newel.store.migrate import migrations
from newel.store.queries import queries

__all__ = ["ServerFacts", "declared_indexes", "read", "server_facts"]

_SQL: Final = queries("doctor")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """The server as one connection sees it; skew: its clock minus the host's."""

    version: int
    version_text: str
    is_synced: bool
    writes_full_pages: bool
    synchronous_commit: str
    max_connections: int
    connections: int
    is_vacuumed: bool
    is_standby: bool
    is_superuser: bool
    is_public: bool
    is_interchanged: bool
    is_cached: bool
    skew: timedelta


async def server_facts(database: Database) -> ServerFacts:
    """Ask the server; a connection of its own shows whether a pooler stands in between."""
    connection = await database.dedicated()
    try:
        began = datetime.now(UTC)
        async with connection.transaction():
            row = await connection.fetchrow(_SQL.server)
        assert row is not None, "a statement without a from-list has one row"
        half = (datetime.now(UTC) - began) / 2
        announced = connection.get_server_pid()
    finally:
        await connection.close()
    given = {name: row[name] for name in ServerFacts.__slots__ if name in row}
    return ServerFacts(
        **given,
        is_interchanged=announced != row["backend"],
        is_cached=not database.is_pooled,
        skew=row["as_of"] - began - half,
    )


async def read(database: Database, name: str, *values: object) -> list[Row]:
    """The rows of one block of `doctor.sql`."""
    return await database.fetch(getattr(_SQL, name), *values)


def declared_indexes() -> frozenset[str]:
    """The names of all indexes that the migrations make and none drops."""
    text = re.sub(r"--[^\n]*", "", "\n".join(each.text for each in migrations()))
    made = re.findall(r"create\s+(?:unique\s+)?index\s+(?:concurrently\s+)?(\w+)", text)
    gone: set[Any] = set(re.findall(r"drop\s+index\s+(?:if\s+exists\s+)?newel\.(\w+)", text))
    return frozenset(made) - gone
