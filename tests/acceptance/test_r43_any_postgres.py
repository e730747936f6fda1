"""R43, any_postgres: a plain PostgreSQL, for a role that may do nothing else, also pooled.

The embedded server is what all other tests run on.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from urllib.parse import urlsplit

import asyncpg
import pytest

from newel.engine.worker import WorkerSettings
from newel.store.migrate import migrate
from tests.engine.house import opened
from tests.engine.test_crashes import ALL, _finish, assert_unbroken, journey, world
from tests.faults.pooler import MISSING, pooled, program

QUICK = WorkerSettings(look=timedelta(milliseconds=20))


@pytest.fixture
async def restricted(database_url: str):
    """Give the address of an empty database whose role owns it and is nothing else."""
    parts = urlsplit(database_url)
    name = f"plain_{parts.path.strip('/')}"
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"create role \"{name}\" login password 'plain'")
        await connection.execute(f'create database "{name}" owner "{name}"')
    finally:
        await connection.close()
    yield f"postgresql://{name}:plain@127.0.0.1:{parts.port}/{name}"
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f'drop database "{name}" with (force)')
        await connection.execute(f'drop role "{name}"')
    finally:
        await connection.close()


@pytest.mark.parametrize("manner", ["direct", "pooled"])
async def test_a_plain_role_runs_a_journey(manner, restricted, tmp_path):
    """R43: no superuser, direct or in transaction mode: migrations, two workers, effects once."""
    if manner == "pooled" and program() is None:
        pytest.skip(MISSING)
    world.__init__()  # type: ignore[misc]  # every test has a world of its own
    way = pooled(restricted, size=3) if manner == "pooled" else contextlib.nullcontext(restricted)
    with way as url:
        await asyncio.gather(*(migrate(url) for _ in range(3)))
        house = await opened(url, tmp_path / "kek", [journey], settings=QUICK)
        try:
            assert house.database.is_pooled is (manner == "pooled")
            async with house.worker(), house.worker():
                run = await house.start("journey")
                assert await _finish(house, run) == "completed"
            assert set(world.effects) == ALL
            assert set(world.effects.values()) == {1}
            await assert_unbroken(house, run)
            is_super = await house.database.fetchval(
                "select rolsuper or rolcreatedb or rolcreaterole from pg_roles "
                "where rolname = current_user"
            )
            assert is_super is False
        finally:
            await house.database.close()
