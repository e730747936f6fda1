"""Tickets as Linear issues.

Mark: the id itself, which is made from the incident; comments have theirs from their key. So a
second issue or comment cannot come into being, and there is never anything to sweep.
Source: connectors document, §20.
"""

from __future__ import annotations

from newel.base.errors import Invalid
from newel.connectors.linear import Linear, LinearIssue, id_of
from newel.connectors.trackers.base import Ticket, TicketRef
from newel.connectors.trackers.issues import IssueTracker, body_of

__all__ = ["LinearIssues", "linear_issues"]

_DONE = ("completed", "canceled")
_UNDONE = ("unstarted", "backlog", "triage", "started")


class LinearIssues(IssueTracker):
    """The issues of one team."""

    def __init__(self, *, team: str, linear: Linear) -> None:
        """Make it for a team by its id."""
        self.team = team
        self.channel = f"{linear.name}:{team}"
        self.credential = linear.credential
        self.hosts = linear.hosts
        self.system = linear.name
        self._linear = linear

    async def comment(self, ref: TicketRef, key: str, text: str) -> None:
        """Add a comment once per key: its id is made from it."""
        identity = id_of(self.channel, ref.key, key)
        await self._linear.comment({"id": identity, "issueId": ref.key, "body": text})

    async def _marked(self, incident: str) -> list[TicketRef]:
        found = await self._linear.issue(id_of(self.channel, incident))
        return [] if found is None else [self._ref(found)]

    async def _open(self, ticket: Ticket) -> TicketRef:
        identity = id_of(self.channel, ticket.incident)
        fields: dict[str, object] = {
            "id": identity,
            "teamId": self.team,
            "title": ticket.title,
            "description": body_of(ticket),
        }
        made = await self._linear.create(fields) or await self._linear.issue(identity)
        if made is None:
            raise Invalid("Linear says that the issue exists, and does not show it.")
        return self._ref(made)

    async def _text(self, ref: TicketRef) -> str:
        return (await self._issue(ref)).description or ""

    async def _rewrite(self, ref: TicketRef, text: str) -> None:
        await self._linear.update(ref.key, {"description": text})

    async def _comments(self, ref: TicketRef) -> list[str]:
        del ref
        return []

    async def _say(self, ref: TicketRef, text: str) -> None:
        await self.comment(ref, text, text)

    async def _is_open(self, ref: TicketRef) -> bool:
        return (await self._issue(ref)).state.type not in _DONE

    async def _switch(self, ref: TicketRef, *, is_open: bool) -> None:
        """Move it to the first fitting state; where the team has none, say so."""
        states = await self._linear.states(self.team)
        types = _UNDONE if is_open else _DONE
        fitting = next((s for kind in types for s in states if s.type == kind), None)
        if fitting is not None:
            await self._linear.update(ref.key, {"stateId": fitting.id})
            return
        text = "The incident is over. The team has no state for what is done."
        await self.comment(ref, "resolved", text)

    async def _issue(self, ref: TicketRef) -> LinearIssue:
        found = await self._linear.issue(ref.key)
        if found is None:
            raise Invalid("The issue is no longer there.", fields={"issue": "is not known"})
        return found

    def _ref(self, issue: LinearIssue) -> TicketRef:
        return TicketRef(channel=self.channel, key=issue.identifier, url=issue.url)


def linear_issues(team: str, *, linear: Linear) -> LinearIssues:
    """Send tickets to a team: `tickets = [linear_issues("…team id…", linear=linear)]`."""
    return LinearIssues(team=team, linear=linear)
