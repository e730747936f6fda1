"""The list of runs and one run."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from newel.web.console.pages import page
from newel.web.console.views.run import run_view
from newel.web.console.views.runs import runs_view
from newel.web.site import named, reader_of

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home() -> Response:
    """Lead to the runs in flight; a home page of its own comes later."""
    return RedirectResponse("/runs", 307)


@router.get("/runs")
async def list_runs(
    request: Request, state: str = "open", process: str | None = None, before: str | None = None
) -> Response:
    """Show runs, with chips that count and filter."""
    read = await reader_of(request)
    view = await runs_view(
        read,
        standing=state,
        process=process,
        before=None if before is None else named("run", before),
    )
    twin = f"/api/v1/runs?{request.url.query}" if request.url.query else "/api/v1/runs"
    return await page(request, "runs", read=read, section="runs", twin=twin, view=view)


@router.get("/runs/{run}")
async def one_run(request: Request, run: str) -> Response:
    """Show one run: what needs a person, its steps, its history."""
    read = await reader_of(request)
    view = await run_view(read, named("run", run))
    return await page(
        request, "run", read=read, section="runs", twin=f"/api/v1/runs/{view.run}", view=view
    )
