"""What stands where: the runs, one person or run in a sentence, and the work that waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from newel.cli.output import columns, moment, say, say_json
from newel.cli.parameters import AsJson

if TYPE_CHECKING:
    from newel.cli.deployment import Deployment
    from newel.drawing.plan import Plan
    from newel.people import Answer
    from newel.people.finding import Hit
    from newel.store.database import Row

__all__ = ["not_one", "runs", "status", "tasks"]

SEVERAL: Final = 3
NONE: Final = 4


def runs(
    *,
    state: Annotated[
        str | None,
        Parameter(help="running, waiting, task, retrying, parked, completed …, open or ended."),
    ] = None,
    process: Annotated[str | None, Parameter(help="Only runs of this process.")] = None,
    limit: Annotated[int, Parameter(help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    from newel.base.zones import local_zone
    from newel.cli.deployment import carried_out, found_here
    from newel.store.run_list import Narrowed, listed

    async def read() -> list[Row]:
        async with found_here() as deployment:
            wanted = Narrowed(standing=state, process=process)
            return await listed(deployment.database, wanted, how_many=limit)

    rows = carried_out(read())
    if as_json:
        return say_json({"runs": [_run(row) for row in rows]})
    if not rows:
        return say("No runs.")
    zone = local_zone()
    lines = [
        (
            _reference("run", row["id"]),
            row["process"],
            row["display_name"] or "-",
            row["standing"],
            moment(row["started_at"], zone),
            moment(row["finished_at"] or row["wake_at"], zone),
        )
        for row in rows
    ]
    return say(columns(("RUN", "PROCESS", "ABOUT", "STATE", "STARTED", "ENDED OR NEXT"), lines))


def status(
    whom: Annotated[str, Parameter(name="PERSON|RUN", help="Name, work address, or reference.")],
    /,
    *,
    with_plan: Annotated[
        bool,
        Parameter(name="--plan", negative="", help="Of a run: what is still to come, and why."),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Say where a person or a run stands; ends with 3 if several people fit, with 4 if nobody."""
    from newel.base.errors import InvalidInput
    from newel.cli.deployment import carried_out, engine_of, found_here
    from newel.cli.references import run_named

    async def read() -> int:
        async with found_here() as deployment:
            if not whom.startswith("run_"):
                return await _of_person(deployment, whom, as_json=as_json)
            plan = None
            if with_plan:
                engine = await engine_of(deployment)
                plan = await engine.plan(run_named(whom))
            return await _of_run(deployment, whom, plan, as_json=as_json)

    if with_plan and not whom.startswith("run_"):
        raise InvalidInput({"plan": "is of a run: run_…"})

    return carried_out(read())


def tasks(*, as_json: AsJson = False) -> None:
    """List the work that waits for people, the most urgent first."""
    from newel.base.zones import local_zone
    from newel.cli.deployment import carried_out, found_here
    from newel.store.tasks import listed

    async def read() -> list[Row]:
        async with found_here() as deployment:
            return await listed(deployment.database)

    rows = carried_out(read())
    if as_json:
        return say_json({"tasks": [_task(row) for row in rows]})
    if not rows:
        return say("No open tasks.")
    zone = local_zone()
    lines = [
        (
            _reference("tsk", row["id"]),
            row["title"],
            row["subject_name"] or "-",
            row["assignee_name"] or row["owner"],
            moment(row["due_at"], zone),
        )
        for row in rows
    ]
    return say(columns(("TASK", "TITLE", "ABOUT", "ASKED", "DUE"), lines))


async def _of_person(deployment: Deployment, whom: str, *, as_json: bool) -> int:
    from newel.base.zones import local_zone
    from newel.cli.deployment import planner_of
    from newel.people import answer, unplanned

    planner = planner_of(deployment)
    ahead_of = unplanned if planner is None else planner.ahead
    now = deployment.purpose.as_of
    found = await answer(deployment.database, whom, now, local_zone(), ahead_of)
    if as_json:
        say_json(_answer(found))
    elif found.status is not None:
        say(found.status.sentence)
    else:
        return not_one(whom, found.hits)
    if found.status is not None:
        return 0
    return SEVERAL if found.hits else NONE


def not_one(whom: str, hits: Sequence[Hit]) -> int:
    """Say that several people may be meant, or nobody; answers with the status that says so."""
    if not hits:
        say(f"Nobody here is called {whom!r}.")
        return NONE
    say(f"{len(hits)} people may be meant:")
    lines = [
        (
            _reference("per", hit.person.ref),
            hit.person.name,
            hit.person.email or "-",
            hit.person.manager or "-",
        )
        for hit in hits
    ]
    say(columns(("PERSON", "NAME", "ADDRESS", "MANAGER"), lines))
    return SEVERAL


async def _of_run(deployment: Deployment, named: str, plan: Plan | None, *, as_json: bool) -> int:
    from newel.base.errors import NotFound
    from newel.base.zones import local_zone
    from newel.cli.drawings import plan_document, say_plan
    from newel.cli.references import run_named
    from newel.people.words import process_title
    from newel.store import open_acts
    from newel.store.runs import read

    run = run_named(named)
    row = await read(deployment.database, run)
    if row is None:
        raise NotFound(kind="run", reference=named)
    acts = await open_acts.of_runs(deployment.database, [run])
    if as_json:
        planned = {} if plan is None else {"plan": plan_document(plan)}
        say_json(_run(row) | {"open": [_act(act) for act in acts]} | planned)
        return 0
    zone = local_zone()
    about = f" of {row['display_name']}" if row["display_name"] else ""
    ended = f" since {moment(row['finished_at'], zone)}" if row["finished_at"] else ""
    say(f"{process_title(row['process'], row['title'])}{about}: {row['standing']}{ended}.")
    if acts:
        lines = [
            (
                act["key"],
                act["state"],
                act["task_title"] or act["reason"] or act["system_title"] or "-",
                moment(act["next_at"] or act["due_at"], zone),
                act["ticket"] or "-",
            )
            for act in acts
        ]
        say(columns(("KEY", "STATE", "WHAT", "NEXT", "TICKET"), lines))
    if plan is not None:
        say_plan(plan)
    return 0


def _reference(prefix: str, name: Any) -> str:  # Any: a UUID of the driver's own class
    from newel.base.ids import reference

    return reference(prefix, name)


def _run(row: Row) -> dict[str, object]:
    return {
        "run": _reference("run", row["id"]),
        "process": row["process"],
        "title": row["title"],
        "subject": None if row["subject"] is None else _reference("per", row["subject"]),
        "name": row["display_name"],
        "state": row["state"],
        "standing": row["standing"],
        "parked_reason": row["parked_reason"],
        "parked_with": row["parked_with"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "next_at": row["wake_at"],
    }


def _act(row: Row) -> dict[str, object]:
    return {
        "key": row["key"],
        "kind": row["kind"],
        "state": row["state"],
        "system": row["system"],
        "attempt": row["attempt"],
        "reason": row["reason"],
        "task": None if row["task_id"] is None else _reference("tsk", row["task_id"]),
        "ticket": row["ticket"],
        "next_at": row["next_at"],
        "due_at": row["due_at"],
    }


def _task(row: Row) -> dict[str, object]:
    return {
        "task": _reference("tsk", row["id"]),
        "title": row["title"],
        "run": _reference("run", row["run_id"]),
        "key": row["key"],
        "name": row["subject_name"],
        "owner": row["owner"],
        "assignee": row["assignee_name"],
        "opened_at": row["opened_at"],
        "due_at": row["due_at"],
    }


def _answer(found: Answer) -> dict[str, object]:
    return {
        "text": found.text,
        "sentence": None if found.status is None else found.status.sentence,
        "people": [
            {
                "person": _reference("per", hit.person.ref),
                "name": hit.person.name,
                "email": hit.person.email,
                "manager": hit.person.manager,
            }
            for hit in found.hits
        ],
    }
