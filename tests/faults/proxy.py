"""A TCP proxy between workers and the server, which fails as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Self

_READY = b"Z\x00\x00\x00\x05I"  # ReadyForQuery outside a transaction: what was sent is committed
_BIG = 600  # bytes; a batch of Changes is longer, a heartbeat or a look is shorter


@dataclass(eq=False)
class _Line:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def cut(self, *, reset: bool) -> None:
        for writer in (self.client, self.server):
            raw = writer.get_extra_info("socket")
            if reset and raw is not None:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        for task in self.tasks:
            task.cancel()


class Proxy:
    """Carries bytes to one server; what it does to them can be changed at any time."""

    def __init__(self, port: int) -> None:
        """Begin faithful; port: where the server listens now."""
        self.target = port
        self.port = 0
        self.delay_s = 0.0
        self.resets = 0
        self.most = 0
        self._swallows: set[str] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._lines: set[_Line] = set()
        self._to_reset = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.heal()
        self.cut()
        await asyncio.sleep(0)

    def cut(self, *, reset: bool = False) -> None:
        """Cut every line: politely, or with a reset."""
        for line in list(self._lines):
            line.cut(reset=reset)
        self._lines.clear()

    def swallow(self, *directions: str) -> None:
        """Carry nothing any more in these directions (`up`: to the server, `down`), silently."""
        self._swallows = set(directions)
        self._open.clear()

    def reset_after_commit(self, how_many: int = 1) -> None:
        """Cut the next lines on which a batch was committed, before its answer comes back."""
        self._to_reset += how_many

    def heal(self) -> None:
        """Be faithful again; lines that were dead get what was kept back."""
        self._swallows, self.delay_s, self._to_reset = set(), 0.0, 0
        self._open.set()

    async def _accepted(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            await self._passing("up")
            from_server, server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            client.transport.abort()
            return
        line = _Line(client, server)
        self._lines.add(line)
        self.most = max(self.most, len(self._lines))
        sent = [0]
        line.tasks = [
            asyncio.create_task(self._carry(reader, line, server, "up", sent)),
            asyncio.create_task(self._carry(from_server, line, client, "down", sent)),
        ]

    async def _passing(self, direction: str) -> None:
        while direction in self._swallows:
            await self._open.wait()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        line: _Line,
        writer: asyncio.StreamWriter,
        direction: str,
        sent: list[int],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._passing(direction)
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if direction == "up":
                    sent[0] += len(data)
                elif _READY in data:
                    if self._to_reset and sent[0] > _BIG:
                        self._to_reset -= 1
                        self.resets += 1
                        break
                    sent[0] = 0
                writer.write(data)
                await writer.drain()
        self._lines.discard(line)
        line.cut(reset=direction == "down")
