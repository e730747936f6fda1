"""A transaction-mode pooler is noticed; what works through it is R43, in tests/acceptance."""

from __future__ import annotations

from newel.store.database import Database
from tests.faults.pooler import pooled


async def test_a_pooler_is_noticed_and_a_server_is_not_taken_for_one(pgbouncer, database_url):
    """The process announced at login is another than the one that answers."""
    with pooled(database_url) as url:
        for address, expected in ((url, True), (database_url, False)):
            database = await Database.open(address)
            assert database.is_pooled is expected
            await database.close()
