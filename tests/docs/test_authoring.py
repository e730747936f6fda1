"""The guide for authors holds: its examples are taken out of the page and run."""

from __future__ import annotations

import inspect
import re
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import newel
from newel.base.settings import Settings
from newel.flow.step import _Common
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it
from tests.engine.house import opened
from tests.modules import imported

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "authoring.md").read_text("utf-8")
REFERENCE = (DOCS / "reference.md").read_text("utf-8")
_BLOCK = re.compile(
    r"^```(?P<kind>python|sql) (?P<name>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_TEST = re.compile(r"^async def (test_\w+)", re.MULTILINE)


def _blocks(kind: str) -> dict[str, str]:
    found: dict[str, list[str]] = defaultdict(list)
    for block in _BLOCK.finditer(GUIDE):
        if block["kind"] == kind:
            found[block["name"]].append(block["code"])
    return {name: "\n\n".join(codes) for name, codes in found.items()}


CODE, SQL = _blocks("python"), _blocks("sql")
TESTS = [(name, test) for name, code in CODE.items() for test in _TEST.findall(code)]


def _module(name: str, directory: Path) -> ModuleType:
    """Import an example from a file: the engine reads its source."""
    file = directory / f"guide_{name}.py"
    file.write_text(CODE[name], "utf-8")
    return imported(file)


@pytest.fixture
def example(tmp_path):
    """Give a maker of modules, forgotten after the test."""
    made: list[ModuleType] = []

    def make(name: str) -> Any:
        made.append(_module(name, tmp_path))
        return made[-1]

    yield make
    for module in made:
        sys.modules.pop(module.__name__, None)


@pytest.mark.parametrize(("name", "test"), TESTS)
async def test_an_example_of_the_guide_does_what_it_says(example, saas, name, test):  # noqa: F811 - as above
    """Each test that the page shows is run, with the fixture that it asks for."""
    shown = getattr(example(name), test)
    await (shown(saas) if inspect.signature(shown).parameters else shown())


async def test_the_transactional_example_takes_a_desk_once(
    example, database, database_url, tmp_path
):
    """The company's table and the outcome, on a real database; a full floor is an answer."""
    await database.execute(SQL["desks"])
    module = example("desks")
    house = await opened(database_url, tmp_path / "kek", [module.moving])
    try:
        async with house.worker():
            first = await house.start("moving", "jane")
            assert await house.ended(first) == "completed"
            second = await house.start("moving", "john")
            assert await house.ended(second) == "failed"
    finally:
        await house.database.close()
    rows = await database.fetch("select number, holder from company.desk")
    assert [tuple(row) for row in rows] == [(207, "jane")]


def test_every_example_is_shown_with_its_test():
    """An example that nothing runs would be a promise."""
    assert set(CODE) == {name for name, _ in TESTS} | set(SQL)
    assert "```python\n" not in GUIDE


NOT_FOR_AUTHORS = {"level", "natural_key"}
"""What `@operation` gives a step."""


def options_of(*words):
    """The options that a word of the language takes: all that is given by name."""
    signatures = [inspect.signature(word).parameters.values() for word in words]
    return {each.name for found in signatures for each in found if each.kind is each.KEYWORD_ONLY}


@pytest.mark.parametrize(
    ("heading", "options"),
    [
        ("### Options of a process", options_of(newel.process)),
        (
            "### Options of a step",
            options_of(newel.step) | {*_Common.__annotations__} - NOT_FOR_AUTHORS,
        ),
        ("### What people are asked", options_of(newel.approval, newel.form)),
    ],
)
def test_every_option_has_its_row(heading, options):
    """The table under a heading names the options that the code takes, and no others."""
    rows = re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \|",
        GUIDE.partition(heading)[2].partition("\n#")[0],
        re.MULTILINE,
    )
    assert sorted(name for row in rows for name in re.findall(r"\w+", row)) == sorted(options)


@pytest.mark.parametrize("name", sorted(newel.__all__))
def test_every_name_stands_in_a_guide(name):
    """What an author can import, a page shows; failure classes, types and the reference aside."""
    pages = [each for each in DOCS.glob("*.md") if each.name != "reference.md"]
    shown = any(re.search(rf"\b{name}\b", each.read_text("utf-8")) for each in pages)
    assert shown or isinstance(getattr(newel, name), type)


def test_every_limit_has_its_setting():
    """The settings of the table are settings there are."""
    for name in re.findall(
        r"^\| `(\w+)` \|.*\|.*\|$", GUIDE.partition("## Limits")[2], re.MULTILINE
    ):
        assert name in Settings.model_fields


def test_every_public_name_is_described():
    """The reference has one row for each name of `newel`, and none for anything else."""
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", REFERENCE, re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(newel.__all__)
    assert [name for name, what in rows if len(what) < 15] == []
