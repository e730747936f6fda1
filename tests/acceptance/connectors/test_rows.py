"""Which test holds which row of the acceptance list for connectors; `rows.txt` is the table.

A test that is renamed or lost is missed here; a row without one stands there with its reason.
Source: connectors document, §23.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

TABLE = Path(__file__).parent / "rows.txt"
ROOT = Path(__file__).parents[2]


def table() -> tuple[dict[str, list[str]], dict[str, str]]:
    """Give the tests of each row, and the reasons of those that have none."""
    rows: dict[str, list[str]] = defaultdict(list)
    left: dict[str, str] = {}
    for line in TABLE.read_text("utf-8").splitlines():
        row, _, rest = line.partition(" ")
        if row.startswith("C") and rest.startswith("- "):
            left[row] = rest.removeprefix("- ")
        elif row.startswith("C"):
            rows[row].append(rest)
    return rows, left


@cache
def names_in(file: str) -> frozenset[str]:
    """Give the names of a file's tests; none of one that is not there."""
    path = ROOT / file
    tree = ast.parse(path.read_text("utf-8") if path.exists() else "")
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_every_row_has_its_test_or_a_reason():
    """The list of the design is covered row by row; nothing stands in both."""
    rows, left = table()
    assert {f"C{number}" for number in range(1, 52)} == set(rows) | set(left)
    assert not set(rows) & set(left)
    assert all(len(reason) > 10 for reason in left.values())


def test_every_test_of_the_table_is_there():
    """Each row names tests that exist."""
    rows, _ = table()
    named = [(row, *name.partition("::")[::2]) for row, names in rows.items() for name in names]
    assert [each for each in named if each[2] not in names_in(each[1])] == []
