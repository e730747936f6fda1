"""Health and readiness, for whatever watches the server; they tell nothing else."""

from __future__ import annotations

from fastapi import APIRouter, Request

from newel.base.version import VERSION
from newel.store import migrate
from newel.web.console.views.model import View
from newel.web.site import site_of

__all__ = ["router"]

router = APIRouter(tags=["health"])


class Health(View):
    """That the server lives, and which version it is."""

    status: str
    version: str


@router.get("/health")
async def health() -> Health:
    """Say that the process is alive; asks nothing else."""
    return Health(status="alive", version=VERSION)


@router.get("/ready")
async def ready(request: Request) -> Health:
    """Say that the database is reachable and its schema is this version's; else 503."""
    await migrate.check(site_of(request).database.fetch)
    return Health(status="ready", version=VERSION)
