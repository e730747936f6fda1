"""Garbage collection for a process that keeps many small objects alive: rare, and not of code.

A worker makes some hundred objects a step, nearly all of which reference counting frees. With
the interpreter's defaults the collector looks at all that is alive every few milliseconds, which
took about a sixth of a busy worker's time.
"""

from __future__ import annotations

import gc
from typing import Final

_YOUNG: Final = 50_000
_OLDER: Final = 20


def collect_rarely() -> None:
    """Leave what is loaded by now out of every collection, and collect seldom. For programs."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _OLDER, _OLDER)
