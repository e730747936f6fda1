"""The wire to one system: the only place that builds an HTTP client, and one exchange over it.

No redirect is followed (it could carry the credential elsewhere), nothing is taken from the
environment, cookies are dropped, and nothing is repeated. What is recorded of a request is its
template and its status, however the exchange ends.
Source: connectors document, §3.1, §5, §9.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

import httpx2

from newel.base.clock import Clock
from newel.base.errors import ContractDrift, LeaseLost, Transient
from newel.connectors.answers import Answer, Route, unanswered
from newel.connectors.trust import public_authorities
from newel.domain.values import Call
from newel.flow.context import ATTEMPT

__all__ = ["Wire"]

LARGEST_BODY: Final = 10 * 1024 * 1024
_NEVER_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)

# The client writes every address it calls into its own log, and addresses hold names of people.
logging.getLogger("httpx2").setLevel(logging.WARNING)
logging.getLogger("httpcore2").setLevel(logging.WARNING)


class Wire:
    """The connections to one system: one client per event loop.

    request_id: names of headers by which the system names an exchange, first wins.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        timeouts: Mapping[str, float | None],
        request_id: tuple[str, ...] = (),
        proxy: str | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.clock = clock
        self.transport = transport
        self.turn = asyncio.Lock()
        """Held by who asks for a credential, one at a time; of the client's event loop."""
        self._timeouts = timeouts
        self._request_id = request_id
        self._proxy = proxy
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def client(self) -> httpx2.AsyncClient:
        """Give the client of this event loop, made when it is first asked for."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # A client belongs to the loop that made its connections; an old loop's is dead.
            self._client = httpx2.AsyncClient(
                transport=self.transport,
                verify=public_authorities(),
                follow_redirects=False,
                trust_env=False,
                proxy=self._proxy,
                limits=httpx2.Limits(max_connections=50, keepalive_expiry=30.0),
            )
            self._loop = loop
            self.turn = asyncio.Lock()
        return self._client

    def forget(self) -> None:
        """Leave the connections where they are: whoever comes next has connections of its own."""
        self._client = None

    async def aclose(self) -> None:
        """Close the client of this event loop."""
        client, self._client, self._loop = self._client, None, None
        if client is not None:
            await client.aclose()

    async def exchange(
        self, route: Route, target: str, headers: Mapping[str, str], content: bytes | None
    ) -> Answer:
        """Send and read, and record the call however it ends, also when it is cut off."""
        began = self.clock.monotonic()
        answer: Answer | None = None
        extensions: dict[str, object] = {"timeout": self._timeouts}
        if route.is_mutating:
            extensions["trace"] = _ask_before_sending
        request = httpx2.Request(
            route.method,
            target,
            headers=headers,
            content=content,
            extensions=extensions,
        )
        try:
            answer = await self._answered(route, request)
            return answer
        except _NEVER_SENT as fault:
            raise Transient(
                f"No connection to the system ({type(fault).__name__}); nothing was sent",
                operation=route.operation,
            ) from fault
        except httpx2.HTTPError as fault:
            raise unanswered(route, f"The answer was lost ({type(fault).__name__})") from fault
        finally:
            self._record(route, request.url.host, answer, began)

    def request_id(self, answer: Answer) -> str | None:
        """Give what the system calls an exchange, if it says so."""
        for name in self._request_id:
            if (found := answer.headers.get(name)) is not None:
                return str(found)[:100]
        return None

    async def _answered(self, route: Route, request: httpx2.Request) -> Answer:
        response = await self.client().send(request, stream=True, auth=None)
        try:
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > LARGEST_BODY:
                    raise ContractDrift(
                        "The answer is larger than any that is agreed",
                        expected=f"at most {LARGEST_BODY} bytes",
                        seen="more",
                        operation=route.operation,
                    )
        finally:
            await response.aclose()
        return Answer(route, response.status_code, response.headers, bytes(body))

    def _record(self, route: Route, host: str, answer: Answer | None, began: float) -> None:
        attempting = ATTEMPT.get()
        if attempting is None:
            return
        attempting.observed.calls.append(
            Call(
                method=route.method,
                host=host,
                path=route.path,
                operation=route.operation,
                status=None if answer is None else answer.status,
                request_id=None if answer is None else self.request_id(answer),
                duration_us=int((self.clock.monotonic() - began) * 1_000_000),
                is_mutating=route.is_mutating,
            )
        )


async def _ask_before_sending(what: str, _: object) -> None:
    """Raise LeaseLost in the last moment before a request leaves, when its worker may not send it.

    Connecting takes time, and a process may be stopped in it for longer than its lease: another
    worker may be making this very call.
    Source: httpcore documentation, "Extensions", trace (read 2026-11-28).
    """
    if what.endswith("send_request_headers.started"):
        attempting = ATTEMPT.get()
        if attempting is not None and not attempting.may_send():
            raise LeaseLost
