"""The course of a run over HTTP: pause, resume, reschedule, amend, fork, keep, acknowledge."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from newel.audit.leaf import Actor
from newel.base.errors import InvalidInput
from newel.base.ids import reference
from newel.web.auth import KnownCaller, acting
from newel.web.console.views.run import RunView, run_view
from newel.web.documents import described, read_members, text_of
from newel.web.site import named, reader_of, site_of

__all__ = ["moment_in", "router"]

router = APIRouter(tags=["runs"])

_ACTOR: Final = "Optional: who acts, by address, reference or exact name; else `Newel-Actor`."
_REASON: Final = "Why; it is recorded."
Members = dict[str, object]


async def _asked(
    request: Request, run: str, caller: KnownCaller, *known: str
) -> tuple[UUID, Members, Actor]:
    """Read what a verb is given: the run, the members of the body, who acts."""
    members = await read_members(request, "actor", *known)
    actor = await acting(request, caller, members)
    return named("run", run), members, actor


async def _now(request: Request, run: UUID) -> RunView:
    return await run_view(await reader_of(request), run)


@router.post("/runs/{run}/pause", openapi_extra=described(reason=_REASON, actor=_ACTOR))
async def pause(request: Request, run: str, caller: KnownCaller) -> RunView:
    """Begin nothing new in a run until it is resumed; what is in flight ends."""
    of, members, actor = await _asked(request, run, caller, "reason")
    reason = text_of(members, "reason", otherwise="")
    await site_of(request).engine.pause(of, actor=actor, reason=reason)
    return await _now(request, of)


@router.post("/runs/{run}/resume", openapi_extra=described(actor=_ACTOR))
async def resume(request: Request, run: str, caller: KnownCaller) -> RunView:
    """Let a paused run go on."""
    of, _, actor = await _asked(request, run, caller)
    await site_of(request).engine.resume(of, actor=actor)
    return await _now(request, of)


@router.post(
    "/runs/{run}/reschedule",
    openapi_extra=described(
        key="The timer, or the wait whose deadline moves.",
        at="The new moment, ISO 8601 with a zone; a past one is due at once.",
        reason=_REASON,
        actor=_ACTOR,
    ),
)
async def reschedule(request: Request, run: str, caller: KnownCaller) -> RunView:
    """Give a timer or a deadline a new moment."""
    of, members, actor = await _asked(request, run, caller, "key", "at", "reason")
    await site_of(request).engine.reschedule(
        of,
        text_of(members, "key"),
        at=moment_in(text_of(members, "at")),
        actor=actor,
        reason=text_of(members, "reason", otherwise=""),
    )
    return await _now(request, of)


@router.post(
    "/runs/{run}/amend",
    openapi_extra=described(
        input="Optional: the whole input as JSON, of the process's type; needed.",
        dry="Optional: true only says what it would mean.",
        reason=_REASON,
        actor=_ACTOR,
    ),
)
async def amend(request: Request, run: str, caller: KnownCaller) -> dict[str, Any]:
    """Give a run another input; `dry` says first what moves, runs again, stays or must be asked."""
    of, members, actor = await _asked(request, run, caller, "input", "dry", "reason")
    dry = members.get("dry", False)
    if not isinstance(dry, bool):
        raise InvalidInput({"dry": "must be true or false"})
    if "input" not in members:
        raise InvalidInput({"input": "is missing"})
    amendment = await site_of(request).engine.amend(
        of,
        members["input"],
        actor=actor,
        reason=text_of(members, "reason", otherwise=""),
        dry=dry,
    )
    return {**asdict(amendment), "applied": not dry and amendment.task is None}


@router.post(
    "/runs/{run}/fork",
    status_code=201,
    openapi_extra=described(key="The first key that is done anew.", actor=_ACTOR),
)
async def fork(request: Request, run: str, caller: KnownCaller) -> JSONResponse:
    """Start a new run from this one's journal, up to a key; this one stays as it is."""
    of, members, actor = await _asked(request, run, caller, "key")
    forked = await site_of(request).engine.fork(of, text_of(members, "key"), actor=actor)
    href = f"/api/v1/runs/{reference('run', forked)}"
    answer = {"run": reference("run", forked), "href": href}
    return JSONResponse(answer, 201, headers={"Location": href})


@router.post(
    "/runs/{run}/keep", openapi_extra=described(key="The step.", reason=_REASON, actor=_ACTOR)
)
async def keep(request: Request, run: str, caller: KnownCaller) -> RunView:
    """Let the recorded outcome of a step stand, whose input has changed since."""
    of, members, actor = await _asked(request, run, caller, "key", "reason")
    reason = text_of(members, "reason", otherwise="")
    await site_of(request).engine.keep(of, text_of(members, "key"), actor=actor, reason=reason)
    return await _now(request, of)


@router.post(
    "/runs/{run}/acknowledge", openapi_extra=described(reason="Optional: why.", actor=_ACTOR)
)
async def acknowledge(request: Request, run: str, caller: KnownCaller) -> RunView:
    """Say that a failed run was seen."""
    of, members, actor = await _asked(request, run, caller, "reason")
    reason = text_of(members, "reason", otherwise="")
    await site_of(request).engine.acknowledge(of, actor=actor, reason=reason)
    return await _now(request, of)


def moment_in(text: str) -> datetime:
    """Read a moment with its zone; raises InvalidInput."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput({"at": "is no date and time; write 2026-01-05T09:00:00+01:00"}) from None
    if moment.tzinfo is None:
        raise InvalidInput({"at": "has no time zone"})
    return moment
