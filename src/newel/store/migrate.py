"""Migrations: numbered forward-only `.sql` files, each one transaction, with checksums.

`NNNN_what.pre.sql` runs before new code, `NNNN_what.post.sql` after the old code is gone. A
transaction-level advisory lock admits one migrator at a time, so that any number of workers
may ask for the same migration at once.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import asyncpg

from newel.base.errors import SchemaOutdated

_LOCK: Final = 0x6E6577656C  # "newel"
_NAME: Final = re.compile(r"(?P<number>\d{4})_\w+\.(pre|post)\.sql")

NEWEST: Final = "select name from newel.migration order by number desc limit 1"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, name, text and the hex sha256 of the text."""

    number: int
    name: str
    text: str
    checksum: str


def migrations() -> list[Migration]:
    """All migrations of this version, in order."""
    found: list[Migration] = []
    for file in (files("newel.store") / "migrations").iterdir():
        if (match := _NAME.fullmatch(file.name)) is not None:
            text = file.read_text(encoding="utf-8")
            checksum = hashlib.sha256(text.encode()).hexdigest()
            found.append(Migration(int(match["number"]), file.name, text, checksum))
    return sorted(found, key=lambda migration: migration.number)


async def migrate(dsn: str) -> list[str]:
    """Bring the database up to this version; answers with the names of the files applied.

    Raises SchemaOutdated if an applied file has changed since, or the database is newer.
    """
    connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        return [each.name for each in migrations() if await _apply(connection, each)]
    finally:
        await connection.close()


async def check(fetch: Any) -> None:  # Any: a bound `fetch` of whatever connection there is
    """Raise SchemaOutdated unless the database is exactly at this version."""
    needed = migrations()[-1].name
    try:
        rows = await fetch(NEWEST)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        raise SchemaOutdated(found="", needed=needed) from None
    if not rows or rows[0]["name"] != needed:
        raise SchemaOutdated(found=rows[0]["name"] if rows else "", needed=needed)


async def _apply(connection: asyncpg.Connection[Any], migration: Migration) -> bool:
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        known = await connection.fetchval("select to_regclass('newel.migration') is not null")
        if known:
            checksum = await connection.fetchval(
                "select checksum from newel.migration where number = $1", migration.number
            )
            if checksum is not None:
                if checksum != migration.checksum:
                    raise SchemaOutdated(found=f"another {migration.name}", needed=migration.name)
                return False
        await connection.execute(migration.text)
        await connection.execute(
            "insert into newel.migration (number, name, checksum) values ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.checksum,
        )
        return True
