"""What a place for copies of checkpoints is given, what it answers, and how one is spoken to.

Source: our own audit document §8.1.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx2

from newel.base.errors import InvalidInput, StoreError
from newel.connectors.trust import public_authorities
from newel.engine.sealed_log import SealedLog

__all__ = ["RECEIPT_BYTES", "Anchor", "Answer", "Head", "answered", "described", "shown"]

RECEIPT_BYTES: Final = 64 * 1024
_TIMEOUT: Final = httpx2.Timeout(60.0, connect=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A signed head that is to be kept; opened: the log up to it, for whoever needs its tree."""

    log_epoch: int
    size: int
    note: bytes
    opened: Callable[[], AbstractAsyncContextManager[SealedLog]]

    @property
    def file(self) -> str:
        """Name the file of a copy."""
        return f"checkpoint.{self.log_epoch}.{self.size}"


class Anchor(Protocol):
    """One place; name: how it is called in the log, without anything secret."""

    @property
    def name(self) -> str:
        """Give the name."""
        ...

    async def keep(self, head: Head) -> bytes:
        """Keep a head, for good; answers with a receipt. The same head may come again.

        Raises StoreError or OSError if the place does not take it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a place on the network has answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def answered(
    method: str,
    url: str,
    content: bytes = b"",
    *,
    headers: Mapping[str, str],
    at_most: int = RECEIPT_BYTES,
) -> Answer:
    """Send one request and read its answer, which is not longer than that.

    No redirection is followed and nothing taken from the environment: what is sent goes where the
    setting says, or nowhere. Raises StoreError.
    """
    try:
        async with (
            httpx2.AsyncClient(
                verify=public_authorities(),
                follow_redirects=False,
                trust_env=False,
                timeout=_TIMEOUT,
            ) as client,
            client.stream(method, url, content=content, headers=headers) as response,
        ):
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > at_most:
                    raise StoreError(f"A place for copies answers with more than {at_most} bytes.")
            return Answer(response.status_code, response.headers, bytes(body))
    except (httpx2.HTTPError, httpx2.InvalidURL) as fault:
        why = type(fault).__name__
        raise StoreError(f"A place for copies of checkpoints does not answer ({why}).") from fault


def shown(url: str) -> str:
    """Name an address as the log may have it: a name and a password before the host stay out."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def described(kind: str, text: str, options: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Read an address and what is said of it, `https://there name=value …`; options: defaults.

    Raises InvalidInput.
    """
    try:
        url, *words = shlex.split(text)
        urlsplit(url)
    except ValueError:
        raise InvalidInput({"anchors": f"{kind}: it cannot be read"}) from None
    given = dict(options)
    for word in words:
        name, is_said, value = word.partition("=")
        if name not in options or not is_said or not value:
            raise InvalidInput({"anchors": f"{kind}: {name!r} is none of {', '.join(options)}"})
        given[name] = value
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise InvalidInput({"anchors": f"{kind}: {', '.join(missing)} has to be said"})
    if not url.startswith(("http://", "https://")):
        raise InvalidInput({"anchors": f"{kind}: {url!r} is no address of HTTP"})
    return url, given
