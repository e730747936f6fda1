"""The page on dossiers names the sections that are written, and commands that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from newel.cli.app import application
from newel.drawing.dossier import SCHEMA, dossier_of
from newel.drawing.dossier_page import process_page
from newel.drawing.drawing import drawing_of
from tests.unit.drawing.shipped import shipped

TEXT = (Path(__file__).parents[2] / "docs" / "dossier.md").read_text("utf-8")
COMMANDS = re.findall(r"```shell\nnewel (.*?)\n```", TEXT)


def test_the_table_names_the_sections_of_a_page():
    """Every section stands in the table in its order, and none that is not written."""
    drawing = drawing_of(shipped()[0])
    page = process_page(dossier_of(drawing), drawing, "../systems.md")
    table = TEXT.partition("## The page of a process")[2].partition("A row of")[0]
    told = re.findall(r"^\| (.+?) \| [^|]+ \|$", table, re.MULTILINE)[1:]
    told = [each.replace("Input, Forms", "Input\nForms").split("\n") for each in told]
    named = [section for each in told for section in each]
    written = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert named == [each for each in written if each != "Try it out"]
    assert f"`{SCHEMA}`" in TEXT


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_taken_as_it_stands(command):
    """Its words and options are the command's own."""
    _, bound, unused = application().parse_args(
        shlex.split(command), exit_on_error=False, print_error=False
    )
    assert bound.arguments is not None and not unused
