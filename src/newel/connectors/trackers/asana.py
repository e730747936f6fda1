"""Tickets as Asana tasks.

Mark: the task's external id, made from the incident; one application has each such id once.
Source: connectors document, §20.
"""

from __future__ import annotations

from newel.base.errors import Invalid
from newel.connectors.asana import Asana, AsanaTask
from newel.connectors.trackers.base import Ticket, TicketRef
from newel.connectors.trackers.issues import IssueTracker, body_of

__all__ = ["AsanaTasks", "asana_tasks"]


class AsanaTasks(IssueTracker):
    """The tasks of one project."""

    def __init__(self, *, project: str, asana: Asana) -> None:
        """Make it for a project by its id."""
        self.project = project
        self.channel = f"{asana.name}:{project}"
        self.credential = asana.credential
        self.hosts = asana.hosts
        self.system = asana.name
        self._asana = asana

    async def _marked(self, incident: str) -> list[TicketRef]:
        found = await self._asana.task(f"external:{_external(incident)}")
        return [] if found is None else [self._ref(found)]

    async def _open(self, ticket: Ticket) -> TicketRef:
        fields: dict[str, object] = {
            "name": ticket.title,
            "notes": body_of(ticket),
            "projects": [self.project],
            "external": {"gid": _external(ticket.incident), "data": "newel"},
        }
        try:
            return self._ref(await self._asana.create(fields))
        except Invalid:
            # Asana refuses an id it knows, in words that nobody promises: so look.
            found = await self.find(ticket.incident)
            if found is None:
                raise
            return found

    async def _text(self, ref: TicketRef) -> str:
        return (await self._task(ref)).notes

    async def _rewrite(self, ref: TicketRef, text: str) -> None:
        await self._asana.update(ref.key, {"notes": text})

    async def _comments(self, ref: TicketRef) -> list[str]:
        return [text async for text in self._asana.comments(ref.key)]

    async def _say(self, ref: TicketRef, text: str) -> None:
        await self._asana.comment(ref.key, text)

    async def _is_open(self, ref: TicketRef) -> bool:
        return not (await self._task(ref)).completed

    async def _switch(self, ref: TicketRef, *, is_open: bool) -> None:
        await self._asana.update(ref.key, {"completed": not is_open})

    async def _task(self, ref: TicketRef) -> AsanaTask:
        found = await self._asana.task(ref.key)
        if found is None:
            raise Invalid("The task is no longer there.", fields={"task": "is not known"})
        return found

    def _ref(self, task: AsanaTask) -> TicketRef:
        return TicketRef(channel=self.channel, key=task.gid, url=task.permalink_url)


def asana_tasks(project: str, *, asana: Asana) -> AsanaTasks:
    """Send tickets to a project: `tickets = [asana_tasks("1204…", asana=asana)]`."""
    return AsanaTasks(project=project, asana=asana)


def _external(incident: str) -> str:
    return f"newel-{incident}"
