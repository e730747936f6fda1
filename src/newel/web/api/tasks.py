"""Human work over HTTP: the inbox, one task, and deciding it or filling it in."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from newel.base.errors import InvalidInput
from newel.domain.values import File
from newel.web.auth import KnownCaller, acting
from newel.web.console.views.tasks import TasksView, TaskView, task_view, tasks_view
from newel.web.documents import document_of, read_members, text_of
from newel.web.files import download, file_in
from newel.web.site import named, reader_of, site_of

__all__ = ["router"]

router = APIRouter(tags=["tasks"])

_DECISION: Final[dict[str, Any]] = {  # Any: OpenAPI
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["approved"],
                    "properties": {
                        "approved": {"type": "boolean"},
                        "actor": {
                            "type": "string",
                            "description": "Who decides, by address, reference or exact name.",
                        },
                        "comment": {"type": "string", "description": "Needed for a no."},
                    },
                }
            }
        },
    }
}

_FORM: Final[dict[str, Any]] = {  # Any: OpenAPI
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "value": {"description": "JSON by the task's `form`; none for manual work"},
                        "note": {"type": "string", "description": "Kept with it."},
                        "actor": {"type": "string", "description": "Who fills it in."},
                    },
                }
            }
        },
    }
}


@router.get("/tasks")
async def list_tasks(
    request: Request, caller: KnownCaller, tab: Literal["open", "done"] = "open"
) -> TasksView:
    """List open tasks by urgency, or those that are over."""
    del caller
    return await tasks_view(await reader_of(request), tab)


@router.get("/tasks/{task}")
async def read_task(request: Request, task: str, caller: KnownCaller) -> TaskView:
    """Read one task."""
    del caller
    return await task_view(await reader_of(request), named("tsk", task))


@router.post("/tasks/{task}/fill", openapi_extra=_FORM)
async def fill(request: Request, task: str, caller: KnownCaller) -> TaskView:
    """Fill in a form, or say that what it asks for by hand is done; once."""
    members, file = await _answer(request)
    actor = await acting(request, caller, members)
    await site_of(request).engine.fill(
        named("tsk", task),
        members.get("value"),
        actor=actor,
        note=text_of(members, "note", otherwise=""),
        file=file,
    )
    return await task_view(await reader_of(request), named("tsk", task))


async def _answer(request: Request) -> tuple[dict[str, object], File | None]:
    """What is filled in: JSON, or a form with the same members, `value` as JSON, and a file."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await read_members(request, "value", "note", "actor"), None
    async with request.form() as posted:
        file = await file_in(posted)
        members: dict[str, object] = {
            name: text for name in ("note", "actor") if isinstance(text := posted.get(name), str)
        }
        if isinstance(value := posted.get("value"), str) and value:
            members["value"] = document_of(value.encode())
    return members, file


@router.get("/tasks/{task}/file")
async def read_file(request: Request, task: str, caller: KnownCaller) -> Response:
    """Read the file that was attached to a task as evidence."""
    del caller
    return download(await site_of(request).engine.attached(named("tsk", task)))


@router.post("/tasks/{task}/decide", openapi_extra=_DECISION)
async def decide(request: Request, task: str, caller: KnownCaller) -> TaskView:
    """Decide an approval, once. A person must be named: no key decides by itself."""
    members = await read_members(request, "approved", "actor", "comment")
    approved = members.get("approved")
    if not isinstance(approved, bool):
        raise InvalidInput({"approved": "must be true or false"})
    actor = await acting(request, caller, members)
    await site_of(request).engine.decide(
        named("tsk", task),
        approved=approved,
        actor=actor,
        comment=text_of(members, "comment", otherwise=""),
    )
    return await task_view(await reader_of(request), named("tsk", task))
