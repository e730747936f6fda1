"""The evidence package: complete, the same bytes again, verifiable with public tools alone."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import zipfile
from datetime import timedelta

import pytest

from newel.audit.evidence import cell, sample
from newel.base.errors import InvalidInput, NotFound
from newel.engine.event_export import Period
from newel.engine.evidence import Package, Sampling
from newel.engine.exporting import Exports
from newel.engine.key_holder import KeyHolder
from newel.engine.verifying import verifier
from tests.engine.test_event_export import ALWAYS, OPERATOR, sealed

__all__ = ["sealed"]


async def package(house, tmp_path, name, **more):
    """Export a package; answers with what was written and its files."""
    wanted = Package(more.pop("period", ALWAYS), **more)
    exports = Exports(house.database, house.engine.vault)
    holder = KeyHolder(tmp_path / "log")
    done = await exports.evidence(tmp_path / name, wanted, holder, actor=OPERATOR, reason="Audit.")
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
        assert not [name for name, data in files.items() if canary.encode() in data]
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "evidence.zip") as archive:
        archive.extractall(folder)
    checked = subprocess.run(
        ["/usr/bin/sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=False
    )
    assert checked.returncode == 0
    report = verdict(tmp_path, "evidence.zip")
    assert report.code() == 2, report.as_text()
    assert {check for check, result in report.results.items() if result == "undecided"} == {"V16"}
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
