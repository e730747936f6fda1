"""Static files: read once, joined where they are style sheets, served under the build's hash.

Every path carries the hash of all files, so browsers may keep them for a year. They are looked
up by exact name, so no path can lead out of the folder.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from newel.drawing.svg import stylesheet

__all__ = ["Asset", "assets", "build", "router"]

_SHEETS: Final = ("tokens", "base", "shell", "parts", "pages", "drawing", "print")
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_FOREVER: Final = "public, max-age=31536000, immutable"

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent: plain, and compressed where that helps."""

    body: bytes
    compressed: bytes | None
    type: str


@cache
def assets() -> dict[str, Asset]:
    """Read all static files, by their path below the build's hash."""
    root = files("newel.web.console") / "static"
    own = ((root / "css" / f"{name}.css").read_text("utf-8") for name in _SHEETS)
    sheet = "\n".join((stylesheet(), *own))
    found = {"newel.css": _asset("newel.css", sheet.encode())}
    for folder in ("js", "font"):
        for file in (root / folder).iterdir():
            if file.name.endswith((".js", ".woff2")):
                found[f"{folder}/{file.name}"] = _asset(file.name, file.read_bytes())
    found["icon.svg"] = _asset("icon.svg", (root / "icon.svg").read_bytes())
    return found


@cache
def build() -> str:
    """Give the hash of all static files: 12 hex digits."""
    digest = hashlib.sha256()
    for name, asset in sorted(assets().items()):
        digest.update(name.encode() + b"\0" + asset.body)
    return digest.hexdigest()[:12]


def _asset(name: str, body: bytes) -> Asset:
    suffix = f".{name.rpartition('.')[2]}"
    packed = None if suffix == ".woff2" else gzip.compress(body, 9, mtime=0)
    return Asset(body, packed, _TYPES[suffix])


@router.get("/static/{version}/{path:path}", include_in_schema=False)
async def static_file(request: Request, version: str, path: str) -> Response:
    """Send one static file; one of another build is looked up by name and not kept."""
    asset = assets().get(path)
    if asset is None:
        raise HTTPException(404)
    keep = _FOREVER if version == build() else "no-store"
    headers = {"Cache-Control": keep, "Vary": "Accept-Encoding"}
    if asset.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.compressed, headers=headers, media_type=asset.type)
    return Response(asset.body, headers=headers, media_type=asset.type)
