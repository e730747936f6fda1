"""The processes that every test of the drawing may look at: the examples and the patterns."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from newel import Process
from tests.patterns.harness import MISTAKEN as MISTAKEN

ROOT = Path(__file__).parents[3]


def shipped() -> list[Process[..., Any]]:
    """All processes of the examples and of the 43 patterns."""
    sys.path[:0] = [place for place in [str(ROOT / "examples")] if place not in sys.path]
    modules = ["company.onboarding"]
    files = sorted((ROOT / "tests" / "patterns").glob("test_wcp_*.py"))
    modules += [f"tests.patterns.{each.stem}" for each in files]
    found = []
    for name in modules:
        module = importlib.import_module(name)
        found += [
            each
            for each in vars(module).values()
            if isinstance(each, Process) and each.function.__module__ == name
        ]
    return found


def name_of(process: Process[..., Any]) -> str:
    """A process for people: its module and its name."""
    return f"{process.function.__module__.rpartition('.')[2]}.{process.name}"
