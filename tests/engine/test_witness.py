"""The witness: every answer of the specification, and no way to have two trees cosigned."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from newel.audit.canonical import leaf_hash
from newel.audit.checkpoint import Checkpoint, opened
from newel.audit.merkle import consistency_spans, root_of
from newel.audit.note import COSIGNATURE, Note, Signature, SigningKey, verified
from newel.audit.tiles import proof_from
from newel.audit.trust import Policy, policy_text
from newel.engine.anchors import anchor_of
from newel.engine.key_holder import KeyHolder
from newel.engine.sequencer import Sequencer
from newel.engine.verifying import Trusted
from newel.engine.verifying import verified as verify
from newel.engine.witness import Witness
from newel.store.database import Database
from newel.store.export import snapshot
from newel.web.witness import create_witness
from tests.engine.house import opened as house_opened
from tests.web.serving import served

LOG = SigningKey("log.example/audit/1", bytes([3]) * 32)
KEY = SigningKey("witness.example/w1", bytes([4]) * 32)
LEAVES = [leaf_hash(bytes([n])) for n in range(40)]


def note(size, leaves=LEAVES, key=LOG):
    """A signed head."""
    text = Checkpoint(LOG.name, size, root_of(leaves[:size])).text
    return Note(text, (key.signed(text),))


def body(old, size, **more):
    """A request for a head, with its proof."""
    leaves = more.pop("leaves", LEAVES)
    spans = consistency_spans(old, size) if old <= size else []
    proof = proof_from(spans, size, lambda tile: b"".join(leaves[: tile.width]))
    lines = [f"old {old}", *(base64.b64encode(each).decode() for each in proof), "", ""]
    return "\n".join(lines).encode() + str(note(size, leaves, **more)).encode()


@pytest.fixture
def witness(tmp_path):
    """A witness of one log."""
    policy = Policy.parsed(policy_text([LOG.verifier()]).encode())
    return Witness(KEY, policy, tmp_path / "state", now=lambda: 1_770_000_000.5)


def test_every_answer_of_the_specification(witness):
    """404, 403, 400, 409 with the size, 422, and 200 with a cosignature over this head."""
    foreign = SigningKey("other.example", bytes([5]) * 32)
    text = Checkpoint(foreign.name, 1, LEAVES[0]).text
    unknown = b"old 0\n\n" + str(Note(text, (foreign.signed(text),))).encode()
    assert witness.add(unknown).status == 404
    forged = SigningKey(LOG.name, bytes([5]) * 32)
    assert witness.add(body(0, 5, key=forged)).status == 403
    assert witness.add(body(0, 5)[:-10] + b"AAAAAAAAA\n").status in {400, 403}
    for wrong in (b"", b"old 1", b"old -1\n\n", b"old 00\n\n", b"old 0\nx\n\n", b"new 0\n\n"):
        assert witness.add(wrong + str(note(5)).encode()).status == 400, wrong
    assert witness.add(body(9, 5)).status == 400
    told = witness.add(body(3, 5))
    assert (told.status, told.body, told.kind) == (409, "0\n", "text/x.tlog.size")
    with_proof = b"old 0\n" + base64.b64encode(LEAVES[0]) + b"\n\n" + str(note(5)).encode()
    assert witness.add(with_proof).status == 422
    good = witness.add(body(0, 5))
    assert good.status == 200
    seen = note(5).signed_by(Signature.parsed(good.body.rstrip("\n")))
    assert verified(seen, [KEY.verifier(COSIGNATURE)]) == [KEY.verifier(COSIGNATURE)]
    assert witness.add(body(5, 5)).status == 200
    assert witness.add(body(5, 23)).status == 200
    assert witness.add(body(5, 23)).body == "23\n"
    other = [leaf_hash(b"another"), *LEAVES[1:]]
    assert witness.add(body(23, 30, leaves=other)).status == 422
    assert witness.add(body(23, 23, leaves=other)).status == 422
    newest = witness.newest(hashlib.sha256(LOG.name.encode()).hexdigest())
    assert newest is not None
    assert opened(Note.parsed(newest), [LOG.verifier()]).size == 23
    assert witness.newest("../policy") is None


def test_two_requests_at_once_never_roll_it_back(witness):
    """Of many that extend the same head, one is cosigned; it is the one that is remembered."""
    assert witness.add(body(0, 5)).status == 200
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda size: (size, witness.add(body(5, size))), range(6, 30)))
    [kept] = [size for size, answer in answers if answer.status == 200]
    newest = witness.newest(hashlib.sha256(LOG.name.encode()).hexdigest())
    assert newest is not None
    assert Checkpoint.parsed(Note.parsed(newest).text).size == kept


async def test_a_log_is_cosigned_and_verified_by_quorum(database_url, database, tmp_path):
    """The anchor sends heads with proofs; who asks for the witness gets a clean verdict."""
    house = await house_opened(database_url, tmp_path / "kek", [])
    first = Sequencer(house.database, KeyHolder(tmp_path / "log"))
    await first.seal()
    policy = (tmp_path / "log/policy").read_text()
    there = Witness(KEY, Policy.parsed(policy.encode()), tmp_path / "state")
    asks = f"witness w1 {KEY.verifier(COSIGNATURE)}\nquorum w1\n"
    (tmp_path / "asking").write_text(policy.replace("quorum none\n", asks))
    trusted = Trusted(policy=tmp_path / "asking")
    async with served(create_witness(there)) as address:  # type: ignore[arg-type]  # of ASGI, too
        anchors = [anchor_of(f"witness:{address}", tmp_path)]
        sequencer = Sequencer(house.database, KeyHolder(tmp_path / "log", anchors=anchors))
        async with snapshot(house.database) as seen:
            assert "V09" in (await verify(seen.connection, trusted)).results
        assert (await verified_by(house.database, trusted)).results["V09"] == "fail"
        for _ in range(2):
            for n in range(3):
                await house.engine.actor(f"person.{n}.{_}@acme.example", via="api")
            await sequencer.seal()
            assert await sequencer.anchoring.anchor() == 1
        report = await verified_by(house.database, trusted)
        assert report.code() == 0, report.as_text()
        assert report.results["V09"] == "pass"
        name = hashlib.sha256(report.logs[0]["origin"].encode()).hexdigest()
        async with httpx2.AsyncClient(base_url=address) as client:
            assert (await client.get(f"/{name}/checkpoint")).text.count("\u2014") == 2
            assert (await client.get("/nobody/checkpoint")).status_code == 404
    await house.database.close()


async def verified_by(database: Database, trusted: Trusted):
    """Verify the database."""
    async with snapshot(database) as seen:
        return await verify(seen.connection, trusted)
