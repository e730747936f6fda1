"""The list of runs: chips with counts, and one line per run that says why and what is next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from newel.base.errors import InvalidInput
from newel.base.ids import reference
from newel.people.facts import OpenFact
from newel.people.words import process_title
from newel.store import open_acts, run_list
from newel.store.database import Row
from newel.store.overview import BOUND
from newel.store.run_list import Narrowed
from newel.web.console import copy
from newel.web.console.bar import bar_of
from newel.web.console.views.acts import Opened, opened
from newel.web.console.views.model import (
    BarView,
    Chip,
    PersonLink,
    View,
    bar_view,
    chip,
    person_link,
)
from newel.web.site import Reader

__all__ = [
    "OPEN_STANDINGS",
    "STANDINGS",
    "RunLine",
    "RunsView",
    "due_of",
    "is_late",
    "lines_of",
    "runs_view",
]

OPEN_STANDINGS: Final = ("paused", "parked", "task", "retrying", "running", "waiting")
ENDED: Final = ("completed", "failed", "cancelled")
STANDINGS: Final = ("open", *OPEN_STANDINGS, "ended", *ENDED)

_URGENCY: Final = {
    "parked": 0,
    "approval": 1,
    "form": 1,
    "retrying": 2,
    "attempting": 3,
    "event": 4,
}


class RunLine(View):
    """One run in a list. due_at: by when its process means it to have ended; is_late: it has not,
    or had not.
    """

    run: str
    href: str
    process: str
    title: str
    version: int
    person: PersonLink | None
    state: str
    standing: str
    chip: Chip
    why: str
    next: str
    bar: BarView
    done: int
    open: int
    started_at: datetime
    due_at: datetime | None
    is_late: bool
    ended_at: datetime | None


class StandingCount(View):
    """A filter chip: how many runs there are of a standing; is_more: or more than that."""

    standing: str
    word: str
    icon: str
    tone: str
    count: int
    is_more: bool
    href: str
    is_chosen: bool


class RunsView(View):
    """A page of runs. after: the address of the older ones, None on the last page.

    total: how many are in flight; is_more: or more than that.
    """

    standing: str
    process: str | None
    counts: tuple[StandingCount, ...]
    total: int
    is_more: bool
    runs: tuple[RunLine, ...]
    older: str | None
    empty: str
    as_of: datetime


async def runs_view(
    read: Reader,
    *,
    standing: str = "open",
    process: str | None = None,
    before: UUID | None = None,
    how_many: int = 50,
) -> RunsView:
    """Read one page of runs; four statements. Raises InvalidInput for an unknown standing."""
    if standing not in {*STANDINGS, "all"}:
        raise InvalidInput({"state": f"is none of {', '.join(('all', *STANDINGS))}"})
    wanted = Narrowed(standing=None if standing == "all" else standing, process=process)
    rows = await run_list.listed(read.database, wanted, before=before, how_many=how_many + 1)
    counted = await run_list.counts(read.database, wanted)
    shown = rows[:how_many]
    narrowed = f"&process={copy.quoted(process)}" if process else ""
    total = sum(counted.get(each, 0) for each in OPEN_STANDINGS)
    last = shown[-1]["id"] if len(rows) > how_many else None
    return RunsView(
        standing=standing,
        process=process,
        counts=_counts(counted, standing, narrowed),
        total=min(total, BOUND),
        is_more=total > BOUND,
        runs=await lines_of(read, shown),
        older=None
        if last is None
        else f"/runs?state={standing}{narrowed}&before={reference('run', last)}",
        empty=copy.nothing_open(standing),
        as_of=read.now,
    )


async def lines_of(read: Reader, rows: Sequence[Row]) -> tuple[RunLine, ...]:
    """Make the lines of rows of the run list; one statement for what is open of all of them."""
    still_open = [row["id"] for row in rows if row["finished_at"] is None]
    acts_of: dict[UUID, list[Row]] = defaultdict(list)
    for act in await open_acts.of_runs(read.database, still_open) if still_open else []:
        acts_of[act["run_id"]].append(act)
    return tuple(_line(read, row, opened(acts_of[row["id"]])) for row in rows)


def _line(read: Reader, row: Row, acts: Sequence[Opened]) -> RunLine:
    run = reference("run", row["id"])
    why, coming = _why(read, row, acts)
    states = ["done"] * row["done"] + [_state(act) for act, _ in acts]
    return RunLine(
        run=run,
        href=f"/runs/{run}",
        process=row["process"],
        title=process_title(row["process"], row["title"]),
        version=row["version"],
        person=person_link(row["subject"], row["display_name"]),
        state=row["state"],
        standing=row["standing"],
        chip=standing_chip(row["standing"], [act for act, _ in acts]),
        why=why,
        next=coming,
        bar=bar_view(bar_of(states)),
        done=row["done"],
        open=len(acts),
        started_at=row["started_at"],
        due_at=due_of(read, row),
        is_late=is_late(read, row),
        ended_at=row["finished_at"],
    )


def due_of(read: Reader, row: Row) -> datetime | None:
    """Say by when a run is meant to have ended, as the code says now."""
    process = read.processes.get(row["process"])
    return None if process is None else process.limits.due_at(row["started_at"])


def is_late(read: Reader, row: Row) -> bool:
    """Whether a run takes longer than it is meant to, or took."""
    due = due_of(read, row)
    return due is not None and (row["finished_at"] or read.now) > due


def standing_chip(standing: str, acts: Sequence[OpenFact]) -> Chip:
    """Make the chip of a run; a wait says what for."""
    if standing == "waiting" and acts and all(act.kind == "timer" for act in acts):
        return chip("waiting", detail="for the date")
    if standing == "waiting" and any(act.kind == "event" for act in acts):
        return chip("waiting", detail="for a message")
    return chip(standing)


def _why(read: Reader, row: Row, acts: Sequence[Opened]) -> tuple[str, str]:
    if row["finished_at"] is not None:
        return "", ""
    if row["cancelling"]:
        return "The run is being cancelled.", ""
    if row["paused_at"] is not None:
        return "The run is paused; nothing new is begun.", ""
    if not acts:
        if row["state"] == "parked":
            return copy.run_parked_text(row["parked_reason"], row["parked_with"]), ""
        return "A worker takes it in a moment.", ""
    act, detail = min(acts, key=lambda each: _urgency(each[0]))
    text = copy.why(act, detail, read.zone, read.now)
    if act.state == "parked":
        ticket = f", ticket {act.ticket}" if act.ticket else ""
        return f"{text} {copy.owner_text(act)}{ticket}.", ""
    return text, copy.next_line(act, read.zone, read.now)


def _urgency(act: OpenFact) -> tuple[int, datetime, str]:
    kind = act.state if act.kind == "step" else act.kind
    return _URGENCY.get(kind, 5), act.due_at or act.next_at or act.since, act.key


def _state(act: OpenFact) -> str:
    match act.kind, act.state:
        case _ if act.is_task:
            return "task"
        case "step", "attempting":
            return "retrying" if act.attempt > 1 else "running"
        case "step", state:
            return state
        case _:
            return "waiting"


def _counts(counted: dict[str, int], chosen: str, narrowed: str) -> tuple[StandingCount, ...]:
    def count_of(
        standing: str, looks: tuple[str, str, str], among: Sequence[str], chosen_by: Collection[str]
    ) -> StandingCount:
        tone, icon, word = looks
        count = sum(counted.get(each, 0) for each in among)
        return StandingCount(
            standing=standing,
            word=word,
            icon=icon,
            tone=tone,
            count=min(count, BOUND),
            is_more=count > BOUND,
            href=f"/runs?state={standing}{narrowed}",
            is_chosen=chosen in chosen_by,
        )

    return (
        count_of("open", ("plain", "runs", "In flight"), OPEN_STANDINGS, {"open"}),
        *(count_of(each, copy.CHIPS[each], (each,), {each}) for each in OPEN_STANDINGS),
        count_of("ended", ("plain", "flag", "Ended"), ENDED, {"ended", *ENDED}),
    )
