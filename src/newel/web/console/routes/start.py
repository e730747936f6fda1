"""Starting a run: the processes there are, and the form made from what a process takes.

The form carries an idempotency key made when it was rendered, so that a double click, a reload
or going back starts one run.
Source: console document, §6.9.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from newel.base.errors import AlreadyStarted, InvalidInput, RequestError
from newel.base.ids import reference
from newel.flow.process import Process
from newel.web.console import copy
from newel.web.console.act_pages import told_of
from newel.web.console.acting import NEEDS_ADDRESS, acting_person, address_in
from newel.web.console.forms import (
    Field,
    document_of,
    fields_of,
    filled,
    labels_of,
    rest_of_errors,
)
from newel.web.console.pages import page, remembered, seen_at
from newel.web.console.views.processes import process_view, processes_view, startable
from newel.web.problems import status_of
from newel.web.site import Reader, reader_of, site_of, zone_info

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/start")
async def list_processes(request: Request) -> Response:
    """Show what can be started."""
    read = await reader_of(request)
    view = processes_view(read)
    return await page(
        request, "start", read=read, section="start", twin="/api/v1/processes", view=view
    )


@router.get("/start/{name}")
async def ask(request: Request, name: str) -> Response:
    """Show the form of a process."""
    read = await reader_of(request)
    process = startable(read, name)
    fields = filled(_fields(process))
    return await _form(request, read, process, fields, {}, 200, "", secrets.token_urlsafe(18), None)


# Not the form's own address: a post would make browsers forget the form they go back to.
@router.get("/start/{name}/runs")
async def back_to_form(name: str) -> Response:
    """Lead to the form, for who comes here by an address that was kept."""
    return seen_at(f"/start/{quote(name, safe='')}")


@router.post("/start/{name}/runs")
async def start(request: Request, name: str) -> Response:
    """Start a run, or show the form again with what is wrong; nothing is made on an error."""
    read = await reader_of(request)
    process = startable(read, name)
    fields = _fields(process)
    async with request.form(max_fields=2_000) as posted:
        key = str(posted.get("idempotency", "")) or secrets.token_urlsafe(18)
        typed = address_in(posted)
        if more := str(posted.get("more", "")):
            shown = filled(fields, posted, more_of=more)
            return await _form(request, read, process, shown, {}, 200, typed, key, None)
        try:
            document = _given(process, document_of(fields, posted, zone_info(posted)))
            process.parsed(document)
            actor = await acting_person(request, posted)
            started = await site_of(request).engine.start(
                name, document, actor=actor, idempotency_key=key, source="console"
            )
        except RequestError as error:
            errors = _told(error)
            if isinstance(error, InvalidInput) and "@" not in typed:
                errors.setdefault("actor", NEEDS_ADDRESS)
            run = error.run if isinstance(error, AlreadyStarted) else None
            shown = filled(fields, posted, errors)
            return await _form(
                request, read, process, shown, errors, status_of(error), typed, key, run
            )
    return remembered(seen_at(f"/runs/{reference('run', started.run)}"), typed)


def _fields(process: Process[..., Any]) -> tuple[Field, ...]:  # Any: each has its own result
    schema = process.input_schema
    if "properties" in schema:
        return fields_of(schema)
    name = next(iter(process.parameters), "input")
    return fields_of({"properties": {name: schema}, "required": [name]})


def _given(process: Process[..., Any], document: dict[str, Any]) -> object:  # Any: JSON
    """Give the input as a run takes it: of one plain value, as the form asks for by its name."""
    if "properties" in process.input_schema:
        return document
    return next(iter(document.values()), None)


def _told(error: RequestError) -> dict[str, str]:
    if isinstance(error, AlreadyStarted):
        is_reused = bool(error.facts().get("idempotency_key"))
        return {"": copy.ALREADY_SENT if is_reused else copy.ALREADY_RUNS}
    return told_of(error)


async def _form(
    request: Request,
    read: Reader,
    process: Process[..., Any],  # Any: as above
    fields: tuple[Field, ...],
    errors: Mapping[str, str],
    status: int,
    typed: str,
    key: str,
    run: str | None,
) -> Response:
    others = {n: why for n, why in rest_of_errors(fields, errors).items() if n != "actor"}
    answer = await page(
        request,
        "start_form",
        read=read,
        status=status,
        section="start",
        is_live=False,
        twin=f"/api/v1/processes/{process.name}",
        view=process_view(process),
        fields=fields,
        labels={**labels_of(fields), "actor": "Your work e-mail"},
        errors=errors,
        others=others,
        typed=typed,
        idempotency=key,
        run=run,
    )
    # Going back shows this very form again, with its key: sent once more it starts nothing new.
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer
