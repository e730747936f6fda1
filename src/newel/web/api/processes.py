"""Processes over HTTP: which there are, what they take, and starting one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, Response

from newel.base.errors import NotFound
from newel.base.ids import reference
from newel.domain.limits import Priority
from newel.store import drawn
from newel.web.auth import KnownCaller, acting
from newel.web.console.views.model import View
from newel.web.console.views.processes import (
    ProcessesView,
    ProcessView,
    process_view,
    processes_view,
    startable,
)
from newel.web.documents import read_document
from newel.web.site import reader_of, site_of

__all__ = ["StartedView", "router"]

router = APIRouter(tags=["processes"])

_MOST: Final = 2**31 - 1
"""The greatest number that the database has for a version."""
_ANY_JSON: Final[dict[str, Any]] = {  # Any: OpenAPI
    "requestBody": {
        "required": True,
        "description": "The input; its JSON Schema is `input_schema` of the process.",
        "content": {"application/json": {"schema": {}}},
    }
}


class StartedView(View):
    """The run that a start request made, or had made before: the same answer each time."""

    run: str
    process: str
    person: str | None
    href: str
    status: str | None


class VersionView(View):
    """A version of a process. open_runs: how many go by it now."""

    version: int
    source_sha256: str
    registered_at: datetime
    open_runs: int
    drawing: str


@router.get("/processes")
async def list_processes(request: Request, caller: KnownCaller) -> ProcessesView:
    """List the processes that can be started, with the schema of their input."""
    del caller
    return processes_view(await reader_of(request))


@router.get("/processes/{name}")
async def read_process(request: Request, name: str, caller: KnownCaller) -> ProcessView:
    """Describe one process."""
    del caller
    return process_view(startable(await reader_of(request), name))


@router.get("/processes/{name}/versions")
async def list_versions(request: Request, name: str, caller: KnownCaller) -> list[VersionView]:
    """List the versions of a process, the newest first, with the runs that go by each."""
    del caller
    startable(await reader_of(request), name)
    rows = await drawn.versions(site_of(request).engine.database, name)
    return [
        VersionView(
            version=row["version"],
            source_sha256=row["sha256"],
            registered_at=row["registered_at"],
            open_runs=row["open_runs"],
            drawing=f"/api/v1/processes/{name}/drawing?version={row['version']}",
        )
        for row in rows
    ]


@router.get("/processes/{name}/drawing", response_class=Response)
async def read_drawing(
    request: Request,
    name: str,
    caller: KnownCaller,
    version: Annotated[int | None, Query(ge=1, le=_MOST, description="Else the newest.")] = None,
) -> Response:
    """Give the drawing of a version as it was read when it was registered: JSON."""
    del caller
    startable(await reader_of(request), name)
    found = await drawn.drawing(site_of(request).engine.database, name, version)
    if found is None:
        raise NotFound(kind="drawing of a version of the process", reference=name)
    return Response(found, media_type="application/json")


@router.post(
    "/processes/{name}/runs",
    status_code=201,
    response_model=StartedView,
    responses={200: {"model": StartedView, "description": "This key has started this run before."}},
    openapi_extra=_ANY_JSON,
)
async def start_run(
    request: Request,
    name: str,
    caller: KnownCaller,
    idempotency_key: Annotated[str | None, Header(max_length=200, min_length=1)] = None,
    priority: Annotated[Priority | None, Query(description="How urgent the run is.")] = None,
) -> JSONResponse:
    """Start a run; with an Idempotency-Key the same request gives the same run for ever.

    The body is the process's input. `Newel-Actor` names the person on whose behalf this is.
    """
    document = await read_document(request)
    engine = site_of(request).engine
    started = await engine.start(
        name,
        document,
        actor=await acting(request, caller),
        idempotency_key=idempotency_key,
        source="api",
        priority=priority,
    )
    run = reference("run", started.run)
    person = None if started.person is None else reference("per", started.person)
    view = StartedView(
        run=run,
        process=name,
        person=person,
        href=f"/api/v1/runs/{run}",
        status=None if person is None else f"/api/v1/people/{person}/status",
    )
    return JSONResponse(
        view.model_dump(), 201 if started.is_new else 200, headers={"Location": view.href}
    )
