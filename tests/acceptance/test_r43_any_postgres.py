"""R43, any_postgres: a plain PostgreSQL, for a role that may do nothing else, also pooled.

The embedded server is what all other tests run on. Whoever leaves takes everything along: the
export is read here with nothing of newel but what docs/export.md says of it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from newel.engine.exporting import Exports
from newel.engine.worker import WorkerSettings
from newel.store.migrate import migrate
from tests.engine.house import OPERATOR, House, opened
from tests.engine.test_crashes import ALL, _finish, assert_unbroken, journey, world
from tests.faults.pooler import MISSING, behind, pooled, program

QUICK = WorkerSettings(look=timedelta(milliseconds=20))


@pytest.fixture
async def restricted(database_url: str):
    """Give the address of an empty database whose role owns it and is nothing else."""
    server = behind(database_url)
    parts = urlsplit(server)
    name = f"plain_{parts.path.strip('/')}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"create role \"{name}\" login password 'plain'")
        await connection.execute(f'create database "{name}" owner "{name}"')
    finally:
        await connection.close()
    yield f"postgresql://{name}:plain@127.0.0.1:{parts.port}/{name}"
    connection = await asyncpg.connect(server)
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
            await _leaves_with_everything(house, run, tmp_path)
        finally:
            await house.database.close()


async def test_the_embedded_server_is_left_with_everything(database_url, tmp_path):
    """R43: what the embedded server keeps is exported like that of any other."""
    world.__init__()  # type: ignore[misc]  # as above
    house = await opened(database_url, tmp_path / "kek", [journey], settings=QUICK)
    try:
        async with house.worker():
            run = await house.start("journey")
            assert await _finish(house, run) == "completed"
        await _leaves_with_everything(house, run, tmp_path)
    finally:
        await house.database.close()


async def _leaves_with_everything(house: House, run: object, tmp_path: Path) -> None:
    """Export twice and compare; count every table; follow the journal's chain by hand."""
    exports = Exports(house.database, house.engine.vault)
    for name in ("first/tables", "first/schema", "second/tables", "second/schema"):
        (tmp_path / name).mkdir(parents=True)
    await exports.copied(tmp_path / "first", is_opened=False)
    await exports.copied(tmp_path / "second", is_opened=False)
    assert _read(tmp_path / "first") == _read(tmp_path / "second")

    out = tmp_path / "out"
    done = await exports.deployment(out, actor=OPERATOR, reason="We leave.")
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert {each["name"] for each in manifest["files"]} | {"manifest.json", "receipt.json"} == {
        *_read(out)
    }
    for each in manifest["files"]:
        text = (out / each["name"]).read_bytes()
        assert (each["bytes"], each["sha256"]) == (len(text), hashlib.sha256(text).hexdigest())
        if each["name"].startswith("tables/"):
            assert each["rows"] == text.count(b"\n")
            rows = await house.database.fetchval(f"select count(*) from newel.{_table(each)}")
            # What says that data left was written when they had been read.
            later = {"event": 1, "event_batch": 1}.get(_table(each), 0)
            assert each["rows"] == rows - later, each["name"]
    assert json.loads((out / "receipt.json").read_text("utf-8"))["reason"] == "We leave."
    assert done.manifest_sha256 == hashlib.sha256((out / "manifest.json").read_bytes()).hexdigest()
    events = [json.loads(line) for line in (out / "tables/event.jsonl").read_text().splitlines()]
    _assert_chained(events)
    outcomes = [each for each in events if each["stream_id"] == str(run) and each["payload"]]
    assert any(b'"last1"' in base64.b64decode(each["payload"]) for each in outcomes)


def _read(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def _table(file: dict[str, str]) -> str:
    return file["name"].removeprefix("tables/").removesuffix(".jsonl")


def _assert_chained(events: list[dict[str, Any]]) -> None:
    """Each leaf names the hash of the one before it, and a payload's digest stands in a leaf."""
    latest: dict[str, str] = defaultdict(str)
    for each in events:
        leaf = each["leaf"]
        assert leaf["prev"] == latest[each["stream_id"]]
        text = json.dumps(leaf, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        latest[each["stream_id"]] = hashlib.sha256(b"\0" + text.encode()).hexdigest()
