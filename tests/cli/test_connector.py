"""`newel connector new`: what it writes is green as it is, and nothing is overwritten."""

from __future__ import annotations

import subprocess
import sys

import pytest

from newel.cli.connectors import written_connector
from tests.cli.conftest import environment

LONGEST = "room_booking_ltd"


def run(project, *command: str) -> str:
    """Carry out a module of this environment in the project; gives what it said."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env=environment(project / ".newel"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_new_connector_passes_its_tests_and_all_checkers(tmp_path):
    """Tests, ruff and mypy in strict mode have nothing to say, also with the longest name.

    Slow: it is a test run and a type check of their own.
    """
    written = [str(path) for path in written_connector(tmp_path, "company", LONGEST)]
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\npythonpath = ["."]\n'
        'asyncio_default_fixture_loop_scope = "function"\n',
        encoding="utf-8",
    )
    said = run(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert "20 passed" in said
    run(tmp_path, "ruff", "check", "--isolated", "--no-cache", ".")
    run(tmp_path, "ruff", "format", "--isolated", "--no-cache", "--check", ".")
    assert "no issues" in run(tmp_path, "mypy", "--strict", "--cache-dir=.mypy", *written)


def test_a_new_project_with_a_new_connector_is_clean(project, newel):
    """The linter has nothing to say of all that the two commands write."""
    newel("connector", "new", "lockers")
    run(project, "ruff", "check", "--no-cache", ".")


def test_it_bears_its_name_in_every_spelling(project, newel):
    """Class, variables, keys and tests are named after the system, and nothing after another."""
    said = newel("connector", "new", "car_park")
    assert (said.status, "tests/test_car_park.py" in said.out) == (0, True)
    texts = [path.read_text("utf-8") for path in project.rglob("*car_park*.py")]
    assert len(texts) == 3
    assert [text for text in texts if "desk" in text.lower()] == []
    assert "class CarPark(HttpApi):" in texts[0] + texts[1] + texts[2]
    assert 'SecretRef("env:CAR_PARK_TOKEN")' in texts[0] + texts[1] + texts[2]


@pytest.mark.parametrize("name", ["Parking", "car-park", "9lives", "a_name_that_is_too_long", ""])
def test_a_name_that_python_or_keys_would_refuse_is_refused(project, newel, name):
    """One sentence says which names are taken."""
    said = newel("connector", "new", name)
    assert (said.status, said.err.count("\n")) == (1, 1)
    assert list(project.glob("tests/test_*.py")) == [project / "tests" / "test_onboarding.py"]


def test_nothing_is_overwritten(project, newel):
    """Where one of the files is there already, none is written."""
    mine = project / "tests" / "test_lockers.py"
    mine.write_text("mine", encoding="utf-8")
    said = newel("connector", "new", "lockers")
    assert (said.status, "nothing is overwritten" in said.err) == (1, True)
    assert mine.read_text("utf-8") == "mine"
    assert not (project / "company" / "lockers.py").exists()
