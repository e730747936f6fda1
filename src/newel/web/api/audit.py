"""Proofs of the audit log over HTTP, one at a time; tiles are at the log's own address."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse

from newel.engine.proving import Grown, grown, proved
from newel.store.export import snapshot
from newel.web.auth import KnownCaller
from newel.web.site import site_of

__all__ = ["router"]

router = APIRouter(tags=["audit"])

_MOST = 2**53


@router.get("/audit/proof", response_class=PlainTextResponse)
async def proof(
    request: Request,
    caller: KnownCaller,
    stream: Annotated[str, Query(min_length=1, max_length=400, description="run/run_…, admin …")],
    seq: Annotated[int, Query(ge=1, lt=_MOST, description="Its number in the stream.")],
) -> str:
    """Prove that an event is in the log, with its entry (tlog-proof); 409 until it is sealed."""
    del caller
    async with snapshot(site_of(request).database) as seen:
        return await proved(seen.connection, stream, seq)


@router.get("/audit/consistency")
async def consistency(
    request: Request,
    caller: KnownCaller,
    old: Annotated[int, Query(ge=0, lt=_MOST, description="Entries of an older checkpoint.")],
) -> Grown:
    """Prove that the newest checkpoint has grown out of an older one of this size."""
    del caller
    async with snapshot(site_of(request).database) as seen:
        return await grown(seen.connection, old)
