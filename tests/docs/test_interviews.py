"""The page on interviews names the words that are understood, and what may be said of each."""

from __future__ import annotations

import re
from pathlib import Path

from newel.cli.interview.answers import TYPES, WORDS

PAGE = (Path(__file__).parents[2] / "docs" / "interviews.md").read_text("utf-8")


def test_the_table_is_what_is_understood():
    """Each word has its row, with all that belongs to it."""
    rows = {
        found[1]: set(re.findall(r"`(\w[\w ]*?)[`:]", found[2]))
        for found in re.finditer(r"^\| `([\w ]+)` \|([^|]*)\| [^|]+ \|$", PAGE, re.MULTILINE)
    }
    assert rows == {word: set(more) for word, more in WORDS.items()}


def test_every_type_of_a_field_is_named():
    """What a field may be stands in the page."""
    assert [each for each in TYPES if f"`{each}`" not in PAGE] == []
