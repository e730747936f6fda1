"""A company's tracker as the desk that the built-in process `newel.incident` goes to."""

from __future__ import annotations

from newel.connectors.trackers.base import Ticket, TicketRef, Tracker
from newel.engine.ticketing import Case, Issue


class TrackerDesk:
    """Speaks of cases to the engine and of tickets to the tracker."""

    def __init__(self, tracker: Tracker, *, console_url: str | None = None) -> None:
        """Take the tracker; console_url: where people open newel, for the link in a ticket."""
        self._tracker = tracker
        self._console_url = console_url
        self.credential = tracker.credential
        self.channel = tracker.channel

    async def find(self, case: Case) -> Issue | None:
        """Give the issue of an incident."""
        found = await self._tracker.find(case.incident)
        return None if found is None else _issue(found)

    async def open(self, case: Case) -> Issue:
        """Open the issue, or find that it is open."""
        url = None if self._console_url is None else f"{self._console_url}/runs/{case.first_run}"
        ticket = Ticket(incident=case.incident, title=case.title, body=case.body, url=url)
        return _issue(await self._tracker.ensure_ticket(ticket))

    async def comment(self, issue: Issue, key: str, text: str) -> None:
        """Add a comment, once per key."""
        await self._tracker.comment(_reference(issue), key, text)

    async def close(self, issue: Issue) -> None:
        """Close the issue."""
        await self._tracker.resolve(_reference(issue))


def _issue(found: TicketRef) -> Issue:
    return Issue(channel=found.channel, key=found.key, url=found.url)


def _reference(issue: Issue) -> TicketRef:
    return TicketRef(channel=issue.channel, key=issue.key, url=issue.url)
