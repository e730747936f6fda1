"""Incidents: one cause that holds up many steps, its probe, its ticket, its end.

    first failed round        -> watching    (opened with that round's event; nobody is disturbed)
    first exhausted step      -> escalated   (in the transaction that parks it; a run of the
                                              built-in process `newel.incident` is started)
    probe answers             -> healing     (the lead step makes one uncounted attempt)
    the lead step succeeds    -> healed      (all others are tried again)
    no step is left           -> closed      (the incident's run comments on and closes the ticket)

Steps join with the row of their open act; the incident's own row is moved here, by whichever
worker wins the row lock, so that 200 waiting steps cost one call a minute. Opening, commenting
on and closing the ticket are durable steps of an ordinary run, with the same guarantees as all
others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import LogInconsistent, NotFound, NotWaiting, StepError
from newel.base.ids import reference
from newel.domain.change import Beside, Change
from newel.engine import commands, ticketing
from newel.engine.enduring import Patience
from newel.engine.messages import Message, Messages
from newel.engine.operating import Operating, command, with_streams
from newel.engine.runner import Circuit, Host, Runner
from newel.engine.starting import Start, born
from newel.engine.steps import Finished, IncidentView, fingerprint_of
from newel.engine.vault import Sealer
from newel.flow.act import StepAct
from newel.store import incidents as rows
from newel.store.changes import apply
from newel.store.database import LOST, Connection, Row

_LOST_S: Final = 0.5
_SOON: Final = timedelta(seconds=60)
_LATER: Final = timedelta(minutes=5)
_SELDOM: Final = timedelta(minutes=15)
_PROBED: Final = ("outage", "throttle", "auth")


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

    async def probe(self) -> None:
        """Raise a StepError while the system does not answer."""
        ...


class Incidents:
    """The incidents of one database, as one worker sees and moves them."""

    def __init__(
        self,
        operating: Operating,
        messages: Messages,
        connectors: Sequence[Probed],
        tickets: ticketing.Ticketing,
    ) -> None:
        """Prepare; `watch` moves incidents until it is cancelled."""
        self._operating = operating
        self._database = operating.database
        self._messages = messages
        self._connectors: Mapping[str, Probed] = {each.credential: each for each in connectors}
        self._tickets = tickets
        self._ids = operating.vault.ids()
        self.circuits: dict[str, Circuit] = {}
        self.on_outcome: dict[str, Callable[[Runner, str, object], None]] = {
            tickets.process.name: tickets.on_outcome
        }

    # --- for a step that failed -------------------------------------------------------------

    async def view(self, host: Host, run: Runner, done: Finished) -> IncidentView | None:
        """Read the open incident that a failure belongs to, if its class has one."""
        opened, act = run.open.get(done.key), run.acts.get(done.key)
        if opened is None or not isinstance(act, StepAct) or not isinstance(done.error, StepError):
            return None
        fingerprint = fingerprint_of(run, act, opened, done.error)
        if fingerprint is None or run.process is self._tickets.process:
            return None
        row = await rows.open_by_fingerprint(self._database, fingerprint)
        connector = self._connectors.get(opened.credential or "")
        title = connector.title if connector is not None else (opened.system or run.process.title)
        return IncidentView(
            fingerprint=fingerprint,
            row=None if row is None else dict(row),
            title=title,
            owner="it",
            escalate=lambda incident: self._escalated(incident, host.now(), host.actor),
        )

    def _escalated(self, incident: dict[str, Any], at: datetime, actor: Actor) -> Change:
        """Make the Change that starts the incident's run."""
        lead = _uuid(incident["lead_run"])
        started, _, _, _ = born(
            Start(
                run=self._ids.new(),
                process=self._tickets.process,
                version=self._tickets.version,
                arguments={"case": ticketing.case_of(incident, at=at)},
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
        for row in await rows.open_incidents(self._database):
            await self._move(row, actor)
        for row in await rows.take_due_probes(self._database, _SOON):
            await self._probe(row, actor)
        self._read_circuits(await rows.open_incidents(self._database))

    def _read_circuits(self, open_now: list[Row]) -> None:
        self.circuits = {
            row["credential"]: Circuit(
                incident=row["id"],
                lead_run=row["lead_run"],
                lead_key=row["lead_key"],
                is_open=row["scope"] == "system"
                and row["state"] in {"watching", "escalated", "healing"},
            )
            for row in open_now
            if row["credential"] is not None and "/outage" in row["fingerprint"]
        }

    async def _move(self, row: Row, actor: Actor) -> None:
        members = await rows.members(self._database, row["id"])
        if not members:
            await self._close(row, actor)
        elif row["state"] == "watching" and any(each["state"] == "parked" for each in members):
            await self._escalate(row, actor)
        elif row["state"] == "healed":
            await self._wake(members, actor)
        elif row["state"] == "healing":
            await self._follow_lead(row, members, actor)
        elif not _is_member(row["lead_run"], row["lead_key"], members):
            await self._after_lead(row, members, actor)

    async def _escalate(self, row: Row, actor: Actor) -> None:
        """A step was parked without a call of its own, while another led: its ticket is due."""
        async with self._database.transaction() as connection:
            current = await rows.locked(connection, row["id"])
            if current is None or current["state"] != "watching":
                return
            incident = {name: value for name, value in row.items() if name != "as_of"}
            incident |= {"state": "escalated", "escalated_at": current["as_of"]}
            started = self._escalated(incident, current["as_of"], actor)
            started.also("incident", {**incident, "run_id": started.run})
            await apply(connection, [started])

    async def _probe(self, row: Row, actor: Actor) -> None:
        connector = self._connectors.get(row["credential"] or "")
        kind = row["fingerprint"].rpartition("/")[2]
        if connector is None or kind not in _PROBED:
            return
        try:
            async with asyncio.timeout(20):
                await connector.probe()
        except (StepError, TimeoutError, OSError) as error:
            gap = _gap(row, row["as_of"])
            await rows.missed(self._database, row["id"], gap, _said(error))
            return
        if row["scope"] == "system" or kind != "outage":
            await self._heal(row, actor)

    async def _heal(self, row: Row, actor: Actor) -> None:
        """The probe answered: one step goes first."""
        members = await rows.members(self._database, row["id"])
        lead = next(
            (m for m in members if (m["run_id"], m["key"]) == (row["lead_run"], row["lead_key"])),
            members[0] if members else None,
        )
        if lead is None:
            return
        if lead["state"] == "attempting":
            return
        await self._again(lead["run_id"], lead["key"], actor)
        await rows.healing(self._database, row["id"], lead["run_id"], lead["key"])

    async def _follow_lead(self, row: Row, members: list[Row], actor: Actor) -> None:
        lead = next(
            (m for m in members if (m["run_id"], m["key"]) == (row["lead_run"], row["lead_key"])),
            None,
        )
        if lead is None:
            await self._after_lead(row, members, actor)
        elif lead["state"] != "attempting" and not (lead["detail"] or {}).get("early"):
            gap = min(_SOON * 2 ** min(row["probe_misses"], 4), _SELDOM)
            await rows.missed(self._database, row["id"], gap, "the lead step failed again")

    async def _after_lead(self, row: Row, members: list[Row], actor: Actor) -> None:
        """The lead step is no member any more: if it succeeded, the cause is gone for all."""
        if await rows.lead_succeeded(self._database, row["lead_run"], row["lead_key"]):
            await rows.healed(self._database, row["id"])
            await self._wake(members, actor)
        else:
            first = members[0]
            await rows.new_lead(self._database, row["id"], first["run_id"], first["key"])

    async def _wake(self, members: list[Row], actor: Actor) -> None:
        for member in members:
            if member["state"] != "attempting" and not (member["detail"] or {}).get("early"):
                await self._again(member["run_id"], member["key"], actor)

    async def _again(self, run: UUID, key: str, actor: Actor) -> None:
        try:
            await commands.retry(self._operating, run, key, actor=actor, by="probe")
        except (NotWaiting, NotFound):
            return  # somebody else has moved it meanwhile

    async def _close(self, row: Row, actor: Actor) -> None:
        async with self._database.transaction() as connection:
            current = await rows.locked(connection, row["id"])
            if current is None or await rows.members_in(connection, row["id"]):
                return
            await self._closed(connection, current, actor)
        if row["run_id"] is not None:
            incident = reference("inc", row["id"])
            minutes = int((row["as_of"] - row["opened_at"]).total_seconds() // 60)
            await self._messages.send(
                Message(
                    name=ticketing.HEALED.name,
                    match=incident,
                    payload=ticketing.healed_payload(at=row["as_of"], minutes=minutes),
                    source="newel",
                    event_id=f"healed/{incident}",
                ),
                actor,
            )

    async def _closed(self, connection: Connection, row: Row, actor: Actor) -> None:
        attached = await rows.attached(connection, row["id"], row["system"])
        change = Change(run=row["lead_run"], from_seq=0, is_aside=True)
        fact = facts.IncidentClosed(
            incident=reference("inc", row["id"]), runs=attached, healed_by="probe"
        )
        change.beside.append(
            Beside(f"system/{row['system']}", fact, row["as_of"], actor, row["system"])
        )
        await with_streams(connection, change, self._ids.event_id)
        await rows.closed(connection, row["id"])
        await apply(connection, [change])

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


def _is_member(run: UUID, key: str, members: list[Row]) -> bool:
    return any((member["run_id"], member["key"]) == (run, key) for member in members)


def _gap(row: Row, now: datetime) -> timedelta:
    escalated: datetime | None = row["escalated_at"]
    if escalated is None or now - escalated < timedelta(hours=1):
        return _SOON
    return _LATER if now - escalated < timedelta(hours=24) else _SELDOM


def _said(error: BaseException) -> str:
    return error.message if isinstance(error, StepError) else type(error).__name__
