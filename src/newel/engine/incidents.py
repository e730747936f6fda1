"""Incidents: one cause that holds up many steps, its probe, its ticket, its end.

    first failed round        -> watching    (opened with that round's event; nobody is disturbed)
    first exhausted step      -> escalated   (in the transaction that parks it; a run of the
                                              built-in process `newel.incident` is started)
    probe answers             -> healing     (the lead step makes one uncounted attempt)
    the lead step succeeds    -> healed      (all others follow, as many at a time as get through)
    no step is left           -> closed      (the incident's run comments on and closes the ticket)

Steps join with the row of their open act; the incident's own row is moved here, by whichever
worker wins the row lock, so that 200 waiting steps cost one call a minute. Where the system
answers its probe although steps fail, one operation of it is at fault and the probe says nothing:
the oldest waiting step goes as a scout every five minutes instead.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import InvalidInput, LogInconsistent, NotFound, NotWaiting, StepError
from newel.base.ids import reference
from newel.domain.acts import Trouble
from newel.domain.change import Beside, Change
from newel.domain.failures import incident_kind
from newel.engine import commands, ticketing
from newel.engine.attempts import asked
from newel.engine.builtin import PREFIX, PROBE
from newel.engine.cutting import OVER, Cutting
from newel.engine.enduring import Patience
from newel.engine.finished import Finished
from newel.engine.healing import Healing, again_at, failed_since, is_trying
from newel.engine.holding import Holding
from newel.engine.joining import IncidentView, fingerprint_of, place_of
from newel.engine.messages import Message, Messages, over
from newel.engine.operating import Operating, command, with_streams
from newel.engine.pace import monotonic
from newel.engine.runner import Circuit, Host, Runner
from newel.engine.shortage import has_room
from newel.engine.starting import Start, born
from newel.engine.sweeping import NAME as SWEEP
from newel.engine.sweeping import Sweeping
from newel.engine.vault import Sealer
from newel.flow.act import StepAct
from newel.store import incidents as rows
from newel.store.changes import apply
from newel.store.database import LOST, Connection, Row

_LOST_S: Final = 0.5
_SELDOM_S: Final = 60.0
"""So often it is looked for tasks to withdraw while no incident is open."""
_SOON: Final = timedelta(seconds=60)
_URGENT: Final = timedelta(seconds=15)
_LATER: Final = timedelta(minutes=5)
_REFUSED: Final = timedelta(minutes=10)
_SELDOM: Final = timedelta(minutes=15)
_TELL_GAP: Final = timedelta(minutes=1)


class Probed(Protocol):
    """What the engine needs of a connector: its credential, its name, one cheap read."""

    @property
    def credential(self) -> str:
        """The credential's name, never the credential."""
        ...

    @property
    def name(self) -> str:
        """The name that keys and entitlements begin with."""
        ...

    @property
    def title(self) -> str:
        """The system's own name."""
        ...

    @property
    def owner(self) -> str:
        """The team that answers for it."""
        ...

    async def probe(self) -> None:
        """Raise a StepError while the system does not answer."""
        ...


def _is_built_in(process: str) -> bool:
    """Whether a process tells people of incidents itself; those that only ask systems have them."""
    return process.startswith(PREFIX) and process not in {PROBE, SWEEP}


class Incidents:
    """The incidents of one database, as one worker sees and moves them."""

    def __init__(
        self,
        operating: Operating,
        messages: Messages,
        connectors: Sequence[Probed],
        tickets: ticketing.Ticketing,
        healing: Healing,
        cutting: Cutting,
        holding: Holding,
        sweeping: Sweeping,
    ) -> None:
        """Prepare; `watch` moves incidents until it is cancelled."""
        self._operating = operating
        self._database = operating.database
        self._messages = messages
        self._connectors: Mapping[str, Probed] = {each.credential: each for each in connectors}
        self._tickets = tickets
        self._healing = healing
        self._cutting = cutting
        self.holding = holding
        self.sweeping = sweeping
        self._looked_for_over = 0.0
        self._was_asked = False
        self._ids = operating.vault.ids()
        self._secrets: dict[UUID, str] = {}
        self.circuits: dict[str, Circuit] = {}
        self._answered: dict[str, UUID] = {}
        self.on_outcome: dict[str, Callable[[Runner, str, object], None]] = {
            tickets.process.name: tickets.on_outcome,
            holding.process.name: holding.on_outcome,
        }

    # --- for a step that failed -------------------------------------------------------------

    async def view(self, host: Host, run: Runner, done: Finished) -> IncidentView | None:
        """Read the open incident that a failure belongs to, if its class has one."""
        opened, act = run.open.get(done.key), run.acts.get(done.key)
        if opened is None or not isinstance(act, StepAct) or not isinstance(done.error, StepError):
            return None
        fingerprint = fingerprint_of(run, act, opened, done.error)
        if fingerprint is None or _is_built_in(run.process.name):
            return None
        narrower = f"{fingerprint}:{done.error.operation}"
        row = await rows.open_by_fingerprint(self._database, [fingerprint, narrower])
        system, credential = place_of(run, opened, done.error)
        connector = self._connectors.get(credential or "")
        title = connector.title if connector is not None else (opened.system or run.process.title)
        before = await self._tickets.before(fingerprint, host.now())
        return IncidentView(
            fingerprint=fingerprint,
            row=None if row is None else dict(row),
            system=system,
            credential=credential,
            title=title,
            owner="it",
            escalate=lambda incident, trouble: self._escalated(
                incident, trouble, run.subject, before, host.now(), host.actor
            ),
        )

    def _escalated(
        self,
        incident: dict[str, Any],
        trouble: Trouble,
        subject: str | None,
        before: ticketing.Issue | None,
        at: datetime,
        actor: Actor,
    ) -> Change:
        """Make the Change that starts the incident's run."""
        lead = _uuid(incident["lead_run"])
        connector = self._connectors.get(incident["credential"] or "")
        case = ticketing.case_of(
            incident,
            trouble,
            at=at,
            subject=subject,
            runbook=getattr(connector, "runbook", None),
            before=before,
        )
        started, _, _, _ = born(
            Start(
                run=self._ids.new(),
                process=self._tickets.process,
                version=self._tickets.version,
                arguments={"case": case},
                subject=None,
                actor=actor,
                source="run",
                at=at,
                sealer=self._operating.vault.sealer(lead, None, None, None),
                parent=(reference("run", lead), "incident"),
            ),
            self._ids.event_id,
        )
        return started

    # --- watching ---------------------------------------------------------------------------

    async def watch(self, host: Any) -> None:  # Any: the worker, whose clock and lease it shares
        """Probe what is due, wake what has healed, close what is over; until cancelled."""
        patience = Patience("look at incidents")
        while True:
            try:
                with patience:
                    await self.look(host.actor)
            except LOST:
                await asyncio.sleep(_LOST_S)
            host.notices.tell()
            await asyncio.sleep(host.settings.look.total_seconds())

    async def look(self, actor: Actor) -> None:
        """Move every incident as far as it goes now."""
        open_now = await rows.open_incidents(self._database)
        for row in open_now:
            await self._move(row, actor)
        for row in await rows.take_due_probes(self._database, _SOON, _URGENT):
            await self._probe(row, actor)
        asked = await rows.urgent_by_hand(self._database) if self._cutting.has_channel else []
        for each in asked:
            await self._cutting.see_asked(each, self._connectors.get(each["credential"] or ""))
        is_seldom = monotonic() - self._looked_for_over >= _SELDOM_S
        if open_now or asked or self._was_asked or is_seldom:
            await self._tell_over(actor)
        self._was_asked = bool(asked)
        for each in await rows.stranded(self._database):
            await self._again(each["run_id"], each["key"], actor, is_let_go=True)
        await self.holding.look()
        self._read_circuits(await rows.open_incidents(self._database))

    async def _tell_over(self, actor: Actor) -> None:
        """Tell those who ask for work by hand that their step is no longer open."""
        self._looked_for_over = monotonic()
        for each in await rows.urgent_over(self._database, OVER.name):
            message = over(OVER, each["match"], event_id=f"{each['run_id']}/over")
            with suppress(InvalidInput):  # another worker has told it a moment before
                await self._messages.send(message, actor)

    def answered(self, credential: str) -> None:
        """The step that went first has succeeded: nothing is held back any more."""
        circuit = self.circuits.pop(credential, None)
        if circuit is not None:
            self._answered[credential] = circuit.incident

    def _read_circuits(self, open_now: list[Row]) -> None:
        self.circuits = {
            row["credential"]: Circuit(
                incident=row["id"],
                lead_run=row["lead_run"],
                lead_key=row["lead_key"],
                is_open=row["scope"] == "system"
                and row["state"] in {"watching", "escalated", "healing"},
                last_error=row["last_error"],
            )
            for row in open_now
            if row["credential"] is not None and row["fingerprint"].endswith("/outage")
            if row["state"] != "healing" or self._answered.get(row["credential"]) != row["id"]
        }
        for row in open_now:
            is_refused = row["fingerprint"] == f"{row['credential']}/auth"
            if is_refused and row["state"] in {"watching", "escalated"}:
                self.circuits[row["credential"]] = Circuit(
                    incident=row["id"],
                    lead_run=row["lead_run"],
                    lead_key=row["lead_key"],
                    is_open=True,
                    last_error=row["last_error"],
                    is_refused=True,
                )
        known = {row["id"] for row in open_now if row["state"] in {"healing", "healed"}}
        self._answered = {name: each for name, each in self._answered.items() if each in known}

    async def _move(self, row: Row, actor: Actor) -> None:
        members = await rows.members(self._database, row["id"])
        if not members:
            await self._close(row, actor)
            return
        state = row["state"]
        if state == "watching" and any(each["state"] == "parked" for each in members):
            await self._escalate(row, members)
        elif state == "healed":
            await self._wake(row, members, actor)
        elif state == "healing":
            await self._follow_lead(row, members)
        elif not _is_member(row["lead_run"], row["lead_key"], members):
            await self._after_lead(row, members)
        else:
            await self._look_after(row, members, actor)
        if state != "healed":
            await self._cutting.see(row, members, self._connectors.get(row["credential"] or ""))
        if row["run_id"] is not None:
            await self._tell(row, members, actor)

    async def _look_after(self, row: Row, members: list[Row], actor: Actor) -> None:
        """What goes on while the system is down: urgent steps, and a credential that changes."""
        urgent = [each for each in members if (each["detail"] or {}).get("is_urgent")]
        if urgent and not row["is_urgent"]:
            await rows.hurried(self._database, row["id"])
        for member in urgent:
            if member["state"] == "parked" and again_at(member, _LATER) <= row["as_of"]:
                await self._again(member["run_id"], member["key"], actor)
        if incident_kind(row["fingerprint"]) == "auth":
            await self._compare_secret(row)

    async def _compare_secret(self, row: Row) -> None:
        connector = self._connectors.get(row["credential"] or "")
        version = getattr(connector, "secret_version", None)
        if version is None:
            return
        now = await asyncio.to_thread(version)  # a command may be asked for the secret
        if self._secrets.setdefault(row["id"], now) != now:
            self._secrets[row["id"]] = now
            await rows.looked_at_once(self._database, row["id"])

    async def _escalate(self, row: Row, members: list[Row]) -> None:
        """A step was parked without a call of its own, while another led: its ticket is due."""
        parked = next(each for each in members if each["state"] == "parked")
        subject = None if parked["subject"] is None else reference("per", parked["subject"])
        before = await self._tickets.before(row["fingerprint"], row["as_of"])
        async with self._database.transaction() as connection:
            current = await rows.locked(connection, row["id"])
            if current is None or current["state"] != "watching":
                return
            incident = {name: value for name, value in row.items() if name != "as_of"}
            incident |= {"state": "escalated", "escalated_at": current["as_of"]}
            trouble = Trouble.of(parked["detail"])
            actor = Actor(type="system", id="newel")
            started = self._escalated(incident, trouble, subject, before, current["as_of"], actor)
            started.also("incident", {**incident, "run_id": started.run})
            await apply(connection, [started])
        self._operating.tell(started)

    # --- looking whether it is over ---------------------------------------------------------

    async def _probe(self, row: Row, actor: Actor) -> None:
        connector = self._connectors.get(row["credential"] or "")
        kind = incident_kind(row["fingerprint"])
        if kind == "capacity":
            await self._look_for_room(row, connector, actor)
            return
        if connector is None or row["fingerprint"].rpartition(f"{row['credential']}/")[2] != kind:
            await self._scout(row, actor)
            return
        question = (
            getattr(connector, "check", connector.probe) if kind == "auth" else (connector.probe)
        )
        error = await asked(question)
        if error is not None and kind == "outage":
            await rows.missed(self._database, row["id"], _gap(row), error.message)
        elif error is not None:
            await rows.later(self._database, row["id"], _REFUSED if kind == "auth" else _gap(row))
        elif kind == "outage" and row["scope"] == "operation":
            await rows.narrowed(self._database, row["id"], _LATER)
        else:
            await self._heal(row, actor)

    async def _look_for_room(self, row: Row, connector: Probed | None, actor: Actor) -> None:
        """Read whether seats are free again; where nothing can be read, a person retries."""
        what = row["fingerprint"].partition("/capacity:")[2]
        if await has_room(connector, what):
            await self._heal(row, actor)
        else:
            await rows.later(self._database, row["id"], _SELDOM)

    async def _scout(self, row: Row, actor: Actor) -> None:
        """Where a probe says nothing, the step that has waited longest tries, uncounted."""
        await rows.later(self._database, row["id"], _LATER)
        members = await rows.members(self._database, row["id"])
        if not any(is_trying(each) for each in members):
            await self._first(row, members, actor)

    async def _heal(self, row: Row, actor: Actor) -> None:
        """The probe answered: one step goes first."""
        members = await rows.members(self._database, row["id"])
        lead = [each for each in members if _is_lead(row, each)]
        await self._first(row, [*lead, *members], actor)

    async def _first(self, row: Row, members: Sequence[Row], actor: Actor) -> None:
        for member in members:
            if member["state"] == "attempting":
                return
            if await self._healing.may_go_on(member, row["as_of"]):
                if await self._again(member["run_id"], member["key"], actor):
                    await rows.healing(self._database, row["id"], member["run_id"], member["key"])
                return
        if members:  # nobody may go on without a word of a person: all of them are asked
            await rows.healed(self._database, row["id"], "probe")

    async def _follow_lead(self, row: Row, members: list[Row]) -> None:
        lead = next((each for each in members if _is_lead(row, each)), None)
        if lead is None:
            await self._after_lead(row, members)
        elif not is_trying(lead):
            gap = min(_SOON * 2 ** min(row["flaps"], 4), _SELDOM)
            gap = gap if row["scope"] == "system" else max(gap, _LATER)
            error = (lead["detail"] or {}).get("message") or "the lead step failed again"
            await rows.flapped(self._database, row["id"], gap, error)

    async def _after_lead(self, row: Row, members: list[Row]) -> None:
        """The lead step is no member any more: if it succeeded, the cause is gone for all."""
        run, key = row["lead_run"], row["lead_key"]
        if await rows.last_outcome(self._database, run, key) == "step.succeeded":
            by = "probe" if row["state"] == "healing" else await self._brought(run, key)
            await rows.healed(self._database, row["id"], by)
        else:
            first = members[0]
            await rows.new_lead(self._database, row["id"], first["run_id"], first["key"])

    async def _brought(self, run: UUID, key: str, source: Connection | None = None) -> str:
        """What made a step's last attempt: a person, the probe, or its own schedule."""
        found = await rows.last_retried_by(source or self._database, run, key)
        return found or "schedule"

    # --- going on ---------------------------------------------------------------------------

    async def _wake(self, row: Row, members: list[Row], actor: Actor) -> None:
        """Let the others go on, as many at a time as the system lets through."""
        failing = next((each for each in members if failed_since(each, row["healed_at"])), None)
        if failing is not None:
            gap = min(_SOON * 2 ** min(row["flaps"], 4), _SELDOM)
            error = failing["detail"].get("message") or "steps fail again"
            await rows.relapsed(self._database, row["id"], gap, error)
            return
        for member in await self._healing.next_of(row, members):
            await self._again(member["run_id"], member["key"], actor)

    async def _again(self, run: UUID, key: str, actor: Actor, *, is_let_go: bool = False) -> bool:
        """Let a step try once more, uncounted; False if somebody else has moved it meanwhile."""
        try:
            await commands.retry(
                self._operating, run, key, actor=actor, by="probe", is_let_go=is_let_go
            )
        except (NotWaiting, NotFound):
            return False
        return True

    # --- telling ----------------------------------------------------------------------------

    async def _tell(self, row: Row, members: list[Row], actor: Actor) -> None:
        """Tell the incident's run who waits now, at most once a minute."""
        names = sorted(f"{each['run_id']}/{each['key']}" for each in members)
        who = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        is_early = row["told_at"] is not None and row["as_of"] - row["told_at"] < _TELL_GAP
        if who == row["told"] or is_early or row["state"] == "healed":
            return
        waiting = {each["run_id"]: each["subject"] for each in members}
        news = ticketing.News(
            kind="waiting",
            at=row["as_of"],
            runs=tuple(reference("run", run) for run in waiting),
        )
        try:
            await self._send(row, news, f"waiting/{who}/{row['told_at']}", actor)
        except InvalidInput:
            return  # another worker has told it a moment before
        await rows.told(self._database, row["id"], who)

    async def _send(self, row: Row, news: ticketing.News, what: str, actor: Actor) -> None:
        await self._messages.send(_told(row, news, what), actor)

    async def _close(self, row: Row, actor: Actor) -> None:
        async with self._database.transaction() as connection:
            current = await rows.locked(connection, row["id"])
            if current is None or await rows.members_in(connection, row["id"]):
                return
            closed, by, held_up = await self._closed(connection, current, actor)
            news = ticketing.News(
                kind="over",
                at=row["as_of"],
                healed_at=(row["healed_at"] or row["as_of"]) if by != "person" else None,
                minutes=int((row["as_of"] - row["opened_at"]).total_seconds() // 60),
                held_up=held_up,
            )
            message = _told(row, news, "over")
            if current["run_id"] is not None:
                # With the closing: after a crash in between nobody would ever send it.
                await self._messages.keep(connection, message)
        self._operating.tell(closed)
        self._secrets.pop(row["id"], None)
        await self._messages.deliver(message.name, message.match, actor)

    async def _closed(
        self, connection: Connection, row: Row, actor: Actor
    ) -> tuple[Change, str, int]:
        """Write that it is closed; answers with what closed it and how many runs it held up."""
        attached = await rows.attached(connection, row["id"], row["system"])
        by = row["healed_by"] or await self._ended_by(connection, row["lead_run"], row["lead_key"])
        change = Change(run=row["lead_run"], from_seq=0, is_aside=True)
        fact = facts.IncidentClosed(
            incident=reference("inc", row["id"]), runs=attached, healed_by=by
        )
        change.beside.append(
            Beside(f"system/{row['system']}", fact, row["as_of"], actor, row["system"])
        )
        await with_streams(connection, change, self._ids.event_id)
        await rows.closed(connection, row["id"], by)
        await apply(connection, [change])
        return change, by, attached

    async def _ended_by(self, connection: Connection, run: UUID, key: str) -> Any:  # Any: literal
        """What ended an incident that never was seen to heal: its last step says."""
        if await rows.last_outcome(connection, run, key) == "step.succeeded":
            return await self._brought(run, key, connection)
        return "person"

    async def park_poisoned(self, host: Any, run: UUID, why: Exception) -> None:  # Any: the worker
        """Park a run that cannot be read, or whose Change the server cannot take; with the reason.

        One whose payloads cannot be opened is parked without their key: it can go on when the
        right one is back.
        """
        is_closed = isinstance(why, LogInconsistent)
        reason: Literal["blocked", "bug"] = "blocked" if is_closed else "bug"
        said = f"cannot be read: {why}" if is_closed else f"cannot be written: {why}"
        async with command(
            self._database,
            self._operating.vault,
            run,
            host.actor,
            host.event_id,
            self._operating.tell,
        ) as made:
            sealer = Sealer(None, run) if is_closed else made.sealer
            made.record(
                facts.RunParked(keys=(), class_=reason),
                payload=sealer.seal(orjson.dumps({"why": said})),
            )
            made.parked = (reason, "maintainers")
            if (version := host.versions.get(made.row["process"])) is not None:
                judged = {"process": made.row["process"], "version": version}
                made.change.also("moved", {"id": str(run), **judged})


def _uuid(value: Any) -> UUID:  # Any: a UUID or its text
    return value if isinstance(value, UUID) else UUID(value)


def _is_lead(row: Row, member: Row) -> bool:
    return (member["run_id"], member["key"]) == (row["lead_run"], row["lead_key"])


def _is_member(run: UUID, key: str, members: list[Row]) -> bool:
    return any((member["run_id"], member["key"]) == (run, key) for member in members)


def _gap(row: Row) -> timedelta:
    escalated: datetime | None = row["escalated_at"]
    if escalated is None or row["as_of"] - escalated < timedelta(hours=1):
        return _URGENT if row["is_urgent"] else _SOON
    return _LATER if row["as_of"] - escalated < timedelta(hours=24) else _SELDOM


def _told(row: Row, news: ticketing.News, what: str) -> Message:
    """What an incident's run is told, once for each `what`."""
    incident = reference("inc", row["id"])
    return Message(
        name=ticketing.NEWS.name,
        match=incident,
        payload=ticketing.as_message(news),
        source="newel",
        event_id=f"{incident}/{what}",
    )
