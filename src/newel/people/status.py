"""Where a person stands, in one sentence that is the same everywhere.

    S1  where it stands   Jane Doe's onboarding: 4 of 6 systems are ready; the first day is …
    S2  what blocks it    GitHub is parked since 14:02, ticket OPS-12.
    S3  the rest          Everything else is on track.

At most three sentences and 240 characters, made of parts that a page may colour and link.
People come before systems in S2, because that is what the asker can hurry; if anything is
parked, one of the two that are named is. If it gets too long, S3 goes first, then the second
name of S2. Pure: the command line, the API and the console print the same words.
Source: console document, §5.2 (form); product document, §11 (what is counted, named, ranked).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Final
from uuid import UUID

from newel.people.blocking import blocked, clauses
from newel.people.counting import SystemStanding, standings
from newel.people.facts import Ahead, OpenFact, RunFact, Snapshot
from newel.people.parts import NEVER, Asked, Part, Tone, capital, later, run_href, strong, text_of
from newel.people.words import clipped, in_words, joined, noun_of, team_name, zone_name

__all__ = ["LIMIT", "Next", "Part", "Snapshot", "Status", "Tone", "leading", "status"]

LIMIT: Final = 240
"""Characters of a sentence at most."""

_RANK_OF_KIND: Final = {"leaver": 0, "mover": 1, "joiner": 2, "other": 3}
_NOUN_OF_KIND: Final = {"joiner": "onboarding", "mover": "role change", "leaver": "offboarding"}
_DAY_OF_KIND: Final = {"joiner": "first day", "leaver": "last day"}
_DECISIVE: Final = frozenset({"first day", "last day", "access ends"})
_ENDED_BECAUSE: Final = {"Rejected": " (declined)", "Overdue": " (a deadline passed)"}
_NAME, _TITLE = 60, 60
_NAMED: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The next moment at which something happens by itself, and what."""

    phrase: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where a person stands: the sentence, its parts, and what they were made from.

    run: the run the sentence leads with; None if none concerns the person. attention: whether
    a person has to act. tasks, parked: open acts of that run, in the order of the sentence.
    steps: what its plan counts, while it is under way.
    """

    person: UUID
    sentence: str
    parts: tuple[Part, ...]
    run: UUID | None = None
    process: str | None = None
    state: str | None = None
    attention: bool = False
    systems: tuple[SystemStanding, ...] = ()
    tasks: tuple[OpenFact, ...] = ()
    parked: tuple[OpenFact, ...] = ()
    next: Next | None = None
    steps: Ahead | None = None
    as_of: datetime


def status(snapshot: Snapshot, now: datetime, zone: tzinfo) -> Status:
    """Say where a person stands.

    now: aware, the database's clock. zone: of the asker. Raises nothing. Pure.
    """
    run = leading(snapshot.runs)
    asked = Asked(now, zone, clipped(snapshot.name, _NAME) or "This person")
    if run is None:
        parts = _no_run(snapshot, asked)
        return Status(
            person=snapshot.person, sentence=text_of(parts), parts=tuple(parts), as_of=now
        )
    systems = standings(run, snapshot.grants)
    parts = _composed(run, systems, _others(snapshot, run), asked)
    tasks = tuple(sorted((a for a in run.acts if a.is_task), key=_by_due))
    parked = tuple(act for act in run.acts if act.state == "parked")
    return Status(
        person=snapshot.person,
        sentence=text_of(parts),
        parts=tuple(parts),
        run=run.id,
        process=run.process,
        state=run.state,
        attention=bool(tasks or parked or run.parked_reason),
        systems=systems,
        tasks=tasks,
        parked=parked,
        next=_next(run),
        steps=run.ahead,
        as_of=now,
    )


def leading(runs: Sequence[RunFact]) -> RunFact | None:
    """Choose the run a sentence is about: leaver, mover, joiner, other; else the last one ended."""
    if opened := [run for run in runs if run.is_open]:
        return min(
            opened,
            key=lambda run: (_RANK_OF_KIND[run.kind], _earliest_due(run), run.started_at, run.id),
        )
    ended = [run for run in runs if run.kind != "other"] or list(runs)
    return max(ended, key=lambda run: (run.finished_at or run.started_at, run.id), default=None)


def _others(snapshot: Snapshot, run: RunFact) -> int:
    return sum(1 for other in snapshot.runs if other.is_open and other.id != run.id)


# --- putting it together ---------------------------------------------------------------------


def _composed(
    run: RunFact, systems: tuple[SystemStanding, ...], others: int, asked: Asked
) -> list[Part]:
    first = _first(run, systems, asked)
    if not run.is_open:
        return _fitted([[*first, Part(text=".")]])
    found = clauses(run, asked)
    last = _rest(run, others, asked, is_blocked=bool(found))
    middle = blocked(found, _NAMED) or _timer(run, asked)
    return _fitted(
        [
            [*first, Part(text="."), *middle, *last],
            [*first, Part(text="."), *middle],
            [*first, Part(text="."), *(blocked(found, 1) or middle)],
        ]
    )


def _fitted(versions: Sequence[list[Part]]) -> list[Part]:
    """Give the first version that is short enough; the shortest is cut as a last resort."""
    for version in versions:
        if len(text_of(version)) <= LIMIT:
            return version
    kept: list[Part] = []
    left = LIMIT
    for part in versions[-1]:
        if len(part.text) >= left:
            kept.append(replace(part, text=f"{part.text[: left - 1]}…"))
            break
        kept.append(part)
        left -= len(part.text)
    return kept


# --- S1: where it stands ---------------------------------------------------------------------


def _no_run(snapshot: Snapshot, asked: Asked) -> list[Part]:
    held = len({grant.system for grant in snapshot.grants if grant.state == "active"})
    text = "No system is granted" if held == 0 else f"{_count(held, 'system')} granted"
    return [
        Part(text=f"No run concerns {asked.name}. "),
        Part(text=text, tone="strong"),
        Part(text="."),
    ]


def _first(run: RunFact, systems: tuple[SystemStanding, ...], asked: Asked) -> list[Part]:
    subject = f"{asked.name}'s {_noun(run)}"
    match run.state:
        case "completed":
            head = [Part(text=f"{subject} "), strong("was completed", "done")]
            return [*head, Part(text=f" on {_ended(run, asked)}"), *_outcome(run, systems)]
        case "cancelled":
            held = sum(1 for system in systems if system.state == "ready")
            left = "no access is left" if held == 0 else f"{_count(held, 'system')} still granted"
            return [
                Part(text=f"{subject} was cancelled on {_ended(run, asked)}; "),
                strong(left, "plain" if held == 0 else "park"),
            ]
        case "failed":
            why = _ENDED_BECAUSE.get(run.failure or "", "")
            owner = f"; {clipped(team_name(run.owner), _NAME)} has it" if run.owner else ""
            return [
                Part(text=f"{subject} "),
                strong("ended without success", "park", run_href(run)),
                Part(text=f" on {_ended(run, asked)}{why}{owner}"),
            ]
        case _:
            return _open_first(run, systems, subject, asked)


def _open_first(
    run: RunFact, systems: tuple[SystemStanding, ...], subject: str, asked: Asked
) -> list[Part]:
    if run.is_cancelling:
        return [Part(text=f"{subject} "), strong("is being cancelled", "retry", run_href(run))]
    moment, noun = _decisive(run)
    done, total = _ready(run, systems)
    if moment is not None and moment <= asked.now and done < total:
        verb = "is" if total - done == 1 else "are"
        return [
            Part(text=f"{asked.name}'s {noun} was {asked.day(moment)}; "),
            strong(f"{total - done} of {total} systems {verb} still missing", "park"),
        ]
    head = _beginning(run, systems, subject, asked) or _progress(run, done, total, subject)
    if moment is None or moment <= asked.now:
        return head
    return [*head, Part(text=f"; the {noun} is "), *_date(moment, asked)]


def _beginning(
    run: RunFact, systems: tuple[SystemStanding, ...], subject: str, asked: Asked
) -> list[Part]:
    """Say when the first work comes, where nothing is made and a moment is all that is waited for.

    Nothing where there is more to say.
    """
    is_still = all(system.state == "planned" for system in systems) and not run.done
    if not is_still or not run.acts or any(act.kind != "timer" for act in run.acts):
        return []
    begins = min((act.due_at for act in run.acts if act.due_at is not None), default=None)
    if begins is None or in_words(run.acts[0].key) in _DECISIVE:
        return []
    return [Part(text=f"{subject} begins "), strong(asked.due(begins))]


def _progress(run: RunFact, done: int, total: int, subject: str) -> list[Part]:
    if total:
        what = "access is removed in" if run.kind == "leaver" else ""
        verb = "" if run.kind == "leaver" else " is ready" if total == 1 else " are ready"
        noun = "system" if total == 1 else "systems"
        number = f"all {total}" if done == total and total > 1 else f"{done} of {total}"
        counted = f"{what} {number} {noun}{verb}".strip()
        return [Part(text=f"{subject}: "), strong(counted)]
    if run.ahead is not None and run.ahead.total:
        verb = "step is" if run.ahead.total == 1 else "steps are"
        counted = f"{run.ahead.done} of {run.ahead.total} {verb} done"
        return [Part(text=f"{subject}: "), strong(counted)]
    if run.done:
        return [Part(text=f"{subject}: "), strong(f"{_count(run.done, 'step')} done")]
    return [Part(text=f"{subject} has begun")]


def _outcome(run: RunFact, systems: tuple[SystemStanding, ...]) -> list[Part]:
    done, total = _ready(run, systems)
    skipped = f", {run.skipped} skipped" if run.skipped else ""
    if total == 0:
        return [Part(text=skipped)] if skipped else []
    if run.kind == "leaver":
        number = f"all {total} systems" if done == total else f"{done} of {total} systems"
        return [Part(text="; access is removed in "), strong(number), Part(text=skipped)]
    number = f"all {total} systems are" if done == total else f"{done} of {total} systems are"
    if total == 1:
        number = f"{done} of 1 system is"
    return [Part(text="; "), strong(f"{number} ready"), Part(text=skipped)]


def _ready(run: RunFact, systems: tuple[SystemStanding, ...]) -> tuple[int, int]:
    good = "removed" if run.kind == "leaver" else "ready"
    return sum(1 for system in systems if system.state == good), len(systems)


def _decisive(run: RunFact) -> tuple[datetime | None, str]:
    """Find the date everybody waits for: a timer named so, else what the start recorded."""
    for act in run.acts:
        if act.kind == "timer" and in_words(act.key) in _DECISIVE and act.due_at is not None:
            noun = in_words(act.key)
            return act.due_at, "end of access" if noun == "access ends" else noun
    return run.effective_at, _DAY_OF_KIND.get(run.kind, "date")


def _date(moment: datetime, asked: Asked) -> list[Part]:
    local = moment.astimezone(asked.zone)
    days = (local.date() - asked.now.astimezone(asked.zone).date()).days
    if days > 1:
        return [strong(asked.day(moment))]
    near = "today" if days == 0 else "tomorrow"
    return [strong(f"{near} at {local:%H:%M}"), Part(text=f" ({zone_name(asked.zone)})")]


def _noun(run: RunFact) -> str:
    named = noun_of(run.process)
    return clipped(_NOUN_OF_KIND.get(run.kind, named), _TITLE)


def _ended(run: RunFact, asked: Asked) -> str:
    assert run.finished_at is not None, "a run with a final state has ended"
    return asked.day(run.finished_at)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun} is" if number == 1 else f"{number} {noun}s are"


def _timer(run: RunFact, asked: Asked) -> list[Part]:
    """Name the next timer, where nothing blocks and S1 does not name it already."""
    timers = [
        act
        for act in run.acts
        if act.kind == "timer" and act.due_at is not None and in_words(act.key) not in _DECISIVE
    ]
    if not timers or not (run.done or len(run.acts) > len(timers)):
        return []
    soonest = min(timers, key=_by_due)
    assert soonest.due_at is not None, "only timers that are due were kept"
    phrase = clipped(in_words(soonest.key), _TITLE)
    return [
        Part(text=" Next: "),
        strong(phrase, "wait"),
        Part(text=f", {asked.due(soonest.due_at)}."),
    ]


# --- S3: the rest ----------------------------------------------------------------------------


def _rest(run: RunFact, others: int, asked: Asked, *, is_blocked: bool) -> list[Part]:
    more = ""
    if others:
        more = f"; {others} more {'run is' if others == 1 else 'runs are'} in flight"
    retried = sorted((act for act in run.acts if act.is_retrying), key=lambda act: act.since)
    if retried:
        names = list(dict.fromkeys(act.name for act in retried))
        verb = "is" if len(names) == 1 else "are"
        coming = min((act.next_at for act in retried if act.next_at is not None), default=None)
        when = "" if coming is None or coming <= asked.now else f", next {asked.due(coming)}"
        return [
            Part(text=" "),
            strong(f"{capital(joined(names))} {verb} being tried again", "retry"),
            Part(text=f"{when}; nothing to do{more}."),
        ]
    if run.is_cancelling:
        return [Part(text=f" {capital(more[2:])}.")] if more else []
    everything = "Everything else is on track" if is_blocked else "Everything is on track"
    return [Part(text=f" {everything}{more}.")]


def _next(run: RunFact) -> Next | None:
    moments: list[tuple[datetime, str]] = []
    for act in run.acts:
        if act.next_at is not None and act.kind == "step":
            moments.append((act.next_at, f"retry {act.name}"))
        elif act.due_at is not None:
            moments.append((act.due_at, act.task_title or in_words(act.key)))
    if not moments:
        return None
    at, phrase = min(moments)
    return Next(phrase=phrase, at=at)


def _earliest_due(run: RunFact) -> datetime:
    return min((later(act.due_at) for act in run.acts), default=NEVER)


def _by_due(act: OpenFact) -> tuple[datetime, datetime, str]:
    return later(act.due_at), later(act.since), act.key
