"""Files in and out over HTTP: what was attached is saved by a browser, and never shown by it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from newel.domain.values import File

__all__ = ["download", "file_in"]

_ALONE: Final = "default-src 'none'; sandbox"


async def file_in(posted: FormData) -> File | None:
    """The file of a form that was posted; None where no file was chosen."""
    given = posted.get("file")
    if not isinstance(given, UploadFile) or not given.filename:
        return None
    return File(name=given.filename, content=await given.read())


def download(file: File) -> Response:
    """Answer with a file: as bytes of no kind, to be saved under its name.

    Source: RFC 6266, §4.3 and §5, for the name; it is never run, sniffed or kept by a cache.
    """
    plain = re.sub(r"[^A-Za-z0-9.-]", "_", file.name[-40:])
    return Response(
        file.content,
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": (
                f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
            ),
            "Content-Security-Policy": _ALONE,
            "Cache-Control": "no-store",
        },
    )
