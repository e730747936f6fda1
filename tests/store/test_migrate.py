"""Migrations: applied once, in order, never changed, by one migrator at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from newel.base.errors import SchemaOutdated
from newel.store import migrate as module
from newel.store.migrate import check, migrate, migrations
from tests.faults.pooler import behind


@pytest.fixture
async def empty_url(database_url):
    """Give the address of a database without newel's schema."""
    connection = await asyncpg.connect(behind(database_url))
    try:
        await connection.execute("drop schema newel cascade")
    finally:
        await connection.close()
    return database_url


async def fetch(url: str, statement: str) -> list[asyncpg.Record]:
    """Rows of one statement."""
    connection = await asyncpg.connect(behind(url))
    try:
        rows: list[asyncpg.Record] = await connection.fetch(statement)
        return rows
    finally:
        await connection.close()


async def test_a_second_migration_does_nothing(empty_url):
    """The first applies every file, the second none, and the database is at this version."""
    names = [each.name for each in migrations()]
    assert await migrate(empty_url) == names
    assert await migrate(empty_url) == []
    rows = await fetch(empty_url, "select name, checksum from newel.migration order by number")
    assert [tuple(row) for row in rows] == [(each.name, each.checksum) for each in migrations()]
    await check(lambda statement: fetch(empty_url, statement))


def test_numbers_have_no_gap():
    """Files are numbered 1, 2, 3 …, and each says whether it runs before or after the code."""
    assert [each.number for each in migrations()] == list(range(1, len(migrations()) + 1))


async def test_two_migrators_at_once_apply_each_file_once(empty_url):
    """The second waits for the first, and finds it done."""
    applied = await asyncio.gather(*(migrate(empty_url) for _ in range(4)))
    assert sorted(name for each in applied for name in each) == [each.name for each in migrations()]


async def test_a_file_that_was_changed_after_it_was_applied_is_refused(empty_url, monkeypatch):
    """The message names the file; nothing is applied."""
    await migrate(empty_url)
    changed = [replace(each, checksum="0" * 64) for each in migrations()[:1]]
    monkeypatch.setattr(module, "migrations", lambda: changed)
    with pytest.raises(SchemaOutdated, match=changed[0].name):
        await migrate(empty_url)


async def test_a_file_that_fails_leaves_nothing_behind(empty_url, monkeypatch):
    """Each file is one transaction."""
    broken = [
        *migrations(),
        module.Migration(99, "0099_broken.pre.sql", "create table newel.half (); select 1/0", "x"),
    ]
    monkeypatch.setattr(module, "migrations", lambda: broken)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_url)
    found = await fetch(empty_url, "select to_regclass('newel.half')::text as name")
    assert found[0]["name"] is None
    assert len(await fetch(empty_url, "select 1 from newel.migration")) == len(migrations())


@pytest.mark.parametrize("state", ["empty", "older", "newer"])
async def test_code_and_schema_that_do_not_belong_together_are_told_apart(empty_url, state):
    """Nothing runs on a database that is not exactly at this version."""
    if state != "empty":
        await migrate(empty_url)
        change = (
            "delete from newel.migration where number = (select max(number) from newel.migration)"
            if state == "older"
            else "insert into newel.migration values (9999, '9999_later.pre.sql', 'x')"
        )
        await fetch(empty_url, change)
    with pytest.raises(SchemaOutdated, match="newel migrate"):
        await check(lambda statement: fetch(empty_url, statement))
