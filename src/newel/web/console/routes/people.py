"""The list of people and one person."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from newel.web.console.pages import page
from newel.web.console.views.people import people_view
from newel.web.console.views.person import person_view
from newel.web.site import named, reader_of

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/people")
async def list_people(
    request: Request,
    q: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str, Query(max_length=400)] = "",
) -> Response:
    """Show people by name, or whom a search may mean."""
    read = await reader_of(request)
    view = await people_view(read, q=q, after=after)
    twin = f"/api/v1/people?{request.url.query}" if request.url.query else "/api/v1/people"
    return await page(request, "people", read=read, section="people", twin=twin, view=view)


@router.get("/people/{person}")
async def one_person(request: Request, person: str) -> Response:
    """Show one person: the sentence first."""
    read = await reader_of(request)
    view = await person_view(read, named("per", person))
    twin = f"/api/v1/people/{view.person.ref}"
    return await page(request, "person", read=read, section="people", twin=twin, view=view)
