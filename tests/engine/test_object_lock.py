"""Copies in a bucket: locked, never written over, found again whatever was done to them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from moto.s3.models import s3_backends

from newel.base.errors import InvalidInput, StoreError
from newel.base.secrets import Secret
from newel.engine.anchors import anchor_of
from newel.engine.copies import Head
from newel.engine.fetching import fetched
from newel.engine.key_holder import KeyHolder
from newel.engine.object_lock import bucket_of
from newel.engine.sequencer import Sequencer
from newel.engine.signature_v4 import Signer
from newel.engine.verifying import Trusted, verified
from newel.store.database import Database
from newel.store.export import snapshot
from tests.engine.buckets import store
from tests.engine.sealing import append

HEAD = Head(log_epoch=1, size=3, note=b"the head\n3\n", opened=lambda: pytest.fail("not needed"))


@pytest.fixture(scope="module")
def bucket():
    """Give a server of S3 that asks who somebody is."""
    with store() as running:
        yield running


@pytest.fixture(autouse=True)
def key(bucket, monkeypatch):
    """Give this process the key that it may have."""
    monkeypatch.setenv("BUCKET_ID", bucket.identity)
    monkeypatch.setenv("BUCKET_SECRET", bucket.secret)
    monkeypatch.setenv("BUCKET_WRONG", "another secret")


async def test_a_copy_is_locked_and_never_written_over(bucket, tmp_path):
    """The same head twice is one version; its owner cannot delete it; another head is refused."""
    anchor = anchor_of(bucket.anchor("locked/kept", days="500"), tmp_path)
    assert anchor.name == f"s3:{bucket.url.partition('//')[2]}/locked/kept"
    receipt = (await anchor.keep(HEAD)).decode()
    assert await anchor.keep(HEAD) == receipt.encode()
    (version,) = bucket.owner.list_object_versions(Bucket="locked", Prefix="kept/")["Versions"]
    found = re.fullmatch(r"kept/checkpoint\.1\.3 (\S+) until (\S+) sha256 \w{64}", receipt)
    assert found is not None
    assert found[1] == version["VersionId"]
    until = datetime.fromisoformat(found[2]) - datetime.now(UTC)
    assert timedelta(days=499, hours=23) < until <= timedelta(days=500)
    with pytest.raises(ClientError, match="AccessDenied"):
        bucket.owner.delete_object(
            Bucket="locked", Key="kept/checkpoint.1.3", VersionId=version["VersionId"]
        )
    forged = Head(log_epoch=1, size=3, note=b"another head\n3\n", opened=HEAD.opened)
    with pytest.raises(StoreError, match="another content"):
        await anchor.keep(forged)


@pytest.mark.parametrize(
    ("place", "more", "why"),
    [
        ("open/there", {}, "InvalidRequest"),
        ("nowhere/there", {}, "NoSuchBucket"),
        ("locked/there", {"secret": "env:BUCKET_WRONG"}, "SignatureDoesNotMatch"),
    ],
)
async def test_a_bucket_that_does_not_take_it_says_why(bucket, tmp_path, place, more, why):
    """One that locks nothing, none, and another's key: a miss, told by the service's code."""
    with pytest.raises(StoreError, match=why):
        await anchor_of(bucket.anchor(place, **more), tmp_path).keep(HEAD)


async def judged(opened, folder):
    """How the copies are judged, and whether something is said of one that is no checkpoint."""
    trusted = Trusted(policy=folder / "log" / "policy", anchors=[folder / "home"])
    async with snapshot(opened) as seen:
        report = await verified(seen.connection, trusted)
    return report.results["V08"], "checkpoint.1.7." in report.as_text()


async def test_a_long_list_is_read_to_its_end(bucket):
    """A service tells a thousand at a time; none is told twice, and deleted ones are told."""
    backend = s3_backends["123456789012"]["aws"]
    for n in range(1100):
        backend.put_object("locked", f"long/checkpoint.1.{n}", b"a head")
    bucket.owner.delete_object(Bucket="locked", Key="long/checkpoint.1.7")
    anchor = bucket_of(bucket.anchor("locked/long").removeprefix("s3:"))
    named = [name async for name, _ in anchor._listed()]
    assert sorted(named) == sorted(f"checkpoint.1.{n}" for n in range(1100))


async def test_what_was_hidden_or_covered_is_fetched_all_the_same(
    bucket, database, database_url, tmp_path
):
    """A rewritten log is contradicted by the copies, although somebody hid and covered them."""
    anchors = [anchor_of(bucket.anchor("locked/log"), tmp_path)]
    opened = await Database.open(database_url)
    try:
        sequencer = Sequencer(opened, KeyHolder(tmp_path / "log", anchors=anchors))
        for many in (3, 4):
            await append(database, "log", many=many)
            await sequencer.seal()
            assert await sequencer.anchoring.anchor() == 1
        bucket.owner.delete_object(Bucket="locked", Key="log/checkpoint.1.3")
        bucket.owner.put_object(Bucket="locked", Key="log/checkpoint.1.7", Body=b"nothing")
        bucket.owner.put_object(Bucket="locked", Key="log/other", Body=b"no copy")
        folder = tmp_path / "home"
        done = await fetched(opened, anchors, folder)
        assert (done.copies, done.stamps) == (3, 0)
        assert await fetched(opened, anchors, folder) == type(done)(0, 0)
        rows = await database.fetch("select note from newel.audit_checkpoint order by size")
        notes = [row["note"] for row in rows]
        texts = sorted(path.read_text() for path in folder.iterdir())
        assert texts == sorted([*notes, "nothing"])
        assert await judged(opened, tmp_path) == ("fail", True)  # "nothing" is told, and no more
        (strange,) = (path for path in folder.iterdir() if path.read_text() == "nothing")
        strange.unlink()
        assert await judged(opened, tmp_path) == ("pass", False)
    finally:
        await opened.close()


def test_requests_are_signed_as_the_vendor_signs_them():
    """The same request has the same signature from the vendor's own library."""
    url = "https://s3.example/bucket?prefix=a%2Fb%20%C3%A9&versions="
    now = datetime(2026, 3, 1, 7, 30, 15, tzinfo=UTC)
    ours = Signer("AKIA", Secret("se/cret+key"), "eu-central-1").signed(
        "PUT", url, b"body", {"Content-Type": "text/plain", "X-Amz-Meta-A": "b"}, now
    )
    request = AWSRequest("PUT", url, data=b"body")
    for name in ("content-type", "x-amz-meta-a", "x-amz-date", "host"):
        request.headers[name] = ours[name]
    request.headers["X-Amz-Content-SHA256"] = ours["x-amz-content-sha256"]
    request.context["timestamp"] = ours["x-amz-date"]
    judge = S3SigV4Auth(Credentials("AKIA", "se/cret+key"), "s3", "eu-central-1")
    canonical = judge.canonical_request(request)
    signature = judge.signature(judge.string_to_sign(request, canonical), request)
    assert ours["authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize(
    "text",
    [
        "s3:http://s3.example/bucket",
        "s3:https://s3.example/",
        "s3:https://s3.example/bucket/a b",
        "s3:https://s3.example/bucket/../x",
        "s3:https://s3.example/bucket?x=1",
        "s3:https://s3.example/bucket days=ever",
        "s3:https://s3.example/bucket days=0",
        "s3:https://s3.example/bucket secret=hush",
        "s3:https://s3.example/bucket colour=red",
        "s3:bucket",
        "s3:https://:hush@s3.example/bucket",
        "s3:https://[s3.example/bucket",
        's3:https://s3.example/bucket id="hush',
    ],
)
def test_a_bucket_that_cannot_be_is_refused(text, tmp_path):
    """A mistake in the setting is told before anything is sent, and no secret is quoted."""
    with pytest.raises(InvalidInput) as refused:
        anchor_of(text, tmp_path)
    assert "hush" not in str(refused.value)
