"""The list of runs and one run."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from newel.base.errors import NotFound, PastNotKept
from newel.web.console.pages import page
from newel.web.console.views.inspector import inspected
from newel.web.console.views.look import Look
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
    request: Request,
    run: str,
    view: Literal["drawing", "plan"] = "drawing",
    key: str | None = None,
    opened: Annotated[tuple[str, ...], Query(alias="open")] = (),
    paths: Literal["taken", "all"] = "taken",
    zoom: Annotated[int, Query(ge=0, le=400)] = 0,
) -> Response:
    """Show one run: what needs a person; its drawing, steps and history, or its plan as a list.

    key: the part of the drawing to look at, by its id or by a key of it. open: blocks of a large
    drawing that are not to be folded. paths: whether what is not taken is drawn, too. zoom: percent
    of the drawing's own size; as wide as the page without it.
    """
    read = await reader_of(request)
    found = await run_view(read, named("run", run))
    twin = f"/api/v1/runs/{found.run}"
    drawn = await _drawn(read, named("run", run))
    title = f"Drawing of {found.title}"
    if view == "drawing":
        inspector = None if drawn is None else inspected(drawn, found.keys, key)
        chosen = "" if inspector is None else inspector.node
        look = Look(key=key or "", opened=opened, has_all_paths=paths == "all", zoom=zoom)
        return await page(
            request,
            "run",
            read=read,
            section="runs",
            twin=twin,
            view=found,
            plan=None if drawn is None else drawn.view(),
            inspector=inspector,
            picture=None if drawn is None else _chosen(drawn, title, look, chosen),
            look=look,
        )
    return await page(
        request,
        "plan",
        read=read,
        section="runs",
        twin=f"{twin}/plan",
        view=found,
        plan=None if drawn is None else drawn.view(),
        outline=() if drawn is None else drawn.outline(),
        longest="" if drawn is None else drawn.longest(),
        picture=None if drawn is None else _listed(drawn, title, zoom),
        look=Look(view=view, zoom=zoom),
    )


def _anchored(node: str) -> str:
    """Where the list of a plan has a part."""
    return f"#{quote(ANCHOR + node, safe=':')}"


def _listed(drawn: Drawn, title: str, zoom: int) -> Markup:
    """The picture above the plan: whole, each card leading to its line."""
    text = drawn.picture(title, is_alone=False, href=_anchored, zoom=zoom)
    return Markup(text)  # noqa: S704 - our own drawing, which escapes what it is given


def _chosen(drawn: Drawn, title: str, look: Look, chosen: str) -> Markup:
    """The picture beside the inspector: folded where it is large, each card leading to itself."""
    text = drawn.picture(
        title,
        is_alone=False,
        href=look.choosing,
        chosen=chosen,
        opened=look.opened,
        unfold=look.opening,
        has_all_paths=look.has_all_paths,
        zoom=look.zoom,
    )
    return Markup(text)  # noqa: S704 - as above


async def _drawn(read: Reader, run: UUID) -> Drawn | None:
    """The run on its drawing; None where the code has no such process, or its past is gone."""
    try:
        return await drawn_run(read, run)
    except (NotFound, PastNotKept):
        return None
