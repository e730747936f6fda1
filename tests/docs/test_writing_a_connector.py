"""The guide to connectors holds: what it shows of the example is the example, and the rest runs."""

from __future__ import annotations

import os
import re
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
OWN = ("systems", "process")


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
        if name in OWN:
            file = tmp_path / ("test_guide.py" if name == "process" else f"{name}.py")
            file.write_text(code, "utf-8")
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    told = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"),
            *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
            *(f"--basetemp={tmp_path / 'base'}", f"--rootdir={tmp_path}", "-c", "/dev/null"),
            *("test_guide.py", str(EXAMPLE / "test_desks.py")),
        ],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": os.pathsep.join((str(EXAMPLE.parent), str(tmp_path)))},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "22 passed" in told.stdout, told.stdout + told.stderr


def test_every_check_of_the_kit_is_told():
    """The table of checks has a row for each that the kit has."""
    own = {name for name in vars(Contract) if not name.startswith("_")} - {"outside"}
    told = set(re.findall(r"^\| `contract\.(\w+)` \|", GUIDE, re.MULTILINE))
    assert told == own
