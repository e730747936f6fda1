"""Sending to an address that somebody has typed in, without reaching what is not meant for it.

An endpoint is a name on the internet. It is looked up once; every address it has must be public,
or in the inner network that was declared with it; and the connection goes to an address that was
looked at, so that a second answer of the name server cannot lead anywhere else. Where no connection
comes about, the next address is tried, IPv6 and IPv4 in turn: nothing was sent yet. No redirection,
nothing from the environment; of an answer only its status and what it says of when to come again.
Source: connectors document, §20; RFC 6052 (NAT64), RFC 4291 §2.5.5.2 (mapped addresses),
RFC 8305 §4 (families in turn), IANA's register of IPv6 addresses (2000::/3 is given out).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import zip_longest
from typing import Final, Literal
from urllib.parse import urlsplit

import httpx2

from newel.audit.cloudevents import MEDIA_TYPE
from newel.base.errors import AuthFailed, DefinitionError
from newel.connectors.answers import Answer, Route, retry_after
from newel.connectors.trust import public_authorities
from newel.connectors.webhooks import judged_delivery
from newel.flow.endpoints import Endpoint, Network

__all__ = ["Delivered", "Sender", "is_public", "resolved"]

_TOTAL_S: Final = 20.0
_CONNECT_S: Final = 5.0
_CONNECTING_S: Final = 10.0
"""For all addresses together, so that half of the time is left for the answer."""
_MOST_ADDRESSES: Final = 8
_NAT64: Final = IPv6Network("64:ff9b::/96")
_RELAY: Final = IPv4Network("192.88.99.0/24")
_INTERNET: Final = IPv6Network("2000::/3")
_NEVER: Final = tuple(
    IPv6Network(each) for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
"""Of the addresses that are given out: tunnels, and what stands in documentation."""
_LOOKUPS: Final = ThreadPoolExecutor(max_workers=8, thread_name_prefix="newel-lookup")
"""A look-up cannot be cut off: one that hangs must not hold up those of the systems in use."""
_ROUTE: Final = Route("webhook", "POST", "/")
_NO_ADDRESS: Final = "the name has no address"

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
        inner = found.ipv4_mapped
        if inner is None and found in _NAT64:
            inner = IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is None:
            # Only what has been given out: an old notation may carry an inner address anywhere.
            return found in _INTERNET and not any(found in each for each in _NEVER)
        found = inner
    return found.is_global and not found.is_multicast and found not in _RELAY


async def resolved(host: str, port: int) -> Sequence[str]:
    """Ask the name service once for all addresses of a host."""
    loop = asyncio.get_running_loop()
    asks = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await loop.run_in_executor(_LOOKUPS, asks)
    return [str(each[4][0]) for each in found]


class Sender:
    """Posts signed messages; resolve, transport: for tests."""

    def __init__(
        self,
        *,
        resolve: Resolve = resolved,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._resolve = resolve
        self._transport = transport

    async def send(
        self, endpoint: Endpoint, body: bytes, *, identity: str, now: datetime
    ) -> Delivered:
        """Make one attempt; raises nothing that the receiver or a secret could cause.

        identity: of the message, the same in every attempt. now: of this attempt.
        """
        try:
            # A secret may be read by a command.
            proof = await asyncio.to_thread(endpoint.signer.signed, identity, body, now)
        except (AuthFailed, DefinitionError, ValueError):
            return Delivered(verdict="failed", why="none of its secrets can be used")
        try:
            async with asyncio.timeout(_TOTAL_S):
                addresses = await self._addresses(endpoint)
                if not addresses:
                    return Delivered(verdict="refused", why=_refused(endpoint))
                return await self._posted(endpoint, addresses, proof, body, now)
        except TimeoutError:
            return Delivered(verdict="failed", why="no answer in time")
        except (OSError, ValueError):  # the latter for a name that cannot be one
            return Delivered(verdict="failed", why="its name cannot be looked up")

    async def _addresses(self, endpoint: Endpoint) -> Sequence[str]:
        """Give the addresses to try; none if any of the name's may not be spoken to.

        Raises OSError for a name that has none.
        """
        parts = urlsplit(endpoint.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = await self._resolve(parts.hostname or "", port)
        if not found:
            raise OSError(_NO_ADDRESS)
        may_leave = parts.scheme == "https"  # in clear it is read by whoever is on the way
        if not all(
            (may_leave and is_public(each)) or _is_inside(each, endpoint.network) for each in found
        ):
            return ()
        return _in_turn(found)[:_MOST_ADDRESSES]

    async def _posted(
        self,
        endpoint: Endpoint,
        addresses: Sequence[str],
        proof: Mapping[str, str],
        body: bytes,
        now: datetime,
    ) -> Delivered:
        """Post to the first address that takes a connection; raises nothing of HTTP."""
        url = httpx2.URL(endpoint.url)
        each_s = min(_CONNECT_S, _CONNECTING_S / len(addresses))
        why = ""
        async with httpx2.AsyncClient(
            transport=self._transport,
            verify=public_authorities(),
            follow_redirects=False,
            trust_env=False,
        ) as client:
            for address in addresses:
                request = httpx2.Request(
                    "POST",
                    url.copy_with(host=address),
                    headers={**proof, "Host": url.netloc.decode(), "Content-Type": MEDIA_TYPE},
                    content=body,
                    # The certificate must be that of the name, although the connection is to a
                    # number.
                    extensions={
                        "sni_hostname": url.raw_host.decode(),
                        "timeout": httpx2.Timeout(_TOTAL_S, connect=each_s).as_dict(),
                    },
                )
                try:
                    response = await client.send(request, stream=True)
                    await response.aclose()
                except (httpx2.ConnectError, httpx2.ConnectTimeout) as fault:
                    why = type(fault).__name__  # nothing was sent: the next one may be tried
                except httpx2.HTTPError as fault:
                    return Delivered(verdict="failed", why=f"no answer ({type(fault).__name__})")
                else:
                    return _answered(response, now)
        return Delivered(verdict="failed", why=f"no answer ({why})")


def _answered(response: httpx2.Response, now: datetime) -> Delivered:
    """Judge an answer by its status, and read when the receiver wants the next attempt."""
    wait = retry_after(Answer(_ROUTE, response.status_code, response.headers))
    asked = wait.get("retry_at")
    if (length := wait.get("retry_after")) is not None:
        asked = now + length
    return Delivered(
        verdict=judged_delivery(response.status_code),
        why=f"answered {response.status_code}",
        status=response.status_code,
        retry_at=asked,
    )


def _in_turn(addresses: Sequence[str]) -> list[str]:
    """Order addresses, each once: the families in turn, that of the first one first."""
    each_once = list(dict.fromkeys(addresses))
    first = ip_address(each_once[0]).version
    mine = [each for each in each_once if ip_address(each).version == first]
    others = [each for each in each_once if ip_address(each).version != first]
    pairs = zip_longest(mine, others)
    return [each for pair in pairs for each in pair if each is not None]


def _refused(endpoint: Endpoint) -> str:
    if urlsplit(endpoint.url).scheme == "https":
        return "its address is not on the public internet"
    return "its address is not in its inner network, and http goes nowhere else"


def _is_inside(address: str, network: Network | None) -> bool:
    """Say whether an address is in the inner network that was declared with its host."""
    return network is not None and ip_address(address) in network
