"""The course of runs: pause, resume, reschedule, amend, fork, keep, acknowledge, bulk; events."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from newel.base.errors import InvalidInput
from newel.base.ids import reference
from newel.cli.output import columns, moment, say, say_json
from newel.cli.parameters import AsJson, Key, NamedActor, Reason, Run
from newel.cli.references import run_named
from newel.cli.verbs import acted, document_in, json_in, to_confirm, told

if TYPE_CHECKING:
    from newel.audit.leaf import Actor
    from newel.engine.bulk import BulkReport, Verb
    from newel.engine.commands import Amendment
    from newel.engine.engine import Engine
    from newel.engine.messages import Sent
    from newel.store.database import Row

__all__ = [
    "acknowledge",
    "amend",
    "bulk",
    "events",
    "fork",
    "keep",
    "pause",
    "reschedule",
    "resume",
    "send",
]


def pause(run: Run, /, *, actor: NamedActor, reason: Reason, as_json: AsJson = False) -> None:
    """Begin nothing new in a run until it is resumed; what is in flight ends."""
    named = run_named(run)
    acted(actor, lambda engine, acting: engine.pause(named, actor=acting, reason=reason))
    told({"run": run}, f"{run} is paused.", as_json=as_json)


def resume(run: Run, /, *, actor: NamedActor, as_json: AsJson = False) -> None:
    """Let a paused run go on."""
    named = run_named(run)
    acted(actor, lambda engine, acting: engine.resume(named, actor=acting))
    told({"run": run}, f"{run} goes on.", as_json=as_json)


def reschedule(
    run: Run,
    key: Key,
    /,
    *,
    at: Annotated[str, Parameter(help="The new moment: 2026-01-05T09:00:00+01:00.")],
    actor: NamedActor,
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Give a timer or a deadline a new moment; a past one is due at once."""
    named, new = run_named(run), _moment(at)
    acted(
        actor,
        lambda engine, acting: engine.reschedule(named, key, at=new, actor=acting, reason=reason),
    )
    told({"run": run, "key": key, "at": at}, f"{key} is due {at}.", as_json=as_json)


def amend(
    run: Run,
    /,
    *,
    document: Annotated[
        str,
        Parameter(
            name="--input",
            allow_leading_hyphen=True,
            help="The whole new input: a JSON file, - for standard input, or JSON.",
        ),
    ],
    actor: NamedActor,
    reason: Annotated[str, Parameter(help="Why; kept in the audit log.")] = "",
    dry: Annotated[bool, Parameter(negative=(), help="Only say what it would mean.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a run another input; with --dry only see what that would mean."""
    named, given = run_named(run), document_in(document)

    async def amended(engine: Engine, acting: Actor) -> Amendment:
        return await engine.amend(named, given, actor=acting, reason=reason, dry=dry)

    amendment = acted(actor, amended)
    if as_json:
        is_applied = not dry and amendment.task is None
        return say_json({**asdict(amendment), "applied": is_applied})
    return say("\n".join([_amended(run, amendment, dry=dry), *_means(amendment)]))


def _amended(run: str, amendment: Amendment, *, dry: bool) -> str:
    if amendment.task is not None:
        return f"{run} would change. {to_confirm(amendment.task)}"
    return f"{run} would change:" if dry else f"{run} has a new input:"


def _means(amendment: Amendment) -> list[str]:
    lines = [f"  changed: {', '.join(amendment.fields)}"]
    for word, keys in (
        ("runs again", amendment.redone),
        ("stays as it is", amendment.kept),
        ("a person must decide", amendment.asks),
        ("is not come to any more", amendment.gone),
    ):
        lines += [f"  {word}: {key}" for key in keys]
    return lines + [
        f"  {wait.key}: {wait.what} {wait.before or 'nothing'} -> {wait.after or 'nothing'}"
        for wait in amendment.waits
    ]


def fork(run: Run, key: Key, /, *, actor: NamedActor, as_json: AsJson = False) -> None:
    """Start a new run from this one's journal, up to a key; this one stays as it is."""
    named = run_named(run)
    made = acted(actor, lambda engine, acting: engine.fork(named, key, actor=acting))
    forked = reference("run", made)
    told({"run": forked, "from": run}, f"Started {forked} from {run}.", as_json=as_json)


def keep(
    run: Run, key: Key, /, *, actor: NamedActor, reason: Reason, as_json: AsJson = False
) -> None:
    """Let a recorded outcome stand, whose input has changed since."""
    named = run_named(run)
    acted(actor, lambda engine, acting: engine.keep(named, key, actor=acting, reason=reason))
    told({"run": run, "key": key}, f"{key} stays as it was recorded.", as_json=as_json)


def acknowledge(
    run: Run,
    /,
    *,
    actor: NamedActor,
    reason: Annotated[str, Parameter(help="Why; kept in the audit log.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say that a failed run was seen; it needs nobody's attention any more."""
    named = run_named(run)
    acted(actor, lambda engine, acting: engine.acknowledge(named, actor=acting, reason=reason))
    told({"run": run}, f"{run} is acknowledged.", as_json=as_json)


# --- many runs ----------------------------------------------------------------------------------


def bulk(
    verb: Annotated[
        Literal["retry", "skip", "cancel", "pause", "resume", "report"],
        Parameter(help="What to do with each run; `report` says how far a bulk action is."),
    ],
    /,
    *runs: Annotated[str, Parameter(help="Runs, each perhaps with a step: run_…=KEY.")],
    actor: NamedActor = "",
    reason: Annotated[str, Parameter(help="Why; kept in the audit log.")] = "",
    as_json: AsJson = False,
) -> None:
    """Carry out one verb on a frozen list of runs, or report on such an action."""
    from newel.engine.bulk import Item

    if verb == "report":
        return _reported(runs, as_json=as_json)
    items = [
        Item(run=run, key=key or None) for run, _, key in (each.partition("=") for each in runs)
    ]
    chosen: Verb = verb
    made = acted(
        actor, lambda engine, acting: engine.bulk(chosen, items, actor=acting, reason=reason)
    )
    run = reference("run", made)
    return told({"run": run}, f"{run} does it: newel bulk report {run}", as_json=as_json)


def _reported(runs: tuple[str, ...], *, as_json: bool) -> None:
    if len(runs) != 1:
        raise InvalidInput({"runs": "must be the one bulk action to report on"})
    named = run_named(runs[0])

    async def read(engine: Engine, acting: Actor) -> BulkReport:
        del acting
        return await engine.bulk_report(named)

    report = acted("", read)
    if as_json:
        return say_json(asdict(report))
    done = sum(each.is_done for each in report.carried)
    lines = [f"{report.verb}: {done} of {len(report.items)} done"]
    lines += [
        f"  {each.run} {each.key or ''}: {each.said}" for each in report.carried if not each.is_done
    ]
    return say("\n".join(lines))


# --- events -------------------------------------------------------------------------------------


def send(
    event: Annotated[str, Parameter(help="Name of an event that a process waits for.")],
    /,
    *,
    payload: Annotated[str, Parameter(help="What it says, as JSON of its type.")],
    match: Annotated[str | None, Parameter(help="The correlation text of the wait.")] = None,
    to: Annotated[str | None, Parameter(help="Or the one run it is for: run_….")] = None,
    event_id: Annotated[str | None, Parameter(help="Sent twice with one id, it is once.")] = None,
    actor: NamedActor = "",
    as_json: AsJson = False,
) -> None:
    """Send an event to a run that waits for it, or will."""
    given = json_in("payload", payload)
    run = None if to is None else run_named(to)

    async def sent(engine: Engine, acting: Actor) -> Sent:
        return await engine.send_document(
            event, given, actor=acting, match=match, to=run, event_id=event_id, source="cli"
        )

    made = acted(actor, sent)
    taken = None if made.run is None else reference("run", made.run)
    document: dict[str, object] = {
        "delivered": made.is_delivered,
        "fate": made.fate,
        "is_new": made.is_new,
        "run": taken,
    }
    sentences = {
        "delivered": f"{taken} has taken it.",
        "kept": "Nobody waits for it yet; it is kept.",
        "lost": "Nobody waits for it, and it is not kept: it is lost.",
    }
    return told(document, sentences[made.fate], as_json=as_json)


def events(
    *,
    state: Annotated[
        Literal["kept", "lost", "taken", "all"], Parameter(help="What became of them.")
    ] = "kept",
    limit: Annotated[int, Parameter(help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List events that nobody has waited for yet, or what became of others."""

    async def read(engine: Engine, acting: Actor) -> list[Row]:
        del acting
        return await engine.messages.listed(state, limit)

    rows = acted("", read)
    found = [
        {
            "event": row["name"],
            "source": row["source"],
            "event_id": row["event_id"],
            "match": row["match"],
            "to": None if row["to_run"] is None else reference("run", row["to_run"]),
            "run": None if row["taken_by"] is None else reference("run", row["taken_by"]),
            "received_at": row["received_at"],
        }
        for row in rows
    ]
    if as_json:
        return say_json({"messages": found})
    if not found:
        return say("No event is kept." if state == "kept" else "There is none.")
    from newel.base.zones import local_zone

    lines = [
        (
            each["event"],
            each["match"] or each["to"] or "",
            moment(each["received_at"], local_zone()),
        )
        for each in found
    ]
    return say(columns(("EVENT", "FOR", "RECEIVED"), lines))


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput({"at": "is no date and time; write 2026-01-05T09:00:00+01:00"}) from None
    return found.astimezone() if found.tzinfo is None else found
