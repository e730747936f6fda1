"""The list of runs and one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from newel.base.errors import NotFound, PastNotKept
from newel.web.console.pages import page
from newel.web.console.views.inspector import inspected, inspected_at
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
) -> Response:
    """Show one run: what needs a person; its drawing, steps and history, or its plan as a list.

    key: the part of the drawing to look at, by its id or by a key of it. open: blocks of a large
    drawing that are not to be folded. paths: whether what is not taken is drawn, too.
    """
    read = await reader_of(request)
    found = await run_view(read, named("run", run))
    twin = f"/api/v1/runs/{found.run}"
    drawn = await _drawn(read, named("run", run))
    title = f"Drawing of {found.title}"
    if view == "drawing":
        inspector = None if drawn is None else inspected(drawn, found.keys, key)
        chosen = "" if inspector is None else inspector.node
        return await page(
            request,
            "run",
            read=read,
            section="runs",
            twin=twin,
            view=found,
            plan=None if drawn is None else drawn.view(),
            inspector=inspector,
            picture=None
            if drawn is None
            else _picture(drawn, title, inspected_at, chosen, opened, has_all_paths=paths == "all"),
            has_all_paths=paths == "all",
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
        picture=None if drawn is None else _picture(drawn, title, _anchored),
    )


def _anchored(node: str) -> str:
    """Where the list of a plan has a part."""
    return f"#{quote(ANCHOR + node, safe=':')}"


def _picture(
    drawn: Drawn,
    title: str,
    href: Callable[[str], str],
    chosen: str = "",
    opened: Sequence[str] | None = None,
    *,
    has_all_paths: bool = False,
) -> Markup:
    text = drawn.picture(
        title,
        is_alone=False,
        href=href,
        chosen=chosen,
        opened=opened,
        has_all_paths=has_all_paths,
    )
    return Markup(text)  # noqa: S704 - our own drawing, which escapes what it is given


async def _drawn(read: Reader, run: UUID) -> Drawn | None:
    """The run on its drawing; None where the code has no such process, or its past is gone."""
    try:
        return await drawn_run(read, run)
    except (NotFound, PastNotKept):
        return None
