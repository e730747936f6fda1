"""One person: the sentence, what needs attention, access from the ledger, what happens next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from newel.base.errors import NotFound
from newel.base.ids import parse_reference, reference
from newel.people.snapshot import snapshot_of, with_counts
from newel.people.status import Status, status
from newel.people.words import process_title
from newel.store import journal, ledger, open_acts, people
from newel.store.database import Row
from newel.web.console.bar import bar_of
from newel.web.console.format import zone
from newel.web.console.story import Entry, references_in, story_of, told
from newel.web.console.views.access import AccessRow, access_rows, leaf_of
from newel.web.console.views.acts import ActCard, NextItem, act_card, coming, opened
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
from newel.web.console.views.titles import Titled, titled_by
from newel.web.site import Reader

__all__ = ["PersonView", "person_status", "person_view"]

_LATEST = 6


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

    async def status(self, read: Reader) -> Status:
        """Say where the person stands."""
        snapshot = snapshot_of(self.person["ref"], self.name, self.runs, self.acts, self.grants)
        return status(
            await with_counts(read.database, snapshot, read.ahead_of), read.now, read.zone
        )

    @property
    def name(self) -> str:
        """The person's name, or what stands for it after erasing (the schema sees to that)."""
        return str(self.person["display_name"])


async def _read(read: Reader, ref: UUID) -> _Read:
    person = await people.read(read.database, ref)
    if person is None:
        raise NotFound(kind="person", reference=reference("per", ref))
    runs = await people.runs_of(read.database, ref)
    still_open = [row["id"] for row in runs if row["finished_at"] is None]
    acts = await open_acts.of_runs(read.database, still_open) if still_open else []
    return _Read(person, runs, acts, await ledger.of_person(read.database, ref))


async def person_status(read: Reader, ref: UUID) -> StatusView:
    """Say where a person stands; five statements at most, and a plan. Raises NotFound."""
    known = await _read(read, ref)
    return status_view(await known.status(read), known.name, zone(read.zone))


async def person_view(read: Reader, ref: UUID) -> PersonView:
    """Read one person: eight statements at most, a plan, and the overview. Raises NotFound."""
    known = await _read(read, ref)
    found = await known.status(read)
    acts_of: dict[UUID, list[Row]] = defaultdict(list)
    for row in known.acts:
        acts_of[row["run_id"]].append(row)
    latest_rows = await people.latest(read.database, ref)
    latest = [
        (row["stream_id"], entry) for row, entry in zip(latest_rows, told(latest_rows), strict=True)
    ]
    entries = [] if found.run is None else await _entries(read, found.run)
    made = [leaf_of(row) for row in known.grants]
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
    titled_of = _titling(read, known)
    access = access_rows(known.grants, acts_of, names, titled_of)
    return PersonView(
        person=link,
        email=person["work_email"],
        employee_number=person["hr_key"],
        manager=person_link(person["manager"], person["manager_name"]),
        is_erased=person["key_state"] == "erased",
        status=status_view(found, known.name, zone(read.zone)),
        bar=_bar(known, found, acts_of, entries),
        open_run=None if found.run is None else f"/runs/{reference('run', found.run)}",
        attention=_attention(read, acts_of, titled_of),
        access=access,
        granted=sum(1 for row in access if row.chip.state == "granted"),
        next=coming(everything),
        latest=tuple(
            event_view(entry, names, titles, titled_of(run), run=reference("run", run))
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


def _titling(read: Reader, known: _Read) -> Callable[[UUID], Titled]:
    process_of = {row["id"]: row["process"] for row in known.runs}

    def titled_of(run: UUID) -> Titled:
        return titled_by(read.processes.get(process_of.get(run, "")))

    return titled_of


def _attention(
    read: Reader, acts_of: Mapping[UUID, Sequence[Row]], titled_of: Callable[[UUID], Titled]
) -> tuple[ActCard, ...]:
    """Parked steps first, then tasks by due time."""
    found: list[tuple[tuple[int, datetime], ActCard]] = []
    for run, rows in acts_of.items():
        for act, detail in opened(rows):
            if act.state == "parked" or act.is_task:
                order = (0 if act.state == "parked" else 1, act.due_at or act.since)
                card = act_card(
                    reference("run", run), act, detail, read.zone, read.now, titled_of(run)
                )
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
