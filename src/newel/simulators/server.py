"""Simulators as real servers on loopback, where a cut connection is really cut.

uvicorn's HTTP protocol is used with one addition: the application is handed the connection in the
scope, so that a fault can end it. Nothing but loopback is ever bound.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .core import Simulator, Spoken
from .exchange import CONNECTION

# The largest wait for answers under way when a server stops; faults that hang are cut at once.
LAST_ANSWERS_S = 2.0
# How long an idle connection stays open; vendors keep them about this long.
KEEP_ALIVE_S = 75


@dataclass(frozen=True, slots=True)
class SocketConnection:
    """A client's TCP connection."""

    transport: asyncio.WriteTransport

    def reset(self) -> None:
        """End it with a TCP reset: what the client sees of a service that is not there."""
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            # Lingering for zero seconds makes the kernel send RST instead of FIN.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def close(self) -> None:
        """End it after what has been written has left: "server disconnected" without an answer."""
        self.transport.close()


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with the connection handed to the application."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        application = cast("ASGIApp", self.app)

        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            extensions = {**scope.get("extensions", {}), CONNECTION: self.connection()}
            await application({**scope, "extensions": extensions}, receive, send)

        self.app = cast("Any", with_connection)  # Any: uvicorn's name for an ASGI application

    def connection(self) -> SocketConnection:
        """Give the connection as the application may end it."""
        return SocketConnection(self.transport)


class NotLoopback(ValueError):
    """A simulator was asked to listen where others could reach it."""

    def __init__(self, host: str) -> None:
        super().__init__(f"simulators listen on loopback only, not on {host!r}; use 127.0.0.1")
        self.host = host


@asynccontextmanager
async def serve(
    simulators: Sequence[Simulator],
    *,
    base_port: int = 0,
    host: str = "127.0.0.1",
    token: str | None = None,
) -> AsyncIterator[dict[str, str]]:
    """Run each simulator on a port of its own and give the addresses by system.

    base_port: the first port, the others follow in order, after them the doors of systems that do
    not speak HTTP (`Spoken.door`); 0 takes free ones.
    token: what the admin API asks for; None makes one (`simulator.admin_token` holds it).
    Raises NotLoopback. On leaving, every connection is closed and every port is free again.
    """
    if not ipaddress.ip_address(host).is_loopback:
        raise NotLoopback(host)
    token = token or secrets.token_urlsafe(18)
    listeners: list[Listener | Door] = []
    addresses: dict[str, str] = {}
    try:
        for position, simulator in enumerate(simulators):
            simulator.admin_token = token
            port = base_port + position if base_port else 0
            listener = await Listener.opened(simulator, host=host, port=port)
            listeners.append(listener)
            addresses[simulator.system] = listener.address
        for simulator in simulators:
            if isinstance(simulator, Spoken):
                port = base_port + len(listeners) if base_port else 0
                listeners.append(await Door.opened(simulator, host=host, port=port))
        yield addresses
    finally:
        await asyncio.gather(*(each.close() for each in listeners))


class Listener:
    """One simulator on one port."""

    def __init__(
        self,
        simulator: Simulator,
        server: asyncio.Server,
        state: ServerState,
    ) -> None:
        self.simulator = simulator
        self._server = server
        self._state = state

    @classmethod
    async def opened(cls, simulator: Simulator, *, host: str, port: int) -> Listener:
        """Listen; raises OSError if the port is taken."""
        config = Config(
            app=cast("Any", simulator.app),  # Any: uvicorn's name for an ASGI application
            http=CuttableProtocol,
            ws="none",
            interface="asgi3",
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: CuttableProtocol(config=config, server_state=state, app_state={}, _loop=loop),
            host=host,
            port=port,
        )
        return cls(simulator, server, state)

    @property
    def address(self) -> str:
        """The base URL of the simulator."""
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        """Stop listening, cut what hangs, let what is being answered be answered."""
        self._server.close()
        for protocol in list(self._state.connections):
            protocol.transport.close()
        tasks = set(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=LAST_ANSWERS_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._server.wait_closed()


class Door:
    """One system that does not speak HTTP, on a port of its own."""

    def __init__(self, simulator: Spoken) -> None:
        self._simulator = simulator
        self._talks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    async def opened(cls, simulator: Spoken, *, host: str, port: int) -> Door:
        """Listen; raises OSError if the port is taken."""
        door = cls(simulator)
        door._server = server = await asyncio.start_server(door._enter, host, port)
        found_host, found_port = server.sockets[0].getsockname()[:2]
        simulator.door = (found_host, found_port)
        return door

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = SocketConnection(writer.transport)
        talk = asyncio.ensure_future(self._talk(reader, writer, connection))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: SocketConnection,
    ) -> None:
        try:
            await self._simulator.talk(reader, writer, connection)
        finally:
            writer.close()

    async def close(self) -> None:
        """Stop listening, and cut off whoever still talks."""
        self._simulator.door = None
        if self._server is not None:
            self._server.close()
        talks = set(self._talks)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
