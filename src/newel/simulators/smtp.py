"""SMTP as a simulated mail server speaks it: one conversation, each command a call like any other.

Commands that matter go through `exchange` as requests do, so that rules, delays, cuts and the book
are the same; what remains (EHLO, NOOP, RSET, QUIT, the order of commands) is answered here. There
is no encryption: it listens on loopback alone.
Source: RFC 5321.
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import re
from base64 import b64decode
from collections.abc import Mapping, MutableMapping
from typing import Any

from .exchange import CONNECTION, Connection, Exchange
from .system import SimulatedSystem

# How a command is told from a request that comes over HTTP.
VERB = "SMTP"
# What a conversation knows when a command arrives, as headers of the call.
SIGNED_IN, SENDER, TO = "x-signed-in", "x-sender", "x-to"

LARGEST = 1024 * 1024
_ADDRESS = re.compile(r"(?:FROM|TO):\s*<([^<>]*)>", re.IGNORECASE)
_CLOSING = 421


class Conversation:
    """One client, from the greeting until it leaves or is cut off."""

    def __init__(
        self,
        system: SimulatedSystem,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: Connection,
    ) -> None:
        self._system = system
        self._reader = reader
        self._writer = writer
        self._connection = connection
        self._secret = ""
        self._sender: str | None = None
        self._to: list[str] = []

    async def run(self) -> None:
        """Speak; a client that leaves in the middle has left."""
        with contextlib.suppress(ConnectionError, asyncio.LimitOverrunError, ValueError):
            status = await self._called("CONNECT", "")
            while status != _CLOSING and not self._writer.is_closing():
                line = await self._reader.readline()
                if not line:
                    break
                command, _, rest = line.decode("latin-1").strip().partition(" ")
                if command.upper() == "QUIT":
                    await self._say(221, "2.0.0 Bye")
                    break
                status = await self._answered(command.upper(), rest.strip())
        self._writer.close()

    async def _answered(self, command: str, rest: str) -> int:
        """Answer one command; gives the code."""
        match command:
            case "EHLO" | "HELO":
                self._forget()
                return await self._say(250, "Hello", f"SIZE {LARGEST}", "8BITMIME", "AUTH PLAIN")
            case "NOOP":
                return await self._say(250, "2.0.0 Ok")
            case "RSET":
                self._forget()
                return await self._say(250, "2.0.0 Ok")
            case "AUTH":
                return await self._sign_in(rest)
            case "MAIL":
                return await self._begin(rest)
            case "RCPT" if self._sender is not None:
                return await self._address(rest)
            case "DATA" if self._to:
                return await self._take()
            case "RCPT" | "DATA":
                return await self._say(503, "5.5.1 Bad sequence of commands")
            case _:
                return await self._say(502, "5.5.1 Command not implemented")

    def _forget(self) -> None:
        self._sender, self._to = None, []

    async def _sign_in(self, rest: str) -> int:
        kind, _, word = rest.partition(" ")
        if kind.upper() != "PLAIN":
            return await self._say(504, "5.5.4 Mechanism not implemented")
        if not word:
            await self._say(334, "")
            word = (await self._reader.readline()).decode("latin-1").strip()
        self._secret = _secret(word)
        code = await self._called("AUTH", "")
        if code != 235:
            self._secret = ""
        return code

    async def _begin(self, rest: str) -> int:
        self._forget()
        if (found := _ADDRESS.match(rest)) is None:
            return await self._say(501, "5.5.4 Syntax: MAIL FROM:<address>")
        code = await self._called("MAIL", found[1])
        if code == 250:
            self._sender = found[1]
        return code

    async def _address(self, rest: str) -> int:
        if (found := _ADDRESS.match(rest)) is None:
            return await self._say(501, "5.5.4 Syntax: RCPT TO:<address>")
        code = await self._called("RCPT", found[1])
        if code == 250:
            self._to.append(found[1])
        return code

    async def _take(self) -> int:
        await self._say(354, "End data with <CR><LF>.<CR><LF>")
        text = bytearray()
        while (line := await self._reader.readline()) != b".\r\n":
            if not line:
                raise ConnectionResetError
            if len(text) <= LARGEST:
                text += line.removeprefix(b".")
        about = {SENDER: self._sender or "", TO: ",".join(self._to)}
        self._forget()
        if len(text) > LARGEST:
            return await self._say(552, "5.3.4 Message too big")
        return await self._called("DATA", bytes(text), about)

    async def _called(
        self, command: str, body: str | bytes, about: Mapping[str, str] | None = None
    ) -> int:
        """Let a command become a call, and its answer a reply; gives the code, 0 if it was cut."""
        reply = _Reply(
            self._reader, self._writer, body if isinstance(body, bytes) else body.encode("latin-1")
        )
        headers = {SIGNED_IN: self._secret, **(about or {})}
        scope = {
            "type": "http",
            "method": VERB,
            "path": f"/{command}",
            "query_string": b"",
            "headers": [(n.encode(), v.encode("latin-1")) for n, v in headers.items()],
            "extensions": {CONNECTION: self._connection},
        }
        await Exchange(self._system, scope, reply.receive, reply.send).run()
        return 0 if self._writer.is_closing() else reply.code

    async def _say(self, code: int, *lines: str) -> int:
        *before, last = lines
        told = "".join(f"{code}-{line}\r\n" for line in before) + f"{code} {last}\r\n"
        self._writer.write(told.encode("latin-1", "replace"))
        await self._writer.drain()
        return code


class _Reply:
    """One call's way in and out, in the words of ASGI."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._body: bytes | None = body
        self.code = 0

    async def receive(self) -> MutableMapping[str, Any]:
        """Give the command, and after it the news that the client has gone."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body}
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(1024):
                pass
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Write the reply on one line; one that is cut has no end."""
        if message["type"] == "http.response.start":
            self.code = message["status"]
            return
        text = " ".join(message["body"].decode().split()) or "Refused"
        end = "" if message.get("more_body") else "\r\n"
        self._writer.write(f"{self.code} {text}{end}".encode("latin-1", "replace"))
        await self._writer.drain()


def _secret(word: str) -> str:
    """Read what a client signs in with (RFC 4616): user and password; nobody's if unreadable."""
    try:
        _, user, password = b64decode(word, validate=True).decode().split("\0")
    except (binascii.Error, ValueError):
        return ":"
    return f"{user}:{password}"
