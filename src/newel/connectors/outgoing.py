"""Sending to an address that somebody has typed in, without reaching what is not meant for it.

An endpoint is a name on the internet. It is looked up once; every address it has must be public;
and the connection goes to the address that was looked at, so that a second answer of the name
server cannot lead anywhere else. https only, no redirection, nothing from the environment.
Source: connectors document, §20; RFC 6052 (NAT64), RFC 4291 §2.5.5.2 (mapped addresses).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final, Literal
from urllib.parse import urlsplit

import httpx2

from newel.base.clock import Clock
from newel.base.secrets import Secret
from newel.connectors.answers import Answer, Route, retry_after
from newel.connectors.webhooks import judged_delivery, signed

__all__ = ["Delivered", "Sender", "is_public"]

_TIMEOUT: Final = httpx2.Timeout(20.0, connect=5.0)
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_ROUTE: Final = Route("webhook", "POST", "/")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """How one attempt ended. refused: nothing was sent, the address may not be spoken to.

    retry_at: when the receiver wants the next attempt, if it says so.
    """

    verdict: Literal["accepted", "failed", "gone", "refused"]
    why: str
    status: int | None = None
    retry_at: datetime | None = None


def is_public(address: str) -> bool:
    """Say whether an address is on the public internet, whatever form it is written in."""
    found: IPv4Address | IPv6Address = ip_address(address)
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found.sixtofour is not None:
            found = found.sixtofour
        elif any(found in network for network in _NAT64):
            found = IPv4Address(int(found) & 0xFFFFFFFF)
    return found.is_global and not found.is_multicast


async def resolved(host: str, port: int) -> Sequence[str]:
    """Ask the name service once for all addresses of a host."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


class Sender:
    """Signs messages and posts them.

    allowed: hosts of the operator's own that may be private. resolve, transport: for tests.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        allowed: Collection[str] = (),
        resolve: Resolve = resolved,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._clock = clock
        self._allowed = frozenset(allowed)
        self._resolve = resolve
        self._transport = transport

    async def send(
        self, url: str, identity: str, body: bytes, secrets: Sequence[Secret]
    ) -> Delivered:
        """Make one attempt; raises nothing that the receiver could cause."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "https" or not host or parts.username is not None:
            return Delivered(verdict="refused", why="the address is not https, or names a user")
        try:
            address = await self._address(host, parts.port or 443)
        except OSError:
            return Delivered(verdict="failed", why="the name cannot be looked up")
        if address is None:
            return Delivered(verdict="refused", why="the address is not on the public internet")
        headers = {**signed(identity, body, secrets, self._clock.now()), "Host": parts.netloc}
        return await self._posted(url, host, address, headers, body)

    async def _address(self, host: str, port: int) -> str | None:
        """Choose the address to connect to; None if any of the name's is not public."""
        found = await self._resolve(host, port)
        if host not in self._allowed and not all(is_public(each) for each in found):
            return None
        return found[0] if found else None

    async def _posted(
        self, url: str, host: str, address: str, headers: Mapping[str, str], body: bytes
    ) -> Delivered:
        target = httpx2.URL(url).copy_with(host=address)
        request = httpx2.Request(
            "POST",
            target,
            headers={**headers, "Content-Type": "application/json"},
            content=body,
            # The certificate must be that of the name, although the connection is to a number.
            extensions={"sni_hostname": host, "timeout": _TIMEOUT.as_dict()},
        )
        try:
            async with httpx2.AsyncClient(
                transport=self._transport, follow_redirects=False, trust_env=False
            ) as client:
                response = await client.send(request, stream=True)
                await response.aclose()
        except httpx2.HTTPError as fault:
            return Delivered(verdict="failed", why=f"no answer ({type(fault).__name__})")
        wait = retry_after(Answer(_ROUTE, response.status_code, response.headers))
        asked = wait.get("retry_at")
        if (length := wait.get("retry_after")) is not None:
            asked = self._clock.now() + length
        verdict = judged_delivery(response.status_code)
        return Delivered(
            verdict=verdict,
            why=f"answered {response.status_code}",
            status=response.status_code,
            retry_at=asked,
        )
