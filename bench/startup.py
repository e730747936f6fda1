"""How long it takes to start, and how fast this machine's Python is."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path


def times(rounds: int) -> dict[str, float]:
    """Seconds of `import newel` beyond a bare interpreter, and of `newel --help`."""
    python, newel = sys.executable, str(Path(sys.executable).parent / "newel")
    bare = [_seconds([python, "-c", "pass"]) for _ in range(rounds)]
    imported = [_seconds([python, "-c", "import newel"]) for _ in range(rounds)]
    helped = [_seconds([newel, "--help"]) for _ in range(rounds)]
    return {
        "import_newel_s": round(statistics.median(imported) - statistics.median(bare), 3),
        "newel_help_s": round(statistics.median(helped), 3),
    }


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def loop_ms() -> float:
    """CPU milliseconds of a million additions: what a microsecond is worth on this machine."""
    began = time.process_time()
    number = 0
    while number < 1_000_000:
        number += 1
    return (time.process_time() - began) * 1000
