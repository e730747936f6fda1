"""The guide to testing holds: its examples are run by pytest as in a project of one's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

GUIDE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_guide_pass(tmp_path):
    """Each test that the page shows passes with the plugin that newel brings."""
    code = "\n\n".join(_BLOCK.findall(GUIDE))
    (tmp_path / "test_guide.py").write_text(code, "utf-8")
    told = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"),
            *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
            *(f"--basetemp={tmp_path / 'base'}", "test_guide.py"),
        ],
        cwd=tmp_path,
        env={name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    count = len(re.findall(r"^async def test_", code, re.MULTILINE))
    assert f"{count} passed" in told.stdout, told.stdout + told.stderr
