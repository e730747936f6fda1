"""Systems over HTTP: how each stands, what newel may do in it, and asking it now."""

from __future__ import annotations

from fastapi import APIRouter, Request

from newel.web.auth import KnownCaller
from newel.web.console.views.systems import (
    SystemPage,
    SystemsView,
    TestedView,
    system_page,
    systems_view,
    tested,
)
from newel.web.site import reader_of, site_of

__all__ = ["router"]

router = APIRouter(tags=["systems"])


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
