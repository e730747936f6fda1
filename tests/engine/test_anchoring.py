"""Copies elsewhere: each kind keeps what it was given, and what fails is told and tried again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import timedelta

import pytest

from newel.base.errors import InvalidInput
from newel.engine.anchoring import Anchoring
from newel.engine.anchors import anchor_of
from newel.engine.key_holder import KeyHolder
from newel.engine.sequencer import Sequencer
from newel.engine.verifying import verifier
from newel.store.database import Database
from tests.engine.sealing import append


def git(*arguments):
    """Run git."""
    done = subprocess.run(["git", *map(str, arguments)], capture_output=True, check=True, text=True)
    return done.stdout.strip()


@pytest.fixture
async def opened(database_url):
    """Give the database as newel opens it."""
    made = await Database.open(database_url)
    yield made
    await made.close()


async def test_every_kind_of_place_keeps_each_checkpoint_once(opened, database, tmp_path):
    """Directory, mirror, repository with a remote, and a program; a second time nothing is new."""
    git("init", "--bare", "-q", tmp_path / "remote.git")
    git("clone", "-q", tmp_path / "remote.git", tmp_path / "book")
    git("-C", tmp_path / "book", "config", "push.default", "current")
    program = f"command:{sys.executable} -c 'import sys; print(len(sys.stdin.read()))'"
    places = ["directory:drawer", "mirror:mirror", "git:book", program]
    anchors = [anchor_of(each, tmp_path) for each in places]
    holder = KeyHolder(tmp_path / "log", anchors=anchors)
    sequencer = Sequencer(opened, holder)
    for many in (3, 300):
        await append(database, "log", many=many)
        await sequencer.seal()
        assert await sequencer.anchoring.anchor() == 4
        assert await sequencer.anchoring.anchor() == 0
    notes = [row["note"] for row in await database.fetch("select note from newel.audit_checkpoint")]
    drawer = sorted((tmp_path / "drawer").iterdir())
    assert [path.name for path in drawer] == ["checkpoint.1.3", "checkpoint.1.303"]
    assert [path.read_text() for path in drawer] == notes
    assert git("-C", tmp_path / "remote.git", "log", "--format=%s").splitlines() == [
        "Checkpoint of 303 entries", "Checkpoint of 3 entries"
    ]  # fmt: skip
    receipts = await database.fetch("select target, receipt from newel.audit_anchor where size = 3")
    said = {row["target"].partition(":")[0]: row["receipt"].decode().strip() for row in receipts}
    assert said["command"] == str(len(notes[0]))
    assert said["git"] == git("-C", tmp_path / "remote.git", "rev-parse", "HEAD~1")
    mirrored(tmp_path)


def mirrored(tmp_path):
    """The mirror is the log: the verifier reads it, with the drawer as the anchors."""
    its = verifier()
    arguments = ["--opaque", "--policy", str(tmp_path / "log" / "policy")]
    arguments += ["--anchors", str(tmp_path / "drawer"), str(tmp_path / "mirror")]
    report = its.verify(its._parser().parse_args(arguments))
    assert report.code() == 0, report.as_text()
    assert report.logs[0]["size"] == 303


async def test_a_place_that_fails_is_told_once_and_holds_up_nobody(opened, database, tmp_path):
    """Three misses are an event, so is the recovery; the other place has its copy all the while."""
    (tmp_path / "bad").write_text("in the way")
    anchors = [anchor_of(each, tmp_path) for each in ("directory:bad", "directory:good")]
    sequencer = Sequencer(opened, KeyHolder(tmp_path / "log", anchors=anchors))
    await append(database, "system/wiki")
    await sequencer.seal()
    assert [await sequencer.anchoring.anchor() for _ in range(5)] == [1, 0, 0, 0, 0]
    (tmp_path / "bad").unlink()
    assert await sequencer.anchoring.anchor() == 1
    leaves = await database.fetch(
        "select entry from newel.event where type like 'log.anchor%' order by seq"
    )
    assert [json.loads(row["entry"])["data"] for row in leaves] == [
        {"misses": 3, "target": "directory:bad"}, {"target": "directory:bad"}
    ]  # fmt: skip


async def test_what_is_kept_is_never_overwritten(opened, database, tmp_path):
    """A copy that says something else stays as it is: it is the evidence."""
    sequencer = Sequencer(
        opened, KeyHolder(tmp_path / "log", anchors=[anchor_of("directory:drawer", tmp_path)])
    )
    await append(database, "system/wiki")
    await sequencer.seal()
    (tmp_path / "drawer").mkdir()
    (tmp_path / "drawer" / "checkpoint.1.1").write_text("another head")
    assert await sequencer.anchoring.anchor() == 0
    assert (tmp_path / "drawer" / "checkpoint.1.1").read_text() == "another head"
    shutil.rmtree(tmp_path / "drawer")
    every = Anchoring(opened, [anchor_of("directory:drawer", tmp_path)], every=timedelta(hours=1))
    assert await every.anchor(timedelta(hours=1)) == 1
    await append(database, "system/wiki")
    await sequencer.seal()
    assert await every.anchor(timedelta(hours=1)) == 0, "it is not due yet"


@pytest.mark.parametrize("text", ["", "directory", "directory: ", "ftp:there"])
def test_a_place_that_cannot_be_is_refused(text, tmp_path):
    """A mistake in the setting is told before anything is signed."""
    with pytest.raises(InvalidInput):
        anchor_of(text, tmp_path)
