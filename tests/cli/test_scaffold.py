"""`newel init`: what it writes works, and nothing is overwritten."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from newel.base.settings import load_settings
from newel.cli.project import load_project
from newel.cli.scaffold import written_project
from tests.cli.conftest import NOW


def test_the_project_has_a_process_with_six_systems_and_a_tracker(project):
    """Processes, systems and trackers of the settings are found in the project itself."""
    settings = load_settings(project)
    found = load_project(settings)
    assert [each.name for each in found.processes] == ["onboarding"]
    assert sorted(each.name for each in found.connectors) == [
        "github",
        "google",
        "gusto",
        "jira",
        "salesforce",
        "slack",
    ]
    assert [each.channel for each in found.trackers] == ["jira:OPS"]


def test_the_written_input_is_accepted(project):
    """The example input starts the process as it is, two weeks from the day it was written."""
    [onboarding] = load_project(load_settings(project)).processes
    text = (project / "example.json").read_text(encoding="utf-8")
    hire = onboarding.parameters["hire"].accept(text)
    assert (hire.name, hire.starts_at.isoformat()) == ("Jane Doe", "2026-11-16T09:00:00+00:00")


@pytest.mark.slow
def test_the_projects_own_tests_pass(project):
    """Whoever runs pytest in a new project sees it pass.

    Slow: it is a test run of its own.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_init_says_what_comes_next(tmp_path, monkeypatch, newel):
    """The command writes the project and names the next command."""
    monkeypatch.chdir(tmp_path)
    said = newel("init", "ours")
    assert (said.status, "newel dev" in said.out) == (0, True)
    settings = tomllib.loads((tmp_path / "ours" / "pyproject.toml").read_text("utf-8"))
    assert settings["tool"]["newel"]["systems"] == "company.systems"


@pytest.mark.parametrize("place", ["taken", "taken/file"])
def test_nothing_is_overwritten(tmp_path, newel, monkeypatch, place):
    """A directory with something in it, or a file, is refused and left as it was."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine", encoding="utf-8")
    said = newel("init", place)
    assert (said.status, said.err.count("\n")) == (1, 1)
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["file"]
    assert (tmp_path / "taken" / "file").read_text(encoding="utf-8") == "mine"


def test_an_empty_directory_is_filled(tmp_path):
    """A directory that is there and empty becomes the project."""
    written_project(tmp_path, now=NOW)
    assert (tmp_path / "company" / "onboarding.py").is_file()
