"""The list of people, and whom a search finds."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from newel.base.ids import reference
from newel.people.finding import found
from newel.people.words import process_title
from newel.store import people
from newel.store.database import Row
from newel.web.console import copy
from newel.web.console.views.model import Chip, PersonLink, View, chip, person_link
from newel.web.site import Reader

__all__ = ["PeopleView", "PersonLine", "people_view"]


class PersonLine(View):
    """One person in the list. systems: in how many access is active."""

    person: PersonLink
    email: str | None
    manager: PersonLink | None
    run: str | None
    process: str | None
    chip: Chip | None
    systems: int
    started_at: datetime | None


class PeopleView(View):
    """A page of people. later: the address of the next ones by name."""

    q: str
    people: tuple[PersonLine, ...]
    later: str | None
    as_of: datetime


async def people_view(
    read: Reader, *, q: str = "", after: str = "", how_many: int = 50
) -> PeopleView:
    """Read people by name, or those whom `q` may mean, the best fit first."""
    if q.strip():
        hits = await found(read.database, q, how_many=how_many)
        order: dict[UUID, int] = {hit.person.ref: place for place, hit in enumerate(hits)}
        rows = await people.listed(read.database, refs=list(order), how_many=how_many)
        rows.sort(key=lambda row: order[row["ref"]])
        return PeopleView(q=q, people=_lines(rows), later=None, as_of=read.now)
    rows = await people.listed(read.database, after=after, how_many=how_many + 1)
    shown = rows[:how_many]
    later = None
    if len(rows) > how_many:
        later = f"/people?after={copy.quoted(shown[-1]['display_name'])}"
    return PeopleView(q="", people=_lines(shown), later=later, as_of=read.now)


def _lines(rows: list[Row]) -> tuple[PersonLine, ...]:
    return tuple(_line(row) for row in rows)


def _line(row: Row) -> PersonLine:
    link = person_link(row["ref"], row["display_name"])
    assert link is not None, "a row has a reference"
    return PersonLine(
        person=link,
        email=row["work_email"],
        manager=person_link(row["manager"], row["manager_name"]),
        run=None if row["run_id"] is None else reference("run", row["run_id"]),
        process=None if row["process"] is None else process_title(row["process"], row["title"]),
        chip=None if row["standing"] is None else chip(row["standing"]),
        systems=row["systems"],
        started_at=row["started_at"],
    )
