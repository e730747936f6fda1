"""The page on personal data: its commands are taken, what it names is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from newel.base.settings import Settings
from newel.cli.app import application
from newel.store.export import LEFT_OUT, TABLES

TEXT = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text("utf-8")
COMMANDS = [line for line in TEXT.splitlines() if line.startswith("newel ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_is_taken_as_it_stands(line):
    """Its words and options are the command's own."""
    command, _, _ = application().parse_args(
        shlex.split(line)[1:], exit_on_error=False, print_error=False
    )
    assert command is not None


def test_what_it_names_is_there():
    """Each table and each setting on the page exists."""
    tables = set(re.findall(r"`newel\.(\w+)`", TEXT))
    assert len(tables) > 5
    assert tables <= {*TABLES, *LEFT_OUT}
    assert {"keep_payloads", "key_encryption_key"} <= set(Settings.model_fields)
