"""`POST /hooks/{source}`: the one way in that asks for no key but for a signature.

    202  new, and kept     200  known already, nothing done    401  not proven to be its source's
    404  no such source    409  its id, another body           413  too large    429  too many

The answer is given after the commit, and says nothing of what became of the delivery.
Source: security document, §9 and §10.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from starlette.responses import Response

from newel.base.errors import InvalidInput
from newel.web.documents import document_of
from newel.web.pace import Pace
from newel.web.problems import problem
from newel.web.site import site_of

__all__ = ["MOST_A_MINUTE", "router"]

MOST_A_MINUTE: Final = 300
_MOST_FIELDS: Final = 100

router = APIRouter(include_in_schema=False)


@router.post("/hooks/{source}")
async def receive(request: Request, source: str) -> Response:
    """Take a delivery of another system."""
    hooks = site_of(request).engine.hooks
    pace: Pace = request.app.state.deliveries
    if not pace.has_room(source if source in hooks.declared else ""):  # unknown ones share a count
        return problem(
            429, "too-many", "Too many deliveries in a minute.", headers={"Retry-After": "60"}
        )
    body = await request.body()
    arrived = await hooks.verified(source, dict(request.headers), body)
    if arrived.reply is not None:
        return Response(arrived.reply, media_type="text/plain")
    received = await hooks.receive(source, arrived, _document(request, body))
    return Response(status_code=202 if received.is_new else 200)


def _document(request: Request, body: bytes) -> object:
    """Read a body that is proven: JSON, or a form, whose `payload` is JSON where there is one."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return document_of(body)
    try:
        fields = dict(parse_qsl(body.decode(), max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise InvalidInput({"": "is no form"}) from None
    return document_of(fields["payload"].encode()) if "payload" in fields else fields
