"""Both type checkers accept what authors write and refuse the planted mistakes, line by line.

Each checker runs once, over all files: starting it costs more than any file.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PLANTED = HERE / "mistakes.py"
RIGHT = sorted([*(HERE / "facts").glob("*.py"), *(HERE / "processes").glob("*.py")])
Found = dict[str, set[int]]


def _mypy() -> Found:
    asked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *map(str, _files())],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert asked.returncode in {0, 1}, asked.stderr
    found: Found = defaultdict(set)
    for file, line in re.findall(r"^(.+?):(\d+): error", asked.stdout, re.MULTILINE):
        found[Path(file).name].add(int(line))
    return found


def _pyright(directory: Path) -> Found:
    settings = {
        "typeCheckingMode": "strict",
        "extraPaths": [str(ROOT), str(ROOT / "src")],
        "reportUnusedCoroutine": "error",
    }
    (directory / "pyrightconfig.json").write_text(json.dumps(settings))
    asked = subprocess.run(
        [
            *(sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable),
            *map(str, _files()),
        ],
        capture_output=True,
        text=True,
        cwd=directory,
        check=False,
    )
    found: Found = defaultdict(set)
    said = json.loads(asked.stdout)
    assert said["summary"]["filesAnalyzed"] >= len(_files()), asked.stdout
    for each in said["generalDiagnostics"]:
        if each["severity"] == "error":
            found[Path(each["file"]).name].add(each["range"]["start"]["line"] + 1)
    return found


def _files() -> list[Path]:
    return [*RIGHT, PLANTED]


@pytest.fixture(scope="module", params=["mypy", "pyright"])
def findings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Give what one checker finds, by file name."""
    if request.param == "mypy":
        return _mypy()
    return _pyright(tmp_path_factory.mktemp("pyright"))


def test_what_authors_write_is_accepted(findings: Found) -> None:
    """Every fact of the API, and the three processes in full, have no finding."""
    assert len(RIGHT) > 12
    assert {name: lines for name, lines in findings.items() if name != PLANTED.name} == {}


def test_every_planted_mistake_is_refused(findings: Found) -> None:
    """Exactly the marked lines are found, neither fewer nor more."""
    lines = PLANTED.read_text().splitlines()
    marked = {number for number, line in enumerate(lines, start=1) if line.endswith("# refused")}
    assert findings[PLANTED.name] == marked


@pytest.mark.parametrize("name", ["onboarding", "expense"])
def test_a_process_reads_like_the_policy_it_implements(name: str) -> None:
    """A whole process file, imports and records included, has less than 60 lines."""
    assert len((HERE / "processes" / f"{name}.py").read_text().splitlines()) < 60
