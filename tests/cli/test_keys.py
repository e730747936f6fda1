"""Keys of the API: shown once, kept as a hash, audited, and of no use once revoked."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re

import asyncpg
import orjson

from tests.faults.pooler import behind


def rows(statement):
    """Read from the deployment's database."""

    async def read():
        connection = await asyncpg.connect(behind(os.environ["NEWEL_DATABASE_URL"]))
        try:
            return await connection.fetch(statement)
        finally:
            await connection.close()

    return asyncio.run(read())


def test_a_key_is_shown_once_and_kept_as_a_hash(deployed, newel):
    """The whole key is printed by `new` and nowhere else; the database has its SHA-256."""
    said = newel("key", "new", "HR platform", "--json").document
    assert re.fullmatch(r"newel_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{43}", said["key"])
    [row] = rows("select id, name, sha256 from newel.api_key")
    assert (row["id"], row["name"]) == (said["id"], "HR platform")
    assert row["sha256"] == hashlib.sha256(said["key"].encode()).digest()
    listed = newel("key", "list")
    assert "HR platform" in listed.out
    assert said["key"] not in listed.out


def test_making_and_revoking_are_audit_events(deployed, newel):
    """Each is one event of the admin stream that names the key by its public part."""
    key = newel("key", "new", "x", "--json").document["id"]
    assert newel("key", "revoke", key).status == 0
    found = [
        (row["type"], orjson.loads(row["entry"])["data"]["key"])
        for row in rows(
            "select type, entry from newel.event where type like 'admin.%' order by seq"
        )
    ]
    assert found == [("admin.key_created", key), ("admin.key_revoked", key)]


def test_a_revoked_key_is_gone(deployed, newel):
    """It is no longer listed and cannot be revoked twice."""
    key = newel("key", "new", "x", "--json").document["id"]
    newel("key", "revoke", key)
    assert newel("key", "list", "--json").document == {"keys": []}
    assert "No keys." in newel("key", "list").out
    again = newel("key", "revoke", key)
    assert (again.status, again.err) == (1, f"newel: There is no key '{key}'.\n")
