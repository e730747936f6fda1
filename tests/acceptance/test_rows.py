"""Each promise of the design has its test, and says so in front of the test's docstring.

Rows left to the drawing and the source reader, with the reason:

- Of R16 permissions and documentation.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ELSEWHERE = HERE.parent / "faults"
"""Where rows are tested that need real processes for minutes."""

ROWS = {f"B{number}" for number in range(1, 27)} | {
    f"R{number:02}" for number in (*range(1, 10), *range(11, 19), 40, 43)
}


def test_each_row_is_named_by_a_test():
    """Every row that was not left to the drawing leads a docstring; nobody claims another one."""
    named = defaultdict(set)
    for folder in (HERE, ELSEWHERE):
        for file in sorted(folder.glob("test_*.py")):
            for row in _rows(file):
                named[row].add(file.name)
    assert set(named) == ROWS


def _rows(file: Path) -> Iterator[str]:
    """The rows in front of the docstrings of a file's tests: `B1: …`, `R06, B2: …`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            head = re.match(r"([BR]\d+\b[^:]*):", ast.get_docstring(node) or "")
            yield from re.findall(r"\b[BR]\d+\b", head[1]) if head else ()
