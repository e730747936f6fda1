"""A mail server for tests, reached by real SMTP."""

from __future__ import annotations

import asyncio
from email import message_from_string, policy


class Sink:
    """A mail server on loopback that keeps what it is sent; refuses with `code` if it is set."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.code = 250

    async def serve(self) -> asyncio.Server:
        """Listen on a free port."""
        return await asyncio.start_server(self._talk, "127.0.0.1", 0)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        while line := await reader.readline():
            match line[:4].upper():
                case b"DATA":
                    writer.write(b"354 go on\r\n")
                    text = await reader.readuntil(b"\r\n.\r\n")
                    self.mails.append(text.decode())
                    writer.write(b"250 kept\r\n")
                case b"RCPT":
                    writer.write(b"%d said\r\n" % self.code)
                case b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                case _:
                    writer.write(b"250 fine\r\n")
        writer.close()

    def texts(self) -> list[str]:
        """The texts of the mails, decoded."""
        return [
            str(message_from_string(each, policy=policy.default).get_content())
            for each in self.mails
        ]
