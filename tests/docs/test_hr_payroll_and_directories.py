"""The page on HR, payroll, Salesforce and SCIM says what the connectors declare."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from newel.connectors.bamboohr import BambooHR
from newel.connectors.base import Connector
from newel.connectors.declaring import declared
from newel.connectors.payroll import Gusto
from newel.connectors.salesforce import Salesforce
from newel.connectors.scim import Scim
from newel.flow.step import Step

TEXT = (Path(__file__).parents[2] / "docs" / "hr-payroll-and-directories.md").read_text("utf-8")
SYSTEMS: list[tuple[type[Connector], str]] = [
    (BambooHR, "bamboohr"),
    (Gusto, "gusto"),
    (Salesforce, "salesforce"),
    (Scim, "directory"),
]


def row(system: str, name: str, step: Step[..., Any]) -> str:
    """Write what an operation declares as a row of the page's table."""
    facts, options = declared(step), step.options
    access = "–"
    if template := options.grants or options.revokes:
        word = "gives" if options.grants else "takes"
        access = f"{word} `{template.replace('{system}', system)}`"
    needs = ", ".join(f"`{need}`" for need in facts.needs)
    undo = f"`{facts.undo}`" if facts.undo and not facts.undo.startswith("none:") else "–"
    return f"| `{name}` | {access} | {needs} | {undo} |"


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
    """Each system is connected as the page says."""
    names: dict[str, Any] = {}
    exec(block, names)
    assert any(isinstance(value, Connector) for value in names.values())
