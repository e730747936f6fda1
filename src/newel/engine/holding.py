"""What the guard holds back: one person is asked about all of it, and only what they let go goes.

    a removal too many -> the step parks with reason `held`; nothing was sent
    they gather        -> one run of `newel.hold` per credential, with a frozen list, and one task
    decided            -> exactly the released ones try again, with leave for just that call; the
                          others stay parked, with whoever answers for their process
    all gone by itself -> the task is withdrawn

What is held after the list was made is asked about next, once that is decided: nobody lets go what
they have not seen. Source: connectors document, §6.4; product document, §13.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.codec import codec_of
from newel.base.errors import InvalidInput, NotFound, NotWaiting
from newel.base.ids import parse_reference, reference
from newel.domain.acts import OpenAct, Trouble
from newel.domain.people import Team
from newel.engine.builtin import BuiltIn, dated
from newel.engine.guarding import Guard, effect_of
from newel.engine.joining import DECIDERS
from newel.engine.messages import Messages, over
from newel.engine.operating import Command, Operating
from newel.engine.pace import monotonic
from newel.engine.runner import Runner
from newel.engine.worker_settings import WorkerSettings
from newel.flow.act import Act
from newel.flow.process import Process, process
from newel.flow.races import first_of
from newel.flow.step import step
from newel.flow.waits import LONGEST_TITLE, Event, WaitSpec, approval, wait_act
from newel.store import gates
from newel.store.database import Row

__all__ = ["NAME", "Held", "Hold", "Holding", "Release", "Settled"]

NAME: Final = "newel.hold"
TASK: Final = "mass-action-hold"
_OVER: Final = Event("hold-over", str, buffered=False)
_GROUP: Final = "release"
_HELD: Final = "held-back"
_ACTOR: Final = Actor(type="service", id="svc_newel", via="hold")
_SELDOM_S: Final = 60.0
"""So often it is looked for tasks to withdraw while nothing is held."""

_QUIET: Final = timedelta(seconds=10)
_LONGEST: Final = timedelta(seconds=60)
_MOST: Final = 200


@dataclass(frozen=True, kw_only=True)
class Held:
    """One step that waits: opaque references only. effect: by which its call is known."""

    run: str
    key: str
    process: str
    subject: str | None
    effect: str


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What is held with one credential, as a frozen list. most: the limit that was reached."""

    credential: str
    title: str
    most: int
    is_for_two: bool
    held: tuple[Held, ...]


@dataclass(frozen=True, kw_only=True)
class Release:
    """What becomes of what is held. only: the numbers of those that go, one a line."""

    release: Literal["all", "some", "none"]
    reason: str
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("reason: why it goes, or does not")
        if (self.release == "some") != bool(self.only):
            raise ValueError("only: numbers where some go, and nothing else")
        if not all(each.strip().isdecimal() for each in self.only):
            raise ValueError("only: one number a line")

    def takes(self, number: int) -> bool:
        """Whether the held step with this number goes."""
        chosen = {int(each) for each in self.only}
        return self.release == "all" or number in chosen


@dataclass(frozen=True, kw_only=True)
class Settled:
    """How many of the held steps were let go, and how many were not."""

    released: int
    refused: int


class Holding:
    """The guard of a deployment, and the process that asks about what it holds."""

    def __init__(
        self, operating: Operating, builtin: BuiltIn, messages: Messages, settings: WorkerSettings
    ) -> None:
        """Take what starts runs, what tells them that nothing is left, and the guard's limit."""
        self.guard = Guard(operating.database, settings.removals_per_hour)
        self.process = _deciding(operating)
        self._operating = operating
        self._builtin = builtin
        self._messages = messages
        self._looked_at, self._is_asking = 0.0, True
        self._forgot_at: float | None = None

    async def look(self) -> None:
        """Ask about what is held and not asked about yet; take back what nobody waits for."""
        database, now = self._operating.database, monotonic()
        if self._forgot_at is None or now - self._forgot_at >= _SELDOM_S:
            self._forgot_at = now
            await self.guard.forget()
        holding = await gates.holding(database)
        if not (holding or self._is_asking or now - self._looked_at >= _SELDOM_S):
            return
        self._looked_at = now
        asked = await gates.asked_about(database, _OVER.name)
        for credential in sorted(holding.difference(asked)):
            rows = await gates.held_up(database, credential, _MOST)
            if rows:
                await self._ask(credential, rows)
        for credential, is_open in asked.items():
            if is_open and credential not in holding:
                await self._withdraw(credential)
        self._is_asking = bool(holding or asked)

    async def _ask(self, credential: str, rows: Sequence[Row]) -> None:
        since = [_since(row) for row in rows]
        now: datetime = rows[0]["as_of"]
        if now < min(max(since) + _QUIET, min(since) + _LONGEST):
            return  # more may be on its way, and one question is better than two
        first = rows[0]
        run = dated(min(since), f"{NAME}/{credential}/{first['run_id']}/{first['key']}")
        hold = Hold(
            credential=credential,
            title=first["title"] or first["system"],
            most=self.guard.most,
            is_for_two=self._operating.second_person == "strict",
            held=tuple(_held(row) for row in rows),
        )
        await self._builtin.start(self.process, {"hold": hold}, run=run)

    async def _withdraw(self, credential: str) -> None:
        event_id = f"hold/{credential}/{self._operating.new_event_id()}"
        message = over(_OVER, credential, event_id=event_id)
        with suppress(InvalidInput):  # decided a moment before
            await self._messages.send(message, _ACTOR)

    def on_outcome(self, run: Runner, key: str, value: object) -> None:
        """Tell the log how many are held, and how many were let go, with the outcomes that did."""
        hold = run.process.loaded(run.history.arguments)["hold"]
        assert isinstance(hold, Hold), "the only input of the process"
        if key == _HELD:
            n = len(hold.held)
            triggered = facts.AdminHoldTriggered(rule="removals", n=n, limit=hold.most)
            run.beside("admin", triggered, system=None)
        elif isinstance(value, Settled):
            n = value.released
            released = facts.AdminHoldReleased(rule="removals", n=n, limit=hold.most)
            run.beside("admin", released, system=None)


def _deciding(operating: Operating) -> Process[[Hold], Settled | None]:
    @step(in_doubt="repeat", title="Let go what was released")
    async def settle(hold: Hold, answer: Release) -> Settled:
        """Let the released steps try again, and leave the others where they are."""
        goes = [answer.takes(number) for number, _ in enumerate(hold.held, start=1)]
        for held, is_let_go in zip(hold.held, goes, strict=True):
            with suppress(NotFound, NotWaiting):  # its run has ended meanwhile
                async with operating.on(parse_reference(held.run)[1], _ACTOR) as made:
                    _settle(made, held, operating, is_let_go=is_let_go)
        return Settled(released=sum(goes), refused=len(goes) - sum(goes))

    @step(name=_HELD, in_doubt="repeat", title="Write down that it is held")
    async def held() -> None:
        """Nothing but an outcome, with which the log is told."""

    async def asked(hold: Hold) -> Settled:
        answer = await _release(hold)
        if hold.is_for_two and answer.release != "none":
            second = await approval(
                "second-person",
                by=Team(DECIDERS),
                title="confirm the release of what is held",
                instructions=f"{_told(hold)}\nTo go: {_chosen(answer)}. Reason: {answer.reason}",
                four_eyes=_GROUP,
            )
            if not second.approved:
                answer = Release(release="none", reason=second.comment)
        return await settle(hold, answer)

    async def ended(hold: Hold) -> None:
        await _OVER.wait(match=hold.credential)

    @process(name=NAME, title="Mass removal held", owner=DECIDERS, subject=None)
    async def holding(hold: Hold) -> Settled | None:
        """Ask whether people are really to lose access, before more than a few have."""
        await held()
        won = await first_of("decided", answer=asked(hold), over=ended(hold))
        return won.value

    return holding


def _release(hold: Hold) -> Act[Release]:
    return wait_act(
        TASK,
        WaitSpec(
            kind="form",
            result=codec_of(Release),
            by=Team(DECIDERS),
            title=f"{len(hold.held)} removals in {hold.title} are held"[:LONGEST_TITLE],
            instructions=_told(hold),
            schema=Release,
            evidence="none",
            four_eyes=_GROUP,
        ),
        (),
    )


def _settle(made: Command, held: Held, operating: Operating, *, is_let_go: bool) -> None:
    """Let one step go or not, if it is still the one that was asked about."""
    act = made.acts.get(held.key)
    if act is None or not _is_held(act) or effect_of(act) != held.effect:
        return
    if is_let_go:
        act.trouble = replace(act.trouble, released=held.effect)
        made.retry(act, by="person")
        return
    known = operating.processes.get(made.row["process"])
    act.owner = (None if known is None else known.owner) or "it"
    act.trouble = replace(act.trouble, refused=True)
    parked = facts.StepParked(
        class_="forbidden", rounds=act.trouble.failed_rounds, owner=act.owner, incident=None
    )
    made.record(parked, key=act.key, system=act.system)
    made.change.also("open_act", act.row(made.run))


def _is_held(act: OpenAct) -> bool:
    return act.state == "parked" and act.reason == "held" and not act.trouble.refused


def _since(row: Row) -> datetime:
    parked_at = Trouble.of(row["detail"]).parked_at
    assert parked_at is not None, "what is parked is so since a moment"
    return parked_at


def _held(row: Row) -> Held:
    return Held(
        run=reference("run", row["run_id"]),
        key=row["key"],
        process=row["process"],
        subject=None if row["subject"] is None else reference("per", row["subject"]),
        effect=(row["fingerprint"] or b"").hex(),
    )


def _told(hold: Hold) -> str:
    listed = "\n".join(
        f"{number}. {each.subject or 'a person'}: {each.key} of {each.run} ({each.process})"
        for number, each in enumerate(hold.held, start=1)
    )
    return (
        f"More than {hold.most} people would have lost access in {hold.title} within an hour. "
        f"What follows was not sent:\n{listed}\nRelease all of it, some by their numbers, or none. "
        "What is not released stays parked with whoever answers for its process. What is held "
        "after this list is asked about next."
    )


def _chosen(answer: Release) -> str:
    return "all" if answer.release == "all" else ", ".join(answer.only)
