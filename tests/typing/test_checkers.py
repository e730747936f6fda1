"""Both type checkers accept what authors write and refuse the planted mistakes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORRECT = Path("tests/typing/correct.py")
MISTAKES = Path("tests/typing/mistakes.py")


def _mypy(file: Path) -> set[int]:
    asked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(file)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    found = re.findall(rf"^{re.escape(str(file))}:(\d+): error", asked.stdout, re.MULTILINE)
    assert asked.returncode in {0, 1}, asked.stderr
    return {int(line) for line in found}


def _pyright(file: Path) -> set[int]:
    with tempfile.TemporaryDirectory() as elsewhere:  # where the project's exclusions do not hold
        copied = shutil.copy(ROOT / file, elsewhere)
        asked = subprocess.run(
            [
                sys.executable,
                "-m",
                "pyright",
                "--outputjson",
                "--pythonpath",
                sys.executable,
                copied,
            ],
            capture_output=True,
            text=True,
            cwd=elsewhere,
            check=False,
        )
    said = json.loads(asked.stdout)["generalDiagnostics"]
    return {each["range"]["start"]["line"] + 1 for each in said if each["severity"] == "error"}


CHECKERS = {"mypy": _mypy, "pyright": _pyright}


@pytest.mark.parametrize("checker", sorted(CHECKERS))
def test_a_checker_accepts_what_authors_write(checker: str) -> None:
    """The file with every word used rightly has no finding."""
    assert CHECKERS[checker](CORRECT) == set()


@pytest.mark.parametrize("checker", sorted(CHECKERS))
def test_a_checker_refuses_every_planted_mistake(checker: str) -> None:
    """Exactly the marked lines are found, neither fewer nor more."""
    lines = (ROOT / MISTAKES).read_text().splitlines()
    marked = {number for number, line in enumerate(lines, start=1) if line.endswith("# refused")}
    assert CHECKERS[checker](MISTAKES) == marked
