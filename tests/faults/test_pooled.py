"""A transaction-mode pooler is noticed; what works through it is R43, in tests/acceptance."""

from __future__ import annotations

import asyncio

import pytest

from newel.store.database import Database
from tests.faults.pooler import behind, pooled


async def test_a_pooler_is_noticed_and_a_server_is_not_taken_for_one(pgbouncer, database_url):
    """The process announced at login is another than the one that answers."""
    server = behind(database_url)
    with pooled(server) as url:
        for address, expected in ((url, True), (server, False)):
            database = await Database.open(address)
            assert database.is_pooled is expected
            await database.close()


async def test_a_statement_cut_off_in_its_beginning_ends_its_connection(pgbouncer, database_url):
    """Whether the server has begun the transaction nobody knows; so nothing more goes into it."""
    with pooled(behind(database_url)) as url:
        database = await Database.open(url)
        connection = await database.dedicated()
        asking = asyncio.create_task(connection.fetchval("select 1"))
        await asyncio.sleep(0)  # as far as its BEGIN
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert connection.is_closed()
        assert await database.fetchval("select 1") == 1
        await database.close()
