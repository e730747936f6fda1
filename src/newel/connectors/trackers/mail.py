"""Telling people by mail: a channel for when the tracker itself is down.

A mail is no ticket: it cannot be searched for, so a lost answer may lead to a second one. Its
`Message-ID` is made from the incident, so that programs for reading mail show one, and what
follows stands in the same thread.
Source: connectors document, §20.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from newel.base.secrets import SecretRef
from newel.connectors.post import Post, checked_address
from newel.connectors.trackers.base import Ticket, TicketRef

__all__ = ["Mail", "mail"]


class Mail:
    """One address that is written to."""

    is_tracker = False

    def __init__(self, *, to: str, post: Post) -> None:
        """Take the address; a made one comes from `mail(…)`."""
        self.channel = f"mail:{to.partition('@')[0]}"
        self._to = to
        self._post = post
        self.credential = f"mail:{hashlib.sha256(post.address.encode()).hexdigest()[:12]}"

    def __repr__(self) -> str:
        return f"<Mail {self.channel}>"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The mail server, with its port."""
        return (self._post.address,)

    async def find(self, incident: str) -> TicketRef | None:
        """Nothing can be searched for in somebody's mailbox."""
        del incident
        return None

    async def ensure_ticket(self, ticket: Ticket) -> TicketRef:
        """Send the mail."""
        text = ticket.body if ticket.url is None else f"{ticket.body}\n{ticket.url}"
        name = self._post.message_id(ticket.incident)
        await self._post.send(self._post.message(self._to, ticket.title, text, name))
        return TicketRef(channel=self.channel, key=name, url="")

    async def describe(self, ref: TicketRef, text: str) -> None:
        """What was sent stays as it is."""

    async def attach(self, ref: TicketRef, links: Mapping[str, str]) -> None:
        """Nothing is sent for every run that joins."""

    async def comment(self, ref: TicketRef, key: str, text: str) -> None:
        """Answer in the same thread."""
        name = self._post.message_id(ref.key + key)
        message = self._post.message(self._to, "Re: incident in newel", text, name)
        message["In-Reply-To"] = message["References"] = ref.key
        await self._post.send(message)

    async def resolve(self, ref: TicketRef) -> None:
        """The comment before has said it."""

    async def reopen(self, ref: TicketRef) -> None:
        """The comment that follows says it."""

    async def sweep(self, incident: str, ref: TicketRef) -> int:
        """What was sent twice cannot be taken back."""
        del incident, ref
        return 0


def mail(
    to: str,
    *,
    sender: str,
    host: str,
    port: int = 587,
    user: str | None = None,
    password: SecretRef | None = None,
) -> Mail:
    """Make a channel that writes to an address; it stands behind the tracker in `tickets`.

    The connection is encrypted, but to a server on this machine. Raises DefinitionError for an
    address that is none.
    """
    checked_address("mail()", to)
    post = Post(
        sender=checked_address("mail()", sender), host=host, port=port, user=user, password=password
    )
    return Mail(to=to, post=post)
