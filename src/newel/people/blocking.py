"""What blocks a run, in the order in which people should hear of it.

    rank 1  overdue tasks    2  open tasks    3  parked    5  awaited messages

Retries are not alarms and stand in the last sentence. Identical causes of several systems are
said once.
Source: product document, §11 "CLAUSE"; console document, §5.2 (S2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from newel.base.ids import reference
from newel.people.facts import OpenFact, RunFact
from newel.people.parts import NEVER, Asked, Part, capital, later, run_href, strong
from newel.people.words import PARKED_BECAUSE, clipped, in_words, joined, team_name

__all__ = ["Clause", "blocked", "clauses"]

_NAME, _TITLE, _TICKET = 60, 60, 24
_OVERDUE, _TASK, _PARKED, _EVENT = 1, 2, 3, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One thing that blocks, with its place in the order."""

    rank: int
    due: datetime
    since: datetime
    key: str
    parts: tuple[Part, ...]
    names: tuple[str, ...] = ()
    tail: str = ""

    @property
    def is_parked(self) -> bool:
        """Whether it says that something is parked."""
        return self.rank == _PARKED


def clauses(run: RunFact, asked: Asked) -> list[Clause]:
    """Find what blocks a run, the most urgent first."""
    found: list[Clause] = []
    for act in run.acts:
        match act.kind, act.state:
            case _ if act.is_task:
                found.append(_task(act, asked))
            case "event", _:
                found.append(_event(run, act, asked))
            case "step", "parked":
                found.append(_parked(run, act, asked))
            case _:
                pass
    if run.parked_reason and not any(clause.is_parked for clause in found):
        found.append(_parked_run(run))
    return sorted(_merged(found), key=lambda each: (each.rank, each.due, each.since, each.key))


def _task(act: OpenFact, asked: Asked) -> Clause:
    is_overdue = act.due_at is not None and act.due_at < asked.now
    title = clipped(act.task_title or in_words(act.key), _TITLE)
    href = None if act.task is None else f"/tasks/{reference('tsk', act.task)}"
    who = clipped(act.assignee or act.owner or "somebody", _NAME)
    when = ""
    if act.due_at is not None:
        when = (
            f" and was due {asked.since(act.due_at)}"
            if is_overdue
            else (f", due {asked.due(act.due_at)}")
        )
    return Clause(
        rank=_OVERDUE if is_overdue else _TASK,
        due=later(act.due_at),
        since=later(act.since),
        key=act.key,
        parts=(
            strong(f"“{capital(title)}”", "task", href),
            Part(text=f" waits for {who}{when}"),
        ),
    )


def _event(run: RunFact, act: OpenFact, asked: Asked) -> Clause:
    phrase = clipped(in_words(act.key), _TITLE)
    until = "" if act.due_at is None else f", at the latest {asked.due(act.due_at)}"
    return Clause(
        rank=_EVENT,
        due=later(act.due_at),
        since=later(act.since),
        key=act.key,
        parts=(
            strong(f"“{capital(phrase)}”", "wait", run_href(run, act.key)),
            Part(text=f" is awaited since {asked.since(act.since)}{until}"),
        ),
    )


def _parked(run: RunFact, act: OpenFact, asked: Asked) -> Clause:
    because = PARKED_BECAUSE.get(act.reason or "", "")
    began = _parked_since(run, act)
    cause = f": {because}" if because else f" since {asked.since(began)}"
    addressee = (
        f", ticket {clipped(act.ticket, _TICKET)}"
        if act.ticket
        else f", with {clipped(team_name(act.owner or 'it'), _NAME)}"
    )
    return Clause(
        rank=_PARKED,
        due=later(act.due_at),
        since=later(began),
        key=act.key,
        parts=(strong(f"{act.name} is parked", "park", run_href(run, act.key)),),
        names=(act.name,),
        tail=f"{cause}{addressee}",
    )


def _parked_since(run: RunFact, act: OpenFact) -> datetime:
    """When the first step that the same incident holds up was parked: one cause, one time."""
    same = [act]
    if act.incident is not None:
        same = [each for each in run.acts if each.incident == act.incident]
    known = [each.parked_at for each in same if each.parked_at is not None]
    return min(known, default=act.incident_since or act.since)


def _parked_run(run: RunFact) -> Clause:
    because = PARKED_BECAUSE.get(run.parked_reason or "", "")
    cause = f": {because}" if because else ""
    return Clause(
        rank=_PARKED,
        due=NEVER,
        since=later(run.started_at),
        key="",
        parts=(strong("the run is parked", "park", run_href(run)),),
        tail=f"{cause}, with {clipped(team_name(run.parked_with or 'it'), _NAME)}",
    )


def _merged(found: Sequence[Clause]) -> list[Clause]:
    """Say identical causes of several systems once: `GitHub and Jira are parked …`."""
    merged: list[Clause] = []
    place_of: dict[tuple[int, str], int] = {}
    for clause in sorted(found, key=lambda each: (each.rank, each.since, each.key)):
        place = place_of.get((clause.rank, clause.tail)) if clause.names else None
        if place is None:
            if clause.names:
                place_of[clause.rank, clause.tail] = len(merged)
            merged.append(clause)
            continue
        before = merged[place]
        names = tuple(dict.fromkeys((*before.names, *clause.names)))
        verb = "is" if len(names) == 1 else "are"
        text = f"{joined(names)} {verb} parked"
        merged[place] = replace(
            before, names=names, parts=(replace(before.parts[0], text=text), *before.parts[1:])
        )
    return merged


def blocked(found: Sequence[Clause], named: int) -> list[Part]:
    """Write S2: `named` clauses, one of them parked if any is, and the count of the others."""
    if not found:
        return []
    chosen = list(found[:named])
    parked = [clause for clause in found if clause.is_parked]
    if parked and not any(clause.is_parked for clause in chosen):
        chosen[-1] = parked[0]
    parts = [Part(text=" ")]
    for place, clause in enumerate(chosen):
        if place:
            parts.append(Part(text="; "))
        head, *others = clause.parts
        parts.append(replace(head, text=capital(head.text)) if place == 0 else head)
        parts.extend(others)
        if clause.tail:
            parts.append(Part(text=clause.tail))
    if len(found) > len(chosen):
        parts.append(Part(text=f"; {len(found) - len(chosen)} more wait"))
        if len(found) - len(chosen) == 1:
            parts[-1] = Part(text="; 1 more waits")
    return [*parts, Part(text=".")]
