"""Systems over HTTP: how each stands, what newel may do in it, asking it now, leaving it alone."""

from __future__ import annotations

from fastapi import APIRouter, Request

from newel.web.auth import KnownCaller, acting
from newel.web.console.views.systems import (
    SystemPage,
    SystemsView,
    TestedView,
    system_page,
    systems_view,
    tested,
)
from newel.web.documents import described, read_members, text_of
from newel.web.site import reader_of, site_of

__all__ = ["router"]

router = APIRouter(tags=["systems"])

_ACTOR = "Optional: who acts, by address, reference or exact name; else `Newel-Actor`."
_BODY = described(reason="Why; it is recorded.", actor=_ACTOR)


@router.get("/systems")
async def list_systems(request: Request, caller: KnownCaller) -> SystemsView:
    """List the systems, and what holds them up."""
    del caller
    return await systems_view(await reader_of(request), site_of(request).engine)


@router.get("/systems/{name}")
async def read_system(request: Request, name: str, caller: KnownCaller) -> SystemPage:
    """Show one system: its incidents, its operations with their permissions, who waits."""
    del caller
    return await system_page(await reader_of(request), site_of(request).engine, name)


@router.post("/systems/{name}/test")
async def test_connection(request: Request, name: str, caller: KnownCaller) -> TestedView:
    """Ask a system whether credential and permissions are as they should be; reads only."""
    del caller
    return await tested(site_of(request).engine, name)


@router.post("/systems/{name}/pause", openapi_extra=_BODY)
async def pause_system(request: Request, name: str, caller: KnownCaller) -> SystemPage:
    """Begin nothing in a system until it is resumed; what is in flight ends, steps wait."""
    members = await read_members(request, "reason", "actor")
    await site_of(request).engine.systems.pause(
        name,
        actor=await acting(request, caller, members),
        reason=text_of(members, "reason", otherwise=""),
    )
    return await system_page(await reader_of(request), site_of(request).engine, name)


@router.post("/systems/{name}/resume", openapi_extra=_BODY)
async def resume_system(request: Request, name: str, caller: KnownCaller) -> SystemPage:
    """Let the steps of a paused system go on, the oldest first."""
    members = await read_members(request, "reason", "actor")
    await site_of(request).engine.systems.resume(
        name,
        actor=await acting(request, caller, members),
        reason=text_of(members, "reason", otherwise=""),
    )
    return await system_page(await reader_of(request), site_of(request).engine, name)
