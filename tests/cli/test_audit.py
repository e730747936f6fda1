"""`newel audit`: verdicts and their statuses, and the guide for auditors, carried out."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shlex
from pathlib import Path

import asyncpg
import pytest

from newel.base.settings import load_settings
from newel.engine.verifying import verifier
from tests import patience
from tests.cli.test_verbs import ALICE, start
from tests.faults.pooler import behind

GUIDE = (Path(__file__).parents[2] / "docs" / "verify-it-yourself.md").read_text("utf-8")


async def _sealed():
    from newel.cli.deployment import engine_of, found_here

    async with found_here() as deployment:
        sequencer = (await engine_of(deployment)).sequencer
        assert sequencer is not None
        await sequencer.seal()


def sql(statement):
    """Do something to the database behind newel's back."""

    async def done():
        connection = await asyncpg.connect(behind(os.environ["NEWEL_DATABASE_URL"]))
        await connection.execute(statement)
        await connection.close()

    asyncio.run(done())


@pytest.fixture
def sealed(deployed, newel, work):
    """A run with a past, sealed."""
    run = start(newel).document["run"]
    work()
    newel("cancel", run, "--actor", ALICE, "--reason", "She changed her mind. 🦊 O'Hara")
    work()
    asyncio.run(_sealed())
    return deployed


def carried_out(block, newel, directory):
    """Carry out a block of the guide; newel's own commands in this process, which is faster."""
    printed, rest = "", []
    for line in block.splitlines():
        if line.startswith("newel "):
            words, _, file = line.partition(" > ")
            told = newel(*shlex.split(words)[1:])
            assert told.status == 0, told.err
            printed += told.out if not file else ""
            if file:
                (directory / file).write_text(told.out, "utf-8")
        else:
            rest.append(line)
    command = ["bash", "-euo", "pipefail", "-c", "\n".join(rest)]
    done = patience.carried_out(command, directory=directory, environment=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return printed + done.stdout


def test_the_guide_can_be_carried_out(sealed, newel):
    """Every command of the guide does what it says; a flipped bit has the status it names."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    assert len(blocks) == 7
    printed = "".join(carried_out(block, newel, sealed) for block in blocks)
    assert "Signature Verified Successfully" in printed
    assert printed.count("audit-log: clean") == 2
    assert "the database: clean" in printed
    flipped(sealed / "audit-log", sealed / "policy")


def flipped(log, policy):
    """Flip a bit anywhere in an exported log: the verifier says tampered."""
    chance = random.Random(4)
    files = [path for path in sorted(log.rglob("*")) if path.is_file() and path.suffix != ".txt"]
    its = verifier()
    for path in [*files, *chance.choices(files, k=30)]:
        good = path.read_bytes()
        at = chance.randrange(len(good))
        path.write_bytes(
            good[:at] + bytes([good[at] ^ (1 << chance.randrange(8))]) + good[at + 1 :]
        )
        arguments = its._parser().parse_args([str(log), "--policy", str(policy)])
        report = its.verify(arguments)
        assert report.code() == 1, f"{path} {at}: {report.as_text()}"
        path.write_bytes(good)


def test_statuses_are_verdicts(sealed, newel, tmp_path):
    """0 clean, 1 tampered and named, 2 incomplete, 3 could not run: a mistake is no verdict."""
    clean = newel("audit", "verify", "--json")
    assert (clean.status, clean.document["verdict"]) == (0, "clean"), clean.out
    assert clean.document["logs"][0]["size"] > 5
    blind = newel("audit", "verify", "--untrusted")
    assert (blind.status, "no key is pinned" in blind.out) == (2, True)
    for mistake in (
        ("--polici", "x"),
        ("--policy", "nowhere"),
        ("--untrusted", "--vkey", "x"),
        ("nowhere", "--untrusted"),
        ("nowhere",),
    ):
        told = newel("audit", "verify", *mistake)
        assert (told.status, told.out) == (3, ""), mistake
        assert len(told.err.splitlines()) == 1
    sql("update newel.person set display_name = 'Somebody Else'")
    assert newel("audit", "verify").status == 0, "a directory is no evidence"
    sql(
        "alter table newel.event_default disable trigger all; alter table newel.event disable "
        "trigger all; update newel.event set type = 'run.paused' where type = 'run.started'"
    )
    tampered = newel("audit", "verify", "--json")
    assert tampered.status == 1
    first = tampered.document["first_failing_event"]
    assert first["what"] == "the column `type` says run.paused, the entry says run.started"
    assert (first["seq"], first["stream"][:8]) == (1, "run/run_")


def test_an_export_tells_the_log_and_overwrites_nothing(sealed, newel, tmp_path):
    """The log knows that it was taken along; what cannot be exported leaves nothing behind."""
    log = tmp_path / "log"
    done = newel("audit", "export", str(log), "--actor", ALICE, "--json")
    assert done.status == 0, done.err
    assert done.document["checkpoints"] == len(list(log.glob("1/checkpoint.*")))
    again = newel("audit", "export", str(log))
    assert (again.status, "overwrites nothing" in again.err) == (1, True)
    verified = newel(
        "audit", "verify", str(log), "--policy", str(load_settings().log_directory / "policy")
    )
    assert verified.status == 0
    asyncio.run(_sealed())
    assert newel("audit", "export", str(tmp_path / "later")).status == 0
    entries = b"".join(path.read_bytes() for path in (tmp_path / "later").rglob("entries/*/*"))
    assert json.dumps("log").encode() in entries
    assert b"data.exported" in entries


def test_before_anything_is_sealed_it_says_so(deployed, newel, tmp_path):
    """Without a key there is nobody to believe, without a checkpoint nothing to export."""
    start(newel)
    told = newel("audit", "verify")
    assert (told.status, "no policy" in told.err) == (3, True)
    assert newel("audit", "verify", "--untrusted").status == 2
    assert newel("audit", "vkey").status == 1
    assert newel("audit", "export", str(tmp_path / "log")).status == 1
    assert list(tmp_path.glob("log*")) == []


def test_events_are_written_for_other_programs(sealed, newel, tmp_path):
    """Each format as a file, by day; what is mistyped or lies there is refused in a sentence."""
    file = tmp_path / "events.jsonl"
    done = newel("audit", "events", str(file), "--format", "cloudevents", "--json")
    assert (done.status, done.document["events"]) == (0, len(file.read_bytes().splitlines()))
    assert done.document["events"] > 5
    told = newel("audit", "events", str(tmp_path / "x"), "--format", "xes", "--from", "2026-01-01")
    assert (told.status, "events are in" in told.out) == (0, True), told.err
    gone = ("--from", "2001-01-01", "--to", "2001-01-01")
    none = newel("audit", "events", str(tmp_path / "y"), "--format", "ocsf", *gone, "--json")
    assert (none.status, none.document["events"]) == (0, 0)
    for wrong, status in (
        (("--format", "cloudevents"), 1),
        (("--format", "csv"), 2),
        (("--format", "ocsf", "--from", "2026-02-30"), 2),
        (("--format", "ocsf", "--from", "2026-02-03", "--to", "2026-02-02"), 1),
    ):
        refused = newel("audit", "events", str(file), *wrong)
        assert (refused.status, len(refused.err.splitlines())) == (status, 1), refused.err


def test_log_lines_are_held_against_the_journal(sealed, newel, tmp_path):
    """Its status is the verdict: no line, no difference; a line without its event is 1."""
    logs = tmp_path / "lines.jsonl"
    logs.write_text("", "utf-8")
    none = newel("audit", "reconcile", "--logs", str(logs))
    assert (none.status, "0 lines" in none.out) == (0, True), none.err
    audit = {"id": "x", "stream": "run/run_x", "seq": 1, "leaf_hash": "ab" * 32}
    logs.write_text(json.dumps({"ts": "2026-01-05T07:00:04.118203Z", "audit": audit}), "utf-8")
    lost = newel("audit", "reconcile", "--logs", str(logs), "--json")
    assert (lost.status, lost.document["lost_events"]) == (1, 1), lost.err
    assert newel("audit", "reconcile", "--logs", str(tmp_path / "nowhere")).status == 1
    assert newel("audit", "ship", str(tmp_path / "new.jsonl"), "--json").document["lines"] > 0
    assert newel("audit", "reconcile", "--logs", str(tmp_path / "new.jsonl")).status == 0
    strange = newel("audit", "ship", str(logs))
    assert (strange.status, "no log line" in strange.err) == (1, True), strange.err


def test_copies_are_fetched_from_where_they_lie(sealed, newel, tmp_path, monkeypatch):
    """Time stamps come with what they are over; a place that does not answer is a sentence."""
    sql(
        "insert into newel.audit_anchor (log_epoch, size, target, receipt) "
        "select log_epoch, size, 'rfc3161:tsa.example/x', 'stamp' from newel.audit_checkpoint "
        "order by size desc limit 1"
    )
    said = newel("audit", "fetch", str(tmp_path / "home"), "--json").document
    assert (said["copies"], said["stamps"]) == (0, 1)
    (stamp,) = (tmp_path / "home").glob("stamp.*.tsa.example-x.tsr")
    assert (tmp_path / "home" / stamp.name.replace("stamp", "checkpoint")[:-18]).is_file()
    for half in ("ID", "SECRET"):
        monkeypatch.setenv(half, "hush")
    place = "s3:http://127.0.0.1:1/bucket id=env:ID secret=env:SECRET"
    monkeypatch.setenv("NEWEL_ANCHORS", json.dumps([place]))
    said = newel("audit", "fetch", str(tmp_path / "home"))
    assert (said.status, "does not answer" in said.err, "hush" in said.err) == (1, True, False)


def test_lines_are_shipped_to_a_server_that_is_there(sealed, newel, tmp_path):
    """One that does not answer is a sentence, without a password; one that cannot be is, too."""
    for place in (
        "syslog:tcp://acme:hush@127.0.0.1:1",
        "otlp:http://acme:hush@127.0.0.1:1/v1/logs",
        "syslog:nowhere",
    ):
        said = newel("audit", "ship", place)
        assert (said.status, said.out, bool(said.err)) == (1, "", True), place
        assert "hush" not in said.err


def test_after_a_restore_it_says_what_is_missing(sealed, newel, tmp_path):
    """With a copy of the log an event that the database has forgotten is named, and what to do."""
    fine = newel("audit", "restore-check")
    assert (fine.status, "is missing" in fine.out) == (0, True)
    copy = tmp_path / "O'Hara's copy 🦊"
    assert newel("audit", "export", str(copy)).status == 0
    sql(
        "alter table newel.event disable trigger all; "
        "alter table newel.audit_leaf disable trigger all; "
        "delete from newel.audit_leaf l using newel.event e where l.stream_id = e.stream_id "
        "and l.seq = e.seq and e.type like 'run.c%'; "
        "delete from newel.event where type like 'run.c%'"
    )
    told = newel("audit", "restore-check", "--mirror", str(copy))
    assert told.status == 1
    assert "new-epoch" in told.out
    said = newel("audit", "restore-check", "--json", "--mirror", str(copy)).document
    lost = said["lost"]
    assert {each["type"] for each in lost} == {"run.cancel_requested", "run.cancelled"}
    assert said["is_recorded"]
    assert f"Copies have {len(lost)} of the events; 0 may have left something" in told.out


async def _anchored():
    from newel.cli.deployment import engine_of, found_here

    async with found_here() as deployment:
        sequencer = (await engine_of(deployment)).sequencer
        assert sequencer is not None
        await sequencer.anchoring.anchor()


def test_old_events_are_archived_and_kept_where_nothing_is_set(sealed, newel, monkeypatch):
    """An archive needs a copy elsewhere; it verifies alone; pruning needs `keep_log`, and age."""
    why = ("--reason", "The yearly one. O'Hara 🦊", "--actor", ALICE)
    early = newel("audit", "archive", "--before", "2020-01-01", *why)
    assert early.status != 0
    assert "anchored checkpoint" in early.err
    asyncio.run(_anchored())
    done = newel("audit", "archive", *why, "--json")
    assert (done.status, len(done.document)) == (0, 1)
    archive = sealed / ".newel" / "archive"
    assert newel("audit", "verify", str(archive), "--policy", ".newel/log/policy").status == 0
    kept = newel("audit", "prune", *why)
    assert kept.status != 0
    assert "kept for ever" in kept.err
    monkeypatch.setenv("NEWEL_KEEP_LOG", "400")
    young = newel("audit", "prune", *why)
    assert young.status != 0
    assert "archived bundle of events older than" in young.err


def test_one_run_is_held_and_released_by_two(sealed, newel, monkeypatch):
    """Under the strict rule a release is ordered, and somebody else confirms it."""
    monkeypatch.setenv("NEWEL_SECOND_PERSON", "strict")
    run = newel("runs", "--json", "--state", "cancelled").document["runs"][0]["run"]
    why = ("--reason", "Case 12.", "--actor", ALICE)
    assert "now under legal hold" in newel("person", "hold", run, *why).out
    assert "has to confirm until" in newel("person", "hold", run, "--release", *why).out
    confirm = ("person", "hold", run, "--release", "--confirm", "--actor")
    alone = newel(*confirm, ALICE)
    assert alone.status != 0
    assert "a second person" in alone.err
    assert "no longer under legal hold" in newel(*confirm, "ben@acme.example").out
