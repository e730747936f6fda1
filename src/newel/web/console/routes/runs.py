"""The list of runs and one run."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from newel.base.errors import NotFound
from newel.web.console.pages import page
from newel.web.console.views.plan import ANCHOR, Drawn, drawn_run
from newel.web.console.views.run import run_view
from newel.web.console.views.runs import runs_view
from newel.web.site import Reader, named, reader_of

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
async def one_run(
    request: Request, run: str, view: Literal["steps", "drawing"] = "steps"
) -> Response:
    """Show one run: what needs a person; its steps and history, or its drawing and plan."""
    read = await reader_of(request)
    found = await run_view(read, named("run", run))
    twin = f"/api/v1/runs/{found.run}"
    if view == "steps":
        return await page(request, "run", read=read, section="runs", twin=twin, view=found)
    drawn = await _drawn(read, named("run", run))
    return await page(
        request,
        "drawing",
        read=read,
        section="runs",
        twin=f"{twin}/plan",
        view=found,
        plan=None if drawn is None else drawn.view(),
        outline=() if drawn is None else drawn.outline(),
        longest="" if drawn is None else drawn.longest(),
        picture=None if drawn is None else _picture(drawn, f"Drawing of {found.title}"),
    )


def _picture(drawn: Drawn, title: str) -> Markup:
    text = drawn.picture(title, is_alone=False, href=f"#{ANCHOR}")
    return Markup(text)  # noqa: S704 - our own drawing, which escapes what it is given


async def _drawn(read: Reader, run: UUID) -> Drawn | None:
    """The run on its drawing; None where the current code has no such process."""
    try:
        return await drawn_run(read, run)
    except NotFound:
        return None
