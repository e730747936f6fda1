"""Tables that say which test holds which row of an acceptance list of the design.

A line is a row's name and a test (`folder/file.py::test`), or a dash and why it has none.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


def table(file: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Give the tests of each row, and the reasons of those that have none."""
    rows: dict[str, list[str]] = defaultdict(list)
    left: dict[str, str] = {}
    for line in file.read_text("utf-8").splitlines():
        row, _, rest = line.partition(" ")
        if not row or row == "#":
            continue
        if rest.startswith("- "):
            left[row] = rest.removeprefix("- ")
        else:
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


def nowhere(rows: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Give the tests of rows that do not exist."""
    named = [(row, *name.partition("::")[::2]) for row, names in rows.items() for name in names]
    return [(row, f"{file}::{test}") for row, file, test in named if test not in names_in(file)]
