"""The page on Google and Slack says what the connectors declare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from newel.connectors.base import Connector
from newel.connectors.declaring import declared
from newel.connectors.google import Google
from newel.connectors.google_contract import SCOPES
from newel.connectors.slack import Slack
from newel.flow.step import Step

TEXT = (Path(__file__).parents[2] / "docs" / "google-and-slack.md").read_text("utf-8")


def row(system: str, name: str, step: Step[..., Any]) -> str:
    """Write what an operation declares as a row of the page's table."""
    facts, options = declared(step), step.options
    access = [
        f"{word} `{template.replace('{system}', system)}`"
        for word, template in (("gives", options.grants), ("takes", options.revokes))
        if template
    ]
    needs = ", ".join(
        " or ".join(f"`{each.rpartition('/')[2]}`" for each in need.split("|"))
        for need in facts.needs
    )
    undo = f"`{facts.undo}`" if facts.undo and not facts.undo.startswith("none") else "–"
    return f"| `{name}` | {', '.join(access) or '–'} | {needs} | {undo} |"


@pytest.mark.parametrize("kind", [Google, Slack])
def test_the_table_is_what_the_operations_declare(kind: type[Connector]):
    """Each operation has its row, with the access, scopes and undo that it declares."""
    rows = [row(kind.__name__.lower(), name, step) for name, step in kind.operations().items()]
    assert [each for each in rows if each not in TEXT.splitlines()] == []


def test_no_row_is_of_an_operation_that_is_gone():
    """Every row of the tables is one of an operation there is."""
    names = {*Google.operations(), *Slack.operations()}
    rows = [line.split("`")[1] for line in TEXT.splitlines() if line.startswith("| `")]
    plans = {"pro", "business", "enterprise"}
    assert set(rows) - plans == names


def test_every_scope_of_google_is_named():
    """Whoever delegates finds each scope on the page."""
    assert [scope for scope in SCOPES if scope.rpartition("/")[2] not in TEXT] == []
    assert "all six" in TEXT
    assert len(SCOPES) == 6
