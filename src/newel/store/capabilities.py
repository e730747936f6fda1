"""What checks have found of credentials, kept where every worker and `newel doctor` see it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from newel.store.database import Database, Row
from newel.store.queries import queries

__all__ = ["forget", "keep", "of_credentials"]

_SQL: Final = queries("capabilities")


async def of_credentials(database: Database, credentials: Sequence[str]) -> list[Row]:
    """Read what is known: credential, name, and when it was checked and proved last."""
    return await database.fetch(_SQL.of_credentials, list(credentials))


async def keep(
    database: Database,
    credential: str,
    system: str,
    found: Sequence[tuple[str, datetime, datetime | None]],
) -> None:
    """Keep what a check has found: name, when it looked, when it was last proved."""
    names, checked, proved = (list(each) for each in zip(*found, strict=True))
    await database.execute(_SQL.keep, credential, system, names, checked, proved)


async def forget(database: Database, credential: str, names: Sequence[str]) -> None:
    """Forget everything of a credential but these names."""
    await database.execute(_SQL.forget, credential, list(names))
