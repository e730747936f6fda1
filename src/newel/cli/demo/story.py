"""How the demo is told: finished sentences with the demo's own time, and what is going on now.

On a terminal a spinner shows what is awaited; elsewhere each sentence is a plain line.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

__all__ = ["Story"]

_TIME: Final = "%a %d %b %H:%M:%S"


class Story:
    """Tells one demo on one console."""

    def __init__(self, console: Console, zone: tzinfo) -> None:
        """Take where to tell, and the zone in which times are told."""
        self.console = console
        self.zone = zone
        self._status: Status | None = None

    def begin(self, doing: str) -> None:
        """Say what is going on now."""
        if self._status is None:
            self._status = self.console.status(doing)
            self._status.start()
        else:
            self._status.update(doing)

    def tell(self, sentence: str, at: datetime | None = None, *, tone: str = "green") -> None:
        """Say what has happened; at: the demo's time."""
        time = at.astimezone(self.zone).strftime(_TIME) if at is not None else " " * 19
        mark = {"green": "✓", "red": "✗", "yellow": "•"}.get(tone, " ")
        line = Text.assemble((time, "dim"), "  ", (mark, tone), "  ", sentence)
        self.console.print(line, soft_wrap=not self.console.is_terminal)

    def quote(self, sentence: str) -> None:
        """Print what newel itself says, as it says it."""
        line = Text.assemble(" " * 24, ("“", "dim"), (sentence, "italic"), ("”", "dim"))
        self.console.print(line, soft_wrap=not self.console.is_terminal)

    def end(self) -> None:
        """Stop the spinner."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def table(self, title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        """Print a small table."""
        made = Table(*heads, box=None)
        for row in rows:
            made.add_row(*row)
        self.console.print(f"\n{title}", style="bold")
        self.console.print(made)
