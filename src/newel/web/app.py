"""The application: routes, what stands before them, and how errors are answered."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Final

from fastapi import APIRouter, Depends, FastAPI

from newel.base.settings import Settings
from newel.base.version import VERSION
from newel.engine.engine import Engine
from newel.web import hooks, metrics, reveal, sealed_log
from newel.web.api import (
    access,
    audit,
    bulk,
    course,
    events,
    health,
    people,
    processes,
    runs,
    systems,
    tasks,
    webhooks,
)
from newel.web.auth import local_only
from newel.web.console import assets
from newel.web.console.pages import ConsoleErrors
from newel.web.console.routes import amend, run_verbs, start
from newel.web.console.routes import people as people_pages
from newel.web.console.routes import runs as run_pages
from newel.web.console.routes import systems as system_pages
from newel.web.console.routes import tasks as task_pages
from newel.web.console.routes import webhooks as webhook_pages
from newel.web.pace import Pace
from newel.web.problems import add_error_answers
from newel.web.security import BodyLimit, SameOrigin, SecurityHeaders, Storable
from newel.web.site import Site

__all__ = ["create_app"]

_DESCRIPTION: Final = (
    "Start and follow runs, find people, decide tasks. Errors are `application/problem+json`; "
    "`type` names what happened, `errors` says what is wrong by field."
)


def create_app(engine: Engine, *, settings: Settings, zone: tzinfo = UTC) -> FastAPI:
    """Put the server together over an engine that is registered and open.

    zone: of the company; shown where the viewer's browser has told none.
    """
    app = FastAPI(
        title="newel",
        version=VERSION,
        description=_DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.site = Site(engine=engine, settings=settings, zone=zone)
    app.state.deliveries = Pace(hooks.MOST_A_MINUTE)
    app.state.reveals = Pace(reveal.MOST_A_MINUTE)
    # The last one added stands first: headers go on every answer, refusals included.
    app.add_middleware(SameOrigin)
    app.add_middleware(Storable)
    app.add_middleware(BodyLimit, most=settings.input_bytes)
    app.add_middleware(SecurityHeaders)
    add_error_answers(app, ConsoleErrors())
    app.include_router(_api())
    app.include_router(hooks.router)
    app.include_router(reveal.router)
    app.include_router(sealed_log.router)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(assets.router)
    app.include_router(_console())
    return app


def _api() -> APIRouter:
    router = APIRouter(prefix="/api/v1")
    for module in (
        processes, runs, course, bulk, people, access, tasks, systems, events, webhooks, audit,
        health,
    ):  # fmt: skip
        router.include_router(module.router)
    return router


def _console() -> APIRouter:
    router = APIRouter(dependencies=[Depends(local_only)], include_in_schema=False)
    for module in (
        run_pages, amend, run_verbs, people_pages, task_pages, system_pages, webhook_pages, start
    ):  # fmt: skip
        router.include_router(module.router)
    return router
