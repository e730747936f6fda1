"""How long it takes to read, draw and write a process: pages and checks do it as they are asked."""

from __future__ import annotations

import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from newel import Process
from newel.drawing.drawing import Drawing, drawing_of
from newel.drawing.layout import picture_of
from newel.drawing.reader import read
from newel.drawing.svg import svg

_ACTS = 24
_HEAD = '''from newel import parallel, process, step


@step(in_doubt="repeat")
async def do(what: str) -> str:
    """Do one thing."""
    return what


@process(subject=None, owner="it")
async def measured(what: str) -> str:
    """Choices and branches, one after another."""
'''


def times(rounds: int) -> dict[str, float]:
    """CPU milliseconds for a process of 24 acts: to read it whole, and to lay it out and write it.

    Each is the median of many; what is kept from one call to the next is not used.
    """
    with tempfile.TemporaryDirectory(prefix="newel-bench-") as name:
        file = Path(name) / "measured_process.py"
        file.write_text(_source(), encoding="utf-8")
        process = _imported(file)
        drawing = drawing_of(process)
        many = max(rounds, 3) * 10
        return {
            "drawing_read_ms": _median(lambda: _read(process), many),
            "drawing_svg_ms": _median(lambda: svg(picture_of(drawing), "Measured"), many),
        }


def _read(process: Process[..., Any]) -> None:  # Any: each process has its own result
    """Everything that registering a process asks of its drawing."""
    reading = read(process)
    assert reading.tree is not None
    drawing = Drawing(
        process=process,
        tree=reading.tree,
        findings=(),
        allowed=(),
        source_sha256=reading.source_sha256,
    )
    assert drawing.patterns is not None
    assert drawing.shape_sha256


def _source() -> str:
    """A process in which every third act is a choice's, and every third runs beside another."""
    lines = []
    for number in range(0, _ACTS, 4):
        keys = [f'do["a{number + each}"](what)' for each in range(4)]
        lines += [
            f"    await {keys[0]}",
            f'    if what == "{number}":',
            f"        await {keys[1]}",
            f"    await parallel({keys[2]}, {keys[3]})",
        ]
    return _HEAD + "\n".join([*lines, "    return what", ""])


def _imported(file: Path) -> Process[..., Any]:  # Any: as above
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    found: Process[..., Any] = module.measured
    return found


def _median(work: Callable[[], object], rounds: int) -> float:
    found = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        found.append((time.process_time() - began) * 1000)
    return round(statistics.median(found), 2)
