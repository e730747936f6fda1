"""What stands in front of every route: size of bodies, where requests come from, headers.

Pages have no sign-in yet, so they are served to this machine alone: the peer must be loopback
and the `Host` must name it (else a foreign page could reach us through its own DNS name). The
API is open to others only with a key (`auth`). A form posted from another site is refused by
what browsers say of a request's origin, which no script can forge.
Source: security document, §10; console document, §15; Fetch metadata,
https://www.w3.org/TR/fetch-metadata/.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from newel.connectors.webhooks import LARGEST_BODY
from newel.domain.values import MOST_BYTES
from newel.drawing.svg import stylesheet
from newel.web.documents import MAX_BYTES
from newel.web.problems import problem

__all__ = [
    "HEADERS",
    "BodyLimit",
    "SameOrigin",
    "SecurityHeaders",
    "Storable",
    "is_local",
    "picture_policy",
]

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_WITH_FILE: Final = re.compile(r"(?:/api/v1)?/tasks/[^/]+/fill")
_HOOKS: Final = "/hooks/"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def is_local(scope: Scope) -> bool:
    """Tell whether a request comes from this machine and was meant for it."""
    client = scope.get("client")
    if client is not None:
        try:
            if not ip_address(client[0]).is_loopback:
                return False
        except ValueError:
            return False
    host = Headers(scope=scope).get("host", "")
    return (urlsplit(f"//{host}").hostname or "") in _LOCAL_NAMES


def picture_policy() -> str:
    """What a picture that is a file of its own may do: look as its own stylesheet says."""
    digest = b64encode(sha256(stylesheet().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"


class SecurityHeaders:
    """Adds the headers that tell browsers what a page of newel may do: very little."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with the headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, marked)


class SameOrigin:
    """Refuses what another site's page makes a browser send."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a request, or refuse it."""
        if scope["type"] == "http" and scope["method"] not in _SAFE and _is_foreign(scope):
            answer = problem(403, "foreign-origin", "The request was made by another site's page.")
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_foreign(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    site = headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


class Storable:
    """Refuses addresses that ask for what no text of the database can hold: a NUL."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a request, or refuse it."""
        if scope["type"] == "http" and ("\x00" in scope["path"] or b"%00" in scope["query_string"]):
            answer = problem(400, "not-text", "The address has a NUL in it. Leave it out.")
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


class BodyLimit:
    """Answers 413 before a body that is too large is read into memory.

    Only a form's answer may be larger, by the file that is attached to it.
    """

    def __init__(self, app: ASGIApp, *, most: int = MAX_BYTES) -> None:
        """Take the number of bytes that a body may have."""
        self.app = app
        self.most = most
        self.most_with_file = most + MOST_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a request with its whole body, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.most_with_file if _WITH_FILE.fullmatch(scope["path"]) else self.most
        if scope["path"].startswith(_HOOKS):
            most = min(most, LARGEST_BODY)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            await self._refuse(most, scope, receive, send)
            return
        body = await self._read(receive, most)
        if body is None:
            await self._refuse(most, scope, receive, send)
            return
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replayed() -> Message:
            return next(messages, None) or await receive()

        await self.app(scope, replayed, send)

    async def _read(self, receive: Receive, most: int) -> bytes | None:
        """Read the whole body; None if it is too large or the caller has left."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                return None
            if not message.get("more_body", False):
                return b"".join(parts)

    async def _refuse(self, most: int, scope: Scope, receive: Receive, send: Send) -> None:
        answer = problem(
            413,
            "body-too-large",
            f"The body has more than {most} bytes.",
            facts={"most": most},
        )
        await answer(scope, receive, send)
