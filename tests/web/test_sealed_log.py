"""The log at its own address: a verifier and a tile client read it, with a key and not without."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from newel.audit.canonical import leaf_hash
from newel.audit.tiles import entries_of
from newel.base.secrets import SecretRef
from newel.base.settings import Settings
from newel.engine.key_holder import KeyHolder
from newel.engine.verifying import verifier
from newel.web.app import create_app
from tests.engine.house import opened
from tests.web.serving import served

KEY = "newel_ABCDEFGH_" + "x" * 43


@pytest.fixture
async def sealed(database_url, tmp_path):
    """Give a house whose log is sealed: more than a full tile, with a tail."""
    house = await opened(database_url, tmp_path / "kek", [], key_holder=KeyHolder(tmp_path / "log"))
    for n in range(70):
        await house.engine.actor(f"person.{n}@acme.example", via="api")
    for n in range(70):
        await house.engine.actor(f"other.{n}@acme.example", via="api")
    assert house.engine.sequencer is not None
    await house.engine.sequencer.seal()
    await house.engine.actor("not.yet.sealed@acme.example", via="api")
    yield house
    await house.database.close()


async def test_it_is_read_and_verified_over_http(sealed, tmp_path, monkeypatch):
    """The verifier accepts what is served; there is no way in without the key, and nothing more."""
    monkeypatch.setenv("THE_KEY", KEY)
    app = create_app(sealed.engine, settings=Settings(api_key=SecretRef("env:THE_KEY")))
    (tmp_path / "key").write_text(KEY)
    [head] = await sealed.database.fetch("select origin, size from newel.audit_head")
    path = head["origin"].removeprefix("localhost")
    async with served(app) as address, httpx2.AsyncClient(base_url=address + path) as client:
        its = verifier()
        arguments = ["--policy", str(tmp_path / "log/policy"), "--key-file", str(tmp_path / "key")]
        options = its._parser().parse_args([*arguments, address + path])
        report = await asyncio.to_thread(its.verify, options)
        assert report.code() == 0, report.as_text()
        assert report.logs[0]["size"] == head["size"] > 256
        assert (await client.get("/checkpoint")).status_code == 401
        client.headers["Authorization"] = f"Bearer {KEY}"
        tile, bundle = [await client.get(f"/tile/{level}/000") for level in ("0", "entries")]
        hashes = [leaf_hash(each) for each in entries_of(bundle.content)]
        assert tile.content == b"".join(hashes)
        assert "immutable" in tile.headers["cache-control"]
        rest = head["size"] - 256
        assert (await client.get(f"/tile/0/001.p/{rest}")).headers["cache-control"] == "no-store"
        for missing in (
            f"/tile/0/001.p/{rest + 1}", "/tile/0/001", "/tile/1/000", "/tile/0/1", "/tile/-1/000",
            "/tile/entries/000.p/256", "/checkpoint.1", "/checkpoint.x", "/kek", "/",
        ):  # fmt: skip
            assert (await client.get(missing)).status_code == 404, missing
        other = await client.get(str(client.base_url).rstrip("/")[:-1] + "2/checkpoint")
        assert other.status_code == 404
