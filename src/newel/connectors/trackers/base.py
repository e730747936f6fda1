"""Tickets: what an incident says to the people who mend systems, wherever they track work.

A tracker keeps one promise: exactly one issue per incident, however often it is asked and
whatever answers are lost. It does so by a mark that is written with the issue and searched for
before every create. Source: connectors document, §13 "Tickets".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Ticket", "TicketRef", "Tracker", "label_of"]


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """What a ticket says; neither names nor addresses.

    incident: its reference, the mark. url: the incident's page in the console, if it has one.
    runs: how many runs it holds up.
    """

    incident: str
    title: str
    body: str
    url: str | None = None
    runs: int = 1


@dataclass(frozen=True, kw_only=True)
class TicketRef:
    """Which issue it became: the tracker's channel, the issue's key, where people open it."""

    channel: str
    key: str
    url: str


class Tracker(Protocol):
    """A place for tickets; every method is safe to repeat.

    credential: whose limits and outages it shares. channel: its name in settings.
    is_tracker: whether what it makes is worked on and closed there; mail and chat only tell.
    """

    credential: str
    channel: str
    is_tracker: bool

    async def find(self, incident: str) -> TicketRef | None:
        """Give the ticket of an incident, the oldest if there should be more."""
        ...

    async def ensure_ticket(self, ticket: Ticket) -> TicketRef:
        """Open the ticket, or find that it is open."""
        ...

    async def describe(self, ref: TicketRef, text: str) -> None:
        """Rewrite the description."""
        ...

    async def attach(self, ref: TicketRef, links: Mapping[str, str]) -> None:
        """Link addresses to the ticket, each once under its name."""
        ...

    async def reopen(self, ref: TicketRef) -> None:
        """Open a ticket again that was closed; one that is open stays so."""
        ...

    async def sweep(self, incident: str, ref: TicketRef) -> int:
        """Close every other ticket with the incident's mark; answers with how many there were."""
        ...

    async def comment(self, ref: TicketRef, key: str, text: str) -> None:
        """Add a comment, once per key."""
        ...

    async def resolve(self, ref: TicketRef) -> None:
        """Close the ticket; one that is closed stays so."""
        ...


def label_of(incident: str) -> str:
    """Give the label that marks an incident's ticket: `newel-` and eight hex digits."""
    return f"newel-{hashlib.sha256(incident.encode()).hexdigest()[:8]}"
