"""The operator's guide to the log: its commands are taken, and its files are those there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from newel.base.settings import Settings
from newel.cli.app import application
from newel.engine.anchors import anchor_of

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "audit-log.md").read_text("utf-8")
COMMANDS = [line for line in TEXT.splitlines() if line.startswith("newel ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_guide_is_taken_as_it_stands(line):
    """Its words and options are the command's own."""
    command, _, _ = application().parse_args(
        shlex.split(line)[1:], exit_on_error=False, print_error=False
    )
    assert command is not None


def test_what_it_says_of_settings_is_so(tmp_path):
    """Each setting and each kind of place that it names exists."""
    for name in ("log_key", "log_key_before", "anchors", "sealing_url"):
        assert f"`{name}`" in TEXT
        assert name in Settings.model_fields
    places = re.findall(r'^(?:    |anchors = \[)"(\w+:.*)"(?:,|\])$', TEXT, re.MULTILINE)
    assert len(places) == 5
    for each in [*places, *Settings.model_fields["anchors"].default]:
        assert anchor_of(each, tmp_path).name
