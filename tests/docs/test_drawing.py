"""The page on reading processes names every code with its level, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from newel.drawing.rules import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "drawing.md").read_text("utf-8")


def test_the_table_is_the_rules():
    """Code, level and words stand in the page as the code has them."""
    rows = re.findall(r"^\| (F\d{3}) \| (\w+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(code, level, what) for code, (level, what) in RULES.items()]
