"""`/reveal/{link}`: shows a secret once, to whoever was sent the link; it asks for no sign-in.

Opening the address changes nothing, because mail scanners and previews open links. The button
takes the secret out. What is shown is in that one answer: loading it again shows that the link
was used, and when, so that its person can tell if it was somebody else. Whoever tries links that
are none is slowed down, and keeps nobody else from theirs.
Source: connectors document, §8.1; product document, §6 (links); security document, §10.
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from newel.base.errors import NotFound
from newel.web.console.pages import bare
from newel.web.pace import Pace
from newel.web.site import site_of, zone_of

__all__ = ["MOST_A_MINUTE", "router"]

MOST_A_MINUTE: Final = 20
# Not `no-referrer`: browsers then send `Origin: null` with the button, which is refused.
_HEADERS: Final = {"Referrer-Policy": "strict-origin", "X-Robots-Tag": "noindex, nofollow"}
_SLOW: Final = {**_HEADERS, "Retry-After": "60"}

router = APIRouter(include_in_schema=False)


@router.get("/reveal/{link}")
async def ask(request: Request, link: str) -> Response:
    """Show what a link is about, and the button; nothing is taken out."""
    return await _answer(request, link, takes=False)


@router.post("/reveal/{link}")
async def reveal(request: Request, link: str) -> Response:
    """Take the secret out and show it, or say what became of it."""
    return await _answer(request, link, takes=True)


async def _answer(request: Request, link: str, *, takes: bool) -> Response:
    pace: Pace = request.app.state.reveals
    site = site_of(request)
    safe = site.engine.safe
    try:
        revealed = await safe.reveal(link) if takes else None
        if revealed is not None:
            return bare(
                "reveal", 200, _HEADERS, state="shown", account=revealed.account,
                system=revealed.system, secret=revealed.secret.reveal(),
            )  # fmt: skip
        seen = await safe.seen(link)
    except NotFound:
        if not pace.has_room():
            return bare("reveal", 429, _SLOW, state="busy")
        return bare("reveal", 404, _HEADERS, state="unknown")
    status = 200 if seen.state == "waiting" else 410
    return bare(
        "reveal", status, _HEADERS, state=seen.state, seen=seen,
        now=seen.as_of, zone=zone_of(request, site.zone),
    )  # fmt: skip
