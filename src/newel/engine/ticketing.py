"""`newel.incident`: the built-in process that tells people of an incident until it is over.

From its escalation on an incident is itself a run, started in the transaction that parks the
first step. Opening the ticket is a step like any other: its intent is durable before the call,
and in doubt it looks for the ticket by its mark before it makes a second one. That is how there
is exactly one, whatever crashes in between.

    the channels in turn -> one takes the ticket; the inbox of newel itself always does
    waiting              -> the runs that wait are linked; a comment when they have doubled
    no tracker so far    -> now and then the first tracker is tried again ("promoted")
    over                 -> a comment, and the ticket is closed

The process is ordinary code over the steps of `Chain`: a company that wants another order of
things registers a process of its own under the same name.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from newel.audit import catalogue as facts
from newel.base.codec import codec_of
from newel.base.errors import Overdue, StepError, StepFailed, Transient
from newel.base.ids import parse_reference
from newel.domain.failures import USES_ROUNDS
from newel.domain.retry import Retry
from newel.domain.values import Absent, Found, Unclear
from newel.engine.runner import Runner
from newel.engine.wording import Case, Issue, News, case_of
from newel.flow.act import Act
from newel.flow.ambient import now, this_attempt
from newel.flow.process import Process, process
from newel.flow.step import step
from newel.flow.waits import Event, timer
from newel.store import incidents as rows
from newel.store.database import Database

__all__ = ["NAME", "NEWS", "Case", "Chain", "Channel", "Issue", "News", "Ticketing", "case_of"]

NAME: Final = "newel.incident"
NEWS: Final = Event("incident-news", News)

_ONE_CHANNEL: Final = Retry(within=timedelta(minutes=5))
"""So long a channel is tried before the next one is."""

_PERSISTENT: Final = Retry(rounds=96, within=timedelta(hours=24), ratio=1)
"""What follows a ticket that was opened is tried every quarter of an hour, for a day."""

_SETTLED: Final = timedelta(seconds=60)
"""After this long a search that finds no ticket is believed: search indexes lag behind."""

_SWEEP: Final = timedelta(minutes=10)
_QUIET: Final = timedelta(minutes=10)
_AGAIN: Final = (timedelta(minutes=10), timedelta(minutes=30), timedelta(hours=2))
_GOES_ON: Final = USES_ROUNDS | {"throttled", "outcome-unknown", "already-done"}
_SOON: Final = timedelta(seconds=1)
_REMEMBERED: Final = timedelta(hours=24)


class Channel(Protocol):
    """A place where people are told; every method is safe to repeat.

    channel: its name. credential: whose outages it shares; "" if it cannot have any.
    is_tracker: whether what it makes is a ticket that people work on, and close.
    """

    credential: str
    channel: str
    is_tracker: bool

    async def find(self, case: Case) -> Issue | None:
        """Give the issue of an incident."""
        ...

    async def open(self, case: Case) -> Issue:
        """Open the issue, or find that it is open."""
        ...

    async def attach(self, issue: Issue, runs: Sequence[str]) -> None:
        """Link runs that wait to the issue."""
        ...

    async def comment(self, issue: Issue, key: str, text: str) -> None:
        """Add a comment, once per key."""
        ...

    async def close(self, issue: Issue) -> None:
        """Close the issue."""
        ...

    async def reopen(self, issue: Issue) -> None:
        """Open an issue again that was closed."""
        ...

    async def sweep(self, case: Case, issue: Issue) -> int:
        """Close what else carries the incident's mark; answers with how many there were."""
        ...


class Chain:
    """The channels in turn, as steps: what a process that tells people is made of."""

    def __init__(self, channels: Sequence[Channel], busy: Callable[..., Any] | None = None) -> None:
        """Take the channels, the first asked first.

        busy: says which credentials have an open incident of their own.
        """
        self.names = tuple(each.channel for each in channels)
        self._channels = {each.channel: each for each in channels}
        self.trackers = tuple(each.channel for each in channels if each.is_tracker)
        self._busy = busy
        self._make()

    def at(self, issue: Issue) -> Channel:
        """The channel of an issue."""
        return self._channels[issue.channel]

    def _make(self) -> None:
        """Make the steps; they have no address but the chain's, so each is a closure over it."""

        async def look(case: Case, channel: str) -> Found[Issue] | Absent | Unclear:
            issue = await self._channels[channel].find(case)
            if issue is not None:
                return Found(issue)
            info = this_attempt()
            is_early = info.began_at - info.intended_at < _SETTLED
            return Unclear("the search may lag behind") if is_early else Absent()

        @step(in_doubt="repeat")
        async def reachable() -> tuple[str, ...]:
            """Say which channels have no outage of their own; read when people must be told."""
            named = {name: each.credential for name, each in self._channels.items()}
            busy: set[str] = set() if self._busy is None else await self._busy([*named.values()])
            return tuple(name for name, credential in named.items() if credential not in busy)

        @step(verify=look, retry=_ONE_CHANNEL, exhausted="fail")
        async def ticket(case: Case, channel: str) -> Issue:
            """Tell people of the incident through one channel."""
            async with _answering():
                issue = await self._channels[channel].open(case)
            return replace(issue, is_doubtful=this_attempt().follows_doubt)

        @step(in_doubt="repeat", retry=_ONE_CHANNEL, exhausted="fail")
        async def again(case: Case, issue: Issue) -> Issue:
            """Open the ticket of the last time again: the same cause within a day."""
            async with _answering():
                await self.at(issue).reopen(issue)
                await self.at(issue).comment(issue, f"again/{case.incident}", case.body)
            return issue

        @step(in_doubt="repeat", retry=_ONE_CHANNEL, exhausted="fail")
        async def attach(issue: Issue, runs: tuple[str, ...]) -> None:
            """Link the runs that wait."""
            async with _answering():
                await self.at(issue).attach(issue, runs)

        @step(in_doubt="repeat", retry=_ONE_CHANNEL, exhausted="fail")
        async def remark(issue: Issue, key: str, text: str) -> None:
            """Tell those who watch the ticket what has changed."""
            async with _answering():
                await self.at(issue).comment(issue, key, text)

        @step(in_doubt="repeat", retry=_PERSISTENT)
        async def comment(issue: Issue, key: str, text: str) -> None:
            """Tell those who watch the ticket that it is over."""
            await self.at(issue).comment(issue, key, text)

        @step(in_doubt="repeat", retry=_PERSISTENT)
        async def close(issue: Issue) -> Issue:
            """Close the ticket."""
            await self.at(issue).close(issue)
            return replace(issue, is_closed=True)

        @step(in_doubt="repeat", retry=_ONE_CHANNEL, exhausted="fail")
        async def sweep(case: Case, issue: Issue) -> int:
            """Close what a lost answer may have left beside the ticket."""
            async with _answering():
                return await self.at(issue).sweep(case, issue)

        self.reachable, self.ticket, self.again = reachable, ticket, again
        self.attach, self.remark, self.sweep = attach, remark, sweep
        self.comment, self.close = comment, close


@contextlib.asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """Treat a channel that refuses like one that does not answer: the next one is asked then."""
    try:
        yield
    except StepError as error:
        if error.failure_class in _GOES_ON:
            raise
        raise Transient(error.message, status=error.status, code=error.code) from error


class Ticketing:
    """The process that tells people, and what its outcomes write."""

    def __init__(
        self,
        channels: Sequence[Channel],
        database: Database | None = None,
        own: Process[..., Any] | None = None,  # Any: the company's own may return what it likes
    ) -> None:
        """Take the channels; own: the company's process instead of the built-in one."""
        self.version = 1
        self._database = database

        async def busy(credentials: list[str]) -> set[str]:
            assert database is not None, "only a deployment has incidents"
            return await rows.busy(database, credentials)

        self.chain = Chain(channels, None if database is None else busy)
        self.process: Process[..., Any] = own or telling(self.chain)  # Any: as above

    async def before(self, fingerprint: str, moment: datetime) -> Issue | None:
        """The ticket of the same cause, if it was closed within the last day."""
        assert self._database is not None, "only a deployment has incidents"
        row = await rows.ticket_before(self._database, fingerprint, moment - _REMEMBERED)
        if row is None or row["channel"] not in self.chain.trackers:
            return None
        return Issue(channel=row["channel"], key=row["external_key"], url=row["url"] or "")

    def on_outcome(self, run: Runner, key: str, value: object) -> None:
        """Write the ticket's row and tell the system's stream, with the outcome that made it."""
        case = run.process.loaded(run.history.arguments).get("case")
        if not isinstance(case, Case):
            return
        if isinstance(value, StepFailed) and key.startswith("ticket["):
            self._failed(run, case, key)
        elif isinstance(value, Issue):
            run.change.also("ticket", _row(run, case, value))
            if not value.is_closed:
                self._ticketed(run, case, value)

    def _ticketed(self, run: Runner, case: Case, issue: Issue) -> None:
        is_first = issue.channel == self.chain.names[:1][0]
        fact = facts.IncidentTicketed(
            incident=case.incident,
            tracker=issue.channel,
            ticket=issue.key,
            channel="first" if is_first else "fallback",
            marker=case.incident,
        )
        run.beside(f"system/{case.system}", fact, system=case.system)

    def _failed(self, run: Runner, case: Case, key: str) -> None:
        act = run.acts[key]
        channel: str = act.args[1]  # type: ignore[attr-defined]  # a step's act
        fact = facts.IncidentTicketFailed(
            incident=case.incident, tracker=channel, class_="transient"
        )
        run.beside(f"system/{case.system}", fact, system=case.system)


def telling(chain: Chain) -> Process[[Case], Issue]:
    """Make the built-in process over a chain."""

    async def opened(case: Case) -> Issue:
        """Tell people through the first channel that takes it; the inbox always does."""
        if case.before is not None:
            try:
                return await chain.again(case, case.before)
            except StepFailed:
                pass
        for channel in await chain.reachable():
            try:
                return await chain.ticket[channel](case, channel)
            except StepFailed:
                continue
        return await chain.ticket[chain.names[-1]](case, chain.names[-1])

    async def promoted(case: Case, issue: Issue) -> Issue:
        """Try the first tracker again; the incident keeps what it has until that answers."""
        able = await chain.reachable()
        for channel in chain.trackers[:1]:
            if channel not in able:
                continue
            try:
                found = await chain.ticket[channel](case, channel)
            except StepFailed:
                continue
            await _quietly(
                chain.remark(issue, "promoted", f"The ticket is {found.key}: {found.url}")
            )
            return found
        return issue

    @process(name=NAME, title="Incident", owner="it", subject=None)
    async def incident(case: Case) -> Issue:
        """Tell people of an incident, keep the ticket up to date, and close it when it is over."""
        issue = await opened(case)
        if issue.is_doubtful:
            await timer("before-sweep", after=_SWEEP)
            await _quietly(chain.sweep(case, issue))
        first = issue
        linked: set[str] = set()
        told, quiet_until, turn = 0, case.at, 0  # told of: those that are linked at first
        due = now() + _AGAIN[0]
        while True:
            wants_tracker = issue.channel not in chain.trackers and bool(chain.trackers)
            try:
                within = max(due - now(), _SOON) if wants_tracker else None
                news = await NEWS.wait(match=case.incident, within=within)
            except Overdue:
                turn += 1
                issue = await promoted(case, issue)
                due = now() + _AGAIN[min(turn, len(_AGAIN) - 1)]
                if issue != first and linked:
                    await _quietly(chain.attach(issue, tuple(sorted(linked))))
                continue
            if news.kind == "over":
                break
            if new := tuple(run for run in news.runs if run not in linked):
                await _quietly(chain.attach(issue, new))
                linked.update(new)
            if told == 0:
                told = len(linked)
            elif len(linked) >= 2 * told and news.at >= quiet_until:
                told, quiet_until = len(linked), news.at + _QUIET
                text = f"{len(news.runs)} runs wait for this now."
                await _quietly(chain.remark(issue, f"waiting-{told}", text))
        await chain.comment(issue, f"over/{case.incident}", news.ending())
        closed = await chain.close(issue)
        if first != issue:
            await chain.close(first)
        return closed

    return incident


async def _quietly(act: Act[Any]) -> None:  # Any: what comes of it is not needed
    """Do what may be missing from a ticket: that it fails must not keep the ticket from closing."""
    with contextlib.suppress(StepFailed):
        await act


def as_message(news: News) -> bytes:
    """The message that brings news to an incident's run."""
    return codec_of(News).dump(news)


def _row(run: Runner, case: Case, issue: Issue) -> dict[str, Any]:
    incident: UUID = parse_reference(case.incident)[1]
    return {
        "incident_id": str(incident),
        "channel": issue.channel,
        "external_key": issue.key,
        "url": issue.url,
        "state": "closed" if issue.is_closed else "open",
        "run_id": str(run.id),
        "recorded_at": run.moment,
    }
