"""The page on Jira, Atlassian and GitHub says what the connectors declare."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from newel.connectors.atlassian import Atlassian
from newel.connectors.base import Connector
from newel.connectors.github import GitHub
from newel.connectors.jira import Jira
from tests.docs.test_hr_payroll_and_directories import row

TEXT = (Path(__file__).parents[2] / "docs" / "jira-and-github.md").read_text("utf-8")
SYSTEMS: list[tuple[type[Connector], str]] = [
    (GitHub, "github"),
    (Jira, "jira"),
    (Atlassian, "jira"),
]


@pytest.mark.parametrize(("kind", "system"), SYSTEMS)
def test_the_table_is_what_the_operations_declare(kind: type[Connector], system: str):
    """Each operation has its row, with the access, needs and undo that it declares."""
    rows = [row(system, name, step) for name, step in kind.operations().items()]
    assert [each for each in rows if each not in TEXT.splitlines()] == []


def test_no_row_is_of_an_operation_that_is_gone():
    """The page has as many rows as there are operations."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(kind.operations()) for kind, _ in SYSTEMS)


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_every_block_runs(block: str):
    """Each block of the page connects a system or defines a process."""
    names: dict[str, Any] = {}
    exec(block, names)
    assert any(isinstance(value, Connector) for value in names.values())
