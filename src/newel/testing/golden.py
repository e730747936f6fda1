"""Committed snapshots: what is drawn of a process, and what is planned for an input.

They lie beside the test in `golden/`, as text that people read in a review. `pytest
--newel-update` writes them anew; without it a difference fails the test and shows itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from newel.drawing.drawing import drawing_of
from newel.drawing.plan import planned
from newel.drawing.text import outline
from newel.flow.process import Process, Request

__all__ = ["Golden", "GoldenDrawing", "GoldenPlan", "drawn"]

GoldenDrawing = Callable[[Process[..., Any]], None]  # Any: each process has its own result


class GoldenPlan(Protocol):
    """The check of a plan; name: tells several inputs of one process apart."""

    def __call__(self, request: Request[Any], *, name: str = "") -> None:  # Any: as above
        """Compare what a run with this input would do with the committed text."""


@dataclass(frozen=True, slots=True)
class Golden:
    """The snapshots of one test file; updates: whether they are written anew."""

    test: Path
    updates: bool

    def holds(self, name: str, text: str) -> None:
        """Assert that a text is the committed one, or write it."""
        file = self.test.parent / "golden" / f"{self.test.stem.removeprefix('test_')}.{name}.txt"
        if self.updates:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, "utf-8")
        assert file.is_file(), f"{file} is not there: `pytest --newel-update` writes it."
        committed = file.read_text("utf-8")
        assert text == committed, f"{file} is stale: `pytest --newel-update` writes it anew."

    def holds_plan(self, request: Request[Any], *, name: str = "") -> None:  # Any: as above
        """Assert that a run with this input would do what is committed."""
        process = request.process.name
        self.holds(
            f"{process}.{name}.plan" if name else f"{process}.plan", planned(request).as_text()
        )


def drawn(process: Process[..., Any]) -> str:  # Any: as above
    """What is drawn of a process, as text: its title, and the list of its parts."""
    return f"{process.title}\n\n{outline(drawing_of(process).tree)}"
