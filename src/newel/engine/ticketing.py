"""`newel.incident`: the built-in process that opens, comments on and closes an incident's ticket.

From its escalation on an incident is itself a run, started in the transaction that parks the
first step. Opening the ticket is a step like any other: its intent is durable before the call,
and in doubt it looks for the ticket by its mark before it makes a second one. That is how there
is exactly one, whatever crashes in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from newel.audit import catalogue as facts
from newel.base.codec import codec_of
from newel.base.ids import parse_reference, reference
from newel.domain.retry import Retry
from newel.domain.values import Absent, Found, Unclear
from newel.engine.runner import Runner
from newel.flow.ambient import this_attempt
from newel.flow.process import Process, process
from newel.flow.step import step
from newel.flow.waits import Event

NAME: Final = "newel.incident"
_PERSISTENT: Final = Retry(rounds=96, within=timedelta(hours=24), ratio=1)
"""A ticket that cannot be opened is tried again every quarter of an hour, for a day."""

_SETTLED: Final = timedelta(seconds=60)
"""After this long a search that finds no ticket is believed: search indexes lag behind."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the ticket tells: no names, no addresses, opaque references only."""

    incident: str
    system: str
    title: str
    body: str
    first_run: str


@dataclass(frozen=True, kw_only=True)
class Issue:
    """The ticket that was opened: channel, key in the tracker, where people open it."""

    channel: str
    key: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Healed:
    """The cause is gone: when, and after how many minutes."""

    at: datetime
    minutes: int


HEALED: Final = Event("healed", Healed)


class Desk(Protocol):
    """A tracker, as the built-in process uses it; every method is safe to repeat."""

    credential: str
    channel: str

    async def find(self, case: Case) -> Issue | None:
        """Give the issue of an incident."""
        ...

    async def open(self, case: Case) -> Issue:
        """Open the issue, or find that it is open."""
        ...

    async def comment(self, issue: Issue, key: str, text: str) -> None:
        """Add a comment, once per key."""
        ...

    async def close(self, issue: Issue) -> None:
        """Close the issue."""
        ...


class Ticketing:
    """The built-in process over the company's tracker, and what its outcomes write."""

    def __init__(self, desk: Desk | None) -> None:
        """Take the tracker; without one an incident shows in the console only."""
        self.version = 1
        self.process: Process[[Case], Issue | None] = _incident(desk)

    def on_outcome(self, run: Runner, key: str, value: object) -> None:
        """Write the ticket's row and tell the system's stream, with the outcome that made it."""
        if isinstance(value, Issue) and key.startswith("ticket"):
            case = run.process.loaded(run.history.arguments)["case"]
            assert isinstance(case, Case), "the built-in process has one input"
            self._opened(run, case, value)
        elif key == "close" and (issue := _issue_of(run)) is not None:
            case = run.process.loaded(run.history.arguments)["case"]
            assert isinstance(case, Case), "the built-in process has one input"
            run.change.also("ticket", _row(run, case, issue, state="closed"))

    def _opened(self, run: Runner, case: Case, issue: Issue) -> None:
        run.change.also("ticket", _row(run, case, issue, state="open"))
        fact = facts.IncidentTicketed(
            incident=case.incident,
            tracker=issue.channel,
            ticket=issue.key,
            channel="first",
            marker=case.incident,
        )
        run.beside(f"system/{case.system}", fact, system=case.system)


def _row(run: Runner, case: Case, issue: Issue, *, state: str) -> dict[str, Any]:
    return {
        "incident_id": str(parse_reference(case.incident)[1]),
        "channel": issue.channel,
        "external_key": issue.key,
        "url": issue.url,
        "state": state,
        "run_id": str(run.id),
        "recorded_at": run.moment,
    }


def _issue_of(run: Runner) -> Issue | None:
    act = run.acts.get("close")
    issue = None if act is None else act.args[0]  # type: ignore[attr-defined]  # a step's act
    return issue if isinstance(issue, Issue) else None


def _incident(desk: Desk | None) -> Process[[Case], Issue | None]:
    if desk is None:

        @process(name=NAME, title="Incident", owner="it", subject=None)
        async def untracked(case: Case) -> Issue | None:
            """Wait for the end of an incident that no tracker was told of."""
            await HEALED.wait(match=case.incident)
            return None

        return untracked

    async def look(case: Case) -> Found[Issue] | Absent | Unclear:
        issue = await desk.find(case)
        if issue is not None:
            return Found(issue)
        info = this_attempt()
        is_early = info.began_at - info.intended_at < _SETTLED
        return Unclear("the search may lag behind") if is_early else Absent()

    @step(verify=look, retry=_PERSISTENT, system=desk.credential.partition(":")[0])
    async def ticket(case: Case) -> Issue:
        """Open the incident's ticket."""
        return await desk.open(case)

    @step(in_doubt="repeat", retry=_PERSISTENT)
    async def comment(issue: Issue, text: str) -> None:
        """Tell the ticket that the system has healed."""
        await desk.comment(issue, "healed", text)

    @step(in_doubt="repeat", retry=_PERSISTENT)
    async def close(issue: Issue) -> None:
        """Close the ticket."""
        await desk.close(issue)

    @process(name=NAME, title="Incident", owner="it", subject=None)
    async def incident(case: Case) -> Issue | None:
        """Open one ticket, wait for the end of the incident, comment on it and close it."""
        issue = await ticket[desk.channel](case)
        healed = await HEALED.wait(match=case.incident)
        await comment(
            issue,
            f"{case.system} healed at {healed.at:%Y-%m-%d %H:%M} UTC after {healed.minutes} "
            "minutes. What was parked has gone on by itself.",
        )
        await close(issue)
        return issue

    return incident


def healed_payload(*, at: datetime, minutes: int) -> bytes:
    """The message that ends an incident's run."""
    return codec_of(Healed).dump(Healed(at=at, minutes=minutes))


_KINDS: Final = {
    "transient": "no answer",
    "not-ready": "not ready",
    "throttled": "too many calls",
    "auth-failed": "credential refused",
    "forbidden": "permission missing",
    "no-capacity": "no free seat",
    "contract-drift": "its answer has changed",
    "outcome-unknown": "no answer",
    "bug": "fault in our code",
}


def case_of(incident: dict[str, Any], *, at: datetime) -> Case:
    """What the ticket of an incident says, in plain words."""
    since: datetime = incident["opened_at"]
    what = _KINDS.get(incident["class"], incident["class"])
    run = reference("run", _uuid(incident["lead_run"]))
    return Case(
        incident=reference("inc", _uuid(incident["id"])),
        system=incident["system"],
        title=f"[newel] {incident['system']}: {what} since {since:%Y-%m-%d %H:%M} UTC",
        body=(
            f"{incident['title']}: {what} since {since:%Y-%m-%d %H:%M} UTC. "
            f"Last said: {incident['last_error'] or 'nothing'}. "
            f"Retried in rounds until {at:%H:%M} UTC; the step is parked now.\n"
            f"First run held up: {run}, step {incident['lead_key']}.\n"
            "All other steps go on. When the system answers again, what is parked goes on by "
            "itself, and this ticket is commented on and closed."
        ),
        first_run=run,
    )


def _uuid(value: Any) -> UUID:  # Any: a UUID or its text
    return value if isinstance(value, UUID) else UUID(value)
