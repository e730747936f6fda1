"""`endpoint`: another system that is told of what happens here, signed.

    siem = endpoint(
        "siem",
        "https://siem.example.com/newel",
        events=("access.*", "run.failed"),
        signed=StandardWebhooks(SecretRef("env:SIEM_SECRET")),
    )

Where data go is declared beside the processes, and so reviewed as they are: no key of the API can
send them elsewhere.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, Protocol, TypeAlias
from urllib.parse import urlsplit

from newel.base.errors import DefinitionError
from newel.domain.keys import checked_name
from newel.flow.act import declaring_module

__all__ = ["Endpoint", "Network", "Signer", "endpoint"]

Network: TypeAlias = IPv4Network | IPv6Network
_ALL: Final = "*"
_ADDRESS: Final = re.compile(r"https?://[^\s/?#@\\]+([/?][^\s#\\]*)?", re.ASCII)
_HOST: Final = re.compile(r"(?=.{1,253}$)([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
"""Of a host's name; letters of other alphabets are written as `xn--…`."""


class Signer(Protocol):
    """How a message proves that it comes from here."""

    def signed(self, identity: str, body: bytes, now: datetime) -> Mapping[str, str]:
        """Give the headers that prove it, by every secret that counts at present.

        Raises AuthFailed if no secret can be read, DefinitionError for one that signs nothing.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where messages go; made by `endpoint` in the module `place`.

    types: of the events it is told of. network: where its host may be besides the internet.
    """

    name: str
    url: str = field(repr=False)  # its path may be a secret
    events: tuple[str, ...]
    types: frozenset[str]
    signer: Signer
    owner: str
    network: Network | None
    place: str = ""

    @property
    def host(self) -> str:
        """The host that messages go to, with its port if that is not the usual one."""
        return urlsplit(self.url).netloc


def endpoint(
    name: str,
    url: str,
    /,
    *,
    events: Sequence[str],
    signed: Signer,
    owner: str = "it",
    network: str | None = None,
) -> Endpoint:
    """Declare where events are sent, and which: `run.completed`, `access.*`, or `*` for all.

    name: of the endpoint for ever. url: https. owner: the team that is asked when it fails for
    long. network: an inner network (`10.2.0.0/16`) in which the host may be, then over http, too;
    without one only public addresses are spoken to. Raises DefinitionError (F712).
    """
    return Endpoint(
        name=checked_name(name),
        url=_checked_url(url, is_inner=network is not None),
        events=(events,) if isinstance(events, str) else tuple(events),
        types=_types((events,) if isinstance(events, str) else events),
        signer=signed,
        owner=owner,
        network=None if network is None else _checked_network(network),
        place=declaring_module(),
    )


def _checked_url(url: str, *, is_inner: bool) -> str:
    schemes = {"https", "http"} if is_inner else {"https"}
    if not _ADDRESS.fullmatch(url) or url.partition(":")[0] not in schemes or not _has_host(url):
        # Not quoted: the path of such an address is often its secret.
        raise DefinitionError(
            "The address of an endpoint is not one that messages can be sent to.",
            fix="`https://host/path` in ASCII, without a user; http only inside a `network=`.",
            code="F712",
        )
    return url


def _has_host(url: str) -> bool:
    """Say whether a name can be looked up, or is an address, and the port is one."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        return bool(ip_address(host)) if ":" in host else _HOST.fullmatch(host) is not None
    except ValueError:
        return False


def _checked_network(text: str) -> Network:
    """Read an inner network; the addresses at which clouds keep their secrets are in none."""
    try:
        found = ip_network(text)
    except ValueError:
        found = None
    if found is None or found.is_link_local or found.is_multicast or found.prefixlen == 0:
        raise DefinitionError(
            f"`network={text!r}` is no inner network.",
            fix='an address and its length, such as `"10.2.0.0/16"`.',
            code="F712",
        )
    return found


def _types(events: Sequence[str]) -> frozenset[str]:
    """Give the types of events that are meant; raises DefinitionError for what means none."""
    from newel.audit.catalogue import TYPES  # noqa: PLC0415 - half of the time of `import newel`

    found: set[str] = set()
    for each in events:
        if each == _ALL:
            meant = set(TYPES)
        elif each.endswith(".*"):
            meant = {name for name in TYPES if name.startswith(each.removesuffix("*"))}
        else:
            meant = {each} & TYPES.keys()
        if not meant:
            near = difflib.get_close_matches(each, [*TYPES, *_families(TYPES)], n=1, cutoff=0.0)
            raise DefinitionError(
                f"There is no event `{each}` to be told of.",
                fix=f"did you mean `{near[0]}`? `newel webhooks events` lists them.",
                code="F712",
            )
        found |= meant
    if not found:
        raise DefinitionError(
            "An endpoint that is told of nothing is none.",
            fix='`events=("run.*",)`.',
            code="F712",
        )
    return frozenset(found)


def _families(types: Iterable[str]) -> list[str]:
    return sorted({f"{name.partition('.')[0]}.*" for name in types})
