"""A tracker in memory: what it was asked stands in lists, and it can be down."""

from __future__ import annotations

from collections.abc import Sequence

from newel.base.errors import Transient
from newel.engine.ticketing import Case, Issue

__all__ = ["TicketDesk"]


class TicketDesk:
    """Takes tickets of incidents; issues: by incident. is_down: every call fails."""

    def __init__(self, name: str = "desk") -> None:
        self.credential = f"{name}:1"
        self.channel = name
        self.is_tracker = True
        self.is_down = False
        self.issues: dict[str, Issue] = {}
        self.opened: list[str] = []
        self.comments: list[str] = []
        self.closed: list[str] = []
        self.links: dict[str, list[str]] = {}

    async def find(self, case: Case) -> Issue | None:
        """Give the issue of an incident."""
        self._answer()
        return self.issues.get(case.incident)

    async def open(self, case: Case) -> Issue:
        """Open the issue, or find it."""
        self._answer()
        if case.incident not in self.issues:
            number = len(self.issues) + 1
            self.issues[case.incident] = Issue(channel=self.channel, key=f"OPS-{number}", url="")
            self.opened.append(case.title)
        return self.issues[case.incident]

    async def comment(self, issue: Issue, key: str, text: str) -> None:
        """Add a comment, once per key."""
        del text
        self._answer()
        if f"{issue.key}/{key}" not in self.comments:
            self.comments.append(f"{issue.key}/{key}")

    async def close(self, issue: Issue) -> None:
        """Close the issue."""
        self._answer()
        if issue.key not in self.closed:
            self.closed.append(issue.key)

    async def attach(self, issue: Issue, runs: Sequence[str]) -> None:
        """Link runs that wait, each once."""
        self._answer()
        known = self.links.setdefault(issue.key, [])
        known.extend(run for run in runs if run not in known)

    async def reopen(self, issue: Issue) -> None:
        """Open an issue again that was closed."""
        self._answer()
        if issue.key in self.closed:
            self.closed.remove(issue.key)

    async def sweep(self, case: Case, issue: Issue) -> int:
        """There is never a second issue of an incident."""
        del case, issue
        self._answer()
        return 0

    def _answer(self) -> None:
        if self.is_down:
            raise Transient("the tracker does not answer")
