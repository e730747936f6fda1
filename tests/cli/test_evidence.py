"""`newel evidence export`: one file for a period, refused in a sentence."""

from __future__ import annotations

import asyncio
import json
import zipfile

from newel.base.settings import load_settings
from tests.cli.test_audit import _sealed
from tests.cli.test_verbs import ALICE, start


def test_a_package_for_a_period(deployed, newel, work, tmp_path):
    """It is written for its owner alone; what cannot be is said, and nothing is left."""
    start(newel)
    file = tmp_path / "evidence.zip"
    period = ("--from", "2026-01-01", "--to", "2099-12-31")
    unsealed = newel("evidence", "export", str(file), *period)  # before any worker could seal
    assert (unsealed.status, len(unsealed.err.splitlines())) == (1, 1)
    work()
    asyncio.run(_sealed())
    done = newel("evidence", "export", str(file), *period, "--sample", "1", "--actor", ALICE)
    assert (done.status, "rows from the first" in done.out) == (0, True), done.err
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as archive:
        assert "samples/runs.csv" in archive.namelist()
        assert b"Jane" not in b"".join(archive.read(each) for each in archive.namelist())
    for wrong in (
        period,
        ("--from", "2026-02-01", "--to", "2026-01-01"),
        ("--from", "2026-01-01"),
        (*period, "--as-of", "99999"),
    ):
        told = newel("evidence", "export", str(file), *wrong)
        assert (told.status in {1, 2}, len(told.err.splitlines())) == (True, 1), told.err
    assert sorted(each.name for each in tmp_path.glob("*evidence*")) == ["evidence.zip"]
    verified = newel("audit", "verify", str(file), "--policy", str(_policy()))
    assert verified.status == 0, verified.out


ROSTERS = {
    "": "no line in",
    "employee_id,start_date,end_date\n": "no line in",
    "employee_id,start_date\nE1,2026-01-01\n": "line 2 of",
    "employee_id,start_date,end_date\nE1,2026-01-01,\nE2,01.02.2026,\n": "line 3 of",
}


def test_a_list_of_hr_is_compared(deployed, newel, work, tmp_path):
    """Who began and is not known is told by the number of the line; what is no list is refused."""
    start(newel)
    work()
    asyncio.run(_sealed())
    roster = tmp_path / "hr.csv"
    period = ("--from", "2026-01-01", "--to", "2099-12-31")
    for text, what in ROSTERS.items():
        roster.write_text(text, encoding="utf-8")
        refused = newel(
            "evidence", "export", str(tmp_path / "x.zip"), *period, "--roster", str(roster)
        )
        assert (refused.status, what in refused.err) == (1, True), refused.err
    roster.write_text(
        "\ufeffemployee_id,start_date,end_date\nE404,2026-03-01,\nE405,1999-01-01,\n", "utf-8"
    )
    file = tmp_path / "evidence.zip"
    done = newel("evidence", "export", str(file), *period, "--roster", str(roster), "--json")
    assert done.status == 0, done.err
    with zipfile.ZipFile(file) as archive:
        found = json.loads(archive.read("completeness.json"))["roster"]
        assert b"E404" not in b"".join(archive.read(each) for each in archive.namelist())
    assert (found["matched"], found["missing_in_newel"]) == (0, [{"row": 1, "kind": "joiner"}])
    assert len(found["missing_in_roster"]) == 1
    assert newel("audit", "verify", str(file), "--policy", str(_policy())).status == 0


def _policy():
    return load_settings().log_directory / "policy"
