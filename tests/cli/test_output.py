"""What is printed: aligned columns, moments in a zone, changed files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from newel.cli.output import columns, moment
from newel.cli.watching import changed, sources


def test_columns_are_as_wide_as_their_longest_cell():
    """Nothing is cut and no line ends in blanks."""
    assert columns(("A", "LONGER"), [("one", "x"), ("b", "")]) == "A    LONGER\none  x\nb"


def test_a_moment_is_told_in_the_zone_it_is_asked_for():
    """A moment is written to the minute; none is a dash."""
    berlin = ZoneInfo("Europe/Berlin")
    assert moment(datetime(2026, 7, 1, 9, 30, 59, tzinfo=UTC), berlin) == "2026-07-01 11:30"
    assert moment(None, berlin) == "-"


def test_changed_files_are_those_written_added_or_deleted():
    """A file that stayed as it was is not told."""
    before = {Path("a"): 1, Path("b"): 1, Path("c"): 1}
    after = {Path("a"): 1, Path("b"): 2, Path("d"): 1}
    assert changed(before, after) == [Path("b"), Path("c"), Path("d")]


def test_sources_are_the_projects_own(tmp_path):
    """Data, environments and caches are not watched."""
    for name in ("company/a.py", ".venv/b.py", ".newel/c.py", "__pycache__/d.py", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [path.name for path in sources(tmp_path)] == ["a.py"]
