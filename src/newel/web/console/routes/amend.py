"""Changing a run's input: the form with what it has now, then what that means, then the deed.

The first post only looks; the form comes back with what it found and a button that confirms it.
Source: product document, §8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from newel.audit.leaf import Actor
from newel.base.errors import NotFound, RequestError
from newel.base.ids import reference
from newel.engine.commands import Amendment
from newel.flow.process import Process
from newel.store import runs
from newel.store.database import Row
from newel.web.console import copy
from newel.web.console.act_pages import told_of
from newel.web.console.acting import acting_person, address_in
from newel.web.console.forms import (
    Field,
    document_of,
    fields_for,
    filled,
    labels_of,
    posted_from,
    rest_of_errors,
)
from newel.web.console.pages import page, remembered, seen_at
from newel.web.problems import status_of
from newel.web.site import Reader, named, reader_of, site_of, zone_info

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_LOOKING = Actor(type="service", id="svc_console", via="console")


@router.get("/runs/{run}/amend")
async def ask(request: Request, run: str) -> Response:
    """Show the input that the run has."""
    read = await reader_of(request)
    row, process = await _found(read, run)
    known = await site_of(request).engine.input_of(row["id"])
    fields = filled(_fields(process), posted_from(_fields(process), known, read.zone))
    return await _form(request, read, row, fields, {}, 200, {}, None)


@router.post("/runs/{run}/amend")
async def act(request: Request, run: str) -> Response:
    """Look first; the second time, with the button that confirms, do it."""
    read = await reader_of(request)
    row, process = await _found(read, run)
    fields = _fields(process)
    async with request.form(max_fields=2_000) as posted:
        typed = {name: str(posted.get(name, "")) for name in ("actor", "reason")}
        if more := str(posted.get("more", "")):
            shown = filled(fields, posted, more_of=more)
            return await _form(request, read, row, shown, {}, 200, typed, None)
        try:
            amendment, is_done = await _amended(request, row, fields, posted)
        except RequestError as error:
            told = told_of(error)
            shown = filled(fields, posted, told)
            return await _form(request, read, row, shown, told, status_of(error), typed, None)
        if is_done:
            there = f"/runs/{run}" if amendment.task is None else f"/tasks/{amendment.task}"
            return remembered(seen_at(there), address_in(posted))
        shown = filled(fields, posted)
        return await _form(request, read, row, shown, {}, 200, typed, amendment)


async def _amended(
    request: Request, row: Row, fields: tuple[Field, ...], posted: FormData
) -> tuple[Amendment, bool]:
    """What it means, and whether it is done, or a second person is asked to confirm it."""
    engine = site_of(request).engine
    document = document_of(fields, posted, zone_info(posted))
    if not posted.get("confirm"):
        return await engine.amend(row["id"], document, actor=_LOOKING, dry=True), False
    actor = await acting_person(request, posted)
    reason = str(posted.get("reason", "")).strip()
    return await engine.amend(row["id"], document, actor=actor, reason=reason), True


async def _found(read: Reader, run: str) -> tuple[Row, Process[..., Any]]:  # Any: own result
    row = await runs.read(read.database, named("run", run))
    if row is None:
        raise NotFound(kind="run", reference=run)
    process = read.processes.get(row["process"])
    if process is None:
        raise NotFound(kind="process of the current code", reference=row["process"])
    return row, process


def _fields(process: Process[..., Any]) -> tuple[Field, ...]:  # Any: as above
    return fields_for(process.input_schema)


async def _form(
    request: Request,
    read: Reader,
    row: Row,
    fields: tuple[Field, ...],
    errors: Mapping[str, str],
    status: int,
    typed: Mapping[str, str],
    amendment: Amendment | None,
) -> Response:
    known = {"actor", "reason"}
    others = {n: why for n, why in rest_of_errors(fields, errors).items() if n not in known}
    run = reference("run", row["id"])
    return await page(
        request,
        "amend",
        read=read,
        status=status,
        section="runs",
        is_live=False,
        run=run,
        back=f"/runs/{run}",
        words=copy.verb_words("amend", "", row["display_name"]),
        fields=fields,
        labels={**labels_of(fields), "actor": "Your work e-mail"},
        errors=errors,
        others=others,
        typed=typed,
        amendment=amendment,
    )
