"""Going on after an outage: which parked steps do so by themselves, how many at a time, who is
asked first.

A step goes on by itself if nothing has changed since it was parked: for no more than a day, the
run's input and the person it is about as they were, their access not ended meanwhile where the
step gives some, the run not paused, the author not against it. Otherwise one task asks a person,
as a run of the built-in process `newel.resume`.
Source: product document, §5.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from newel.audit.leaf import Actor
from newel.base.errors import NotFound, NotWaiting
from newel.base.ids import parse_reference, reference
from newel.domain.people import Team
from newel.engine import commands
from newel.engine.builtin import BuiltIn, derived
from newel.engine.operating import Operating
from newel.flow.process import Process, process
from newel.flow.step import step
from newel.flow.waits import approval
from newel.store import incidents as rows
from newel.store import ledger
from newel.store.database import Row

NAME: Final = "newel.resume"
_LONGEST_PARKED: Final = timedelta(hours=24)
_AT_ONCE: Final = 20
"""Steps of one incident that are on their way at the same time; one that gets through makes
room for the next, so a system that admits few a minute is asked by few."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """A step that has to be asked for: opaque references only."""

    system: str
    run: str
    key: str
    because: str


class Healing:
    """Decides who of an incident goes on by itself, and asks a person about the others."""

    def __init__(self, operating: Operating, builtin: BuiltIn) -> None:
        """Take what starts the runs that ask."""
        self._operating = operating
        self._builtin = builtin
        self.process: Process[[Held], bool] = _resume(operating)
        self._asked: set[UUID] = set()

    async def may_go_on(self, member: Row, now: datetime) -> bool:
        """Whether a waiting step may be tried again without a person's word."""
        return await self._against(member, now) is None

    async def next_of(self, row: Row, members: Sequence[Row]) -> list[Row]:
        """The steps to try now; about those that may not go on by themselves, a person is asked.

        row: the incident. members: its open steps, in the order in which they go on.
        """
        room = _AT_ONCE - sum(is_trying(each) for each in members)
        chosen: list[Row] = []
        for member in members:
            if is_trying(member):
                continue
            because = await self._against(member, row["as_of"])
            if because is not None:
                await self._ask(row, member, because)
            elif len(chosen) < room:
                chosen.append(member)
        return chosen

    async def _against(self, member: Row, now: datetime) -> str | None:
        """What speaks against going on without asking; nothing against one that is not parked."""
        detail = member["detail"] or {}
        if member["state"] != "parked" or (parked := _moment(detail.get("parked_at"))) is None:
            return None
        if detail.get("is_urgent"):
            return None  # cutting access is never put off
        if detail.get("asks"):
            return "its process wants a person to say so"
        if now - parked > _LONGEST_PARKED:
            return "it has been parked for more than a day"
        if member["paused_at"] is not None:
            return "its run is paused"
        return await self._changed(member, parked)

    async def _changed(self, member: Row, parked: datetime) -> str | None:
        """What is no more as it was when the step was parked."""
        database, run, person = self._operating.database, member["run_id"], member["subject"]
        if await rows.changed_since(database, run, person, parked):
            return "what it is about has changed since"
        gives = (member["detail"] or {}).get("gives")
        if person is not None and gives and await ledger.ended_since(database, person, run, parked):
            return "other access of this person has ended since"
        return None

    async def _ask(self, row: Row, member: Row, because: str) -> None:
        parked = _moment(member["detail"]["parked_at"])
        run = derived(row["id"], f"{member['run_id']}/{member['key']}/{parked}")
        if run in self._asked:
            return
        held = Held(
            system=row["system"],
            run=reference("run", member["run_id"]),
            key=member["key"],
            because=because,
        )
        await self._builtin.start(self.process, {"held": held}, run=run)
        self._asked.add(run)


def _resume(operating: Operating) -> Process[[Held], bool]:
    @step(in_doubt="repeat")
    async def go_on(held: Held, by: str) -> None:
        """Try the parked step again, as the person said."""
        actor = Actor(type="service", id="svc_newel", via=NAME, on_behalf_of=by)
        try:
            await commands.retry(operating, parse_reference(held.run)[1], held.key, actor=actor)
        except (NotWaiting, NotFound):
            return  # somebody has freed it meanwhile

    @process(name=NAME, title="Resume", owner="it", subject=None)
    async def resume(held: Held) -> bool:
        """Ask whether a step that an outage has held up is still wanted, and try it if so."""
        decision = await approval(
            "still-wanted",
            by=Team("it"),
            title=f"say whether {held.system} is still wanted"[:60],
            instructions=(
                f"{held.system} is back. Step {held.key} of {held.run} was parked, and "
                f"{held.because}. Yes: it is tried again now. No: it stays parked, to be "
                "skipped, completed by hand or cancelled."
            ),
        )
        if decision.approved:
            await go_on(held, decision.by)
        return decision.approved

    return resume


def is_trying(member: Row) -> bool:
    """Whether a step is being tried, or about to be at the incident's wish."""
    return member["state"] == "attempting" or bool((member["detail"] or {}).get("early"))


def failed_since(member: Row, moment: datetime | None) -> bool:
    """Whether a step that rests has failed after a moment."""
    failed = _moment((member["detail"] or {}).get("failed_at"))
    return moment is not None and failed is not None and failed > moment and not is_trying(member)


def again_at(member: Row, gap: timedelta) -> datetime:
    """When a step that has failed may try again, at the earliest."""
    failed = _moment((member["detail"] or {}).get("failed_at"))
    assert failed is not None, "a parked step has failed"
    return failed + gap


def _moment(value: Any) -> datetime | None:  # Any: JSON
    return datetime.fromisoformat(value) if isinstance(value, str) else value
