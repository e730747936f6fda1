"""Programs that others read with read what newel writes, and say nothing about it.

BPMN by the object model of bpmn.io and its linter, flowcharts by Mermaid's own parser. They run in
node, which comes with the environment; `make readers` puts them in their place. Where they are not,
these tests say so and are left out.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from newel import Process
from newel.drawing.bpmn import bpmn
from newel.drawing.drawing import drawing_of
from newel.drawing.mermaid import flowchart
from scripts.readers import PLACE, npm
from tests.patience import PATIENCE_S
from tests.typing.processes.offboarding import offboarding
from tests.unit.drawing.shipped import name_of, shipped
from tests.unit.drawing.test_bpmn import crowded
from tests.unit.drawing.test_plan import racing

pytestmark = pytest.mark.slow
BROKEN = "<not bpmn"


def read(given: dict[str, dict[str, str]]) -> dict[str, dict[str, list[str]]]:
    """Let texts be read; gives what is said of each. Skips the test where there are no readers."""
    found = npm()
    if found is None:
        pytest.skip("other readers of BPMN and Mermaid need node, which is not installed")
    if not (PLACE / "node_modules" / "mermaid").exists():
        pytest.skip("other readers of BPMN and Mermaid are not installed: make readers")
    done = subprocess.run(
        [found[0], str(PLACE / "read.mjs")],
        input=json.dumps(given), text=True, capture_output=True, check=False, cwd=PLACE,
        timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, dict[str, list[str]]] = json.loads(done.stdout)
    return answer


def states(process: Process[..., Any]) -> dict[str, str]:
    """Every node parked: as many colours as there can be."""
    return dict.fromkeys(drawing_of(process).graph.nodes, "parked")


def test_nothing_is_said_about_what_newel_writes() -> None:
    """Every example and every pattern, with strange labels, and with the colours of a run.

    The readers do read: what is broken is refused.
    """
    every = [*shipped(), offboarding, crowded, racing]
    texts: dict[str, dict[str, str]] = {"bpmn": {"broken": BROKEN}, "mermaid": {"broken": BROKEN}}
    for process in every:
        drawing, name = drawing_of(process), name_of(process)
        texts["bpmn"] |= {name: bpmn(drawing), f"{name} parked": bpmn(drawing, states(process))}
        texts["mermaid"] |= {
            name: flowchart(drawing.graph),
            f"{name} parked": flowchart(drawing.graph, states(process)),
        }
    said = read(texts)
    assert [said[kind].pop("broken") != [] for kind in texts] == [True, True]
    assert [(kind, *each) for kind in said for each in said[kind].items() if each[1]] == []


def test_what_is_installed_is_what_the_lock_names() -> None:
    """The lock names versions and hashes of what is asked for, and no place that it came from."""
    lock = json.loads((PLACE / "package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((PLACE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = {Path(name).name: each for name, each in lock["packages"].items() if name}
    assert {name: packages[name]["version"] for name in wanted} == wanted
    assert all("integrity" in each and "resolved" not in each for each in packages.values())
