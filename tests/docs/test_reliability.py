"""The page on reliability names tests that there are, for every invariant at every level."""

from __future__ import annotations

import re
from pathlib import Path

from newel.testing.simulation import invariants

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reliability.md").read_text("utf-8")
ROWS = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if re.match(r"\| I\d", line)]


def test_every_invariant_is_tried_at_three_levels():
    """I1 to I10 have a row each, and no level of it is empty."""
    assert [row[0] for row in ROWS] == [f"I{number}" for number in range(1, 11)]
    assert {len([cell for cell in row if cell.strip()]) for row in ROWS} == {5}


def test_what_the_rows_name_is_there():
    """A file that is named is a file, of the fault tests where no folder is said; so are names."""
    for _, _, alone, simulated, real in ROWS:
        for name in re.findall(r"`([\w/]+\.py)`", f"{alone} {real}"):
            path = ROOT / name if "/" in name else ROOT / "tests" / "faults" / name
            assert path.is_file(), name
        for name in re.findall(r"`Watch\.(\w+)`", simulated):
            assert hasattr(invariants.Watch, name), name
