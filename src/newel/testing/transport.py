"""Connectors to simulators in process: real requests and answers, no network, no lost time.

The transport of httpx2 for ASGI applications neither enforces time-outs nor turns a cut
connection into the error a network gives. This one does, so that a connector meets the same
faults as over TCP: refused, cut, truncated, never answered.
Source: connectors document, §21.4.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import httpx2

from newel.simulators.core import Simulator
from newel.simulators.exchange import ConnectionCut

__all__ = ["Observer", "SimulatorTransport"]

Observer = Callable[[httpx2.Request, httpx2.Response], None]


class SimulatorTransport(httpx2.AsyncBaseTransport):
    """Answers requests with a simulator's application, faults included.

    observer: called with every request and its answer, for tests that check both against the
    vendor's specification.
    """

    def __init__(self, simulator: Simulator, *, observer: Observer | None = None) -> None:
        self.simulator = simulator
        self._observer = observer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Hand one request over; raises what a network would raise."""
        content = await request.aread()
        exchange = _Exchange(content)
        try:
            await self.simulator.app(_scope(request), exchange.receive, exchange.send)
        except ConnectionCut as cut:
            if exchange.status is None or cut.how != "truncated":
                raise _network_error(cut.how, request) from cut
            return exchange.response(request, is_cut=True)
        response = exchange.response(request, is_cut=False)
        if self._observer is not None:
            self._observer(request, response)
        return response


class _Exchange:
    """One request on its way through an ASGI application."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._is_read = False
        self.status: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()

    async def receive(self) -> dict[str, Any]:  # Any: ASGI messages
        if self._is_read:
            return {"type": "http.disconnect"}
        self._is_read = True
        return {"type": "http.request", "body": self._content, "more_body": False}

    async def send(self, message: MutableMapping[str, Any]) -> None:  # Any: ASGI messages
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._headers = list(message["headers"])
        else:
            self._body += message.get("body", b"")

    def response(self, request: httpx2.Request, *, is_cut: bool) -> httpx2.Response:
        assert self.status is not None, "the application has begun its answer"
        body = bytes(self._body)
        if is_cut:
            return httpx2.Response(
                self.status, headers=self._headers, stream=_CutStream(body), request=request
            )
        return httpx2.Response(self.status, headers=self._headers, content=body, request=request)


class _CutStream(httpx2.AsyncByteStream):
    """Half of a body, and then the end of the connection."""

    def __init__(self, piece: bytes) -> None:
        self._piece = piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._piece
        message = "peer closed connection without sending complete message body"
        raise httpx2.RemoteProtocolError(message)


def _network_error(how: str, request: httpx2.Request) -> httpx2.TransportError:
    match how:
        case "refused":
            return httpx2.ConnectError("connection refused", request=request)
        case "hung":
            return httpx2.ReadTimeout("no answer in time", request=request)
        case _:
            text = "server disconnected without sending a response"
            return httpx2.RemoteProtocolError(text, request=request)


def _scope(request: httpx2.Request) -> dict[str, Any]:  # Any: ASGI scopes
    raw_path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": unquote(raw_path.decode("ascii")),
        "raw_path": raw_path,
        "query_string": query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port),
        "client": ("127.0.0.1", 0),
        "root_path": "",
    }
