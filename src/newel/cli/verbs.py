"""The verbs: starting a run, deciding a task, and what operators do with a run that is stuck."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import orjson
from cyclopts import Parameter

from newel.base.errors import InvalidInput
from newel.base.ids import reference
from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson, Evidence, Key, NamedActor, Reason, Run
from newel.cli.references import run_named, task_named
from newel.domain.limits import Priority
from newel.domain.values import File

if TYPE_CHECKING:
    from uuid import UUID

    from newel.audit.leaf import Actor
    from newel.engine import Engine, Started

__all__ = [
    "acted",
    "cancel",
    "complete_by_hand",
    "decide",
    "document_in",
    "fill",
    "json_in",
    "ordered",
    "retry",
    "skip",
    "start",
    "told",
]

_Answer = TypeVar("_Answer")


def start(
    process: Annotated[str, Parameter(help="Name of a process of this project.")],
    /,
    *,
    document: Annotated[
        str,
        Parameter(
            name="--input",
            allow_leading_hyphen=True,
            help="The input: a JSON file, - for standard input, or JSON.",
        ),
    ],
    key: Annotated[
        str | None, Parameter(name="--key", help="Sent twice with one key, it is one run.")
    ] = None,
    priority: Annotated[
        Priority | None, Parameter(help="How urgent; by default what the process says.")
    ] = None,
    actor: NamedActor = "",
    as_json: AsJson = False,
) -> None:
    """Start a run of a process; nothing is made if the input is wrong."""
    given = document_in(document)

    async def started(engine: Engine, acting: Actor) -> Started:
        return await engine.start(
            process, given, actor=acting, idempotency_key=key, source="cli", priority=priority
        )

    made = acted(actor, started, new=True)
    run = reference("run", made.run)
    person = None if made.person is None else reference("per", made.person)
    if as_json:
        return say_json({"run": run, "is_new": made.is_new, "person": person})
    return say(f"Started {run}." if made.is_new else f"It had been started before: {run}.")


def decide(
    task: Annotated[str, Parameter(help="Reference of a task: tsk_….")],
    /,
    *,
    approved: Annotated[bool, Parameter(name="--yes", negative="--no", help="Approve or reject.")],
    actor: NamedActor,
    comment: Annotated[str, Parameter(help="Why; a rejection needs one.")] = "",
    as_json: AsJson = False,
) -> None:
    """Decide a task, once."""
    named = task_named(task)
    acted(
        actor,
        lambda engine, acting: engine.decide(
            named, approved=approved, actor=acting, comment=comment
        ),
    )
    decision = "approve" if approved else "reject"
    told({"task": task, "decision": decision}, f"Decided {task}: {decision}.", as_json=as_json)


def fill(
    task: Annotated[str, Parameter(help="Reference of a form: tsk_….")],
    /,
    *,
    value: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="What it asks for: a JSON file, - for standard input, or JSON.",
        ),
    ] = None,
    actor: NamedActor,
    note: Annotated[str, Parameter(help="Kept with it; some forms need one.")] = "",
    file: Annotated[
        Path | None, Parameter(help="A file as evidence, where the form asks for one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fill in a form, or say that what it asks for by hand is done."""
    named = task_named(task)
    given = None if value is None else document_in(value)
    shown = None if file is None else File(name=file.name, content=file.read_bytes())
    acted(
        actor,
        lambda engine, acting: engine.fill(named, given, actor=acting, note=note, file=shown),
    )
    told({"task": task}, f"{task} is done.", as_json=as_json)


def retry(
    run: Run,
    key: Annotated[str | None, Parameter(help="Key of the step; without it all that wait.")] = None,
    /,
    *,
    actor: NamedActor,
    as_json: AsJson = False,
) -> None:
    """Try a parked or waiting step again, with a fresh series of rounds."""
    named = run_named(run)
    acted(actor, lambda engine, acting: engine.retry(named, key, actor=acting))
    told({"run": run, "key": key}, f"{key or 'What waits'} is tried again.", as_json=as_json)


def skip(
    run: Run, key: Key, /, *, actor: NamedActor, reason: Reason, as_json: AsJson = False
) -> None:
    """Let a run go on without a step whose result it does not need."""
    named = run_named(run)
    task = acted(actor, lambda engine, acting: engine.skip(named, key, actor=acting, reason=reason))
    ordered({"run": run, "key": key}, f"{key} is skipped.", task, as_json=as_json)


def complete_by_hand(
    run: Run,
    key: Key,
    /,
    *,
    value: Annotated[str, Parameter(help="The step's result as JSON.")],
    evidence: Evidence,
    actor: NamedActor,
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Give the result of a step that a person has done."""
    named, result = run_named(run), json_in("value", value)
    task = acted(
        actor,
        lambda engine, acting: engine.complete_by_hand(
            named, key, result, evidence=evidence, actor=acting, reason=reason
        ),
    )
    ordered({"run": run, "key": key}, f"{key} is completed by hand.", task, as_json=as_json)


def cancel(run: Run, /, *, actor: NamedActor, reason: Reason, as_json: AsJson = False) -> None:
    """Ask for the end of a run; it ends at its next act."""
    named = run_named(run)
    task = acted(actor, lambda engine, acting: engine.cancel(named, actor=acting, reason=reason))
    ordered({"run": run}, f"{run} is being cancelled.", task, as_json=as_json)


def acted(
    actor: str, verb: Callable[[Engine, Actor], Awaitable[_Answer]], *, new: bool = False
) -> _Answer:
    """Carry out a verb as whoever was named, and give its answer."""
    from newel.cli.deployment import carried_out, found_engine

    async def done() -> _Answer:
        async with found_engine(new=new) as engine:
            return await verb(engine, await engine.actor(actor or None, via="cli"))

    return carried_out(done())


def told(document: dict[str, object], sentence: str, *, as_json: bool) -> None:
    """Say what was done, in a sentence or as JSON."""
    if as_json:
        say_json(document)
    else:
        say(sentence)


def ordered(
    document: dict[str, object], sentence: str, task: UUID | None, *, as_json: bool
) -> None:
    """Say what was done; or who has to confirm it before it is."""
    if task is None:
        return told(document, sentence, as_json=as_json)
    named = reference("tsk", task)
    waiting = {**document, "needs": "second person", "task": named}
    return told(waiting, to_confirm(named), as_json=as_json)


def to_confirm(task: str) -> str:
    """Say that a second person has to confirm an order, and how."""
    return f"A second person has to confirm this within 24 hours: newel decide {task} --yes"


def document_in(given: str) -> object:
    """Read an input where it lies: JSON itself, a file, or standard input."""
    if given == "-":
        return json_in("--input", sys.stdin.read())
    if given.lstrip()[:1] in {"{", "[", '"'}:
        return json_in("--input", given)
    try:
        return json_in(given, Path(given).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as cause:
        raise InvalidInput({given: f"cannot be read as a file ({_why(cause)})"}) from cause


def _why(cause: Exception) -> str:
    return cause.strerror or "" if isinstance(cause, OSError) else "it is no UTF-8 text"


def json_in(name: str, text: str) -> object:
    """Read JSON that was given under a name; raises InvalidInput."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as cause:
        where = f"line {cause.lineno}, column {cause.colno}"
        raise InvalidInput({name: f"is not JSON ({where}: {cause.msg})"}) from None
