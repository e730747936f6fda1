"""Erasing a person in the tables: what is about them is emptied, what proves something stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from newel.store.database import Connection, Row
from newel.store.queries import queries

__all__ = ["Emptied", "empty", "in_the_way", "person", "runs"]

_SQL: Final = queries("erasing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """How many rows were emptied, and how many keys destroyed."""

    keys: int
    tasks: int
    messages: int


async def person(connection: Connection, ref: UUID) -> Row | None:
    """A person, locked: ref, hr_key, key_state."""
    row: Row | None = await connection.fetchrow(_SQL.person, ref)
    return row


async def in_the_way(connection: Connection, ref: UUID) -> tuple[int, int]:
    """How many open runs there are about a person, and how much access is held or planned."""
    row = await connection.fetchrow(_SQL.in_the_way, ref)
    assert row is not None, "it has one row"
    return row["runs"], row["grants"]


async def runs(connection: Connection, ref: UUID) -> list[Row]:
    """The runs about a person, locked, with whether their payloads are gone already."""
    rows: list[Row] = await connection.fetch(_SQL.runs, ref)
    return rows


async def empty(
    connection: Connection, ref: UUID, *, number: str | None, about: Sequence[UUID]
) -> Emptied:
    """Empty all rows about a person, and destroy the keys; about: their runs."""
    tasks = _many(await connection.execute(_SQL.forget_tasks, about))
    messages = _many(await connection.execute(_SQL.forget_messages, about))
    messages += _many(await connection.execute(_SQL.forget_deliveries, about))
    if number is not None:
        await connection.execute(_SQL.forget_employment, number)
    await connection.execute(_SQL.forget_secrets, ref)
    await connection.execute(_SQL.forget_person, ref)
    keys = _many(await connection.execute(_SQL.destroy_keys, ref))
    return Emptied(keys=keys, tasks=tasks, messages=messages)


def _many(status: str) -> int:
    """Read how many rows a statement has changed, from what the server says of it."""
    return int(status.rpartition(" ")[2])
