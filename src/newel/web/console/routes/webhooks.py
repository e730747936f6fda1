"""Endpoints that are told of events: how they fare, what they were told, and sending it again."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from newel.base.errors import NotFound, RequestError
from newel.connectors.outgoing import Delivered
from newel.web.console import systems_copy
from newel.web.console.act_pages import Refused, act_page
from newel.web.console.acting import acting_person, address_in
from newel.web.console.copy import quoted
from newel.web.console.pages import page, remembered, seen_at
from newel.web.console.views.webhooks import (
    DeliveryState,
    endpoint_page,
    endpoints_view,
    hooks_view,
)
from newel.web.site import reader_of, site_of

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_VERBS: Final = ("enable", "disable", "redeliver")


@router.get("/webhooks")
async def list_endpoints(request: Request, received: str = "") -> Response:
    """Show who is told of events, and what other systems told."""
    read = await reader_of(request)
    engine = site_of(request).engine
    return await page(
        request, "webhooks", read=read, section="webhooks", twin="/api/v1/webhooks",
        view=await endpoints_view(engine.endpoints),
        hooks=await hooks_view(engine.hooks, read.now, only_refused=received == "refused"),
    )  # fmt: skip


@router.post("/webhooks/received/{delivery}/again")
async def carry_out_again(request: Request, delivery: str) -> Response:
    """Carry out what was refused of a delivery that came in."""
    await site_of(request).engine.hooks.again(_id(delivery))
    return seen_at("/webhooks#received")


@router.get("/webhooks/{name}")
async def one_endpoint(
    request: Request, name: str, state: DeliveryState | None = None, after: str = ""
) -> Response:
    """Show one endpoint: how it fares, its figures, and what it was told."""
    return await _shown(request, name, state, after)


@router.post("/webhooks/{name}/ping")
async def ping(request: Request, name: str) -> Response:
    """Send an endpoint a message that says nothing, once, and show what it answers."""
    told = await site_of(request).engine.endpoints.ping(name)
    return await _shown(request, name, told=told)


@router.get("/webhooks/{name}/{verb}")
async def ask(request: Request, name: str, verb: str, event: str = "") -> Response:
    """Show the form of a verb."""
    return await _form(request, name, verb, event, Refused())


@router.post("/webhooks/{name}/{verb}")
async def act(request: Request, name: str, verb: str, event: str = "") -> Response:
    """Carry out a verb, or show the form again with what is wrong."""
    async with request.form() as posted:
        try:
            await _carry_out(request, name, verb, event, posted)
        except RequestError as error:
            return await _form(request, name, verb, event, Refused.of(error, posted))
        return remembered(seen_at(f"/webhooks/{quoted(name)}"), address_in(posted))


async def _carry_out(request: Request, name: str, verb: str, event: str, posted: FormData) -> None:
    actor = await acting_person(request, posted)
    endpoints = site_of(request).engine.endpoints
    match verb:
        case "enable":
            await endpoints.enable(name, actor=actor)
        case "disable":
            reason = str(posted.get("reason", "")).strip()
            await endpoints.disable(name, actor=actor, reason=reason)
        case "redeliver":
            events = [_id(event)] if event else None
            await endpoints.redeliver(name, events, actor=actor)
        case _:
            raise NotFound(kind="page", reference=verb)


async def _shown(
    request: Request,
    name: str,
    state: DeliveryState | None = None,
    after: str = "",
    told: Delivered | None = None,
) -> Response:
    read = await reader_of(request)
    endpoints = site_of(request).engine.endpoints
    view = await endpoint_page(read, endpoints, name, state=state, after=after)
    answer = None
    if told is not None:
        is_well = told.verdict == "accepted"
        answer = (is_well, systems_copy.ping_text(name, told.why, accepted=is_well))
    return await page(
        request, "webhook", read=read, section="webhooks", is_live=told is None and not after,
        twin=f"/api/v1/webhooks/{quoted(name)}", view=view, answer=answer,
    )  # fmt: skip


async def _form(request: Request, name: str, verb: str, event: str, refused: Refused) -> Response:
    if verb not in _VERBS:
        raise NotFound(kind="page", reference=verb)
    read = await reader_of(request)
    await endpoint_page(read, site_of(request).engine.endpoints, name, state=None, after="")
    back = f"/webhooks/{quoted(name)}"
    return await act_page(
        request,
        read,
        section="webhooks",
        name=name,
        back=back,
        action=f"{back}/{verb}?event={quoted(event)}",
        words=systems_copy.endpoint_words(verb, name),
        refused=refused,
        what=_what(verb, event),
    )


def _what(verb: str, event: str) -> str:
    """Say what is sent again, where that is asked."""
    if verb != "redeliver":
        return ""
    return f"The event {event}" if event else "Everything that was given up"


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(kind="delivery", reference=text) from None
