"""`newel evidence export`: one file for a period, refused in a sentence."""

from __future__ import annotations

import asyncio
import zipfile

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
