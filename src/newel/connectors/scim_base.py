"""The way to one SCIM server: where it is, and what it says of itself.

Servers differ; what one says of itself is read once, and what it does not say is a quirk that is
set when the connector is made.
Source: connectors document, §18; RFC 7644, §4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final, Unpack

from newel.base.errors import Forbidden, StepError
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.auth import BearerCredential
from newel.connectors.base import Check, Connector, Outside
from newel.connectors.gate import Bucket
from newel.connectors.scim_contract import (
    API,
    CONFIG,
    CONFIGURATION,
    GROUPS,
    READ_GROUPS,
    READ_USERS,
    USERS,
    Config,
    Quirks,
    judged,
)

__all__ = ["LARGEST_PAGE", "ScimBase"]

LARGEST_PAGE: Final = 100


class ScimBase(Connector):
    """A SCIM server, and how it wants to be spoken to."""

    title = "SCIM"
    buckets: ClassVar = (Bucket(name=API, rate=5, capacity=10),)

    def __init__(
        self,
        *,
        base_url: str,
        token: SecretRef,
        name: str,
        quirks: Quirks | None = None,
        title: str = "SCIM",
        of: str = "",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for the address of the SCIM endpoints and a bearer token.

        title: the system's own name, for people. quirks: how its server differs. of: name of the
        connector whose access this is, where people come by SCIM and all else goes another way.
        """
        self.title = title
        self._quirks = quirks or Quirks()
        self._config: Config | None = None
        super().__init__(
            name=name,
            secret=token,
            credential=BearerCredential(token),
            addresses={"": base_url},
            headers={"Accept": "application/scim+json, application/json"},
            request_id=("x-request-id", "x-okta-request-id"),
            **outside,
        )
        self.access_system = of or name

    @property
    def base_entitlement(self) -> str:
        """The entitlement of having an account in the system that this makes accounts of."""
        return f"{self.access_system}:account"

    async def probe(self) -> None:
        """Ask for one user."""
        await self.http.call(USERS, query={"count": "1"})

    async def check(self) -> Check:
        """Prove token and reading, and learn what the server can do; writing shows when used."""
        config = await self._read_config()
        have, missing = [], []
        for route, permission in ((USERS, READ_USERS), (GROUPS, READ_GROUPS)):
            try:
                await self.http.call(route, query={"count": "1"})
                have.append(permission)
            except Forbidden:
                missing.append(permission)
        notes = ["Whether the token may write shows only when something is written."]
        if not config.filter.supported:
            notes.insert(0, "The server does not filter: nobody's account can be looked up.")
        able = ("patch", "filter", "etag", "bulk")
        return Check(
            ok=not missing and config.filter.supported,
            identity=self.name,
            have=tuple(have),
            missing=tuple(missing),
            capabilities=tuple(
                f"{self.name}.{each}" for each in able if getattr(config, each).supported
            ),
            quota=f"pages of at most {config.filter.most}",
            notes=tuple(notes),
        )

    async def _read_config(self) -> Config:
        self._config = CONFIGURATION.read(await self.http.call(CONFIG))
        return self._config

    async def dialect(self) -> Quirks:
        """Give the quirks, what was left open filled in by what the server says of itself."""
        quirks = self._quirks
        if None not in (quirks.patch_style, quirks.etag, quirks.page_size):
            return quirks
        said = self._config or await self._read_config()
        return replace(
            quirks,
            patch_style=quirks.patch_style or ("path" if said.patch.supported else "put"),
            etag=said.etag.supported if quirks.etag is None else quirks.etag,
            page_size=quirks.page_size or min(said.filter.most or LARGEST_PAGE, LARGEST_PAGE),
        )

    def headers(self, version: str | None = None) -> dict[str, str]:
        """Give the headers of a request with a body; version: only if it is still this one."""
        sent = {"Content-Type": self._quirks.content_type}
        return sent | ({"If-Match": version} if version else {})

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of the server."""
        return judged(answer)
