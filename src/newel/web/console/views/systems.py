"""Systems: how each stands, who waits for it, what newel may do in it, and who had access.

What is declared is read from the connector, what happens from the database; no system is asked,
unless somebody tests the connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from newel.base.errors import NotFound, StepError
from newel.base.ids import parse_reference, reference
from newel.connectors import inventory
from newel.connectors.base import Connector
from newel.engine.engine import Engine
from newel.engine.incidents import Probed
from newel.people.words import process_title, team_name
from newel.store import people, rooms
from newel.store import systems as rows
from newel.store.database import Row
from newel.web.console import systems_copy
from newel.web.console.copy import quoted
from newel.web.console.views.model import Chip, PersonLink, View, chip, person_link
from newel.web.console.views.system_budgets import BudgetView, budgets_of, fullest
from newel.web.console.views.system_calls import CallsView, calls_of
from newel.web.site import Reader

__all__ = ["SystemPage", "SystemsView", "TestedView", "system_page", "systems_view", "tested"]

_WAITING: Final = 10
_RANKS: Final = ("well", "blocked", "paused", "healing", "watching", "escalated")


class SystemLine(View):
    """A system and how it stands. team: the owner as people say it; people: with access.

    paused_at: an operator has paused it then. budget: the rate budget of which most is used.
    nearly_all_ms: within what time 95 % of its calls of 24 hours ended.
    """

    system: str
    title: str
    owner: str
    team: str
    state: Literal["well", "blocked", "paused", "healing", "watching", "escalated"]
    blocked_until: datetime | None
    paused_at: datetime | None
    since: datetime | None
    waiting: int
    people: int
    budget: BudgetView | None
    nearly_all_ms: int | None
    chip: Chip
    href: str


class SystemsView(View):
    """The systems by name."""

    systems: tuple[SystemLine, ...]
    as_of: datetime


class IncidentView(View):
    """What holds a system up. text: how much it holds up, what the system says, what helps."""

    title: str
    text: str
    chip: Chip
    opened_at: datetime
    probe_at: datetime | None
    ticket: str | None
    ticket_url: str | None


class CapabilityView(View):
    """What plan and token allow, or why they do not."""

    name: str
    why: str
    chip: Chip


class OperationView(View):
    """What can be done in a system. needs: any of those in one entry is enough."""

    operation: str
    does: str
    way: str
    needs: tuple[str, ...]
    reversible: str
    mails: str
    sla: str
    used_by: tuple[str, ...]


class WaitingView(View):
    """A run that is tried again or parked at a system."""

    run: str
    process: str
    person: PersonLink | None
    since: datetime
    next_at: datetime | None
    chip: Chip


class SystemPage(View):
    """One system. checked_at: when its capabilities were looked at last.

    paused: who has paused it, since when, and what that means; empty if nobody has.
    """

    system: SystemLine
    paused: str
    connector: str
    credential: str
    hosts: tuple[str, ...]
    mode: str
    runbook: str | None
    incidents: tuple[IncidentView, ...]
    capabilities: tuple[CapabilityView, ...]
    checked_at: datetime | None
    budgets: tuple[BudgetView, ...]
    calls: CallsView
    calls_text: str
    waiting: tuple[WaitingView, ...]
    operations: tuple[OperationView, ...]
    others: tuple[OperationView, ...]
    as_of: datetime


class TestedView(View):
    """What came of asking a system whether credential and permissions are as they should be."""

    ok: bool
    text: str
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    expires_at: datetime | None


async def systems_view(read: Reader, engine: Engine) -> SystemsView:
    """Read how every system stands."""
    stand = await _stand(read, engine.connectors)
    return SystemsView(systems=stand.lines, as_of=read.now)


async def system_page(read: Reader, engine: Engine, name: str) -> SystemPage:
    """Read one system. Raises NotFound."""
    connector = _named(engine, name)
    stand = await _stand(read, [connector])
    waiting = await rows.waiting_runs(read.database, name, how_many=_WAITING)
    used: list[OperationView] = []
    others: list[OperationView] = []
    capabilities: tuple[CapabilityView, ...] = ()
    checked_at = None
    if isinstance(connector, Connector):
        processes = [each for key, each in read.processes.items() if not key.startswith("newel.")]
        for entry in inventory.inventory([connector], processes):
            (used if entry.used_by else others).append(_operation(entry))
        known = connector.known_capabilities
        checked_at = known.checked_at
        capabilities = tuple(
            CapabilityView(name=each.name, why=each.why, chip=chip(f"able-{each.state}"))
            for each in known.found
        )
    return SystemPage(
        system=stand.lines[0],
        paused=await _paused(read, connector, stand.paused.get(name)),
        connector=type(connector).__name__,
        credential=connector.credential,
        hosts=tuple(getattr(connector, "hosts", ())),
        mode=getattr(connector, "mode", "live"),
        runbook=getattr(connector, "runbook", None),
        incidents=tuple(_incident(row, connector.title) for row in stand.incidents),
        capabilities=capabilities,
        checked_at=checked_at,
        budgets=stand.budgets.get(name, ()),
        calls=stand.calls[name],
        calls_text=systems_copy.calls_text(
            stand.calls[name].calls, stand.calls[name].failures, stand.calls[name].nearly_all_ms
        ),
        waiting=tuple(_waiting(row) for row in waiting),
        operations=tuple(used),
        others=tuple(others),
        as_of=read.now,
    )


async def tested(engine: Engine, name: str) -> TestedView:
    """Ask a system whether it still answers as agreed; reads only. Raises NotFound."""
    connector = _named(engine, name)
    if not isinstance(connector, Connector):
        raise NotFound(kind="check", reference=name)
    try:
        found = await connector.check()
    except StepError as failure:
        return TestedView(ok=False, text=f"{failure}", missing=(), notes=(), expires_at=None)
    connector.learn(found)
    text = systems_copy.tested_text(
        connector.title, ok=found.ok, identity=found.identity, missing=found.missing
    )
    return TestedView(
        ok=found.ok and not found.missing,
        text=text,
        missing=found.missing,
        notes=found.notes,
        expires_at=found.expires_at,
    )


def _named(engine: Engine, name: str) -> Probed:
    for each in engine.connectors:
        if each.name == name:
            return each
    raise NotFound(kind="system", reference=name)


async def _paused(read: Reader, connector: Probed, row: Row | None) -> str:
    if row is None:
        return ""
    kind, _, _ = row["paused_by"].partition("_")
    ref = parse_reference(row["paused_by"])[1] if kind == "per" else None
    known = await people.names(read.database, [] if ref is None else [ref])
    by = known.get(ref, "an operator") if ref is not None else "an operator"
    at = f"{row['paused_at'].astimezone(read.zone):%d %b, %H:%M}"
    return systems_copy.paused_text(connector.title, by, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stand:
    """How some systems stand, those in trouble first, and what is behind it, by system."""

    lines: tuple[SystemLine, ...]
    incidents: Sequence[Row]
    paused: Mapping[str, Row]
    budgets: Mapping[str, tuple[BudgetView, ...]]
    calls: Mapping[str, CallsView]


async def _stand(read: Reader, connectors: Sequence[Probed]) -> _Stand:
    names = [each.name for each in connectors]
    incidents = await rows.incidents(read.database, names)
    counts = {row["system"]: row for row in await rows.counts(read.database, names)}
    credentials = [each.credential for each in connectors]
    blocked = {
        row["credential"]: row["until"] for row in await rows.blocked(read.database, credentials)
    }
    paused = await rooms.paused(read.database)
    budgets = await budgets_of(read.database, connectors)
    calls = await calls_of(read.database, names, read.now)
    lines = [
        _line(
            each,
            [row for row in incidents if row["system"] == each.name],
            counts[each.name],
            blocked_until=blocked.get(each.credential),
            paused_at=paused[each.name]["paused_at"] if each.name in paused else None,
            budget=fullest(budgets.get(each.name, ())),
            nearly_all_ms=calls[each.name].nearly_all_ms,
        )
        for each in connectors
    ]
    lines.sort(key=lambda each: (-_RANKS.index(each.state), each.title.lower()))
    return _Stand(
        lines=tuple(lines), incidents=incidents, paused=paused, budgets=budgets, calls=calls
    )


def _line(
    connector: Probed,
    incidents: Sequence[Row],
    counts: Row,
    *,
    blocked_until: datetime | None,
    paused_at: datetime | None,
    budget: BudgetView | None,
    nearly_all_ms: int | None,
) -> SystemLine:
    states = [_state(row) for row in incidents]
    if blocked_until is not None:
        states.append("blocked")
    if paused_at is not None:
        states.append("paused")
    state = max(states, key=_RANKS.index, default="well")
    return SystemLine.model_validate(
        {
            "system": connector.name,
            "title": connector.title,
            "owner": connector.owner,
            "team": team_name(connector.owner),
            "state": state,
            "blocked_until": blocked_until,
            "paused_at": paused_at,
            "budget": budget,
            "nearly_all_ms": nearly_all_ms,
            "since": min((row["opened_at"] for row in incidents), default=None),
            "waiting": counts["waiting"],
            "people": counts["people"],
            "chip": chip(f"system-{state}"),
            "href": f"/systems/{quoted(connector.name)}",
        }
    )


def _state(incident: Row) -> str:
    """Say how an incident stands: who has to act, or that it is over already."""
    if incident["state"] in {"healing", "healed"}:
        return "healing"
    return "watching" if incident["escalated_at"] is None else "escalated"


def _incident(row: Row, title: str) -> IncidentView:
    return IncidentView(
        title=systems_copy.incident_title(row["class"], title),
        text=systems_copy.incident_text(row["class"], title, row["held_up"], row["last_error"]),
        chip=chip(f"system-{_state(row)}"),
        opened_at=row["opened_at"],
        probe_at=row["probe_at"],
        ticket=row["ticket"],
        ticket_url=row["ticket_url"],
    )


def _operation(entry: inventory.Entry) -> OperationView:
    return OperationView(
        operation=entry.operation,
        does=entry.does,
        way=entry.goes,
        needs=entry.needs,
        reversible=entry.reversible,
        mails=entry.mails,
        sla=entry.sla,
        used_by=entry.used_by,
    )


def _waiting(row: Row) -> WaitingView:
    return WaitingView(
        run=reference("run", row["run_id"]),
        process=process_title(row["process"], row["title"]),
        person=person_link(row["subject"], row["display_name"]),
        since=row["since"],
        next_at=row["next_at"],
        chip=chip("parked" if row["is_parked"] else "retrying"),
    )
