"""`newel doctor` on copies of checkpoints: where they lie, and whether they come."""

from __future__ import annotations

import subprocess
from datetime import timedelta

import pytest

from newel.engine.anchor_places import examined_anchors, is_beside, server_of
from newel.engine.anchors import anchor_of
from newel.engine.key_holder import KeyHolder
from newel.engine.sequencer import Sequencer
from newel.store.database import Database
from tests.engine.sealing import append

HERE, THERE = "", "db.acme.example"


@pytest.mark.parametrize(
    ("dsn", "server"),
    [
        ("postgresql://newel@127.0.0.1:5432/newel", HERE),
        ("postgresql://localhost/newel", HERE),
        ("postgresql://newel@/newel?host=/run/postgresql", HERE),
        ("postgresql:///newel", HERE),
        ("postgresql://%2Frun%2Fpostgresql/newel", HERE),
        ("postgresql://newel:hush@db.acme.example/newel", THERE),
        ("postgresql:///newel?host=db.acme.example", THERE),
    ],
)
def test_the_host_of_a_database_is_read_from_its_address(dsn, server):
    """Sockets and loopback are this machine."""
    assert server_of(dsn) == server


@pytest.mark.parametrize(
    ("place", "server", "expected"),
    [
        ("directory:anchors", HERE, True),
        ("mirror:/srv/log", HERE, True),
        ("directory:anchors", THERE, False),
        ("git:alone", HERE, True),
        ("git:nearby", HERE, True),
        ("git:shared", HERE, False),
        ("git:over-ssh", HERE, False),
        ("witness:http://127.0.0.1:8000", HERE, True),
        ("witness:https://witness.example", HERE, False),
        ("s3:https://db.acme.example/bucket/log days=400", THERE, True),
        ("s3:https://s3.example/bucket", THERE, False),
        ("rfc3161:http://localhost:1/ root=ca.pem", HERE, True),
        ("command:/usr/bin/mail x@acme.example", HERE, False),
    ],
)
def test_a_place_on_the_machine_of_the_database_is_known(tmp_path, place, server, expected):
    """Folders, repositories by their remotes, services by their hosts."""
    remotes = {"alone": "", "nearby": "/srv/book.git", "over-ssh": "git@git.example:log.git"}
    for name, url in {**remotes, "shared": "https://git.example/log.git"}.items():
        if place == f"git:{name}":
            subprocess.run(["git", "init", "-q", tmp_path / name], check=True)
            if url:
                subprocess.run(
                    ["git", "-C", tmp_path / name, "remote", "add", "origin", url], check=True
                )
    assert is_beside(place, tmp_path, server) is expected


@pytest.mark.parametrize("kind", ["rfc3161", "witness"])
def test_the_name_of_a_place_holds_no_password(tmp_path, kind):
    """It stands in the log for ever: a name and a password of the address do not."""
    root = " root=ca.pem" if kind == "rfc3161" else ""
    place = anchor_of(f"{kind}:https://acme:hush@there.example:8443/stamp{root}", tmp_path)
    assert place.name == f"{kind}:there.example:8443/stamp"


async def test_what_is_not_sealed_or_not_copied_is_told(database, database_url, tmp_path):
    """A fresh log is well but for its place; an hour later, what lags behind is named."""
    opened = await Database.open(database_url)

    async def codes(*places, server=HERE):
        found = await examined_anchors(opened, places, base=tmp_path, server=server)
        return [each.code for each in found]

    try:
        anchors = [anchor_of("directory:drawer", tmp_path)]
        sequencer = Sequencer(opened, KeyHolder(tmp_path / "log", anchors=anchors))
        await append(database, "log")
        await sequencer.seal()
        assert await sequencer.anchoring.anchor() == 1
        assert await codes("directory:drawer") == ["anchors-beside"]
        assert await codes("directory:drawer", server=THERE) == []
        assert await codes() == ["unanchored"]
        await append(database, "log")
        await sequencer.seal()
        await append(database, "log")
        for table, column in (("event_batch", "recorded_at"), ("audit_checkpoint", "created_at")):
            await database.execute(f"alter table newel.{table} disable trigger all")
            await database.execute(
                f"update newel.{table} set {column} = {column} - $1::interval", timedelta(hours=1)
            )
        assert await codes("directory:drawer", "s3:https://s3.example/log") == [
            "anchor-late",
            "unsealed",
        ]
    finally:
        await opened.close()
