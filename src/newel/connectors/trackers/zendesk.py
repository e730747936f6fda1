"""Tickets as Zendesk tickets.

Mark: the external id, and the idempotency key of the create, both made from the incident. What
a ticket first says cannot be rewritten there, so what is new is said in an internal note, once.
Source: connectors document, §20.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from newel.connectors.trackers.base import Ticket, TicketRef, label_of
from newel.connectors.trackers.issues import IssueTracker, body_of
from newel.connectors.zendesk import Zendesk, ZendeskTicket

__all__ = ["ZendeskTickets", "zendesk_tickets"]

_DONE = frozenset({"solved", "closed"})


class ZendeskTickets(IssueTracker):
    """The tickets of one group of agents, or of whoever takes them."""

    def __init__(self, *, zendesk: Zendesk, group: int | None = None) -> None:
        """Make it for a group of agents by its number; without one Zendesk's own rules assign."""
        self.channel = f"{zendesk.name}:{group or 'tickets'}"
        self.credential = zendesk.credential
        self.hosts = zendesk.hosts
        self.system = zendesk.name
        self._zendesk = zendesk
        self._group = group

    async def describe(self, ref: TicketRef, text: str) -> None:
        """Say the new text in a note, unless it was said."""
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        await self.comment(ref, f"text {digest}", text)

    async def attach(self, ref: TicketRef, links: Mapping[str, str]) -> None:
        """Say links in one note, each address once."""
        said = "\n".join(await self._comments(ref))
        if new := [f"{name}: {url}" for name, url in links.items() if url not in said]:
            await self._say(ref, "\n".join(new))

    async def _marked(self, incident: str) -> list[TicketRef]:
        return [self._ref(each) for each in await self._zendesk.tickets(_external(incident))]

    async def _open(self, ticket: Ticket) -> TicketRef:
        fields: dict[str, object] = {
            "subject": ticket.title,
            "comment": {"body": body_of(ticket), "public": False},
            "external_id": _external(ticket.incident),
            "tags": ["newel", label_of(ticket.incident)],
            "type": "incident",
        }
        if self._group is not None:
            fields["group_id"] = self._group
        key = hashlib.sha256(f"{self.channel}/{ticket.incident}".encode()).hexdigest()[:32]
        return self._ref(await self._zendesk.create(fields, key))

    async def _text(self, ref: TicketRef) -> str:
        return next(iter(await self._comments(ref)), "")

    async def _rewrite(self, ref: TicketRef, text: str) -> None:
        await self._say(ref, text)

    async def _comments(self, ref: TicketRef) -> list[str]:
        return [text async for text in self._zendesk.comments(ref.key)]

    async def _say(self, ref: TicketRef, text: str) -> None:
        await self._zendesk.update(ref.key, {"comment": {"body": text, "public": False}})

    async def _is_open(self, ref: TicketRef) -> bool:
        return (await self._zendesk.ticket(ref.key)).status not in _DONE

    async def _switch(self, ref: TicketRef, *, is_open: bool) -> None:
        await self._zendesk.update(ref.key, {"status": "open" if is_open else "solved"})

    def _ref(self, ticket: ZendeskTicket) -> TicketRef:
        url = f"{self._zendesk.base_url}/agent/tickets/{ticket.id}"
        return TicketRef(channel=self.channel, key=str(ticket.id), url=url)


def zendesk_tickets(*, zendesk: Zendesk, group: int | None = None) -> ZendeskTickets:
    """Send tickets to Zendesk: `tickets = [zendesk_tickets(zendesk=zendesk)]`."""
    return ZendeskTickets(zendesk=zendesk, group=group)


def _external(incident: str) -> str:
    return f"newel:{incident}"
