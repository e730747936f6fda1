"""Runs over HTTP: the list, one run, and the operator's verbs."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from newel.base.ids import reference
from newel.web.auth import KnownCaller, acting
from newel.web.console.views.look import Look
from newel.web.console.views.plan import PlanView, drawn_run
from newel.web.console.views.run import RunView, run_view
from newel.web.console.views.runs import RunsView, runs_view
from newel.web.documents import described, optional_text, read_members, text_of
from newel.web.security import picture_policy
from newel.web.site import named, reader_of, site_of

__all__ = ["router"]

router = APIRouter(tags=["runs"])

Zone = Annotated[str | None, Query(description="Zone of moments in sentences: Europe/Berlin.")]


_ACTOR: Final = "Optional: who acts, by address, reference or exact name; else `Newel-Actor`."
_REASON: Final = "Why; it is recorded."
_PICTURE: Final = {"Content-Security-Policy": picture_policy()}


@router.get("/runs")
async def list_runs(
    request: Request,
    caller: KnownCaller,
    state: str = "open",
    process: str | None = None,
    before: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    zone: Zone = None,
) -> RunsView:
    """List runs, newest first. state: a standing, `open`, `ended` or `all`."""
    del caller
    return await runs_view(
        await reader_of(request, zone),
        standing=state,
        process=process,
        before=None if before is None else named("run", before),
        how_many=limit,
    )


@router.get("/runs/{run}")
async def read_run(request: Request, run: str, caller: KnownCaller, zone: Zone = None) -> RunView:
    """Read one run: its keys with state and attempts, and its history."""
    del caller
    return await run_view(await reader_of(request, zone), named("run", run))


@router.get("/runs/{run}/plan")
async def read_plan(request: Request, run: str, caller: KnownCaller) -> PlanView:
    """Say what a run has done, what is open, and what is still to come, and why."""
    del caller
    return (await drawn_run(await reader_of(request), named("run", run))).view()


@router.get("/runs/{run}/drawing", response_class=Response)
async def read_drawing(
    request: Request,
    run: str,
    caller: KnownCaller,
    format: Literal["svg", "text", "mermaid"] = "svg",  # noqa: A002 - the name of the parameter
) -> Response:
    """Draw a run with the state of each act: a picture, a list in words, a Mermaid flowchart."""
    del caller
    drawn = await drawn_run(await reader_of(request), named("run", run))
    if format == "text":
        return Response(drawn.text(), media_type="text/plain; charset=utf-8")
    if format == "mermaid":
        return Response(drawn.flowchart(), media_type="text/vnd.mermaid; charset=utf-8")
    page = f"/runs/{reference('run', named('run', run))}"
    picture = drawn.picture(
        drawn.drawing.process.title, is_alone=True, href=lambda id_: f"{page}{Look().choosing(id_)}"
    )
    return Response(picture, media_type="image/svg+xml", headers=_PICTURE)


@router.post("/runs/{run}/retry", openapi_extra=described(key="Optional: one step.", actor=_ACTOR))
async def retry(request: Request, run: str, caller: KnownCaller) -> RunView:
    """Try a parked or waiting step again; without a key all parked ones."""
    members = await read_members(request, "key", "actor")
    key = optional_text(members, "key")
    actor = await acting(request, caller, members)
    await site_of(request).engine.retry(named("run", run), key, actor=actor)
    return await run_view(await reader_of(request), named("run", run))


@router.post(
    "/runs/{run}/skip",
    response_model=RunView,
    openapi_extra=described(key="The step.", reason=_REASON, actor=_ACTOR),
)
async def skip(request: Request, run: str, caller: KnownCaller) -> RunView | Response:
    """Let the process go on without a step whose result it does not need."""
    members = await read_members(request, "key", "actor", "reason")
    actor = await acting(request, caller, members)
    task = await site_of(request).engine.skip(
        named("run", run),
        text_of(members, "key"),
        actor=actor,
        reason=text_of(members, "reason", otherwise=""),
    )
    return await _done(request, run, task)


@router.post(
    "/runs/{run}/complete-by-hand",
    response_model=RunView,
    openapi_extra=described(
        key="The step.",
        value="Optional: its result as JSON, of the step's type.",
        evidence="What shows that it was done.",
        reason=_REASON,
        actor=_ACTOR,
    ),
)
async def complete_by_hand(request: Request, run: str, caller: KnownCaller) -> RunView | Response:
    """Give the result of a step that a person has done."""
    members = await read_members(request, "key", "value", "evidence", "reason", "actor")
    actor = await acting(request, caller, members)
    task = await site_of(request).engine.complete_by_hand(
        named("run", run),
        text_of(members, "key"),
        members.get("value"),
        evidence=text_of(members, "evidence", otherwise=""),
        actor=actor,
        reason=text_of(members, "reason", otherwise=""),
    )
    return await _done(request, run, task)


@router.post(
    "/runs/{run}/cancel",
    response_model=RunView,
    openapi_extra=described(reason=_REASON, actor=_ACTOR),
)
async def cancel(request: Request, run: str, caller: KnownCaller) -> RunView | Response:
    """Ask for a run's end."""
    members = await read_members(request, "actor", "reason")
    actor = await acting(request, caller, members)
    task = await site_of(request).engine.cancel(
        named("run", run), actor=actor, reason=text_of(members, "reason", otherwise="")
    )
    return await _done(request, run, task)


async def _done(request: Request, run: str, task: UUID | None) -> RunView | Response:
    """The run as it is now; or, with 202, the task in which a second person confirms the order."""
    if task is None:
        return await run_view(await reader_of(request), named("run", run))
    href = f"/api/v1/tasks/{reference('tsk', task)}"
    answer = {"task": reference("tsk", task), "href": href, "needs": "second person"}
    return JSONResponse(answer, 202, headers={"Location": href})
