"""Access that could not be cut at once: who is told, and the work by hand beside the ticket.

    first failed round -> a notice through the urgent channel (run of `newel.urgent`)
    parked             -> a task for the owner of the system (run of `newel.revoke-by-hand`), and
                          notices after 15 and 60 minutes
    done by hand       -> the step looks for itself; one that cannot look is completed by hand
    access still there -> the task opens again, and says so
    done by the step   -> the task is withdrawn

    only a person can  -> a notice when they are asked, and after 15 and 60 minutes, until it is
                          done (run of `newel.urgent-by-hand`); the task is the step's own

The step goes on trying all the while: whichever ends first wins. The urgent channel is the first
that is no tracker (mail, chat): nobody reads a tracker within a minute.
Source: product document, §5.5.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from newel.audit.leaf import Actor
from newel.base.errors import InvalidInput, NotFound, NotWaiting, StepFailed, Transient
from newel.base.ids import parse_reference, reference
from newel.domain.people import Team
from newel.domain.retry import Retry
from newel.engine import commands
from newel.engine.builtin import BuiltIn, derived
from newel.engine.operating import BEING_TRIED, Operating
from newel.engine.ticketing import Channel
from newel.engine.wording import Case
from newel.flow.forms import form
from newel.flow.process import Process, process
from newel.flow.races import first_of
from newel.flow.step import Step, step
from newel.flow.waits import LONGEST_TITLE, Event, timer
from newel.store.database import Row

NOTICE: Final = "newel.urgent"
BY_HAND: Final = "newel.revoke-by-hand"
ASKED: Final = "newel.urgent-by-hand"
OVER: Final = Event("urgent-over", str)
_ONE_CHANNEL: Final = Retry(within=timedelta(minutes=5))
_SOON: Final = timedelta(minutes=15)
_LATER: Final = timedelta(minutes=45)
_LOOKING: Final = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Uncut:
    """A step that was to cut access and has not yet: opaque references only.

    owner: the team that answers for the system. looks: the step can see by itself that it is done.
    is_asked: no program can do it, and the owner has been asked.
    """

    system: str
    title: str
    owner: str
    run: str
    key: str
    at: datetime
    looks: bool
    runbook: str | None = None
    is_asked: bool = False

    @property
    def name(self) -> str:
        """By which its end is told."""
        return f"{parse_reference(self.run)[1]}/{self.key}"


class Cutting:
    """Starts the runs that tell people of access that is not cut, once each."""

    def __init__(self, operating: Operating, builtin: BuiltIn, channels: Sequence[Channel]) -> None:
        """Take what starts runs, and the channels, the first asked first."""
        self._builtin = builtin
        channel = next((each for each in channels if not each.is_tracker), None)
        self.has_channel = channel is not None
        tell = None if channel is None else _telling(channel)
        self.notice: Process[[Uncut], None] = _notice(tell)
        self.by_hand: Process[[Uncut], str] = _by_hand(operating, tell)
        self.asked: Process[[Uncut], str] = _asked(tell)
        self._begun: set[UUID] = set()

    async def see(self, row: Row, members: Sequence[Row], system: Any) -> None:  # Any: a connector
        """Tell of every urgent step of an incident as far as it has come.

        system: the connector of the incident, None if this worker has it not.
        """
        for member in members:
            detail = member["detail"] or {}
            if not detail.get("is_urgent") or not detail.get("failed_rounds"):
                continue
            uncut = _uncut(
                {**member, "system": row["system"]},
                system,
                at=row["as_of"],
                looks=bool(detail.get("looks")),
            )
            if self.has_channel:
                await self._start(_run_of(row, uncut, NOTICE), uncut, self.notice)
            if member["state"] == "parked":
                await self._start(_run_of(row, uncut, BY_HAND), uncut, self.by_hand)

    async def see_asked(self, row: Row, system: Any) -> None:  # Any: as above
        """Tell of an urgent step that a person is asked to do; each time it is asked for, once."""
        uncut = _uncut({**row}, system, at=row["opened_at"], looks=True, is_asked=True)
        run = derived(row["run_id"], f"{uncut.key}/{uncut.at.isoformat()}/{ASKED}")
        await self._start(run, uncut, self.asked)

    async def _start(self, run: UUID, uncut: Uncut, told: Process[[Uncut], Any]) -> None:
        if run not in self._begun:
            await self._builtin.start(told, {"uncut": uncut}, run=run)
            self._begun.add(run)


def _run_of(incident: Row, uncut: Uncut, told: str) -> UUID:
    return derived(incident["id"], f"{uncut.name}/{told}")


def _uncut(
    row: Mapping[str, Any],
    system: Any,  # Any: a connector, or None
    *,
    at: datetime,
    looks: bool,
    is_asked: bool = False,
) -> Uncut:
    return Uncut(
        system=row["system"],
        title=getattr(system, "title", row["system"]),
        owner=getattr(system, "owner", "it"),
        run=reference("run", row["run_id"]),
        key=row["key"],
        at=at,
        looks=looks,
        runbook=getattr(system, "runbook", None),
        is_asked=is_asked,
    )


_Tell = Step[[Uncut, str], None]


def _telling(channel: Channel) -> _Tell:
    @step(in_doubt="repeat", retry=_ONE_CHANNEL, exhausted="fail")
    async def tell_urgently(uncut: Uncut, when: str) -> None:
        """Tell whoever reads the urgent channel; each moment once."""
        about = f"{uncut.key}/{when}" + (f"/{uncut.at.isoformat()}" if uncut.is_asked else "")
        mark = derived(parse_reference(uncut.run)[1], about)
        what = "access is to be cut by hand" if uncut.is_asked else "access is not cut yet"
        await channel.open(
            Case(
                incident=reference("inc", mark),
                system=uncut.system,
                title=f"[newel] {uncut.system}: {what} ({when})",
                body=_asks(uncut) if uncut.is_asked else _refuses(uncut),
                first_run=uncut.run,
                first_key=uncut.key,
                at=uncut.at,
                runbook=uncut.runbook,
            )
        )

    return tell_urgently


def _refuses(uncut: Uncut) -> str:
    return (
        f"Step {uncut.key} of {uncut.run} takes access away, and {uncut.title} has refused it so "
        "far. It is tried again without a pause that anybody has to end. Access stands until it "
        "succeeds or somebody takes it away by hand."
    )


def _asks(uncut: Uncut) -> str:
    return (
        f"Step {uncut.key} of {uncut.run} takes access away in {uncut.title}, and no program can "
        f"do it there. The task for {uncut.owner} says how. Access stands until somebody has "
        "done it; newel looks every five minutes, and at once when somebody says so."
    )


def _notice(tell: _Tell | None) -> Process[[Uncut], None]:
    @process(name=NOTICE, title="Urgent notice", owner="it", subject=None)
    async def notice(uncut: Uncut) -> None:
        """Tell the urgent channel that the first round has failed."""
        if tell is not None:
            await tell["first"](uncut, "first round failed")

    return notice


def _by_hand(operating: Operating, tell: _Tell | None) -> Process[[Uncut], str]:
    @step(in_doubt="repeat")
    async def settle_by_hand(uncut: Uncut, by: str, note: str) -> bool:
        """Let the step look whether it is done; one that cannot look is completed by hand.

        Answers with whether nothing is left to be looked at.
        """
        actor = Actor(type="service", id="svc_newel", via=BY_HAND, on_behalf_of=by)
        run: UUID = parse_reference(uncut.run)[1]
        try:
            if not uncut.looks and await _completed(operating, run, uncut.key, note, actor):
                return True
            await commands.retry(operating, run, uncut.key, actor=actor)
        except NotWaiting as error:
            if error.state == BEING_TRIED:  # asked again when that attempt has ended
                raise Transient(str(error)) from error
        except NotFound:
            return True  # it was done meanwhile
        return False

    async def asked(uncut: Uncut) -> str:
        before = ""
        while True:
            done = await form(
                "revoke-by-hand",
                by=Team(uncut.owner),
                title=f"revoke by hand in {uncut.title}"[:LONGEST_TITLE],
                instructions=_instructions(uncut, before),
                evidence="note",
            )
            if await settle_by_hand(uncut, done.by, done.note):
                return "by hand"
            await timer("looking", after=_LOOKING)  # told meanwhile if the step sees it is done
            before = "It was said to be done, and newel still sees the access."

    reminded = _reminding(tell)

    @process(name=BY_HAND, title="Revoke by hand", owner="it", subject=None)
    async def by_hand(uncut: Uncut) -> str:
        """Ask the owner of a system to take access away that newel could not, until it is gone."""
        won = await first_of("cut", done=asked(uncut), over=_ended(uncut), reminded=reminded(uncut))
        return won.value

    return by_hand


async def _ended(uncut: Uncut) -> str:
    return await OVER.wait(match=uncut.name)


async def _said(tell: _Tell | None, key: str, uncut: Uncut, when: str) -> None:
    """Tell, if there is a channel: one that is down must not take back what is asked."""
    if tell is not None:
        with suppress(StepFailed):
            await tell[key](uncut, when)


def _reminding(tell: _Tell | None) -> Callable[[Uncut], Coroutine[Any, Any, str]]:
    async def reminded(uncut: Uncut) -> str:
        await timer("told-again", after=_SOON)
        await _said(tell, "again", uncut, "15 minutes later")
        await timer("told-once-more", after=_LATER)
        await _said(tell, "once-more", uncut, "an hour later")
        return await OVER["reminded"].wait(match=uncut.name)

    return reminded


def _asked(tell: _Tell | None) -> Process[[Uncut], str]:
    reminded = _reminding(tell)

    @process(name=ASKED, title="Urgent work by hand", owner="it", subject=None)
    async def asked(uncut: Uncut) -> str:
        """Tell the urgent channel that only a person can cut access, until it is cut."""
        await _said(tell, "first", uncut, "asked")
        won = await first_of("cut", over=_ended(uncut), reminded=reminded(uncut))
        return won.value

    return asked


async def _completed(operating: Operating, run: UUID, key: str, note: str, actor: Actor) -> bool:
    """Complete a step by hand that gives back nothing; False if it has to give something."""
    try:
        await commands.complete_by_hand(
            operating,
            run,
            key,
            None,
            evidence=note,
            actor=actor,
            reason="revoked by hand",
            is_looked_at=True,
        )
    except InvalidInput:
        return False
    return True


def _instructions(uncut: Uncut, before: str) -> str:
    lines = [
        *([before] if before else []),
        f"Step {uncut.key} of {uncut.run} was to take access away in {uncut.title}.",
        "Three rounds have failed; it goes on trying.",
        f"1. Open the administration of {uncut.title}.",
        "2. Find the account of the person whom the run is about, and do what the step is called.",
        "3. Say here what you did.",
    ]
    if uncut.looks:
        lines.append("newel then looks the account up itself and closes the step when it sees it.")
    if uncut.runbook is not None:
        lines.append(f"Runbook: {uncut.runbook}")
    return "\n".join(lines)
