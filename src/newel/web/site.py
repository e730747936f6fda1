"""What every route needs: the engine, the settings, the moment and the viewer's zone.

A `Site` is made once when the server starts; a `Reader` once for each request. The reader's
moment is the database's clock, so that nothing on a page is older or newer than the page says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Request

from newel.base.errors import InvalidInput, NotFound
from newel.base.ids import parse_reference
from newel.base.settings import Settings
from newel.base.zones import zone_named
from newel.drawing.plan import Plan
from newel.engine.commands import Proposal
from newel.engine.engine import Engine
from newel.flow.process import Process
from newel.people.snapshot import AheadOf
from newel.store.database import Database
from newel.store.overview import Overview, overview

__all__ = [
    "ACTING",
    "ZONE",
    "Reader",
    "Site",
    "named",
    "reader_of",
    "site_of",
    "zone_info",
    "zone_of",
]

ACTING = "newel-acting"
"""Cookie with the work address of whoever acts; until there is a sign-in."""

ZONE = "newel-zone"
"""Cookie with the viewer's time zone, set by the console's script."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One running server. zone: the company's, used where the viewer has told none."""

    engine: Engine
    settings: Settings
    zone: tzinfo

    @property
    def database(self) -> Database:
        """Where everything is read from."""
        return self.engine.database

    @property
    def company(self) -> str:
        """The company's name as the console shows it."""
        return self.settings.company_name or "newel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What a view reads with: the database at one moment, the viewer's zone, the definitions."""

    database: Database
    now: datetime
    zone: tzinfo
    overview: Overview
    processes: Mapping[str, Process[..., Any]]  # Any: each process has its own result
    proposal_of: Callable[[UUID], Awaitable[Proposal | None]]
    plan_of: Callable[[UUID], Awaitable[Plan]]
    ahead_of: AheadOf


def site_of(request: Request) -> Site:
    """Give the server's site."""
    site: Site = request.app.state.site
    return site


async def reader_of(request: Request, zone: str | None = None) -> Reader:
    """Make the reader of one request; zone: a name that was asked for.

    Raises InvalidInput for a zone that does not exist.
    """
    site = site_of(request)
    stands = await overview(site.database)
    return Reader(
        database=site.database,
        now=stands.as_of,
        zone=zone_of(request, site.zone) if zone is None else zone_named(zone),
        overview=stands,
        processes=site.engine.processes,
        proposal_of=site.engine.proposal_of,
        plan_of=site.engine.plan,
        ahead_of=site.engine.planner.ahead,
    )


def zone_of(request: Request, otherwise: tzinfo) -> tzinfo:
    """Give the viewer's zone, as far as the browser has told it."""
    told = request.cookies.get(ZONE)
    if told is None:
        return otherwise
    try:
        return zone_named(told.replace("%2F", "/"))
    except InvalidInput:
        return otherwise


_KIND_OF_PREFIX = {"run": "run", "per": "person", "tsk": "task", "grt": "grant"}


def named(prefix: str, text: str) -> UUID:
    """Read the id in an address: a reference (`run_…`), or the bare UUID.

    Raises NotFound, so that a mistyped address reads like a missing thing.
    """
    try:
        found, name = parse_reference(text)
        if found == prefix:
            return name
    except ValueError:
        try:
            return UUID(text)
        except ValueError:
            pass
    raise NotFound(kind=_KIND_OF_PREFIX[prefix], reference=text)


def zone_info(posted: Mapping[str, object]) -> ZoneInfo:
    """Give the zone of the local times in a posted form. Raises InvalidInput."""
    return zone_named(str(posted.get("zone") or "UTC"))
