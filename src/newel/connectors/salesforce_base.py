"""The way to one Salesforce organization: its credential, its check, and how it is asked.

Source: connectors document, §8 and §15.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final, Literal, Unpack

from newel.base.errors import (
    ContractDrift,
    DefinitionError,
    StepError,
)
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.auth import Assertion, FetchedCredential, Token, exchanged, revealed
from newel.connectors.base import Check, Connector, Outside
from newel.connectors.gate import Bucket, LimitHeaders
from newel.connectors.http import REQUESTS, STOPS_AT, Http
from newel.connectors.paging import pages
from newel.connectors.room import Room
from newel.connectors.salesforce_contract import (
    ALL_LIMITS,
    API,
    LICENCES,
    LIMITS,
    PERMISSIONS,
    QUERY,
    QUERY_MORE,
    ROWS,
    TOKEN,
    DailyUse,
    Rows,
    judged,
    limits,
    selected,
)

__all__ = ["SalesforceBase", "text_of"]

_ASSERTION_LASTS: Final = timedelta(minutes=3)
_TOKEN_LASTS: Final = timedelta(minutes=30)
_FEW_REQUESTS: Final = 1 / 9
"""Told at four fifths of the day: a ninth of what is not kept back."""
_ADVICE: Final = {
    "approved this consumer": "Pre-authorize the user: 'Admin approved users'.",
    "audience is invalid": "The login address must be that of the organization.",
    "expired authorization": "The assertion came too late: compare the clocks.",
    "invalid_client": "The consumer key is not known.",
}
_LOCALE: Final = {
    "TimeZoneSidKey": "Europe/Berlin",
    "LocaleSidKey": "en_US",
    "EmailEncodingKey": "UTF-8",
    "LanguageLocaleKey": "en_US",
}


class SalesforceBase(Connector):
    """One Salesforce organization, without its operations."""

    title = "Salesforce"
    buckets: ClassVar = (Bucket(name=API, rate=10, capacity=25),)

    def __init__(
        self,
        *,
        client_id: str,
        username: str,
        key: SecretRef,
        profile_id: str,
        marker_field: str = "FederationIdentifier",
        username_suffix: str = "",
        locale: Mapping[str, str] = _LOCALE,
        name: str = "salesforce",
        base_url: str = "https://login.salesforce.com",
        api_version: str = "v62.0",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for a connected app's consumer key and the private key of its certificate.

        base_url: where tokens come from; requests go to the address the token names.
        marker_field: a custom External-ID field (`…__c`) is used for upserts.
        username_suffix: put behind the address where user names are taken elsewhere.
        """
        super().__init__(
            name=name,
            secret=key,
            credential=FetchedCredential(self._fetched),
            addresses={"": base_url, "login": base_url},
            request_id=("x-request-id",),
            **outside,
        )
        if not marker_field.isidentifier():
            raise DefinitionError(
                f"{marker_field!r} is no field of Salesforce's users.",
                fix="the API name of the field, for instance Newel_Id__c.",
            )
        self._client_id = client_id
        self._username = username
        self._key = key
        self._profile_id = profile_id
        self._marker_field = marker_field
        self._suffix = username_suffix
        self._locale = dict(locale)
        self._audience = base_url.rstrip("/")
        self._version = api_version
        self._assertion = Assertion()

    async def probe(self) -> None:
        """Ask for the limits."""
        await self.http.call(LIMITS, self._path())

    async def check(self) -> Check:
        """Prove the key and the permissions of the user it acts for."""
        daily = await self._daily()
        (own, *_) = await self._rows(", ".join(PERMISSIONS), "UserPermissionAccess", {})
        have = tuple(name for field, name in PERMISSIONS.items() if own.get(field) is True)
        missing = tuple(name for name in PERMISSIONS.values() if name not in have)
        free = [f"{each.left} licences free" for each in await self._licences()]
        left = f"{daily.remaining} of {daily.most} requests left today"
        return Check(
            ok=not missing,
            identity=self._username,
            have=have,
            missing=missing,
            quota=", ".join((left, *free)),
        )

    async def capacity(self) -> tuple[Room, ...]:
        """Read what is left of the day's requests, and of the licences that full users take.

        The last tenth of the requests counts as used: it is kept for what cuts access, and then
        licences are not asked for.
        """
        daily = await self._daily()
        requests = Room(
            what=REQUESTS,
            most=int(daily.most * STOPS_AT),
            used=daily.most - daily.remaining,
            few=_FEW_REQUESTS,
        )
        return (requests, *(await self._licences() if requests.left else ()))

    async def _daily(self) -> DailyUse:
        return ALL_LIMITS.read(await self.http.call(LIMITS, self._path())).daily

    async def _licences(self) -> tuple[Room, ...]:
        fields = "Name, TotalLicenses, UsedLicenses"
        rows = await self._rows(fields, "UserLicense", {"Name": "Salesforce"})
        return tuple(
            Room(
                what=LICENCES, most=_number(row, "TotalLicenses"), used=_number(row, "UsedLicenses")
            )
            for row in rows
        )

    # Requests ----------------------------------------------------------------------------------

    def _path(self, **more: str) -> dict[str, object]:
        return {"version": self._version, **more}

    async def _rows(
        self,
        fields: str,
        kind: str,
        conditions: Mapping[str, str],
        joint: Literal["AND", "OR"] = "AND",
    ) -> tuple[dict[str, Any], ...]:  # Any: see Rows
        query = {"q": selected(fields, kind, conditions, joint)}

        async def read(cursor: str) -> tuple[Rows, str | None]:
            if cursor:
                answer = await self.http.call(QUERY_MORE, self._path(cursor=cursor))
            else:
                answer = await self.http.call(QUERY, self._path(), query=query)
            page = ROWS.read(answer)
            return page, page.more.rpartition("/")[2] if page.more else None

        found = [page.records async for page in pages("query", read, "")]
        return tuple(itertools.chain.from_iterable(found))

    def _mark(self, row: dict[str, Any]) -> str:  # Any: see Rows
        return str(row.get(self._marker_field) or "")

    # Credential --------------------------------------------------------------------------------

    async def _fetched(self, http: Http) -> Token:
        """Fetch a token with an assertion; requests then go to the address it names."""
        now = http.now()
        claims = {
            "iss": self._client_id,
            "sub": self._username,
            "aud": self._audience,
            "exp": int((now + _ASSERTION_LASTS).timestamp()),
        }
        assertion = self._assertion.signed(claims, await revealed(self._key))
        granted = await exchanged(http, TOKEN, assertion, _ADVICE)
        http.addresses.move("", granted.instance_url or self._audience, trusted=_is_theirs)
        lasts = timedelta(seconds=granted.expires_in or 0)
        return Token(granted.access_token, now + (lasts or _TOKEN_LASTS))

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of Salesforce."""
        return judged(answer)

    @staticmethod
    def limits(answer: Answer) -> LimitHeaders | None:
        """Read how much of the day's requests is used."""
        return limits(answer)


def _is_theirs(host: str) -> bool:
    return host.endswith((".salesforce.com", ".force.com"))


def _number(row: dict[str, Any], name: str) -> int:  # Any: see Rows
    value = row.get(name)
    return value if isinstance(value, int) else 0


def text_of(row: dict[str, Any], name: str) -> str:  # Any: see Rows
    """Give a text that a query has asked for; raises ContractDrift where there is none."""
    value = row.get(name)
    if not isinstance(value, str):
        raise ContractDrift(
            f"A row of Salesforce lacks its `{name}`.",
            expected=f"{name}: str",
            seen=f"{name}: {type(value).__name__}",
            operation=QUERY.operation,
        )
    return value
