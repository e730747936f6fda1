"""Finding the company's project: what the settings name is imported, what is missing is said."""

from __future__ import annotations

import sys

import pytest

from newel.base.errors import DefinitionError
from newel.base.settings import load_settings
from newel.cli.project import example_project, example_settings, load_project

PROCESS = '''
from newel import process

@process(subject=None)
async def greet(name: str) -> None:
    """Greet."""

other = 1
'''


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Give a directory for modules whose import leaves nothing behind."""
    known = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.startswith("ours_"):
            del sys.modules[name]


def loaded(place, **settings):
    """Load the project of a directory with these settings."""
    return load_project(load_settings(place, **settings))


def test_a_module_gives_its_own_processes(place):
    """All processes that a module defines are found, those it imports are not."""
    (place / "ours_a.py").write_text(PROCESS, encoding="utf-8")
    (place / "ours_b.py").write_text("from ours_a import greet\n" + PROCESS.replace(
        "def greet", "def welcome"), encoding="utf-8")  # fmt: skip
    assert [each.name for each in loaded(place, processes=("ours_b",)).processes] == ["welcome"]


def test_a_name_gives_one_process(place):
    """`module:name` is one process, wherever it was defined."""
    (place / "ours_a.py").write_text(PROCESS, encoding="utf-8")
    assert [each.name for each in loaded(place, processes=("ours_a:greet",)).processes] == ["greet"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"processes": ("ours_absent",)}, "no module `ours_absent`"),
        ({"processes": ("ours_a:other",)}, "`ours_a:other` is no process"),
        ({"processes": ("ours_a:absent",)}, "`ours_a` has no `absent`"),
        ({"processes": ("ours_empty",)}, "`ours_empty` has no process"),
        ({"processes": ("ours_wrong",)}, "`ours_wrong` is no Python"),
        ({"processes": ("ours_needs",)}, "no module `ours_gone`, which `ours_needs` imports"),
        ({"systems": "ours_absent.systems"}, "no module `ours_absent.systems`"),
        ({"tickets": "ours_a:tickets"}, "`ours_a` has no `tickets`"),
    ],
)
def test_what_is_missing_is_said(place, settings, says):
    """A setting that names nothing is refused with what it names."""
    (place / "ours_a.py").write_text(PROCESS, encoding="utf-8")
    (place / "ours_empty.py").write_text("", encoding="utf-8")
    (place / "ours_wrong.py").write_text("def (", encoding="utf-8")
    (place / "ours_needs.py").write_text("import ours_gone", encoding="utf-8")
    with pytest.raises(DefinitionError, match=says.replace("(", r"\(")):
        loaded(place, **settings)


def test_the_example_company_is_found_with_the_data_of_elsewhere(place):
    """A demo's deployment is about the example company, over its own data."""
    settings = example_settings(load_settings(place))
    assert settings.project == example_project()
    assert settings.data_directory == place / ".newel"
    assert settings.processes == ("company.onboarding:onboarding",)


@pytest.mark.parametrize("where", ["ours_wrong", "ours_importing"])
def test_what_is_declared_wrongly_is_told_with_its_line(place, where):
    """A profile that does not fit has no function around it: the line of the module is named."""
    text = "from newel import Retry, minutes\n\nslow = Retry(rounds=5, within=minutes(10))\n"
    (place / "ours_wrong.py").write_text(text + PROCESS, "utf-8")
    (place / "ours_importing.py").write_text("from ours_wrong import greet\n", "utf-8")
    with pytest.raises(DefinitionError) as refused:
        loaded(place, processes=[where])
    said = str(refused.value)
    assert said.startswith("ours_wrong:3 F706 error: retry= does not fit: 5 rounds of ratio 4")
    assert "Fix: the nearest profile that does:\nRetry(rounds=5," in said
