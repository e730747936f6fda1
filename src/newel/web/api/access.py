"""The ledger over HTTP: who had what on a day, since when, and by whose decision."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request

from newel.people.holdings import Asked, Holdings, day_of, had_on
from newel.web.auth import KnownCaller
from newel.web.site import named, reader_of

__all__ = ["router"]

router = APIRouter(tags=["access"])


@router.get("/access")
async def list_access(
    request: Request,
    caller: KnownCaller,
    on: Annotated[date | None, Query(description="The day, 2026-03-03; today without.")] = None,
    person: Annotated[str | None, Query(description="Only of this person: per_….")] = None,
    system: Annotated[
        str | None, Query(min_length=1, max_length=400, description="Only in this one.")
    ] = None,
    entitlement: Annotated[
        str | None,
        Query(min_length=1, max_length=400, description="Only this one: github:account."),
    ] = None,
    zone: Annotated[
        str | None, Query(description="Zone of the day, Europe/Berlin; the server's without.")
    ] = None,
    after: Annotated[str | None, Query(description="Go on after this grant: grt_….")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Holdings:
    """List who had what on a day, by entitlement; `after` of an answer asks for what follows."""
    del caller
    reader = await reader_of(request, zone)
    return await had_on(
        reader.database,
        day_of(on or reader.now.astimezone(reader.zone).date(), reader.now, reader.zone),
        Asked(
            person=None if person is None else named("per", person),
            system=system,
            entitlement=entitlement,
        ),
        after=None if after is None else named("grt", after),
        how_many=limit,
    )
