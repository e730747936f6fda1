"""Tickets as Jira issues.

Mark: the labels `newel` and `newel-<8 hex>`, and the issue property `newel.incident`; the label
can be searched, the property tells two incidents with one label apart.
Source: connectors document, §13 "Tickets".
"""

from __future__ import annotations

from collections.abc import Mapping

from newel.connectors.jira import Jira
from newel.connectors.jira_contract import (
    EDIT_ISSUE,
    LINK,
    LINKS,
    FieldValue,
    Transition,
    labelled,
)
from newel.connectors.jira_document import document_of
from newel.connectors.trackers.base import Ticket, TicketRef, label_of

__all__ = ["JiraTickets", "jira_issues"]

_MARK = "newel.incident"
_LONGEST_SUMMARY = 250


class JiraTickets:
    """The tickets of one Jira project."""

    is_tracker = True

    def __init__(
        self,
        *,
        project: str,
        jira: Jira,
        issue_type: str = "Task",
        resolve_by: str | None = None,
        fields: Mapping[str, FieldValue] | None = None,
    ) -> None:
        """Make it for a project.

        resolve_by: name of the transition that closes an issue. fields: what the project asks
        for beside title and text, by the ids of its fields, as Jira's interface takes it.
        """
        self.project = project
        self.channel = f"{jira.name}:{project}"
        self.credential = jira.credential
        self.hosts = jira.hosts
        self.system = jira.name
        self._jira = jira
        self._issue_type = issue_type
        self._resolve_by = resolve_by
        self._fields = dict(fields or {})

    def __repr__(self) -> str:
        return f"<JiraTickets {self.project}>"

    async def find(self, incident: str) -> TicketRef | None:
        """Search the issue by its label; a hit whose property names another incident is not it."""
        found = await self._jira.search(self.project, label_of(incident), _MARK, incident)
        return None if found is None else self._ref(found.key, found.url)

    async def ensure_ticket(self, ticket: Ticket) -> TicketRef:
        """Create the issue with its mark and link it to the console, or find that it is there."""
        ref = await self.find(ticket.incident) or await self._create(ticket)
        if ticket.url is not None:
            await self._link(ref, ticket.incident, ticket.url, title="Incident in newel")
        return ref

    async def describe(self, ref: TicketRef, text: str) -> None:
        """Rewrite the description; the same text leaves the issue as it is."""
        body = {"fields": {"description": document_of(text)}}
        await self._jira.http.call(EDIT_ISSUE, {"issue": ref.key}, body=body)

    async def comment(self, ref: TicketRef, key: str, text: str) -> None:
        """Add a comment once per key; it notifies everybody who watches the issue."""
        await self._jira.comment_once(ref.key, key, text)

    async def resolve(self, ref: TicketRef) -> None:
        """Move the issue to a done status; where no way leads there, say so in a comment."""
        if (await self._jira.status_of(ref.key)).category.key == "done":
            return
        chosen = self._way_out(await self._jira.ways_from(ref.key))
        if chosen is None:
            text = "The incident is over. No transition of this issue leads to a done status."
            await self.comment(ref, "resolved", text)
            return
        await self._jira.move(ref.key, chosen)

    async def attach(self, ref: TicketRef, links: Mapping[str, str]) -> None:
        """Link addresses to the issue; each name is a global id, so each is linked once."""
        for name, url in links.items():
            await self._link(ref, name, url, title=name)

    async def reopen(self, ref: TicketRef) -> None:
        """Move a done issue back; where no way leads there, the comment that follows says it."""
        if (await self._jira.status_of(ref.key)).category.key != "done":
            return
        ways = await self._jira.ways_from(ref.key)
        back = next((way for way in ways if way.to.category.key != "done"), None)
        if back is not None:
            await self._jira.move(ref.key, back)

    async def sweep(self, incident: str, ref: TicketRef) -> int:
        """Link every other issue of the incident to its ticket, and close it."""
        found = await self._jira.marked(self.project, label_of(incident), _MARK, incident)
        others = [each for each in found if each.key != ref.key]
        for each in others:
            second = self._ref(each.key, each.url)
            await self._link(second, ref.key, ref.url, title=f"Duplicate of {ref.key}")
            await self.comment(second, "duplicate", f"This is a duplicate of {ref.key}.")
            await self.resolve(second)
        return len(others)

    def _way_out(self, ways: tuple[Transition, ...]) -> Transition | None:
        named = [way for way in ways if way.name.lower() == (self._resolve_by or "").lower()]
        done = [way for way in ways if way.to.category.key == "done"]
        return next(iter(named or done), None)

    async def _create(self, ticket: Ticket) -> TicketRef:
        fields: dict[str, object] = {
            **self._fields,
            "issuetype": {"name": self._issue_type},
            "summary": ticket.title[:_LONGEST_SUMMARY],
            "description": document_of(ticket.body),
            "labels": labelled(self._fields, "newel", label_of(ticket.incident)),
        }
        made = await self._jira.create(self.project, fields, _MARK, ticket.incident)
        return self._ref(made.key, made.url)

    async def _link(self, ref: TicketRef, name: str, url: str, *, title: str) -> None:
        """Link the issue to an address, unless it is; the global id makes it one link."""
        path = {"issue": ref.key}
        answer = await self._jira.http.call(LINKS, path, query={"globalId": name}, expect=(404,))
        if answer.status != 404:
            return
        body = {"globalId": name, "object": {"url": url, "title": title}}
        await self._jira.http.call(LINK, path, body=body)

    def _ref(self, key: str, url: str) -> TicketRef:
        return TicketRef(channel=self.channel, key=key, url=url)


def jira_issues(
    project: str,
    *,
    jira: Jira,
    issue_type: str = "Task",
    resolve_by: str | None = None,
    fields: Mapping[str, FieldValue] | None = None,
) -> JiraTickets:
    """Send tickets to a Jira project: `tickets = [jira_issues("OPS", jira=jira)]`."""
    return JiraTickets(
        project=project, jira=jira, issue_type=issue_type, resolve_by=resolve_by, fields=fields
    )
