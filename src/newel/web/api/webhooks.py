"""Endpoints over HTTP: how they fare, what they were told, sending again.

Where data go is declared in the code alone, so no key of the API can send them elsewhere.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request

from newel.base.errors import InvalidInput
from newel.web.auth import KnownCaller, acting
from newel.web.console.views.model import View
from newel.web.console.views.webhooks import (
    DeliveriesView,
    DeliveryState,
    EndpointPage,
    EndpointsView,
    deliveries_view,
    endpoint_page,
    endpoints_view,
)
from newel.web.documents import described, read_members, text_of
from newel.web.site import reader_of, site_of

__all__ = ["PingView", "RedeliveredView", "router"]

router = APIRouter(tags=["webhooks"])

_ACTOR = "Optional: who acts, by address, reference or exact name; else `Newel-Actor`."


class PingView(View):
    """What an endpoint answered to a message that says nothing."""

    accepted: bool
    answer: str


class RedeliveredView(View):
    """How many deliveries are due now."""

    due: int


@router.get("/webhooks")
async def list_endpoints(request: Request, caller: KnownCaller) -> EndpointsView:
    """List who is told of events."""
    del caller
    return await _listed(request)


@router.get("/webhooks/{name}")
async def read_endpoint(
    request: Request,
    name: str,
    caller: KnownCaller,
    state: DeliveryState | None = None,
    after: str = "",
) -> EndpointPage:
    """Show one endpoint: how it fares, its figures, and its deliveries."""
    del caller
    read = await reader_of(request)
    endpoints = site_of(request).engine.endpoints
    return await endpoint_page(read, endpoints, name, state=state, after=after)


@router.get("/webhooks/{name}/deliveries")
async def list_deliveries(
    request: Request,
    name: str,
    caller: KnownCaller,
    state: DeliveryState | None = None,
    after: Annotated[str, Query(description="Go on after this: `after` of an answer.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DeliveriesView:
    """List what an endpoint was told; `dead` was given up."""
    del caller
    return await deliveries_view(
        site_of(request).engine.endpoints, name, state=state, after=after, how_many=limit
    )


@router.post(
    "/webhooks/{name}/disable",
    openapi_extra=described(reason="Why; it is recorded.", actor=_ACTOR),
)
async def disable(request: Request, name: str, caller: KnownCaller) -> EndpointsView:
    """Tell an endpoint nothing until it is enabled again; what happens meanwhile waits."""
    members = await read_members(request, "reason", "actor")
    await site_of(request).engine.endpoints.disable(
        name,
        actor=await acting(request, caller, members),
        reason=text_of(members, "reason", otherwise=""),
    )
    return await _listed(request)


@router.post("/webhooks/{name}/enable", openapi_extra=described(actor=_ACTOR))
async def enable(request: Request, name: str, caller: KnownCaller) -> EndpointsView:
    """Tell a disabled endpoint again, of what it has missed, too."""
    members = await read_members(request, "actor")
    actor = await acting(request, caller, members)
    await site_of(request).engine.endpoints.enable(name, actor=actor)
    return await _listed(request)


@router.post("/webhooks/{name}/ping")
async def ping(request: Request, name: str, caller: KnownCaller) -> PingView:
    """Send an endpoint a message that says nothing, once, and tell what it answers."""
    del caller
    done = await site_of(request).engine.endpoints.ping(name)
    return PingView(accepted=done.verdict == "accepted", answer=done.why)


@router.post(
    "/webhooks/{name}/redeliver",
    openapi_extra=described(
        events="Optional: ids of events, a list; without them all that were given up.",
        actor=_ACTOR,
    ),
)
async def redeliver(request: Request, name: str, caller: KnownCaller) -> RedeliveredView:
    """Send events again, under the ids they had."""
    members = await read_members(request, "events", "actor")
    due = await site_of(request).engine.endpoints.redeliver(
        name, _ids(members.get("events")), actor=await acting(request, caller, members)
    )
    return RedeliveredView(due=due)


def _ids(given: Any) -> list[UUID] | None:  # Any: JSON
    if given is None:
        return None
    try:
        return [UUID(each) for each in given]  # none of them is none, and not all
    except (TypeError, ValueError, AttributeError):
        raise InvalidInput({"events": "must be a list of ids of events"}) from None


async def _listed(request: Request) -> EndpointsView:
    return await endpoints_view(site_of(request).engine.endpoints)
