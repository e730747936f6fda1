"""The inbox and one task; deciding it or filling it in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from newel.base.errors import InvalidInput, RequestError
from newel.web.console.act_pages import told_of
from newel.web.console.acting import acting_person, address_in
from newel.web.console.forms import (
    Field,
    fields_for,
    filled,
    labels_of,
    name_in_form,
    rest_of_errors,
    value_of,
)
from newel.web.console.pages import page, remembered, seen_at
from newel.web.console.views.tasks import task_view, tasks_view
from newel.web.files import download, file_in
from newel.web.problems import status_of
from newel.web.site import Reader, named, reader_of, site_of, zone_info

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/tasks")
async def list_tasks(request: Request, tab: Literal["open", "done"] = "open") -> Response:
    """Show the inbox, with the first task opened beside it."""
    read = await reader_of(request)
    view = await tasks_view(read, tab)
    first = view.groups[0].tasks[0].task if view.groups else None
    task = None if first is None else await task_view(read, named("tsk", first))
    return await page(
        request, "tasks", read=read, section="tasks", twin=f"/api/v1/tasks?tab={tab}", view=view,
        task=task, is_chosen=False, errors={}, typed={},
        **_controls(filled(fields_for(None if task is None else task.form)), {}),
    )  # fmt: skip


@router.get("/tasks/{task}")
async def one_task(request: Request, task: str) -> Response:
    """Show one task beside the inbox."""
    return await _shown(request, await reader_of(request), task, 200, {}, {})


@router.post("/tasks/{task}/decide")
async def decide(request: Request, task: str) -> Response:
    """Decide a task, or show it again with what is wrong."""
    async with request.form() as posted:
        try:
            answer = str(posted.get("answer", ""))
            if answer not in {"approve", "reject"}:
                raise InvalidInput({"answer": "is missing: approve or reject"})
            comment = str(posted.get("comment", "")).strip()
            if answer == "reject" and not comment:
                raise InvalidInput({"comment": "is needed for a no: others will read it"})
            actor = await acting_person(request, posted)
            await site_of(request).engine.decide(
                named("tsk", task), approved=answer == "approve", actor=actor, comment=comment
            )
        except RequestError as error:
            fields = told_of(error)
            typed = {name: str(posted.get(name, "")) for name in ("actor", "comment")}
            read = await reader_of(request)
            return await _shown(request, read, task, status_of(error), fields, typed)
        return remembered(seen_at(f"/tasks/{task}"), address_in(posted))


@router.post("/tasks/{task}/fill")
async def fill(request: Request, task: str) -> Response:
    """Take what was entered into a form, or show it again with what is wrong."""
    read = await reader_of(request)
    asked = await task_view(read, named("tsk", task))
    fields = fields_for(asked.form)
    async with request.form(max_fields=2_000) as posted:
        if more := str(posted.get("more", "")):
            shown = filled(fields, posted, more_of=more)
            return await _shown(request, read, task, 200, {}, _typed(posted), shown)
        try:
            actor = await acting_person(request, posted)
            await site_of(request).engine.fill(
                named("tsk", task),
                value_of(asked.form, fields, posted, zone_info(posted)),
                actor=actor,
                note=str(posted.get("note", "")).strip(),
                file=await file_in(posted),
            )
        except RequestError as error:
            told = {name_in_form(asked.form, name): why for name, why in told_of(error).items()}
            shown = filled(fields, posted, told)
            status = status_of(error)
            return await _shown(request, read, task, status, told, _typed(posted), shown)
        return remembered(seen_at(f"/tasks/{task}"), address_in(posted))


@router.get("/tasks/{task}/file")
async def attached(request: Request, task: str) -> Response:
    """Give the file that was attached to a task, to be saved."""
    return download(await site_of(request).engine.attached(named("tsk", task)))


def _typed(posted: FormData) -> dict[str, str]:
    return {name: str(posted.get(name, "")) for name in ("actor", "comment", "note")}


async def _shown(
    request: Request,
    read: Reader,
    task: str,
    status: int,
    errors: Mapping[str, str],
    typed: Mapping[str, str],
    fields: tuple[Field, ...] | None = None,
) -> Response:
    chosen = await task_view(read, named("tsk", task))
    tab: Literal["open", "done"] = "open" if chosen.task.state == "open" else "done"
    view = await tasks_view(read, "open")
    controls = filled(fields_for(chosen.form)) if fields is None else fields
    return await page(
        request, "tasks", read=read, status=status, section="tasks",
        twin=f"/api/v1/tasks/{chosen.task.task}", is_live=not errors and chosen.form is None,
        view=view, task=chosen, is_chosen=True, chosen_tab=tab, errors=errors, typed=typed,
        **_controls(controls, errors),
    )  # fmt: skip


def _controls(fields: tuple[Field, ...], errors: Mapping[str, str]) -> dict[str, Any]:
    own = {"actor", "note", "comment", "file"}
    others = {n: why for n, why in rest_of_errors(fields, errors).items() if n not in own}
    labels = {**labels_of(fields), "actor": "Your work e-mail", "note": "Note", "file": "File"}
    return {"fields": fields, "others": others, "labels": labels}
