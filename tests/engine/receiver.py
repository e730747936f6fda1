"""A system outside that is told of events: a real server that verifies what it gets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from standardwebhooks.webhooks import Webhook

Got = dict[str, Any]


@dataclass
class Receiver:
    """What came, verified by another implementation; answers as `statuses` say, then 204.

    on_message: called before it answers. headers: of every answer.
    """

    secrets: list[str]
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    got: list[Got] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    on_message: Callable[[Got], Awaitable[None]] | None = None
    url: str = ""

    @property
    def ids(self) -> list[str]:
        """The ids of the messages as they came."""
        return [head["webhook-id"] for head in self.heads]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request of one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            text = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = [line.partition(": ") for line in text.splitlines()[1:] if line]
            head = {name.lower(): value for name, _, value in lines}
            body = await reader.readexactly(int(head["content-length"]))
            for secret in self.secrets:  # each of them suffices
                Webhook(secret).verify(body, head)
            message = json.loads(body)
            self.got.append(message)
            self.heads.append(head)
            if self.on_message is not None:
                await self.on_message(message)
            status = HTTPStatus(self.statuses.pop(0) if self.statuses else 204)
            more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            writer.write(
                f"HTTP/1.1 {status.value} {status.phrase}\r\n{more}"
                "content-length: 0\r\nconnection: close\r\n\r\n".encode()
            )
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def receiving(*secrets: str, **more: Any) -> AsyncIterator[Receiver]:
    """Listen on loopback while the block runs."""
    receiver = Receiver(list(secrets), **more)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"
    try:
        yield receiver
    finally:
        server.close()
