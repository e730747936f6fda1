"""The guide to exports: its commands are taken, and it names what is exported otherwise."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from newel.cli.app import application
from newel.store.export import LEFT_OUT, TABLES

TEXT = (Path(__file__).parents[2] / "docs" / "export.md").read_text("utf-8")
COMMANDS = [line for line in TEXT.splitlines() if line.startswith("newel ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_guide_is_taken_as_it_stands(line):
    """Its words and options are the command's own."""
    command, bound, _ = application().parse_args(
        shlex.split(line)[1:], exit_on_error=False, print_error=False
    )
    assert command is not None
    assert bound.arguments


def test_the_tables_it_names_are_there():
    """Each table that is written in a way of its own is one that is exported or left out."""
    named = set(re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \|.*base64", TEXT, re.MULTILINE))
    tables = {name for pair in named for name in pair if name}
    assert tables == {"event", "inbox", "task_file"}
    assert tables < {*TABLES}
    assert "`person_key`" in TEXT
    assert "person_key" in LEFT_OUT
