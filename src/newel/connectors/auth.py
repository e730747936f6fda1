"""Credentials: who puts what into a request, and what happens when it is refused.

A credential holds references to secrets, never secrets; it resolves them when a request leaves.
Tokens that are fetched stay in memory until a minute before they expire. A refused one is
forgotten and fetched once more; a second refusal is `AuthFailed`.
Source: connectors document, §8.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from newel.base.errors import AuthFailed
from newel.base.secrets import Secret, SecretRef
from newel.connectors.answers import Answer, Route
from newel.connectors.contract import Shape

if TYPE_CHECKING:
    from newel.connectors.http import Http

__all__ = [
    "Assertion",
    "BasicCredential",
    "BearerCredential",
    "FetchedCredential",
    "Granted",
    "KeyCredential",
    "PlainCredential",
    "Token",
    "clock_hints",
    "exchanged",
    "granted",
    "revealed",
]

T = TypeVar("T")
EARLY: Final = timedelta(seconds=60)


async def revealed(reference: SecretRef, *, fresh: bool = False) -> Secret:
    """Read a secret; a command, which may take seconds, in a thread."""
    if reference.scheme == "cmd":
        return await asyncio.to_thread(reference.resolve, fresh=fresh)
    return reference.resolve(fresh=fresh)


class _Static:
    """A credential that is a secret as it stands; renewed by reading its reference again."""

    def __init__(self, secret: SecretRef) -> None:
        self._secret = secret
        self._refused: Secret | None = None
        self._latest: Secret | None = None

    def renew(self) -> bool:
        """Read the reference afresh next time; worth it only if the bytes have changed."""
        self._refused = self._latest
        try:
            return self._secret.resolve(fresh=True) != self._refused
        except AuthFailed:
            return False

    async def _current(self) -> str:
        self._latest = await revealed(self._secret)
        return self._latest.reveal()


class BearerCredential(_Static):
    """`Authorization: Bearer` with a long-lived token."""

    async def headers(self, http: Http) -> Mapping[str, str]:  # noqa: ARG002 - the protocol's
        """Give the header."""
        return {"Authorization": f"Bearer {await self._current()}"}


class PlainCredential(_Static):
    """`Authorization` with nothing but the key, as Linear takes those of persons."""

    async def headers(self, http: Http) -> Mapping[str, str]:  # noqa: ARG002 - the protocol's
        """Give the header."""
        return {"Authorization": await self._current()}


class BasicCredential(_Static):
    """`Authorization: Basic` with a name and a secret, as API tokens of Atlassian are used."""

    def __init__(self, user: str, secret: SecretRef) -> None:
        super().__init__(secret)
        self._user = user

    async def headers(self, http: Http) -> Mapping[str, str]:  # noqa: ARG002 - the protocol's
        """Give the header. Source: RFC 7617."""
        pair = f"{self._user}:{await self._current()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


class KeyCredential(_Static):
    """`Authorization: Basic` with the secret as the name and a password without meaning."""

    async def headers(self, http: Http) -> Mapping[str, str]:  # noqa: ARG002 - the protocol's
        """Give the header. Source: RFC 7617."""
        pair = f"{await self._current()}:x".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


class Token:
    """A fetched token and the moment it expires; it prints nothing of itself."""

    __slots__ = ("expires_at", "secret")

    def __init__(self, text: str, expires_at: datetime) -> None:
        self.secret = Secret(text)
        self.expires_at = expires_at


class FetchedCredential:
    """A bearer token fetched with another credential and kept until shortly before it expires."""

    def __init__(self, fetch: Callable[[Http], Awaitable[Token]]) -> None:
        """fetch: a coroutine function that asks the token endpoint and gives a `Token`."""
        self._fetch = fetch
        self._token: Token | None = None

    def renew(self) -> bool:
        """Forget the token: the next request fetches another."""
        self._token = None
        return True

    async def headers(self, http: Http) -> Mapping[str, str]:
        """Give the header, fetching a token if there is none that lasts another minute."""
        token = self._token
        if token is None or token.expires_at - EARLY <= http.now():
            token = self._token = await self._fetch(http)
        return {"Authorization": f"Bearer {token.secret.reveal()}"}


class Assertion:
    """Signs what a service says about itself, for the JWT bearer grant.

    Source: RFC 7523 (JWT bearer grant), RFC 7515 (compact form), RFC 7518 §3.3 (RS256).
    """

    def __init__(self) -> None:
        self._key: tuple[Secret, RSAPrivateKey] | None = None

    def signed(self, claims: Mapping[str, object], pem: Secret, *, key_id: str = "") -> str:
        """Give the signed assertion; raises AuthFailed if the key is no RSA key."""
        header = {"alg": "RS256", "typ": "JWT"} | ({"kid": key_id} if key_id else {})
        signing = f"{_encoded(header)}.{_encoded(claims)}"
        signature = self._read(pem).sign(signing.encode(), PKCS1v15(), hashes.SHA256())
        return f"{signing}.{_base64(signature)}"

    def _read(self, pem: Secret) -> RSAPrivateKey:
        """Read the key once for as long as the secret is the same: parsing costs a millisecond."""
        if self._key is not None and self._key[0] == pem:
            return self._key[1]
        try:
            key = serialization.load_pem_private_key(pem.reveal().encode(), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, RSAPrivateKey):
            # Not chained: the cause may quote the key.
            raise AuthFailed(
                "The service's key cannot be used: it is no private RSA key in PEM form."
            ) from None
        self._key = (pem, key)
        return key


def _encoded(part: Mapping[str, object]) -> str:
    return _base64(orjson.dumps(part))


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class Granted:
    """What a token endpoint gives; the life of the token may be left out."""

    access_token: str
    expires_in: int | None = None
    instance_url: str = ""


@dataclass(frozen=True)
class _Refusal:
    error: str = ""
    error_description: str = ""


_GRANTED: Final = Shape(Granted)
_REFUSALS: Final = Shape(_Refusal)
REFUSED: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_MOST_SKEW: Final = timedelta(seconds=30)


async def exchanged(http: Http, route: Route, assertion: str, advice: Mapping[str, str]) -> Granted:
    """Exchange a signed assertion for a token.

    advice: what to do about a refusal, by a part of its code or text. Raises AuthFailed; if
    our clock differs from the endpoint's, that is said, because it is the likely cause.
    Source: RFC 7523, section 2.1.
    """
    form = {"grant_type": _GRANT, "assertion": assertion}
    answer = await http.call(route, form=form, expect=REFUSED, is_signed=False)
    return granted(answer, _GRANTED, http.now(), advice)


def granted(answer: Answer, shape: Shape[T], now: datetime, advice: Mapping[str, str]) -> T:
    """Read what a token endpoint answered. Raises AuthFailed, as `exchanged` does.

    Source: RFC 6749, sections 5.1 and 5.2.
    """
    if answer.status not in REFUSED:
        return shape.read(answer)
    refusal = _REFUSALS.read(answer)
    told = f"{refusal.error} {refusal.error_description}".lower()
    hints = [hint for part, hint in advice.items() if part in told]
    said = refusal.error or "no reason stated."
    raise AuthFailed(
        " ".join(["The system gives no token:", said, *clock_hints(answer, now), *hints]),
        status=answer.status,
        code=refusal.error or None,
        operation=answer.route.operation,
    )


def clock_hints(answer: Answer, now: datetime) -> tuple[str, ...]:
    """Say that our clock is not the system's, the usual cause of a refusal that names none."""
    skew = _skew(answer, now)
    if abs(skew) <= _MOST_SKEW:
        return ()
    return (f"This machine's clock is {skew.total_seconds():+.0f} s from theirs.",)


def _skew(answer: Answer, now: datetime) -> timedelta:
    """Say how far our clock is ahead of the Date of an answer; 0 if it has none."""
    try:
        return now - parsedate_to_datetime(answer.headers.get("date", ""))
    except (ValueError, TypeError):
        return timedelta(0)
