"""Connections: whatever is cancelled when, none goes back to the pool inside a transaction."""

from __future__ import annotations

import asyncio

import pytest

from newel.store.database import Database


@pytest.mark.parametrize("turns", range(1, 25))
async def test_whatever_is_cancelled_leaves_no_open_transaction(database_url, turns):
    """Also at the very beginning and in the midst of the commit."""
    database = await Database.open(database_url, size=1)
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: told.append(str(context["message"]))
    )

    async def work() -> None:
        async with database.transaction() as connection:
            await connection.execute("select 1")

    try:
        working = asyncio.create_task(work())
        for _ in range(turns):
            await asyncio.sleep(0.0002)  # it is cancelled wherever it is by then
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert await database.fetchval("select 1") == 1
        assert told == []
    finally:
        await database.close()
