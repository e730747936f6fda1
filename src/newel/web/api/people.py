"""People over HTTP: finding them, one person, and the sentence that says where they stand."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from newel.web.auth import KnownCaller
from newel.web.console.views.model import StatusView
from newel.web.console.views.people import PeopleView, people_view
from newel.web.console.views.person import PersonView, person_status, person_view
from newel.web.site import named, reader_of

__all__ = ["router"]

router = APIRouter(tags=["people"])

Zone = Annotated[str | None, Query(description="Zone of moments in sentences: Europe/Berlin.")]


@router.get("/people")
async def list_people(
    request: Request,
    caller: KnownCaller,
    q: Annotated[
        str, Query(max_length=200, description="Name, address or number, also mistyped.")
    ] = "",
    after: Annotated[str, Query(max_length=400)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> PeopleView:
    """List people by name, or find those whom `q` may mean, the best fit first."""
    del caller
    return await people_view(await reader_of(request), q=q, after=after, how_many=limit)


@router.get("/people/{person}")
async def read_person(
    request: Request, person: str, caller: KnownCaller, zone: Zone = None
) -> PersonView:
    """Read one person: the sentence, access from the ledger, what happens next."""
    del caller
    return await person_view(await reader_of(request, zone), named("per", person))


@router.get("/people/{person}/status")
async def read_status(
    request: Request, person: str, caller: KnownCaller, zone: Zone = None
) -> StatusView:
    """Say where a person stands, in one sentence that is the same everywhere."""
    del caller
    return await person_status(await reader_of(request, zone), named("per", person))
