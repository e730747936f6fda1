"""The world outside: a small HTTP server that writes down every effect that was made, by name.

`PUT /name` makes an effect; `GET /name` says whether there is one. With `?key=…` a repeated
request of the same key makes none, as systems do that take idempotency keys. It loses answers
and refuses calls as often as it is told; while `answers` is not set, it makes effects and says
nothing of them yet. A `witness` is asked of every effect before it is made, by the idempotency key
that came with it; who goes away before the answer is counted as `cut`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self


class Book:
    """Effects by name, and how often each was made."""

    def __init__(self, seed: int) -> None:
        """Begin empty; seed: of the chance with which it misbehaves."""
        self.effects: Counter[str] = Counter()
        self.calls = 0
        self.lost = 0
        self.lose, self.refuse, self.slow_s = 0.0, 0.0, 0.0
        self.answers = asyncio.Event()
        self.answers.set()
        self.witness: Callable[[str], Awaitable[bool]] | None = None
        self.unannounced: list[str] = []
        self.cut = 0
        self.port = 0
        self._keys: set[str] = set()
        self._chance = random.Random(seed)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._served, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        assert self._server is not None
        self.answers.set()
        self._server.close()

    def doubled(self) -> dict[str, int]:
        """Effects that were made more than once."""
        return {name: number for name, number in self.effects.items() if number > 1}

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, target, _ = head.split(" ", 2)
            by = head.partition("Idempotency-Key: ")[2].partition("\r\n")[0]
            answer = await self._answer(method, target, by)
            self.cut += reader.at_eof()
            if answer is not None:
                said = "here" if answer == 200 else "no"
                writer.write(
                    f"HTTP/1.1 {answer} .\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode()
                )
                await writer.drain()
        writer.close()

    async def _answer(self, method: str, target: str, by: str) -> int | None:
        name, _, key = target.lstrip("/").partition("?key=")
        if method == "GET":
            return 200 if self.effects[name] else 404
        self.calls += 1
        if self.witness is not None and not await self.witness(by):
            self.unannounced.append(name)
        if self._chance.random() < self.refuse:
            return 503
        if not key or key not in self._keys:
            self._keys.add(key)
            self.effects[name] += 1
        await self.answers.wait()
        if self.slow_s:
            await asyncio.sleep(self._chance.uniform(0, self.slow_s))
        if self._chance.random() < self.lose:
            self.lost += 1
            return None
        return 200
