"""The places where people are told, as the process `newel.incident` goes to them.

A company's tracker, mailbox or chat stands behind `TrackerDesk`; the last is newel's own inbox: a
task for IT, which cannot fail because it lies in the same database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote
from uuid import UUID

from newel.audit.leaf import Actor
from newel.base.errors import NotFound, NotWaiting
from newel.base.ids import parse_reference, reference
from newel.connectors.trackers.base import Ticket, TicketRef, Tracker
from newel.domain.people import Team
from newel.engine import commands
from newel.engine.builtin import BuiltIn, derived
from newel.engine.operating import Operating
from newel.engine.wording import Case, Issue
from newel.flow.process import Process, process
from newel.flow.waits import LONGEST_TITLE, approval

INBOX: Final = "newel.inbox"
_MOST_LINKS: Final = 50


class TrackerDesk:
    """Speaks of cases to the engine and of tickets to the tracker."""

    def __init__(self, tracker: Tracker, *, console_url: str | None = None) -> None:
        """Take the tracker; console_url: where people open newel, for the links in a ticket."""
        self._tracker = tracker
        self._console_url = None if console_url is None else console_url.rstrip("/")
        self.credential = tracker.credential
        self.channel = tracker.channel
        self.is_tracker = tracker.is_tracker

    async def find(self, case: Case) -> Issue | None:
        """Give the issue of an incident."""
        found = await self._tracker.find(case.incident)
        return None if found is None else _issue(found)

    async def open(self, case: Case) -> Issue:
        """Open the issue, or find that it is open."""
        ticket = Ticket(
            incident=case.incident,
            title=case.title,
            body="\n".join([case.body, *self._links(case)]),
            url=self._at(f"/runs/{case.first_run}"),
        )
        return _issue(await self._tracker.ensure_ticket(ticket))

    def _links(self, case: Case) -> list[str]:
        lines = []
        if case.person is not None:
            lines.append(f"Person: {self._at(f'/people/{case.person}') or case.person}")
        retry = f"/runs/{case.first_run}/retry?key={quote(case.first_key)}"
        lines.append(f"Retry: {self._at(retry) or case.first_run}")
        if case.runbook is not None:
            lines.append(f"Runbook: {case.runbook}")
        return lines

    async def attach(self, issue: Issue, runs: Sequence[str]) -> None:
        """Link runs that wait; a ticket has at most fifty such links from one call."""
        links = {run: self._at(f"/runs/{run}") or f"urn:newel:{run}" for run in runs[:_MOST_LINKS]}
        await self._tracker.attach(_reference(issue), links)

    async def comment(self, issue: Issue, key: str, text: str) -> None:
        """Add a comment, once per key."""
        await self._tracker.comment(_reference(issue), key, text)

    async def close(self, issue: Issue) -> None:
        """Close the issue."""
        await self._tracker.resolve(_reference(issue))

    async def reopen(self, issue: Issue) -> None:
        """Open it again."""
        await self._tracker.reopen(_reference(issue))

    async def sweep(self, case: Case, issue: Issue) -> int:
        """Close the other issues with the incident's mark."""
        return await self._tracker.sweep(case.incident, _reference(issue))

    def _at(self, path: str) -> str | None:
        return None if self._console_url is None else self._console_url + path


class Inbox:
    """The last channel: a task for IT in newel's own console."""

    channel = "inbox"
    credential = ""
    is_tracker = False

    def __init__(self, operating: Operating, builtin: BuiltIn) -> None:
        """Take what starts the runs whose tasks are the inbox."""
        self._operating = operating
        self._builtin = builtin
        self.process: Process[[Case], None] = _look_at()

    async def find(self, case: Case) -> Issue | None:
        """What is opened twice is opened once: its id follows from the incident."""
        del case
        return None

    async def open(self, case: Case) -> Issue:
        """Open the task."""
        run = derived(parse_reference(case.incident)[1], "inbox")
        await self._builtin.start(self.process, {"case": case}, run=run)
        return Issue(channel=self.channel, key=reference("run", run), url="")

    async def attach(self, issue: Issue, runs: Sequence[str]) -> None:
        """The console shows who waits by itself."""

    async def comment(self, issue: Issue, key: str, text: str) -> None:
        """The console shows what happens by itself."""

    async def close(self, issue: Issue) -> None:
        """Withdraw the task, unless somebody has dealt with it."""
        run: UUID = parse_reference(issue.key)[1]
        actor = Actor(type="system", id="newel")
        try:
            await commands.cancel(self._operating, run, actor=actor, reason="the incident is over")
        except (NotWaiting, NotFound):
            return

    async def reopen(self, issue: Issue) -> None:
        """A task that was closed is not opened again."""

    async def sweep(self, case: Case, issue: Issue) -> int:
        """There is never a second one."""
        del case, issue
        return 0


def _look_at() -> Process[[Case], None]:
    @process(name=INBOX, title="Incident without a ticket", owner="it", subject=None)
    async def look_at(case: Case) -> None:
        """Ask IT to look at an incident that no other channel could take."""
        await approval(
            "look-at-incident",
            by=Team("it"),
            title=f"look at {case.system}"[:LONGEST_TITLE],
            instructions=f"{case.title}\n{case.body}",
        )

    return look_at


def _issue(found: TicketRef) -> Issue:
    return Issue(channel=found.channel, key=found.key, url=found.url)


def _reference(issue: Issue) -> TicketRef:
    return TicketRef(channel=issue.channel, key=issue.key, url=issue.url)
