"""The guide to connectors holds: what it shows of the example is the example, and the rest runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest

from newel.testing import Contract

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "writing-a-connector.md").read_text("utf-8")
EXAMPLE = ROOT / "examples" / "connector"
_BLOCK = re.compile(r"^```python (?P<name>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(found["name"], found["code"]) for found in _BLOCK.finditer(GUIDE)]
OWN = ("systems", "process", "described")
DOCUMENT = ROOT / "tests" / "testing" / "specs" / "desks.openapi.json"


@pytest.mark.parametrize(
    ("name", "code"), [each for each in BLOCKS if each[0] not in OWN], ids=lambda text: text[:40]
)
def test_what_is_shown_of_the_example_is_the_example(name, code):
    """Each piece stands in the file it is named after, to the letter."""
    text = (EXAMPLE / f"{name}.py").read_text("utf-8")
    assert any(indent(code, " " * deep) in text for deep in (0, 4)), code
    assert dedent(code) == code


def test_the_example_and_the_process_of_the_guide_pass_their_tests(tmp_path):
    """The connector's own tests, and those of a process that uses it, pass as they are shown."""
    for name, code in BLOCKS:
        if name in OWN and name != "described":
            file = tmp_path / ("test_guide.py" if name == "process" else f"{name}.py")
            file.write_text(code, "utf-8")
    told = run_tests(tmp_path, EXAMPLE.parent, "test_guide.py", str(EXAMPLE / "test_desks.py"))
    assert "22 passed" in told


def test_the_example_is_held_to_the_document_as_the_guide_has_it(tmp_path):
    """With the guide's lines in it the example passes; by another document it does not."""
    place = tmp_path / "connector"
    shutil.copytree(EXAMPLE, place)
    (place / DOCUMENT.name).write_bytes(DOCUMENT.read_bytes())
    (shown,) = [code for name, code in BLOCKS if name == "described"]
    routes = "    routes = (ME, LIST, CREATE, UPDATE)\n"
    added = shown.partition(routes)[2]
    assert added
    connector = (place / "desks.py").read_text("utf-8")
    (place / "desks.py").write_text(connector.replace(routes, routes + added), "utf-8")
    assert "20 passed" in run_tests(tmp_path, tmp_path, "connector/test_desks.py")
    wrong = DOCUMENT.read_text("utf-8").replace('"suspended"', '"gone"')
    (place / DOCUMENT.name).write_text(wrong, "utf-8")
    told = run_tests(tmp_path, tmp_path, "connector/test_desks.py")
    assert "the request is not as desks.openapi.json has it" in told


def run_tests(place: Path, packages: Path, *files: str) -> str:
    """Run tests in a process of their own; gives what was told."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    told = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"),
            *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
            *(f"--basetemp={place / 'base'}", f"--rootdir={place}", "-c", "/dev/null", *files),
        ],
        cwd=place,
        env={**kept, "PYTHONPATH": os.pathsep.join((str(packages), str(place)))},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return told.stdout + told.stderr


def test_every_check_of_the_kit_is_told():
    """The table of checks has a row for each that the kit has."""
    own = {name for name in vars(Contract) if not name.startswith("_")} - {"outside"}
    told = set(re.findall(r"^\| `contract\.(\w+)` \|", GUIDE, re.MULTILINE))
    assert told == own
