"""The list of systems, one system, who had access to it on a day, and testing its connection."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from newel.base.errors import NotFound, RequestError
from newel.people.holdings import Asked, day_of, had_on
from newel.web.console import systems_copy
from newel.web.console.act_pages import Refused, act_page
from newel.web.console.acting import acting_person, address_in
from newel.web.console.copy import quoted
from newel.web.console.pages import page, remembered, seen_at
from newel.web.console.views.systems import TestedView, system_page, systems_view, tested
from newel.web.site import named, reader_of, site_of

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_PAGE = 100
_VERBS: Final = ("pause", "resume")


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


@router.get("/systems/{name}/{verb}")
async def ask(request: Request, name: str, verb: str) -> Response:
    """Show the form of a verb."""
    return await _form(request, name, verb, Refused())


@router.post("/systems/{name}/test")
async def test_connection(request: Request, name: str) -> Response:
    """Ask a system whether it still answers as agreed, and show what came of it."""
    return await _shown(request, name, await tested(site_of(request).engine, name))


@router.post("/systems/{name}/{verb}")
async def act(request: Request, name: str, verb: str) -> Response:
    """Pause or resume a system, or show the form again with what is wrong."""
    async with request.form() as posted:
        try:
            await _carry_out(request, name, verb, posted)
        except RequestError as error:
            return await _form(request, name, verb, Refused.of(error, posted))
        return remembered(seen_at(f"/systems/{quoted(name)}"), address_in(posted))


async def _carry_out(request: Request, name: str, verb: str, posted: FormData) -> None:
    actor = await acting_person(request, posted)
    reason = str(posted.get("reason", "")).strip()
    systems = site_of(request).engine.systems
    match verb:
        case "pause":
            await systems.pause(name, actor=actor, reason=reason)
        case "resume":
            await systems.resume(name, actor=actor, reason=reason)
        case _:
            raise NotFound(kind="page", reference=verb)


async def _form(request: Request, name: str, verb: str, refused: Refused) -> Response:
    if verb not in _VERBS:
        raise NotFound(kind="page", reference=verb)
    read = await reader_of(request)
    system = (await system_page(read, site_of(request).engine, name)).system
    return await act_page(
        request,
        read,
        section="systems",
        name=system.title,
        back=system.href,
        action=f"{system.href}/{verb}",
        words=systems_copy.system_words(verb, system.title, system.waiting),
        refused=refused,
    )


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
