"""Telling people in a Slack channel: a channel for when the tracker itself is down.

A message carries a key in its metadata, made from the incident, by which a lost one is found
again where the token may read the channel's history.
"""

from __future__ import annotations

from collections.abc import Mapping

from newel.base.errors import Forbidden
from newel.connectors.slack import Slack
from newel.connectors.trackers.base import Ticket, TicketRef

__all__ = ["SlackMessages", "slack_channel"]


class SlackMessages:
    """One channel that is written to."""

    is_tracker = False

    def __init__(self, to: str, *, slack: Slack) -> None:
        """Take the channel, by name or id."""
        self.channel = f"{slack.name}:{to}"
        self.credential = slack.credential
        self.hosts = slack.hosts
        self._to = to
        self._slack = slack

    def __repr__(self) -> str:
        return f"<SlackMessages {self.channel}>"

    async def find(self, incident: str) -> TicketRef | None:
        """Search the channel's history for the incident's message, where that may be read."""
        try:
            found = await self._slack.said(self._to, self._slack.key_of(incident))
        except Forbidden:
            return None
        return None if found is None else self._ref(found.ts)

    async def ensure_ticket(self, ticket: Ticket) -> TicketRef:
        """Say it, unless it was said."""
        found = await self.find(ticket.incident)
        if found is not None:
            return found
        text = f"*{ticket.title}*\n{ticket.body}"
        posted = await self._slack.post(self._to, text, self._slack.key_of(ticket.incident))
        return self._ref(posted.ts)

    async def describe(self, ref: TicketRef, text: str) -> None:
        """What was said stays as it is."""

    async def attach(self, ref: TicketRef, links: Mapping[str, str]) -> None:
        """Nothing is said for every run that joins."""

    async def comment(self, ref: TicketRef, key: str, text: str) -> None:
        """Answer in the message's thread, once per key."""
        op_key = self._slack.key_of(f"{ref.key}/{key}")
        await self._slack.post(self._to, text, op_key, thread=ref.key)

    async def resolve(self, ref: TicketRef) -> None:
        """The comment before has said it."""

    async def reopen(self, ref: TicketRef) -> None:
        """The comment that follows says it."""

    async def sweep(self, incident: str, ref: TicketRef) -> int:
        """A message that was said twice stays."""
        del incident, ref
        return 0

    def _ref(self, ts: str) -> TicketRef:
        return TicketRef(channel=self.channel, key=ts, url="")


def slack_channel(to: str, *, slack: Slack) -> SlackMessages:
    """Make a channel that writes to a chat; it stands behind the tracker in `tickets`."""
    return SlackMessages(to, slack=slack)
