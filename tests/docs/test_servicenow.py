"""The recipe for ServiceNow holds: what it shows is the example, which passes its tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "servicenow.md").read_text("utf-8")
EXAMPLE = ROOT / "examples" / "servicenow"
_BLOCK = re.compile(r"^```python (?P<name>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(found["name"], found["code"]) for found in _BLOCK.finditer(GUIDE)]
OWN = "systems"


@pytest.mark.parametrize(
    ("name", "code"), [each for each in BLOCKS if each[0] != OWN], ids=lambda text: text[:40]
)
def test_what_is_shown_of_the_example_is_the_example(name, code):
    """Each piece stands in the file it is named after, to the letter."""
    text = (EXAMPLE / f"{name}.py").read_text("utf-8")
    assert indent(code, " " * 4) in text, code


def test_the_example_passes_its_tests_and_the_systems_of_the_recipe_are_systems(tmp_path):
    """The tracker keeps what trackers promise, and what goes into the settings can be imported."""
    (systems,) = (code for name, code in BLOCKS if name == OWN)
    told = f"{systems}\n\ndef test_systems():\n    assert tickets[0].is_tracker\n"
    (tmp_path / "test_recipe.py").write_text(told, "utf-8")
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"),
            *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
            *(f"--basetemp={tmp_path / 'base'}", f"--rootdir={tmp_path}", "-c", "/dev/null"),
            *("test_recipe.py", str(EXAMPLE / "test_servicenow.py")),
        ],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": os.pathsep.join((str(EXAMPLE.parent), str(tmp_path)))},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "8 passed" in done.stdout, done.stdout + done.stderr
