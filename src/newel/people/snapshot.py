"""Reading what the status sentence is made from, and answering for a name that was typed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

import orjson

from newel.people.facts import Ahead, GrantFact, OpenFact, RunFact, Snapshot, kind_of
from newel.people.finding import Hit, best, found
from newel.people.status import Status, leading, status
from newel.people.words import team_name
from newel.store import ledger, open_acts, people
from newel.store.database import Database, Row

__all__ = [
    "AheadOf",
    "Answer",
    "answer",
    "open_fact",
    "read_snapshot",
    "run_fact",
    "snapshot_of",
    "unplanned",
    "with_counts",
]

AheadOf = Callable[[UUID], Awaitable[Ahead | None]]
"""What the plan of a run counts; None where the code that is asked does not know its process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to "where does … stand?": one person's status, or all who may be meant.

    hits: whom the text may mean, the best fit first; empty if nobody. status: of the only one.
    """

    text: str
    hits: tuple[Hit, ...]
    status: Status | None = None


async def answer(
    database: Database, text: str, now: datetime, zone: tzinfo, ahead_of: AheadOf
) -> Answer:
    """Find whom a text means; if it is one person, say where that person stands."""
    hits = best(await found(database, text))
    if len(hits) != 1:
        return Answer(text=text, hits=tuple(hits))
    person = hits[0].person
    snapshot = await read_snapshot(database, person.ref, person.name, ahead_of)
    return Answer(text=text, hits=tuple(hits), status=status(snapshot, now, zone))


async def read_snapshot(database: Database, person: UUID, name: str, ahead_of: AheadOf) -> Snapshot:
    """Read all that is known of where a person stands; four statements at most, and a plan."""
    runs = await people.runs_of(database, person)
    still_open = [row["id"] for row in runs if row["finished_at"] is None]
    acts = await open_acts.of_runs(database, still_open) if still_open else []
    grants = await ledger.of_person(database, person)
    return await with_counts(database, snapshot_of(person, name, runs, acts, grants), ahead_of)


def snapshot_of(
    person: UUID, name: str, runs: Sequence[Row], acts: Sequence[Row], grants: Sequence[Row]
) -> Snapshot:
    """Put rows of `people.runs_of`, `open_acts.of_runs` and `ledger.of_person` together. Pure."""
    acts_of: dict[UUID, list[OpenFact]] = defaultdict(list)
    for act in acts:
        acts_of[act["run_id"]].append(open_fact(act))
    return Snapshot(
        person=person,
        name=name,
        runs=tuple(run_fact(row, acts_of[row["id"]]) for row in runs),
        grants=tuple(_grant_fact(row) for row in grants),
    )


async def unplanned(run: UUID) -> Ahead | None:
    """Know no plan, where no code of a process is at hand: rows alone answer."""
    del run
    return None


async def with_counts(database: Database, snapshot: Snapshot, ahead_of: AheadOf) -> Snapshot:
    """Add what is counted of the run that the sentence leads with: its plan, or what it skipped."""
    run = leading(snapshot.runs)
    if run is None:
        return snapshot
    if run.is_open:
        counted = replace(run, ahead=await ahead_of(run.id))
    else:
        counted = replace(run, skipped=await people.skipped(database, run.id))
    return replace(snapshot, runs=tuple(counted if each is run else each for each in snapshot.runs))


def run_fact(row: Row, acts: Sequence[OpenFact]) -> RunFact:
    """Make the fact of a run from its row and what is open of it."""
    began = _data(row["first_entry"])
    ended = _data(row["last_entry"])
    effective_at = began.get("effective_at")
    is_parked_itself = row["state"] == "parked" and not any(act.state == "parked" for act in acts)
    return RunFact(
        id=row["id"],
        process=row["process"],
        state=row["state"],
        kind=kind_of(row["process"], began.get("kind")),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        owner=row["owner"],
        done=row["done"],
        failure=ended.get("error"),
        effective_at=None if effective_at is None else datetime.fromisoformat(effective_at),
        parked_reason=row["parked_reason"] if is_parked_itself else None,
        parked_with=row["parked_with"],
        is_cancelling=row["cancelling"] and row["finished_at"] is None,
        acts=tuple(acts),
    )


def open_fact(row: Row) -> OpenFact:
    """Make the fact of an open act from its row."""
    detail = row["detail"] or {}
    return OpenFact(
        key=row["key"],
        kind=row["kind"],
        state=row["state"],
        since=row["opened_at"],
        attempt=row["attempt"],
        next_at=row["next_at"],
        due_at=row["due_at"] or row["task_due_at"],
        system=row["system"],
        system_title=row["system_title"],
        failed_rounds=detail.get("failed_rounds", 0),
        reason=row["reason"],
        owner=row["owner"],
        task=row["task_id"],
        task_title=row["task_title"],
        assignee=row["assignee_name"] or team_name(row["task_owner"] or ""),
        incident=row["incident_id"],
        incident_since=row["incident_opened_at"],
        probe_at=row["probe_at"],
        ticket=row["ticket"],
        ticket_url=row["ticket_url"],
        parked_at=_moment(detail.get("parked_at")) if row["state"] == "parked" else None,
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _grant_fact(row: Row) -> GrantFact:
    return GrantFact(
        system=row["system"],
        system_title=row["system_title"],
        entitlement=row["entitlement"],
        state=row["state"],
        made_run=row["made_run"],
        ended_run=row["ended_run"],
        since=row["valid_from"] or row["recorded_at"],
    )


def _data(entry: bytes | None) -> dict[str, Any]:  # Any: the values JSON can hold
    """Read the facts of a leaf; empty for none."""
    if entry is None:
        return {}
    data: dict[str, Any] = orjson.loads(entry)["data"]
    return data
