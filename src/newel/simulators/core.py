"""The simulator all six systems are made of: a simulated system with its door to the network.

Vendors' calls go through `exchange`; everything under `/_sim/` is the admin API and the page, which
answer whatever faults are in force.
"""

from __future__ import annotations

import asyncio
from functools import cached_property

from starlette.types import ASGIApp, Receive, Scope, Send

from .admin import admin_application
from .exchange import Connection, Exchange
from .system import SimulatedSystem


class Simulator(SimulatedSystem):
    """One vendor as an ASGI application, stateful, with faults."""

    admin_token: str | None = None

    @property
    def app(self) -> ASGIApp:
        """The ASGI application of this system, admin API and page included."""
        return self._serve

    @cached_property
    def _admin(self) -> ASGIApp:
        return admin_application(self, token=lambda: self.admin_token)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lived(receive, send)
        elif scope["path"] == "/_sim" or scope["path"].startswith("/_sim/"):
            await self._admin(scope, receive, send)
        else:
            await Exchange(self, scope, receive, send).run()


class Spoken(Simulator):
    """A system whose clients do not speak HTTP: `serve` gives it a door of its own beside its page.

    door: host and port, while it is served.
    """

    door: tuple[str, int] | None = None

    async def talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection
    ) -> None:
        """Speak with one client until it leaves."""
        raise NotImplementedError


async def _lived(receive: Receive, send: Send) -> None:
    """Follow the ASGI lifespan, for servers that insist on it; there is nothing to set up."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
