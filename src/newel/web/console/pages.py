"""From a view to a page: the templates, what all of them know, and the live fragment.

A page asked for with `Newel-Live: 1` is answered with its content alone, and with 304 while
nothing has changed: that is what the console's script polls. Templates format; they do not
compute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, unquote

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from newel.base.errors import InvalidInput
from newel.base.version import VERSION
from newel.store.database import LOST
from newel.web.console import copy
from newel.web.console import format as written
from newel.web.console.assets import build
from newel.web.console.icons import GLYPH, icon
from newel.web.problems import ErrorPage
from newel.web.security import is_local
from newel.web.site import ACTING, Reader, reader_of, site_of

__all__ = ["ConsoleErrors", "bare", "page", "remembered", "seen_at"]

LIVE: Final = "newel-live"
_DAYS_REMEMBERED: Final = 30


@pass_context
def _time(context: Context, moment: datetime | None) -> Markup:
    return written.time_element(moment, context["now"], context["zone"])


@pass_context
def _at(context: Context, moment: datetime | None) -> Markup:
    return written.time_element(
        moment, context["now"], context["zone"], with_relative=True, is_inside=True
    )


@pass_context
def _near(context: Context, moment: datetime | None) -> Markup:
    return written.time_element(moment, context["now"], context["zone"], with_relative=True)


def _length(milliseconds: int | None) -> str:
    return "" if milliseconds is None else written.duration(timedelta(milliseconds=milliseconds))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("newel.web.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "time": _time,
        "near": _near,
        "at": _at,
        "length_of": _length,
        "initials": written.initials,
        "number": written.number,
        "bounded": written.bounded,
        "quoted": copy.quoted,
    }
    environment.globals |= {
        "icon": icon,
        "glyph": Markup(GLYPH),  # noqa: S704 - our own drawing
        "static": f"/static/{build()}",
        "version": VERSION,
    }
    return environment


_ENVIRONMENT: Final = _environment()


async def page(
    request: Request,
    template: str,
    *,
    read: Reader,
    status: int = 200,
    section: str = "",
    twin: str | None = None,
    is_live: bool = True,
    **view: Any,  # Any: what the template is about
) -> Response:
    """Render a page, or only its live content. section: the chosen item of the navigation.

    twin: the address of the same as JSON. is_live: whether the page refreshes itself.
    """
    wants_live = request.headers.get(LIVE) == "1"
    site = site_of(request)
    text = _ENVIRONMENT.get_template(f"pages/{template}.html").render(
        layout="fragment.html" if wants_live else "shell.html",
        company=site.company,
        overview=read.overview,
        now=read.now,
        zone=read.zone,
        zone_name=written.zone(read.zone),
        clock=written.clock(read.now, read.zone),
        acting=unquote(request.cookies.get(ACTING, "")),
        path=request.url.path,
        section=section,
        twin=twin,
        is_live=is_live,
        **view,
    )
    if not wants_live:
        return Response(text, status, media_type="text/html; charset=utf-8")
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Newel-Build": build(), "Vary": "Newel-Live"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(text, status, headers, media_type="text/html; charset=utf-8")


def bare(
    template: str,
    status: int,
    headers: Mapping[str, str] | None = None,
    **view: Any,  # Any: what the template is about
) -> Response:
    """Render a page that stands alone: without the console around it, and without its counts."""
    text = _ENVIRONMENT.get_template(f"pages/{template}.html").render(**view)
    return Response(text, status, headers, media_type="text/html; charset=utf-8")


def seen_at(address: str) -> RedirectResponse:
    """Send the browser to the page where the result of a post stands."""
    return RedirectResponse(address, 303)


def remembered(answer: Response, acting: str) -> Response:
    """Remember who acts, so that the next form need not ask again."""
    answer.set_cookie(
        ACTING,
        quote(acting),
        max_age=_DAYS_REMEMBERED * 86_400,
        httponly=True,
        samesite="lax",
        path="/",
    )
    return answer


class ConsoleErrors(ErrorPage):
    """Errors as pages in the console's shell; plain text where even that cannot be made."""

    async def rendered(self, request: Request, status: int, title: str, detail: str) -> Response:
        """Give the page of an error."""
        if status in {403, 413, 503} or not is_local(request.scope):
            return bare("bare", status, title=title, detail=detail)
        try:
            read = await reader_of(request)
        except (*LOST, InvalidInput):
            return await super().rendered(request, status, title, detail)
        heading = copy.ERROR_HEADINGS.get(status, title)
        return await page(
            request,
            "error",
            read=read,
            status=status,
            is_live=False,
            heading=heading,
            detail=detail,
        )
