"""The bench itself: small amounts, without the peers, on a server of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_quick_bench_leaves_figures_a_table_and_a_picture(tmp_path: Path) -> None:
    """It starts a server, seven workers and pgbench, which is why it takes some seconds."""
    command = [str(ROOT / "bench/run.py"), "--quick", "--without-peers", "--into", str(tmp_path)]
    subprocess.run([sys.executable, *command], check=True, timeout=300, capture_output=True)
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["steps_per_s"] > 0
    assert found["ratio_steps_pgbench_c1"] > 0
    assert found["idle_commits"] == 4
    assert found["ratio_steps_dbos"] is None
    assert found["absent"].keys() == {"dbos", "absurd"}
    table = (tmp_path / "results.md").read_text()
    assert "| commits of an idle onboarding | 4 | ≤ 4 | yes |" in table
    assert "Absent: dbos, because left out on request." in table
    picture = ET.fromstring((tmp_path / "results.svg").read_text())
    assert len(picture.findall("{*}rect")) == 6
