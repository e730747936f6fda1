"""The list of systems, one system, who had access to it on a day, and testing its connection."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from newel.people.holdings import Asked, day_of, had_on
from newel.web.console.pages import page
from newel.web.console.views.systems import TestedView, system_page, systems_view, tested
from newel.web.site import named, reader_of, site_of

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_PAGE = 100


@router.get("/systems")
async def list_systems(request: Request) -> Response:
    """Show how every system stands."""
    read = await reader_of(request)
    view = await systems_view(read, site_of(request).engine)
    return await page(
        request, "systems", read=read, section="systems", twin="/api/v1/systems", view=view
    )


@router.get("/systems/{name}")
async def one_system(
    request: Request,
    name: str,
    tab: Literal["now", "access"] = "now",
    on: Annotated[str, Query(max_length=10)] = "",
    after: Annotated[str | None, Query(max_length=60)] = None,
) -> Response:
    """Show one system: what holds it up and what newel may do there, or who had access on a day."""
    if tab == "now":
        return await _shown(request, name)
    read = await reader_of(request)
    engine = site_of(request).engine
    view = await system_page(read, engine, name)
    today = read.now.astimezone(read.zone).date()
    day = _day(on) or today
    access = await had_on(
        read.database,
        day_of(day, read.now, read.zone),
        Asked(system=view.system.system),
        after=None if after is None else named("grt", after),
        how_many=_PAGE,
    )
    return await page(
        request, "system_access", read=read, section="systems", is_live=False,
        twin=f"/api/v1/access?system={view.system.system}&on={day}", view=view, access=access,
        day=day.isoformat(), today=today.isoformat(), is_wrong=bool(on) and _day(on) is None,
    )  # fmt: skip


@router.post("/systems/{name}/test")
async def test_connection(request: Request, name: str) -> Response:
    """Ask a system whether it still answers as agreed, and show what came of it."""
    return await _shown(request, name, await tested(site_of(request).engine, name))


async def _shown(request: Request, name: str, told: TestedView | None = None) -> Response:
    read = await reader_of(request)
    view = await system_page(read, site_of(request).engine, name)
    return await page(
        request, "system", read=read, section="systems", is_live=told is None,
        twin=f"/api/v1/systems/{view.system.system}", view=view, told=told,
    )  # fmt: skip


def _day(text: str) -> date | None:
    """Read a day as a form has it; None for what is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
