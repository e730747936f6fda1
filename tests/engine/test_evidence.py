"""The evidence package: complete, the same bytes again, verifiable with public tools alone."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from newel.audit.evidence import cell, sample
from newel.audit.leaf import Actor
from newel.audit.note import Note, SigningKey
from newel.base.errors import InvalidInput, NotAllowed, NotFound
from newel.engine.event_export import Period
from newel.engine.evidence import Package, Sampling
from newel.engine.exporting import Exports
from newel.engine.key_holder import KeyHolder
from newel.engine.log_keeping import LogKeeping
from newel.engine.sequencer import Sequencer
from newel.engine.verifying import verifier
from tests.engine.test_event_export import ALWAYS, OPERATOR, sealed
from tests.unit.audit.test_event_forms import rightly_declared

__all__ = ["sealed"]


async def package(house, tmp_path, name, **more):
    """Export a package; answers with what was written and its files."""
    actor = more.pop("actor", OPERATOR)
    wanted = Package(more.pop("period", ALWAYS), **more)
    exports = Exports(house.database, house.engine.vault)
    holder = KeyHolder(tmp_path / "log")
    done = await exports.evidence(tmp_path / name, wanted, holder, actor=actor, reason="Audit.")
    with zipfile.ZipFile(tmp_path / name) as archive:
        return done, {each: archive.read(each) for each in archive.namelist()}


def rows(files, table):
    """The rows of a table: of its CSV and of its JSON."""
    text = io.StringIO(files[f"{table}.csv"].decode(), newline="")
    return list(csv.DictReader(text)), json.loads(files[f"{table}.json"])


def verdict(tmp_path, name):
    """What the verifier says of a package, without newel and without a database."""
    its = verifier()
    policy = str(tmp_path / "log" / "policy")
    return its.verify(its._parser().parse_args([str(tmp_path / name), "--policy", policy]))


async def test_a_package_says_who_got_what_and_proves_it(sealed, tmp_path):
    """Grants with approver, requester and leaf; sums hold; nobody is named; the log verifies."""
    done, files = await package(sealed, tmp_path, "evidence.zip", sampling=Sampling(1, "dice"))
    grants, typed = rows(files, "access_grants")
    assert [row["action"] for row in grants].count("grant") == 4
    assert [row["action"] for row in grants].count("revoke") == 2
    runs, _ = rows(files, "population/runs")
    assert [row["state"] for row in runs] == ["completed", "completed"]
    mined = json.loads(files["ocel2.json"])
    rightly_declared(mined)
    assert [each["id"] for each in mined["events"]] == [
        json.loads(line)["id"] for line in files["events.jsonl"].splitlines()
    ]
    approvals, kinds = rows(files, "approvals")
    assert {row["decision"] for row in approvals} == {"approve"}
    assert [row["four_eyes_ok"] for row in kinds] == [True, True]
    events = {json.loads(line)["id"]: line for line in files["events.jsonl"].splitlines()}
    hashes = {hashlib.sha256(b"\0" + line).hexdigest() for line in events.values()}
    for row in (*grants, *approvals, *runs):
        assert row["leaf_hash"] in hashes
    assert [row["leaf_index"] for row in typed] == [int(row["leaf_index"]) for row in grants]
    assert done.rows["access_grants"] == 6
    for canary in ("O'Malley", "acme.example", "O'Hara", "🦊"):
        own = "process_definitions/employment@1/source.py"  # the source of this file
        assert [name for name, data in files.items() if canary.encode() in data] == [own]
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "evidence.zip") as archive:
        archive.extractall(folder)
    checked = subprocess.run(
        ["/usr/bin/sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=False
    )
    assert checked.returncode == 0
    report = verdict(tmp_path, "evidence.zip")
    assert (report.code(), report.findings) == (0, []), report.as_text()
    assert {"V16", "V17", "V18"} <= set(report.results)
    (drawn,) = rows_of_sample(files, "access_grants")
    ids = [row["row_id"] for row in grants]
    assert [drawn["row_id"]] == sample(ids, seed="dice", n=1)


def rows_of_sample(files, table):
    """The rows of a sample."""
    return csv.DictReader(io.StringIO(files[f"samples/{table}.csv"].decode(), newline=""))


async def test_the_same_log_is_the_same_bytes_and_any_change_is_found(sealed, tmp_path):
    """As of the same size, all but the receipt is equal; a flipped row is named."""
    first, before = await package(sealed, tmp_path, "a.zip")
    _, after = await package(sealed, tmp_path, "b.zip", as_of=first.size)
    receipts = {"receipt.json", "receipt.note"}
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name] and name not in receipts] == []
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        for name, data in before.items():
            changed = data.replace(b",approve,", b",reject,") if name == "approvals.csv" else data
            archive.writestr(name, changed)
    report = verdict(tmp_path, "c.zip")
    assert report.code() == 1
    assert "approvals.csv" in report.as_text()


def remade(tmp_path, files, change):
    """What somebody with the key of the log makes of a package: all sums and notes are right."""
    files = change(dict(files))
    manifest = json.loads(files["manifest.json"])
    listed = {each["path"] for each in manifest["files"]}
    own = {"manifest.json", "manifest.note", "SHA256SUMS", "receipt.json", "receipt.note"}
    manifest["files"] = [
        {"path": name, "sha256": hashlib.sha256(files[name]).hexdigest(), "bytes": len(files[name])}
        for name in sorted((listed | set(files)) & set(files) - own - {"anchors/receipts.json"})
    ]
    files["manifest.json"] = orjson.dumps(
        manifest, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    )
    origin, _, root = files["manifest.note"].decode().split("\n")[:3]
    log = origin.removesuffix("/evidence")
    (key,) = KeyHolder(tmp_path / "log").signing_keys(log)
    receipt = json.loads(files["receipt.json"])
    receipt["manifest_sha256"] = hashlib.sha256(files["manifest.json"]).hexdigest()
    files["receipt.json"] = orjson.dumps(
        receipt, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    )
    for name, suffix in (("manifest", "evidence"), ("receipt", "receipt")):
        digest = hashlib.sha256(files[f"{name}.json"]).hexdigest()
        text = f"{log}/{suffix}\n{digest}\n{root}\n"
        files[f"{name}.note"] = str(Note(text, (key.signed(text),))).encode()
    bound = sorted(
        set(files) - (own - {"manifest.json", "manifest.note"}) - {"anchors/receipts.json"}
    )
    sums = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in bound]
    files["SHA256SUMS"] = "".join(sums).encode()
    with zipfile.ZipFile(tmp_path / "remade.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    report = verdict(tmp_path, "remade.zip")
    (tmp_path / "remade.zip").unlink()
    return report


def said(name, old, new):
    """A change of a text in a file."""

    def change(files):
        assert old in files[name], name
        return files | {name: files[name].replace(old, new, 1)}

    return change


def without(start):
    """A change that leaves files out."""
    return lambda files: {name: data for name, data in files.items() if not name.startswith(start)}


def row_gone(files):
    """T20: the last line of a table is left out."""
    lines = files["access_grants.csv"].split(b"\r\n")
    return files | {"access_grants.csv": b"\r\n".join(lines[:-2]) + b"\r\n"}


CHANGES = {
    "T20": (row_gone, "V16", "access_grants.csv: line 7 is not what the entries say"),
    "a typed row": (
        said("approvals.json", b'"approve"', b'"reject"'),
        "V16",
        "approvals.json: line",
    ),
    "T21": (without("people/"), "V16", "is missing"),
    "a run that nobody counts": (
        said("completeness.json", b'"runs":{"log":2,"table":2}', b'"runs":{"log":2,"table":3}'),
        "V18",
        "the log tells of 2 runs, the database had 3",
    ),
    "another count": (said("completeness.json", b'"gaps":0', b'"gaps":1'), "V18", "completeness"),
    "a test that finds nothing": (
        said("control_tests.json", b'"failures":[{', b'"failures":[],"was":[{'),
        "V17",
        "control_tests.json: line 1",
    ),
    "T23": (said("manifest.json", b'"seed":"dice"', b'"seed":"nice"'), "V17", "does not say that"),
    "another sample": (said("samples/approvals.csv", b"run/", b"ruu/"), "V17", "samples/approvals"),
    "an event": (
        said("events.jsonl", b"run.started", b"run.stopped"),
        "V16",
        "events.jsonl is not",
    ),
    "a source": (
        said("process_definitions/employment@1/source.py", b"employment", b"employmemt"),
        "V16",
        "source.py is not the one that was registered",
    ),
    "a drawing": (
        said("process_definitions/employment@1/drawing.json", b"employment", b"employmemt"),
        "V16",
        "drawing.json is not the one that was registered",
    ),
    "a proof": (without("proofs/"), "V16", "the proofs are not those"),
    "a warning": (said("README.md", b"- CT05", b"- CT06"), "V16", "keeps something back"),
    "a warning of the manifest": (
        said("manifest.json", b'"warnings":["', b'"warnings":["Fine.","'),
        "V16",
        "keeps something back",
    ),
    "a period": (said("manifest.json", b"9999-01-01", b"9999-01-02"), "V16", "line"),
    "no period": (said("manifest.json", b'"period"', b'"epoch"'), "V16", "what the tables are"),
    "a file that nobody knows": (lambda files: files | {"more.csv": b"x"}, "V16", "of no kind"),
    "a count": (said("manifest.json", b'"approvals":2', b'"approvals":1'), "V16", "other rows"),
    "a plain head": (said("log/plain/checkpoint.txt", b"\n", b"\n\n"), "V03", "log/plain is not"),
    "a receipt from outside": (
        lambda files: files | {"anchors/receipts.json": b"[]"},
        "V01",
        "is not what the receipt says",
    ),
    "no receipt from outside": (without("anchors/"), "V01", "is not what the receipt says"),
    "names of people": (
        lambda files: files | {"names.csv": b"per_1,Eve"},
        "V01",
        "names.csv is not what the receipt says",
    ),
    "what miners read": (said("ocel2.json", b"run.started", b"run.stopped"), "V16", "ocel2.json"),
    "another size": (said("manifest.json", b'"as_of":', b'"as_of":1'), "V16", "another log"),
    "another root": (said("manifest.json", b'"root":"', b'"root":"A'), "V16", "another log"),
}
UNDECIDED = {"a file that nobody knows"}


async def test_whoever_has_the_key_cannot_change_what_entries_say(sealed, tmp_path):
    """T20, T21, T23: sums, manifest and signature are right, and each file is made again."""
    _, files = await package(sealed, tmp_path, "evidence.zip", sampling=Sampling(1, "dice"))
    assert remade(tmp_path, files, dict).code() == 0
    wrong = []
    for name, (change, check, what) in CHANGES.items():
        report = remade(tmp_path, files, change)
        told = [each["what"] for each in report.findings if each["check"] == check]
        code = 2 if name in UNDECIDED else 1
        if report.code() != code or not any(what in each for each in told):
            wrong.append(f"{name}: {report.as_text()}")
    assert wrong == [], "\n\n".join(wrong)


def packed(path, files):
    """Write a package of files, with nothing signed anew."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


async def test_without_the_key_nothing_is_added_left_out_or_taken_from_elsewhere(sealed, tmp_path):
    """A list of names, no word from outside, the receipt of a package that was made before."""
    receipt = ("receipt.json", "receipt.note", "anchors/receipts.json")
    _, older = await package(sealed, tmp_path, "a.zip")
    await sealed.engine.actor("eve@acme.example", via="api")
    await Sequencer(sealed.database, KeyHolder(tmp_path / "log")).seal()
    _, files = await package(sealed, tmp_path, "b.zip")
    for changed, what in (
        (files | {"names.csv": b"per_1,Eve"}, "names.csv is not what the receipt says"),
        (without("anchors/")(files), "anchors/receipts.json is not what the receipt says"),
        (files | {name: older[name] for name in receipt}, "manifest.json is not what the receipt"),
    ):
        packed(tmp_path / "c.zip", changed)
        report = verdict(tmp_path, "c.zip")
        assert report.code() == 1, what
        assert [each["what"] for each in report.findings if what in each["what"]] != []


async def test_an_archive_that_is_damaged_has_a_verdict(sealed, tmp_path):
    """A byte of a file, of its entry in the list, of the list's end: told, and never a traceback.

    A state of the database is then compared with nothing.
    """
    _, files = await package(sealed, tmp_path, "evidence.zip")
    whole = (tmp_path / "evidence.zip").read_bytes()
    listed = whole.rindex(b"PK\x01\x02")
    state = tmp_path / "state.jsonl"
    state.write_text(json.dumps({"run": "run_1", "state": "failed", "seq": 1, "head": ""}))
    its = verifier()
    for at in (whole.index(files["README.md"][:40]), listed, listed + 8, listed + 10):
        changed = bytearray(whole)
        changed[at] ^= 1
        (tmp_path / "evidence.zip").write_bytes(changed)
        given = [str(tmp_path / "evidence.zip"), "--untrusted", "--state", str(state)]
        report = its.verify(its._parser().parse_args(given))
        told = [each["what"] for each in report.findings if each["check"] == "V01"]
        assert any("the archive is damaged: " in each for each in told), at
        assert (report.code(), report.results["V14"]) == (1, "undecided")


async def test_names_are_a_file_of_their_own_and_leave_a_trace(sealed, tmp_path):
    """Who asks is named and told of in the log; the rest of the package is what it is without."""
    first, plain = await package(sealed, tmp_path, "a.zip")
    eve = await sealed.engine.actor("eve@acme.example", via="cli")
    named = {"as_of": first.size, "with_names": True, "actor": eve}
    _, files = await package(sealed, tmp_path, "b.zip", **named)
    receipts = {"receipt.json", "receipt.note", "names.csv"}
    assert {each for each in files if files[each] != plain.get(each)} == receipts
    names = list(csv.DictReader(io.StringIO(files["names.csv"].decode(), newline="")))
    assert list(names[0]) == ["subject_ref", "display_name", "work_email", "employee_id"]
    people = await sealed.database.fetch("select display_name, work_email from newel.person")
    known = {tuple(each) for each in people}
    assert {(each["display_name"], each["work_email"]) for each in names} <= known
    subjects = {row["subject_ref"] for row in rows(files, "population/runs")[0]}
    assert subjects <= {each["subject_ref"] for each in names}
    report = verdict(tmp_path, "b.zip")
    assert (report.code(), report.findings) == (0, []), report.as_text()
    leaf = await sealed.database.fetchval(
        "select convert_from(entry, 'UTF8') from newel.event where type = 'data.revealed'"
    )
    told = json.loads(leaf)["data"]
    assert told == {"fields": ["display_name", "work_email", "employee_id"], "purpose": "evidence"}
    packed(tmp_path / "c.zip", files | {"names.csv": files["names.csv"].replace(b"per_", b"per-")})
    assert "names.csv is not what the receipt says" in verdict(tmp_path, "c.zip").as_text()
    nobody = Actor(type="system", id="newel")
    exports = Exports(sealed.database, sealed.engine.vault)
    with pytest.raises(NotAllowed, match="to name a person"):
        await exports.evidence(
            tmp_path / "d.zip",
            Package(ALWAYS, with_names=True),
            KeyHolder(tmp_path / "log"),
            actor=nobody,
            reason="Audit.",
        )


async def test_a_sample_that_is_drawn_again_is_told(sealed, tmp_path):
    """T23: an equal draw is drawn again without a word, another one stands in both packages."""
    first, _ = await package(sealed, tmp_path, "a.zip", sampling=Sampling(1, "dice"))
    again, _ = await package(sealed, tmp_path, "b.zip", sampling=Sampling(1, "dice"))
    other, _ = await package(sealed, tmp_path, "c.zip", sampling=Sampling(1, "nicer"))
    assert first.size <= again.size < other.size
    report = verdict(tmp_path, "c.zip")
    assert report.code() == 0, report.as_text()
    assert [each["what"] for each in report.findings] == [
        "1 other samples were drawn for the period: 1 by 'dice'"
    ]
    draws = await sealed.database.fetchval(
        "select count(*) from newel.event where type = 'data.sample_drawn'"
    )
    assert draws == 2


async def test_a_sample_at_an_earlier_size_is_one_that_was_drawn_then(sealed, tmp_path):
    """The same one again is clean; of another the log could not say that it was drawn."""
    first, _ = await package(sealed, tmp_path, "a.zip", sampling=Sampling(1, "dice"))
    await package(sealed, tmp_path, "b.zip", sampling=Sampling(1, "dice"), as_of=first.size)
    assert verdict(tmp_path, "b.zip").code() == 0
    with pytest.raises(InvalidInput, match="no such sample at this size"):
        await package(sealed, tmp_path, "c.zip", sampling=Sampling(1, "nicer"), as_of=first.size)
    assert not list(tmp_path.glob("c.zip*"))


async def test_the_guide_to_a_package_can_be_carried_out(sealed, tmp_path):
    """What the guide says to type is typed: sums, verifier, OpenSSL, one proof, one sample."""
    await package(sealed, tmp_path, "evidence-2026-q1.zip", sampling=Sampling(2, "dice"))
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "evidence-2026-q1.zip") as archive:
        archive.extractall(folder)
    (folder / "policy").write_bytes((tmp_path / "log" / "policy").read_bytes())
    for name, lies in (("evidence-2026-q1.zip", tmp_path), ("newel_verify.py", folder / "verify")):
        shutil.copy(lies / name, folder)
    guide = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text("utf-8")
    typed = guide.partition("## Check it")[2].split("```")[1::2]
    assert [each.strip().split(" ")[0] for each in typed] == ["sha256sum", "openssl"]
    for block in typed:
        done = subprocess.run(
            ["/bin/bash", "-euc", block], cwd=folder, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    proof = min((folder / "proofs").iterdir())
    alone = ["python3", "newel_verify.py", str(proof), "--policy", "policy"]
    assert subprocess.run(alone, cwd=folder, check=False, capture_output=True).returncode == 0
    text = (folder / "access_grants.csv").read_text("utf-8")
    ids = [row["row_id"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    order = sorted(ids, key=lambda each: hashlib.sha256(f"dice\n{each}".encode()).hexdigest())
    drawn = (folder / "samples" / "access_grants.csv").read_text("utf-8").splitlines()[1:]
    assert [each.split(",")[0] for each in drawn] == order[:2]


async def test_a_package_is_signed_by_a_key_that_signed_its_log(sealed, tmp_path):
    """While a key takes another's place and after it: who believed the first believes each."""
    holder = KeyHolder(tmp_path / "log")
    first, _ = await package(sealed, tmp_path, "a.zip")
    keeping = LogKeeping(sealed.database, sealed.engine.vault, holder)
    await keeping.rotate(actor=OPERATOR, reason="The yearly change.")
    await package(sealed, tmp_path, "b.zip", as_of=first.size)
    await Sequencer(sealed.database, holder).seal()
    await package(sealed, tmp_path, "c.zip")
    holder.destroy_old()
    await sealed.engine.actor("eve@acme.example", via="api")
    await Sequencer(sealed.database, holder).seal()
    await package(sealed, tmp_path, "d.zip")
    for name in ("b.zip", "c.zip", "d.zip"):
        report = verdict(tmp_path, name)
        assert (report.code(), report.findings) == (0, []), report.as_text()
    with pytest.raises(NotFound, match="key of the log"):
        await package(sealed, tmp_path, "e.zip", as_of=first.size)


async def test_a_package_by_another_key_is_refused(sealed, tmp_path):
    """T22: another key fails under the pinned one, and is incomplete where nobody is believed."""
    await package(sealed, tmp_path, "evidence.zip")
    its, other = verifier(), SigningKey("elsewhere.example/audit/1", bytes(32)).verifier()
    name = str(tmp_path / "evidence.zip")
    for believed, code in ((["--vkey", str(other)], 1), (["--untrusted"], 2)):
        assert its.verify(its._parser().parse_args([name, *believed])).code() == code


async def test_a_period_without_events_and_what_is_refused(sealed, tmp_path):
    """Nothing happened is an answer; a size without checkpoint and a file in the place are not."""
    empty = Period(ALWAYS[0], ALWAYS[0] + timedelta(days=1))
    done, files = await package(sealed, tmp_path, "empty.zip", period=empty)
    assert set(done.rows.values()) == {0}
    assert rows(files, "access_grants") == ([], [])
    with pytest.raises(InvalidInput, match="overwrites nothing"):
        await package(sealed, tmp_path, "empty.zip")
    with pytest.raises(NotFound):
        await package(sealed, tmp_path, "none.zip", as_of=9_999)
    assert not list(tmp_path.glob("none*"))
    assert not list(tmp_path.glob(".evidence*"))


@pytest.mark.parametrize("first", "=+-@\t\r")
def test_no_cell_is_a_formula(first):
    """What a spreadsheet would calculate begins with an apostrophe; numbers stay numbers."""
    assert cell(f"{first}1+1") == f"'{first}1+1"
    assert (cell(-5), cell(None), cell(True), cell("a=b")) == ("-5", "", "true", "a=b")
