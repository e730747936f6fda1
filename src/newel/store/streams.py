"""Streams that are no run: where their next event goes."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from newel.domain.change import Head
from newel.store.database import Connection
from newel.store.queries import queries

_SQL: Final = queries("streams")
_UNFIT: Final = re.compile(r"[\s/]+")


def stream_name(name: str) -> str:
    """Write the name of a stream as leaves may have it: a system's own name may hold anything."""
    kind, slash, rest = name.partition("/")
    return kind if not slash else f"{kind}/{_UNFIT.sub('-', rest) or '-'}"


def stream_id(name: str) -> UUID:
    """Give the id of a stream that is no run; it follows from its name."""
    return uuid5(NAMESPACE_URL, f"newel:stream:{name}")


async def head(connection: Connection, name: str) -> Head:
    """The head of a stream, made if it is new; its row stays locked until the transaction ends.

    name: as `stream_name` writes it.

    Lock order: after incidents, before events.
    """
    row = await connection.fetchrow(_SQL.head, name)
    if row is None:
        await connection.execute(_SQL.made, stream_id(name), name)
        row = await connection.fetchrow(_SQL.head, name)
    assert row is not None, "the stream was made above"
    last_at = row["last_at"] if isinstance(row["last_at"], datetime) and row["seq"] else None
    return Head(id=row["id"], stream=name, seq=row["seq"], hash=row["head"], last_at=last_at)
