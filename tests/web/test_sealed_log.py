"""The log at its own address: a verifier and a tile client read it, with a key and not without."""

from __future__ import annotations

import asyncio
import base64

import httpx2
import pytest

from newel.audit.canonical import leaf_hash
from newel.audit.checkpoint import Proof
from newel.audit.checkpoint import opened as opened_checkpoint
from newel.audit.merkle import Frontier, check_consistency
from newel.audit.note import Note
from newel.audit.tiles import entries_of
from newel.audit.trust import Policy
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


async def test_one_event_is_proved_and_the_growth_of_the_log(sealed, tmp_path, monkeypatch):
    """The verifier accepts the proof alone; what is not sealed, or not there, is told apart."""
    monkeypatch.setenv("THE_KEY", KEY)
    app = create_app(sealed.engine, settings=Settings(api_key=SecretRef("env:THE_KEY")))
    its = verifier()
    (head,) = await sealed.database.fetch("select origin, size from newel.audit_head")
    rows = await sealed.database.fetch(
        "select l.leaf_index, s.name, e.seq, e.entry from newel.audit_leaf l "
        "join newel.event e using (stream_id, seq) join newel.audit_stream s on s.id = e.stream_id "
        "order by l.leaf_index"
    )
    transport = httpx2.ASGITransport(app)
    base = "http://127.0.0.1/api/v1/audit"
    async with httpx2.AsyncClient(transport=transport, base_url=base) as client:
        first = {"stream": rows[0]["name"], "seq": rows[0]["seq"]}
        assert (await client.get("/proof", params=first)).status_code == 401
        assert (await client.get("/consistency?old=1")).status_code == 401
        client.headers["Authorization"] = f"Bearer {KEY}"
        for row in (rows[0], rows[255], rows[256], rows[-1]):
            params = {"stream": row["name"], "seq": row["seq"]}
            answer = await client.get("/proof", params=params)
            file = tmp_path / "event.tlog-proof"
            file.write_bytes(answer.content)
            options = its._parser().parse_args(
                ["--policy", str(tmp_path / "log/policy"), str(file)]
            )
            report = its.verify(options)
            assert report.code() == 0, report.as_text()
            proof = Proof.parsed(answer.text)
            assert (proof.index, proof.extra) == (row["leaf_index"], row["entry"])
            file.write_text(answer.text.replace(f"index {proof.index}", f"index {proof.index ^ 1}"))
            assert its.verify(options).code() == 1
        for old in (0, 1, 255, 256, 257, head["size"]):
            grown = (await client.get("/consistency", params={"old": old})).json()
            frontier = Frontier()
            for row in rows[:old]:
                frontier.append(leaf_hash(row["entry"]))
            note = opened_note(Note.parsed(grown["checkpoint"].encode()), tmp_path)
            hashes = [base64.b64decode(each) for each in grown["hashes"]]
            assert (grown["size"], note.size) == (head["size"], head["size"])
            if old:
                check_consistency(
                    old=old,
                    new=note.size,
                    old_root=frontier.root(),
                    new_root=note.root,
                    proof=hashes,
                )
        last = await sealed.database.fetchrow(
            "select s.name, e.seq from newel.event e join newel.audit_stream s on "
            "s.id = e.stream_id where not exists (select from newel.audit_leaf l where "
            "l.stream_id = e.stream_id and l.seq = e.seq)"
        )
        asked = [
            ({"stream": last["name"], "seq": last["seq"]}, 409),
            ({"stream": last["name"], "seq": 10**9}, 404),
            ({"stream": "run/run_nothing", "seq": 1}, 404),
            ({"stream": "run/run_01j9zk7q3m8t5v2x4y6a8b0c1d", "seq": 1}, 404),
            ({"stream": "O'Hara 🦊", "seq": 1}, 404),
            ({"stream": "admin", "seq": 0}, 422),
        ]
        for params, status in asked:
            answer = await client.get("/proof", params=params)
            assert answer.status_code == status, (params, answer.text)
        for old, status in ((head["size"] + 1, 404), (-1, 422)):
            answer = await client.get("/consistency", params={"old": old})
            assert answer.status_code == status


def opened_note(note, folder):
    """The checkpoint of a note that the policy believes."""
    return opened_checkpoint(note, Policy.parsed((folder / "log/policy").read_bytes()).logs)
