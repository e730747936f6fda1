"""Access that a cancelled run gave and nothing has taken back: somebody is asked for each of it.

A run that is cancelled keeps its promises, and these are what its code says at that moment. What
an earlier version of the code gave, or was given with another input, has no promise any more;
and some code never made one. The ledger knows it: what such a run made and what still gives
access is put before the team that answers for the system, in one run of `newel.take-back` for
each cancelled run, about the same person. Whoever says that it is taken away ends the grant, by
hand and because of the cancellation; whoever says that it stays leaves it as it is. What ends
otherwise meanwhile is asked of nobody any more.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from newel.audit.leaf import Actor
from newel.base.errors import AlreadyStarted, InvalidInput
from newel.base.ids import parse_reference, reference
from newel.domain.people import Person, Team
from newel.domain.values import Effect
from newel.engine.beginning import Begin, in_turn
from newel.engine.builtin import derived
from newel.engine.enduring import Patience, now_and_then
from newel.engine.granting import TAKE_BACK
from newel.engine.incidents import Probed
from newel.engine.messages import Messages, over
from newel.engine.operating import Operating
from newel.engine.starting import Wanted
from newel.flow.context import ATTEMPT
from newel.flow.forms import form
from newel.flow.parallel import parallel
from newel.flow.process import Process, process
from newel.flow.races import first_of
from newel.flow.step import Step, step
from newel.flow.waits import LONGEST_TITLE, Event
from newel.store import ledger, runs
from newel.store.database import Row

__all__ = ["Answer", "Given", "Left", "TakingBack"]

_OVER: Final = Event("take-back-over", str, buffered=False)
_ACTOR: Final = Actor(type="system", id="newel", via="taking-back")
_LOOK_S: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Given:
    """A grant that is left: by its reference, with the key of the step that gave it."""

    grant: str
    entitlement: str
    key: str
    title: str
    owner: str


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a cancelled run has left, and whose it is."""

    person: Person
    run: str
    given: tuple[Given, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of the access, and why."""

    access: Literal["taken away", "stays"]
    note: str


class TakingBack:
    """Asks about what cancelled runs have left, once each; begin: starts a run."""

    def __init__(
        self,
        operating: Operating,
        messages: Messages,
        connectors: Iterable[Probed],
        begin: Begin,
    ) -> None:
        """Take what starts runs, and what tells them of the end."""
        self.process: Process[[Left], None] = _taking_back(_taken_away(operating))
        self._operating = operating
        self._messages = messages
        self._systems = {each.name: each for each in connectors}
        self._begin = begin
        self._begun: set[UUID] = set()

    async def watch(self, worker: Any) -> None:  # Any: whoever it works beside
        """Look from time to time, until cancelled."""
        del worker
        await now_and_then(self.look, _LOOK_S, Patience("look at what cancelled runs left"))

    async def look(self) -> None:
        """Ask about what was left since, and no more about what has ended."""
        rows = await ledger.left(self._operating.database)
        for run, grants in itertools.groupby(rows, key=lambda row: row["run"]):
            if run not in self._begun:
                await self._ask(run, list(grants))
        for grant in await ledger.ended_of_awaited(self._operating.database, _OVER.name):
            await self._over(grant)

    async def _ask(self, run: UUID, grants: list[Row]) -> None:
        """Start the run that asks; one about the same person that is under way comes first."""
        wanted = Wanted(
            run=derived(run, TAKE_BACK),
            process=self.process,
            arguments={"left": self._left(run, grants)},
            actor=_ACTOR,
            source="run",
            source_ref=reference("run", run),
        )

        async def once() -> None:
            if await runs.exists(self._operating.database, wanted.run):
                return
            async with self._operating.database.transaction() as connection:
                change, _ = await self._begin(connection, wanted)
            self._operating.tell(change)

        try:
            await in_turn(once)
        except AlreadyStarted as there:
            if parse_reference(there.run)[1] != wanted.run:
                return
        except InvalidInput:
            pass  # the person was erased: there is nobody to speak of
        self._begun.add(run)

    def _left(self, run: UUID, grants: list[Row]) -> Left:
        first = grants[0]
        person = Person(
            name=first["display_name"],
            email=first["work_email"] or "",
            ref=reference("per", first["person"]),
        )
        given = tuple(self._given(each) for each in grants)
        return Left(person=person, run=reference("run", run), given=given)

    def _given(self, row: Row) -> Given:
        system = self._systems.get(row["system"])
        return Given(
            grant=reference("grt", row["id"]),
            entitlement=row["entitlement"],
            key=row["made_key"],
            title=getattr(system, "title", row["system"]),
            owner=getattr(system, "owner", "it"),
        )

    async def _over(self, grant: str) -> None:
        message = over(_OVER, grant, event_id=f"take-back/{grant}")
        await self._messages.send(message, _ACTOR)


_Taken = Step[[Person, str], None]


def _taken_away(operating: Operating) -> _Taken:
    @step(in_doubt="repeat", revokes="{entitlement}")
    async def taken_away(person: Person, entitlement: str) -> None:
        """Write down that access was taken away by hand, unless it has ended otherwise."""
        ref = parse_reference(person.ref)[1]
        held = await ledger.held(operating.database, ref, entitlement)
        attempting = ATTEMPT.get()
        assert attempting is not None, "the code of a step runs in an attempt"
        attempting.observed.effect = Effect(
            changed=held is not None, access="revoked", path="by_hand", evidence="done by hand"
        )

    return taken_away


def _taking_back(taken_away: _Taken) -> Process[[Left], None]:
    async def asked(left: Left, given: Given) -> str:
        answer = await form(
            f"take-back[{given.grant}]",
            Answer,
            by=Team(given.owner),
            title=f"take back access in {given.title}"[:LONGEST_TITLE],
            instructions=_instructions(left, given),
        )
        return answer.access

    async def ended(given: Given) -> str:
        grant = str(parse_reference(given.grant)[1])
        return await _OVER[given.grant].wait(match=grant)

    async def settled(left: Left, given: Given) -> None:
        won = await first_of(f"settled[{given.grant}]", asked=asked(left, given), over=ended(given))
        if won.value == "taken away":
            await taken_away[given.grant](left.person, given.entitlement)

    @process(
        name=TAKE_BACK,
        title="Take back access",
        owner="it",
        subject=lambda left: left.person,
    )
    async def take_back(left: Left) -> None:
        """Ask whoever answers for a system about access that a cancelled run gave and left."""
        await parallel(*[settled(left, each) for each in left.given])

    return take_back


def _instructions(left: Left, given: Given) -> str:
    lines = [
        f"{left.run} was cancelled. Its step {given.key} had given {given.entitlement}.",
        "No promise of the run has taken it back.",
        f"1. Open the administration of {given.title}, and find the account of the person.",
        "2. Take the access away, or decide that it stays.",
        "3. Say here which, and why.",
    ]
    return "\n".join(lines)
