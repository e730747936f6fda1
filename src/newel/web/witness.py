"""The witness over HTTP: one address to submit heads to, one for each log to read the last from.

Source: https://c2sp.org/tlog-witness.
"""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from newel.engine.witness import Witness
from newel.web.security import BodyLimit

__all__ = ["create_witness"]

_MOST_BYTES = 64 * 1024


def create_witness(witness: Witness) -> Starlette:
    """Put the server of a witness together."""

    async def add(request: Request) -> Response:
        answer = await asyncio.to_thread(witness.add, await request.body())
        return Response(answer.body, answer.status, media_type=answer.kind)

    async def newest(request: Request) -> Response:
        note = await asyncio.to_thread(witness.newest, request.path_params["origin_hash"])
        return Response(note, 200 if note else 404, media_type="text/plain")

    app = Starlette(
        routes=[
            Route("/add-checkpoint", add, methods=["POST"]),
            Route("/{origin_hash}/checkpoint", newest),
        ]
    )
    app.add_middleware(BodyLimit, most=_MOST_BYTES)
    return app
