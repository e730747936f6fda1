"""The way to one company at Gusto: its tokens, its scopes, and how a record is changed.

A refresh token serves once and is renewed with each token it brings. A record has a version, and a
change of it must name the one that was read.
Source: connectors document, §8 and §16; Gusto's API 2025-06-15.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import ClassVar, Final, Unpack

from newel.base.errors import StepError, Transient
from newel.base.secrets import Secret, SecretRef
from newel.connectors.answers import Answer
from newel.connectors.auth import REFUSED, BearerCredential, granted, revealed
from newel.connectors.base import Check, Connector, Outside, all_of
from newel.connectors.gate import Bucket, LimitHeaders
from newel.connectors.http import Credential, Http
from newel.connectors.payroll_contract import (
    API,
    INFO,
    RENEWED,
    STALE,
    TOKEN,
    TOKEN_INFO,
    judged,
    limits,
)
from newel.connectors.rotating import Keeper, Renewal, Renewed, RotatingCredential

__all__ = ["GustoBase", "on_its_version"]

SCOPES: Final = ("employees:read", "employees:manage")
JOB_SCOPES: Final = ("employees:read", "jobs:read", "jobs:write")
# Without the right to read pay, Gusto leaves out what is needed to change it.
PAY_SCOPES: Final = ("employees:read", "jobs:read", "compensations:read", "compensations:write")
EMPLOYMENT_SCOPES: Final = ("employees:read", "employments:read", "employments:write")
_ALL_SCOPES: Final = tuple(
    sorted({*SCOPES, "employees:write", *JOB_SCOPES, *PAY_SCOPES, *EMPLOYMENT_SCOPES})
)
STALE_VERSION: Final = (HTTPStatus.CONFLICT, STALE)
_ADVICE: Final = {
    "invalid_grant": (
        "The refresh token was used before, or was withdrawn: authorise newel in Gusto anew, and "
        "put the new refresh token where the old one stands."
    ),
    "invalid_client": "See whether the application's id and secret are those that Gusto shows.",
}


async def _exchanged(http: Http, renewal: Renewal, refresh: Secret) -> Renewed:
    """Spend a refresh token for a token and the next one."""
    secret = await revealed(renewal.client_secret)
    body = {
        "client_id": renewal.client_id,
        "client_secret": secret.reveal(),
        "grant_type": "refresh_token",
        "refresh_token": refresh.reveal(),
    }
    answer = await http.call(TOKEN, body=body, expect=REFUSED, is_signed=False)
    return granted(answer, RENEWED, http.now(), _ADVICE)


class GustoBase(Connector):
    """One company at Gusto, without its operations."""

    title = "Gusto"
    buckets: ClassVar = (Bucket(name=API, rate=160 / 60, capacity=40),)

    def __init__(
        self,
        *,
        company: str,
        token: SecretRef | Renewal,
        name: str = "gusto",
        base_url: str = "https://api.gusto.com",
        api_version: str = "2025-06-15",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for a company's id and a token of it, or what tokens are renewed with."""
        self._renewing: RotatingCredential | None = None
        credential: Credential
        if isinstance(token, Renewal):
            credential = self._renewing = RotatingCredential(token, _exchanged)
            secret = token.refresh_token
        else:
            credential, secret = BearerCredential(token), token
        super().__init__(
            name=name,
            secret=secret,
            credential=credential,
            addresses={"": base_url},
            headers={"X-Gusto-API-Version": api_version},
            request_id=("x-request-id",),
            **outside,
        )
        self.company = company

    def keep_tokens_in(self, keeper: Keeper) -> None:
        """Let a deployment keep the tokens, where they are renewed."""
        if self._renewing is not None:
            self._renewing.keep_in(keeper, self.credential)

    async def probe(self) -> None:
        """Ask what the token may do."""
        await self.http.call(TOKEN_INFO)

    async def check(self) -> Check:
        """Prove token and scopes."""
        have = tuple(INFO.read(await self.http.call(TOKEN_INFO)).scope.split())
        missing = all_of(_ALL_SCOPES, have)
        # A company that keeps pay or leaving to itself does without those scopes.
        is_workable = not all_of(SCOPES, have)
        return Check(ok=is_workable, identity=self.company, have=have, missing=missing)

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of Gusto."""
        return judged(answer)

    @staticmethod
    def limits(answer: Answer) -> LimitHeaders | None:
        """Read how many requests are left in this minute."""
        return limits(answer)


async def on_its_version(
    send: Callable[[str], Awaitable[Answer]],
    fresh: Callable[[], Awaitable[str]],
    version: str,
) -> Answer:
    """Send a change on the version that was read; if that is stale, once more on a fresh one."""
    answer = await send(version)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        answer = await send(await fresh())
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise Transient("Somebody else keeps changing the record.")
    return answer
