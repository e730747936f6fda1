"""`newel export`: everything in open files, sealed unless somebody with a name asks."""

from __future__ import annotations

import asyncio
import json
import os
import stat

import asyncpg
import pytest

from newel.base.settings import load_settings
from newel.cli.project import load_project
from newel.testing import replays
from tests.cli.test_keys import rows
from tests.cli.test_verbs import ALICE, start
from tests.faults.pooler import behind


def lines(directory, table):
    """The rows of a table as they were exported."""
    return [
        json.loads(line) for line in (directory / f"tables/{table}.jsonl").read_text().splitlines()
    ]


def exported(newel, directory, *more):
    """Export with a reason."""
    return newel("export", str(directory), "--reason", "We leave.", *more)


def test_everything_is_written_and_the_log_says_so(deployed, newel, tmp_path):
    """Names, runs and leaves are there for the owner alone; payloads are sealed."""
    start(newel)
    out = tmp_path / "out"
    assert exported(newel, out).status == 0
    assert "Jane Doe" in {row["display_name"] for row in lines(out, "person")}
    assert [row["process"] for row in lines(out, "run")] == ["onboarding"]
    assert not any("opened" in row for row in lines(out, "event"))
    assert not (out / "tables/person_key.jsonl").exists()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (out, out / "manifest.json")} == {
        0o700, 0o600
    }  # fmt: skip
    [event] = rows("select id from newel.audit_stream where name = 'admin'")
    [leaf] = rows("select entry from newel.event where type = 'data.exported'")
    said = json.loads(leaf["entry"])
    receipt = json.loads((out / "receipt.json").read_text())
    assert (said["id"], said["data"]["sha256"]) == (receipt["event"], receipt["manifest_sha256"])
    assert said["reason"] == {"code": "export"}
    assert event is not None


def test_what_is_sealed_is_opened_for_a_person_with_a_name(deployed, newel, tmp_path):
    """Inputs and reasons stand in clear behind the row; erased people stay unreadable."""
    run = start(newel).document["run"]
    newel("cancel", run, "--actor", ALICE, "--reason", "She changed her mind.")
    out = tmp_path / "out"
    assert exported(newel, out, "--opened", "--actor", ALICE).status == 0
    opened = [row["opened"] for row in lines(out, "event") if "opened" in row]
    assert any("jane.doe@acme.example" in json.dumps(each.get("payload")) for each in opened)
    said = {text for each in opened for text in each.get("fields", {}).values()}
    assert "She changed her mind." in said

    asyncio.run(erase("jane.doe@acme.example"))
    later = exported(newel, tmp_path / "later", "--opened", "--actor", ALICE, "--json").document
    assert later["unreadable"] > 0
    assert "She changed her mind." not in (tmp_path / "later/tables/event.jsonl").read_text()


async def erase(email):
    """Destroy a person's keys."""
    connection = await asyncpg.connect(behind(os.environ["NEWEL_DATABASE_URL"]))
    try:
        await connection.execute(
            "update newel.person_key k set wrapped = null, destroyed_at = now() "
            "from newel.person p where p.ref = k.person and p.work_email = $1",
            email,
        )
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "give a reason"),
        (["--reason", "x", "--opened"], "it needs to name a person"),
    ],
)
def test_a_refused_export_leaves_nothing(deployed, newel, tmp_path, options, why):
    """Without a reason, or opened for nobody: one sentence, status 1, no file, no event."""
    start(newel)
    said = newel("export", str(tmp_path / "out"), *options)
    assert (said.status, list(tmp_path.glob("out*"))) == (1, [])
    assert why in said.err
    assert rows("select 1 from newel.event where type = 'data.exported'") == []


def test_nothing_is_overwritten(deployed, newel, tmp_path):
    """A directory that is there stays as it is, and so does what was cut off."""
    start(newel)
    (tmp_path / "out").mkdir()
    (tmp_path / "cut.partial").mkdir()
    assert "overwrites nothing" in exported(newel, tmp_path / "out").err
    assert "was cut off" in exported(newel, tmp_path / "cut").err
    assert list((tmp_path / "out").iterdir()) == []


def test_one_runs_journal_is_replayed_by_a_test(deployed, newel, work, tmp_path):
    """--run writes a journal in which nobody is named, and that replays on this code."""
    run = start(newel).document["run"]
    work()
    file = tmp_path / "onboarding.json"
    said = newel("export", str(file), "--run", run, "--kept", "job")
    assert said.status == 0, said.err
    assert "Jane" not in file.read_text()
    project = load_project(load_settings())
    [onboarding] = [each for each in project.processes if each.name == "onboarding"]
    replays(onboarding, tmp_path)
    [leaf] = rows("select entry from newel.event where type = 'data.exported'")
    assert json.loads(leaf["entry"])["data"]["kind"] == "journal"
