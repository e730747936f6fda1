"""One person: the sentence, what needs attention, access from the ledger, what happens next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from newel.base.errors import NotFound
from newel.base.ids import parse_reference, reference
from newel.people.facts import OpenFact
from newel.people.snapshot import snapshot_of
from newel.people.status import Status, status
from newel.people.words import process_title, system_name
from newel.store import journal, ledger, open_acts, people
from newel.store.database import Row
from newel.web.console import copy
from newel.web.console.bar import bar_of
from newel.web.console.format import zone
from newel.web.console.story import Entry, references_in, story_of, told
from newel.web.console.views.acts import ActCard, NextItem, Opened, act_card, coming, opened
from newel.web.console.views.history import EventView, event_view, is_told
from newel.web.console.views.model import (
    BarView,
    Chip,
    PersonLink,
    StatusView,
    View,
    bar_view,
    chip,
    person_link,
    status_view,
)
from newel.web.site import Reader

__all__ = ["PersonView", "person_status", "person_view"]

_LATEST = 6


class GrantView(View):
    """One entitlement that a person holds or held. record: where it is written."""

    entitlement: str
    title: str
    level: str | None
    state: str
    since: datetime | None
    until: datetime | None
    record: str


class AccessRow(View):
    """One system of a person. held: what is granted there, in words; who: by whom and how."""

    system: str
    title: str
    letters: str
    held: str
    chip: Chip
    at: datetime | None
    who: str
    run: str
    record: str
    grants: tuple[GrantView, ...]


class PersonRun(View):
    """One run about the person."""

    run: str
    href: str
    title: str
    chip: Chip
    started_at: datetime
    ended_at: datetime | None


class PersonView(View):
    """One person as the page shows them."""

    person: PersonLink
    email: str | None
    employee_number: str | None
    manager: PersonLink | None
    is_erased: bool
    status: StatusView
    bar: BarView | None
    open_run: str | None
    attention: tuple[ActCard, ...]
    access: tuple[AccessRow, ...]
    granted: int
    next: tuple[NextItem, ...]
    latest: tuple[EventView, ...]
    runs: tuple[PersonRun, ...]
    as_of: datetime


class _Read:
    """Rows of one person, read once."""

    def __init__(
        self, person: Row, runs: Sequence[Row], acts: Sequence[Row], grants: Sequence[Row]
    ) -> None:
        self.person = person
        self.runs = runs
        self.acts = acts
        self.grants = grants

    def status(self, read: Reader) -> Status:
        """Say where the person stands."""
        snapshot = snapshot_of(self.person["ref"], self.name, self.runs, self.acts, self.grants)
        return status(snapshot, read.now, read.zone)

    @property
    def name(self) -> str:
        """The person's name, or what stands for it after erasing."""
        is_erased = self.person["key_state"] == "erased"
        return "Erased person" if is_erased else str(self.person["display_name"])


async def _read(read: Reader, ref: UUID) -> _Read:
    person = await people.read(read.database, ref)
    if person is None:
        raise NotFound(kind="person", reference=reference("per", ref))
    runs = await people.runs_of(read.database, ref)
    still_open = [row["id"] for row in runs if row["finished_at"] is None]
    acts = await open_acts.of_runs(read.database, still_open) if still_open else []
    return _Read(person, runs, acts, await ledger.of_person(read.database, ref))


async def person_status(read: Reader, ref: UUID) -> StatusView:
    """Say where a person stands; four statements. Raises NotFound."""
    known = await _read(read, ref)
    return status_view(known.status(read), known.name, zone(read.zone))


async def person_view(read: Reader, ref: UUID) -> PersonView:
    """Read one person; seven statements beside the overview. Raises NotFound."""
    known = await _read(read, ref)
    found = known.status(read)
    acts_of: dict[UUID, list[Row]] = defaultdict(list)
    for row in known.acts:
        acts_of[row["run_id"]].append(row)
    latest_rows = await people.latest(read.database, ref)
    latest = [
        (row["stream_id"], entry) for row, entry in zip(latest_rows, told(latest_rows), strict=True)
    ]
    entries = [] if found.run is None else await _entries(read, found.run)
    made = [_leaf(row) for row in known.grants]
    names = await _names(read, [*entries, *(each for _, each in latest)], made)
    return _view(read, known, found, acts_of, entries, latest, names)


async def _entries(read: Reader, run: UUID) -> list[Entry]:
    return list(told(await journal.events(read.database, run, how_many=1_000)))


async def _names(
    read: Reader, entries: Sequence[Entry], leaves: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    wanted = references_in(entries)
    for leaf in leaves:
        actor = leaf.get("actor", {})
        candidates = (actor.get("id"), actor.get("on_behalf_of"))
        wanted.update(each for each in candidates if each and each.startswith("per_"))
    found = await people.names(read.database, {parse_reference(each)[1] for each in wanted})
    return {reference("per", each): name for each, name in found.items()}


def _view(
    read: Reader,
    known: _Read,
    found: Status,
    acts_of: Mapping[UUID, Sequence[Row]],
    entries: Sequence[Entry],
    latest: Sequence[tuple[UUID, Entry]],
    names: Mapping[str, str],
) -> PersonView:
    person = known.person
    link = person_link(person["ref"], known.name)
    assert link is not None, "a person has a reference"
    everything = [each for row in acts_of.values() for each in opened(row)]
    titles = {act.system: act.system_title for act, _ in everything if act.system}
    titles |= {row["system"]: row["system_title"] for row in known.grants}
    access = _access(known, acts_of, names)
    is_erased = person["key_state"] == "erased"
    return PersonView(
        person=link,
        email=None if is_erased else person["work_email"],
        employee_number=None if is_erased else person["hr_key"],
        manager=person_link(person["manager"], person["manager_name"]),
        is_erased=is_erased,
        status=status_view(found, known.name, zone(read.zone)),
        bar=_bar(known, found, acts_of, entries),
        open_run=None if found.run is None else f"/runs/{reference('run', found.run)}",
        attention=_attention(read, acts_of),
        access=access,
        granted=sum(1 for row in access if row.chip.state == "granted"),
        next=coming(everything),
        latest=tuple(
            event_view(entry, names, titles, run=reference("run", run))
            for run, entry in latest
            if is_told(entry)
        )[:_LATEST],
        runs=tuple(_run(row) for row in known.runs),
        as_of=read.now,
    )


def _bar(
    known: _Read, found: Status, acts_of: Mapping[UUID, Sequence[Row]], entries: Sequence[Entry]
) -> BarView | None:
    if found.run is None:
        return None
    row = next(each for each in known.runs if each["id"] == found.run)
    story = story_of(
        entries, opened(acts_of.get(found.run, ())), is_over=row["finished_at"] is not None
    )
    return bar_view(bar_of([key.state for key in story.keys]))


def _attention(read: Reader, acts_of: Mapping[UUID, Sequence[Row]]) -> tuple[ActCard, ...]:
    """Parked steps first, then tasks by due time."""
    found: list[tuple[tuple[int, datetime], ActCard]] = []
    for run, rows in acts_of.items():
        for act, detail in opened(rows):
            if act.state == "parked" or act.kind == "approval":
                order = (0 if act.state == "parked" else 1, act.due_at or act.since)
                card = act_card(reference("run", run), act, detail, read.zone, read.now)
                found.append((order, card))
    return tuple(card for _, card in sorted(found, key=lambda each: each[0]))


def _run(row: Row) -> PersonRun:
    run = reference("run", row["id"])
    return PersonRun(
        run=run,
        href=f"/runs/{run}",
        title=process_title(row["process"], row["title"]),
        chip=chip(row["standing"]),
        started_at=row["started_at"],
        ended_at=row["finished_at"],
    )


# --- access ------------------------------------------------------------------------------------


def _access(
    known: _Read, acts_of: Mapping[UUID, Sequence[Row]], names: Mapping[str, str]
) -> tuple[AccessRow, ...]:
    grants_in: dict[str, list[Row]] = defaultdict(list)
    for row in known.grants:
        grants_in[row["system"]].append(row)
    acts_in: dict[str, list[tuple[UUID, Opened]]] = defaultdict(list)
    for run, rows in acts_of.items():
        for each in opened(rows):
            if each[0].kind == "step" and each[0].system is not None:
                acts_in[each[0].system].append((run, each))
    found = [
        _row(system, grants_in[system], acts_in[system], names) for system in {*grants_in, *acts_in}
    ]
    return tuple(sorted(found, key=lambda row: (row.title, row.system)))


def _row(
    system: str,
    grants: Sequence[Row],
    acts: Sequence[tuple[UUID, Opened]],
    names: Mapping[str, str],
) -> AccessRow:
    facts = [act for _, (act, _) in acts]
    titles = [row["system_title"] for row in grants] + [act.system_title for act in facts]
    title = system_name(system, next(filter(None, titles), None))
    held = [_entitlement(row) for row in grants if row["state"] in {"active", "prepared"}]
    state = _state([row["state"] for row in grants], facts)
    run = acts[0][0] if acts else grants[0]["made_run"]
    waiting = facts[0] if facts else None
    dates = [moment for row in grants if (moment := row["valid_from"] or row["recorded_at"])]
    return AccessRow(
        system=system,
        title=title,
        letters=_letters(title),
        held=", ".join(held) or _wanted(facts),
        chip=chip(state),
        at=waiting.since if waiting is not None else max(dates, default=None),
        who=copy.access_who(waiting, _who(grants, names)),
        run=f"/runs/{reference('run', run)}",
        record=_record(grants[0]) if grants else "",
        grants=tuple(_grant(row) for row in grants),
    )


def _state(states: Sequence[str], acts: Sequence[OpenFact]) -> str:
    if any(act.state == "parked" for act in acts):
        return "parked"
    if any(act.is_retrying for act in acts):
        return "retrying"
    if acts:
        return "partly" if "active" in states else "granting"
    current = [state for state in states if state not in {"revoked", "suspended"}]
    if not current:
        return "revoked" if "revoked" in states else "suspended"
    if set(current) == {"active"}:
        return "granted"
    if "active" in current:
        return "partly"
    return {"planned": "planned", "approved": "planned"}.get(current[0], current[0])


def _wanted(acts: Sequence[OpenFact]) -> str:
    return ", ".join(copy.step_title(act.key, None, None) for act in acts)


def _entitlement(row: Row) -> str:
    title = row["entitlement_title"] or row["entitlement"].partition(":")[2]
    text = title.replace("/", " ").replace("_", " ")
    return f"{text} ({row['level']})" if row["level"] else text


def _letters(title: str) -> str:
    capitals = [letter for letter in title if letter.isupper()]
    return "".join(capitals[:2]) if len(capitals) > 1 else title[:2].capitalize()


def _leaf(row: Row) -> Mapping[str, Any]:
    entry = row["made_entry"]
    leaf: Mapping[str, Any] = {} if entry is None else orjson.loads(entry)
    return leaf


def _who(grants: Sequence[Row], names: Mapping[str, str]) -> str:
    leaf = _leaf(grants[0]) if grants else {}
    return copy.actor_name(leaf["actor"], names) if leaf else ""


def _record(row: Row) -> str:
    leaf: bytes | None = row["made_leaf"]
    return f"#{row['made_seq']} · {leaf.hex()[:8]}" if leaf is not None else ""


def _grant(row: Row) -> GrantView:
    return GrantView(
        entitlement=row["entitlement"],
        title=_entitlement(row),
        level=row["level"],
        state=row["state"],
        since=row["valid_from"],
        until=row["valid_to"],
        record=_record(row),
    )
