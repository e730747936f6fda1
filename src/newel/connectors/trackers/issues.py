"""What trackers have in common: one issue for each incident, one comment for each key.

A tracker says how its issues are found, opened, read and written; when that is done, and that
nothing is done twice, stands here once. Comments end with a line that names their key, because
few trackers have a better place for it.
Source: connectors document, §13 "Tickets", §20.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from newel.connectors.trackers.base import Ticket, TicketRef

__all__ = ["IssueTracker"]


class IssueTracker(ABC):
    """One place for issues of one tracker.

    channel, credential: as `Tracker` has them.
    """

    is_tracker = True
    channel: str
    credential: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.channel}>"

    async def find(self, incident: str) -> TicketRef | None:
        """Give the issue of an incident, the oldest if there should be more."""
        found = await self._marked(incident)
        return found[0] if found else None

    async def ensure_ticket(self, ticket: Ticket) -> TicketRef:
        """Open the issue with its mark, or find that it is there."""
        return await self.find(ticket.incident) or await self._open(ticket)

    async def describe(self, ref: TicketRef, text: str) -> None:
        """Rewrite the description; the same text leaves the issue as it is."""
        if (await self._text(ref)).strip() != text.strip():
            await self._rewrite(ref, text)

    async def attach(self, ref: TicketRef, links: Mapping[str, str]) -> None:
        """Add links to the description, each address once."""
        text = await self._text(ref)
        new = [f"{name}: {url}" for name, url in links.items() if url not in text]
        if new:
            await self._rewrite(ref, "\n".join([text.rstrip(), "", *new]))

    async def comment(self, ref: TicketRef, key: str, text: str) -> None:
        """Add a comment once per key."""
        last_line = f"newel comment {key}"
        if not any(_last_line(each) == last_line for each in await self._comments(ref)):
            await self._say(ref, f"{text}\n\n{last_line}")

    async def resolve(self, ref: TicketRef) -> None:
        """Close the issue; one that is closed stays so."""
        if await self._is_open(ref):
            await self._switch(ref, is_open=False)

    async def reopen(self, ref: TicketRef) -> None:
        """Open the issue again; one that is open stays so."""
        if not await self._is_open(ref):
            await self._switch(ref, is_open=True)

    async def sweep(self, incident: str, ref: TicketRef) -> int:
        """Point every other issue of the incident to its ticket, and close it."""
        others = [each for each in await self._marked(incident) if each.key != ref.key]
        for each in others:
            await self.comment(each, "duplicate", f"This is a duplicate of {ref.url or ref.key}.")
            await self.resolve(each)
        return len(others)

    @abstractmethod
    async def _marked(self, incident: str) -> list[TicketRef]:
        """Find the issues with the incident's mark, the oldest first, closed ones too."""

    @abstractmethod
    async def _open(self, ticket: Ticket) -> TicketRef:
        """Create the issue, its mark in the same request."""

    @abstractmethod
    async def _text(self, ref: TicketRef) -> str:
        """Read the description."""

    @abstractmethod
    async def _rewrite(self, ref: TicketRef, text: str) -> None:
        """Write the description."""

    @abstractmethod
    async def _comments(self, ref: TicketRef) -> list[str]:
        """Read all comments."""

    @abstractmethod
    async def _say(self, ref: TicketRef, text: str) -> None:
        """Add a comment."""

    @abstractmethod
    async def _is_open(self, ref: TicketRef) -> bool:
        """Say whether the issue is still to be worked on."""

    @abstractmethod
    async def _switch(self, ref: TicketRef, *, is_open: bool) -> None:
        """Close or reopen the issue."""


def body_of(ticket: Ticket) -> str:
    """Give the text of a new issue, with the way to the console."""
    return (
        ticket.body if ticket.url is None else f"{ticket.body}\n\nIncident in newel: {ticket.url}"
    )


def _last_line(text: str) -> str:
    return text.strip().split("\n")[-1].strip()
