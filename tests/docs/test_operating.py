"""The guide to operating: the command line takes each verb it shows, and none is missing."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from newel.cli.app import application

TEXT = (Path(__file__).parents[2] / "docs" / "operating.md").read_text("utf-8")
COMMANDS = [line for line in TEXT.splitlines() if line.startswith("newel ")]
VERBS = {
    "decide", "fill", "retry", "skip", "complete-by-hand", "keep", "pause", "resume",
    "reschedule", "amend", "cancel", "fork", "acknowledge", "bulk", "send", "events",
    "systems",
}  # fmt: skip


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_guide_is_taken_as_it_stands(line):
    """Its words and options are the command's own; nothing is left over or missing."""
    command, bound, unused = application().parse_args(
        shlex.split(line)[1:], exit_on_error=False, print_error=False
    )
    assert command is not None
    assert bound.arguments is not None
    assert unused is None or not [name for name in unused if name != "as_json"]


def test_every_verb_is_in_the_guide():
    """Each has a command that shows it, and a path of the API where the guide names one."""
    shown = {line.split()[1] for line in COMMANDS}
    assert shown == VERBS


def test_the_paths_of_the_guide_are_those_of_the_api():
    """What the guide sends requests to is there."""
    from newel.web.api import bulk, course, events, runs, systems, tasks

    known = {
        "/api/v1" + route.path
        for module in (bulk, course, events, runs, systems, tasks)
        for route in module.router.routes
    }
    named = set(re.findall(r"/api/v1/[a-z/{}_-]+", TEXT)) - {"/api/v1/runs/{run}/{verb}"}
    assert {path.rstrip("/") for path in named} <= known
