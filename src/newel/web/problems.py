"""Errors as answers: problem+json for machines, a page for people; never a traceback.

The type of a problem is the error's class in kebab-case, its facts are members, so a client
need not parse sentences. What nobody foresaw gets a reference number, which is in the log.
Source: RFC 9457; style document, §7.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from newel.base.errors import (
    AlreadyDecided,
    AlreadyStarted,
    InvalidInput,
    NewelError,
    NotAllowed,
    NotEnded,
    NotFound,
    NotSkippable,
    NotWaiting,
    PastNotKept,
    ReasonMissing,
    SelfApproval,
    StoreError,
    problem_type,
)
from newel.base.log import declare, logger
from newel.connectors.webhooks import DeliveryChanged, SignatureInvalid
from newel.store.database import LOST

__all__ = ["ErrorPage", "add_error_answers", "is_for_machines", "problem", "status_of"]

UNFORESEEN: Final = declare("request failed", "reference", "method", "route")

_STATUS: Final[tuple[tuple[type[NewelError], int], ...]] = (
    (InvalidInput, 422),
    (ReasonMissing, 422),
    (NotFound, 404),
    (AlreadyStarted, 409),
    (DeliveryChanged, 409),
    (NotWaiting, 409),
    (AlreadyDecided, 409),
    (NotSkippable, 409),
    (NotEnded, 409),
    (PastNotKept, 410),
    (SignatureInvalid, 401),
    (SelfApproval, 403),
    (NotAllowed, 403),
    (StoreError, 503),
)
_NOT_REACHABLE: Final = "The database is not reachable. Runs are safe; try again in a moment."


class ErrorPage:
    """How an error looks to a person; the console replaces `rendered`."""

    async def rendered(self, request: Request, status: int, title: str, detail: str) -> Response:
        """Give the page of an error."""
        del request, title
        return Response(detail, status, media_type="text/plain; charset=utf-8")


def status_of(error: NewelError) -> int:
    """Give the HTTP status of an error.

    The same idempotency key for another request is an error of input, an open run a conflict.
    """
    if isinstance(error, AlreadyStarted) and error.facts().get("idempotency_key"):
        return 422
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def problem(
    status: int,
    kind: str,
    detail: str,
    *,
    errors: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    facts: Mapping[str, object] | None = None,
) -> Response:
    """Make a problem+json answer; errors: what is wrong by field. facts: further members."""
    body: dict[str, object] = {
        "type": kind,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors is not None:
        body["errors"] = [{"field": name, "message": why} for name, why in errors.items()]
    body |= {name: value for name, value in (facts or {}).items() if name not in body}
    return Response(
        orjson.dumps(body, default=str), status, dict(headers or {}), "application/problem+json"
    )


def is_for_machines(request: Request) -> bool:
    """Tell whether an answer is read by a program."""
    path = request.scope.get("path", "")
    return path.startswith(("/api/", "/hooks/")) or path in {"/health", "/ready"}


def add_error_answers(app: FastAPI, page: ErrorPage) -> None:
    """Answer every error of an application in one of the two forms."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, NewelError), "registered for this class"
        status = status_of(error)
        if is_for_machines(request):
            return _of_newel(error, status)
        return await page.rendered(request, status, HTTPStatus(status).phrase, str(error))

    async def of_framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "registered for this class"
        phrase = HTTPStatus(error.status_code).phrase
        kind = phrase.lower().replace(" ", "-")
        if is_for_machines(request):
            return problem(error.status_code, kind, phrase, headers=error.headers)
        text = "There is no such page." if error.status_code == 404 else f"{phrase}."
        return await page.rendered(request, error.status_code, phrase, text)

    async def of_parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError), "registered for this class"
        return await ours(request, InvalidInput(_by_parameter(error)))

    async def lost(request: Request, error: Exception) -> Response:
        del error
        if is_for_machines(request):
            return problem(
                503, "database-not-reachable", _NOT_REACHABLE, headers={"Retry-After": "2"}
            )
        return await page.rendered(request, 503, "Service Unavailable", _NOT_REACHABLE)

    async def unforeseen(request: Request, error: Exception) -> Response:
        reference = secrets.token_hex(4)
        route = getattr(request.scope.get("route"), "path", "")
        logger().error(
            UNFORESEEN, reference=reference, method=request.method, route=route, exc_info=error
        )
        detail = f"newel could not do this. The log has more under the reference {reference}."
        if is_for_machines(request):
            return problem(500, "internal", detail, facts={"reference": reference})
        return await page.rendered(request, 500, "Internal Server Error", detail)

    app.add_exception_handler(NewelError, ours)
    app.add_exception_handler(HTTPException, of_framework)
    app.add_exception_handler(RequestValidationError, of_parameters)
    for kind in LOST:
        app.add_exception_handler(kind, lost)
    app.add_exception_handler(Exception, unforeseen)


def _of_newel(error: NewelError, status: int) -> Response:
    facts: dict[str, Any] = error.facts()  # Any: facts of all classes
    fields = facts.pop("fields", None)
    headers = {"Retry-After": "1"} if status == 503 else {}
    return problem(
        status, problem_type(error), str(error), errors=fields, headers=headers, facts=facts
    )


def _by_parameter(error: RequestValidationError) -> dict[str, str]:
    fields: dict[str, str] = {}
    for each in error.errors():
        name = ".".join(str(part) for part in each["loc"][1:])
        text = str(each["msg"]).removeprefix("Value error, ")
        fields.setdefault(name, text[:1].lower() + text[1:])
    return fields
