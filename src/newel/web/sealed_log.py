"""The sealed log at its own address: checkpoint, tiles and bundles for any client of tlog-tiles.

The address is the origin that stands in every checkpoint, below the server's host. A full tile
never changes and may be kept for ever; all else is asked for again.
Source: https://c2sp.org/tlog-tiles.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from newel.engine.sealed_log import CHECKPOINT, sealed_logs
from newel.store.export import snapshot
from newel.web.auth import KnownCaller
from newel.web.site import site_of

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_FULL: Final = re.compile(r"tile/.*/\d{3}")
_FOR_EVER: Final = "private, max-age=31536000, immutable"


@router.get("/audit/{log}/{log_epoch}/{path:path}")
async def resource(
    request: Request, caller: KnownCaller, log: str, log_epoch: str, path: str
) -> Response:
    """Give a file of the log; 404 for one that there is not, or not yet."""
    del caller  # admitted is enough
    named = f"/audit/{log}/{log_epoch}"
    async with snapshot(site_of(request).database) as seen:
        found = [each for each in await sealed_logs(seen.connection) if each.origin.endswith(named)]
        data = await found[0].read(path) if found else None
    if data is None:
        raise HTTPException(404)
    kind = (
        "text/plain; charset=utf-8" if path.startswith(CHECKPOINT) else "application/octet-stream"
    )
    kept = _FOR_EVER if _FULL.fullmatch(path) else "no-store"
    return Response(data, media_type=kind, headers={"Cache-Control": kept})
