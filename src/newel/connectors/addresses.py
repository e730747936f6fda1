"""Where requests of one system may go: its base addresses, and no host but theirs.

Only https leaves the machine; plain http is spoken to this machine alone. An address that an
answer gives (a page's link, the instance a token names) is believed only as far as its host.
Source: connectors document, §3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import quote, urlencode, urlsplit

from newel.base.errors import ContractDrift, DefinitionError, Forbidden
from newel.connectors.answers import Route

__all__ = ["Addresses", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Say whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Addresses:
    """The base addresses of one connector, by name; "" is the main one."""

    def __init__(self, connector: str, addresses: Mapping[str, str]) -> None:
        """Take them; raises DefinitionError for one over which a credential would be read."""
        self._connector = connector
        self._bases = {name: url.rstrip("/") for name, url in addresses.items()}
        self._hosts = {self._host_of(url) for url in self._bases.values()}

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that requests may go to, sorted; with the port, where one was named."""
        return tuple(sorted(self._hosts))

    def move(self, name: str, url: str, *, trusted: Callable[[str], bool]) -> None:
        """Take another base address that the system itself has named, if its host is trusted."""
        host = self._host_of(url)
        if host not in self._hosts and not trusted(urlsplit(url).hostname or ""):
            raise Forbidden(
                "The system names an address outside its own hosts; nothing is sent there.",
                reason="blocked",
            )
        self._hosts.add(host)
        self._bases[name] = url.rstrip("/")

    def of(
        self,
        route: Route,
        path: Mapping[str, object] | None,
        query: Mapping[str, str] | None,
        url: str | None,
    ) -> str:
        """Give the address of a request; url: a whole one that an answer gave."""
        if url is not None:
            if self._host_of(url) not in self._hosts:
                raise ContractDrift(
                    "The answer points to another host; nothing is sent there",
                    operation=route.operation,
                    expected="a link on the system's own host",
                    seen="another host",
                )
            return url
        filled = route.path
        if path:
            values = {name: quote(str(value), safe="") for name, value in path.items()}
            filled = route.path.format_map(values)
        target = self._bases[route.host] + filled
        return f"{target}?{urlencode(query, quote_via=quote)}" if query else target

    def _host_of(self, url: str) -> str:
        """Give the host of an address that may be spoken to at all."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
            return f"{host}:{parts.port}" if parts.port else host
        raise DefinitionError(
            f"The connector `{self._connector}` has the address {parts.scheme}://{host}: "
            "credentials would travel in the open.",
            fix="an https address; plain http only to this machine.",
        )
