"""The way to one Google Workspace: its credential, its check, and how a person's account is found.

A service account acts for an administrator; its key signs an assertion for a token of an hour,
which covers exactly the scopes that the connector is told to use. One scope that is not delegated
refuses the whole token: `check()` then asks for each by itself and names those that are missing.
Source: connectors document, §8 and §11.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import ClassVar, Final, Protocol, TypeVar, Unpack

import orjson

from newel.base.errors import AuthFailed, DefinitionError, StepError
from newel.base.secrets import Secret, SecretRef
from newel.connectors import google_answers
from newel.connectors.answers import Answer, Route
from newel.connectors.auth import Assertion, FetchedCredential, Token, exchanged, revealed
from newel.connectors.base import Check, Connector, Outside, marker_of
from newel.connectors.contract import Shape
from newel.connectors.gate import Bucket
from newel.connectors.google_contract import (
    DIRECTORY,
    GET_USER,
    LICENCE_SCOPE,
    LIST_USERS,
    SCOPES,
    TOKEN,
    TRANSFER_SCOPE,
    UPDATE_USER,
)
from newel.connectors.google_user import USER_PAGES, USERS, User
from newel.connectors.http import Http
from newel.connectors.paging import pages
from newel.connectors.reveal_link import RevealLink, Safe
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["GoogleBase", "PasswordSink"]

_LASTS: Final = timedelta(hours=1)
_NOT_DELEGATED: Final = "unauthorized_client"
_ADVICE: Final = {
    _NOT_DELEGATED: "Delegate the scopes in use to the service account.",
    "invalid email": "The administrator to act for does not exist or is suspended.",
    "account not found": "The service account does not exist.",
    "signature": "The key does not belong to the service account.",
}

PasswordSink = Callable[[Person, Secret], Awaitable[str]]
"""Hands a first password to a person, and gives the id of the message; never keeps it."""


class _Paged(Protocol):
    """One page of a listing of Google; next: the token of the one behind it, or empty."""

    @property
    def next(self) -> str: ...


P = TypeVar("P", bound=_Paged)


def _unknown_password() -> str:
    """Make a password that nobody gets to know; the account is entered another way."""
    return secrets.token_urlsafe(48)


LICENSING: Final = "google.licensing"
TRANSFERRING: Final = "google.data_transfer"
_SCOPE_OF: Final = {TRANSFERRING: TRANSFER_SCOPE, LICENSING: LICENCE_SCOPE}


class GoogleBase(Connector):
    """One Google Workspace customer, without its operations."""

    title = "Google Workspace"
    buckets: ClassVar = (Bucket(name=DIRECTORY, rate=32, capacity=64),)

    def __init__(
        self,
        *,
        service_account: SecretRef,
        admin: str,
        customer: str = "my_customer",
        org_unit: str = "/",
        scopes: Sequence[str] = SCOPES,
        products: Sequence[str] = ("Google-Apps",),
        name: str = "google",
        base_url: str = "https://admin.googleapis.com",
        licensing_url: str = "https://licensing.googleapis.com",
        token_url: str = "https://oauth2.googleapis.com/token",  # noqa: S107 - an address
        password: Callable[[], str] = _unknown_password,
        deliver: PasswordSink | None = None,
        domain: str = "",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for a service account's key file that may act for an administrator.

        service_account: reference to the JSON key file. admin: address of the administrator.
        scopes: those delegated to the service account; operations beyond them are refused.
        products: whose licences `accounts` tells of. deliver: hands over first passwords, for
        instance `reveal_link(…)`. domain: of the addresses that `reserve_address` gives; the
        administrator's unless it is said.
        Raises DefinitionError for a scope that no operation needs.
        """
        super().__init__(
            name=name,
            secret=service_account,
            credential=FetchedCredential(self._fetched),
            addresses={
                "": base_url,
                "licensing": licensing_url,
                "token": token_url.removesuffix("/token"),
            },
            request_id=("x-goog-request-id",),
            **outside,
        )
        if unknown := [scope for scope in scopes if scope not in SCOPES]:
            raise DefinitionError(
                f"No operation of the connector `{name}` needs the scope {unknown[0]}.",
                fix=f"some of {', '.join(SCOPES)}.",
            )
        self.admin = admin
        self.customer = customer
        self.domain = domain or admin.partition("@")[2]
        self.org_unit = org_unit
        self.scopes = tuple(scopes)
        self.products = tuple(products)
        self._deliver = deliver
        self._service_account = service_account
        self._token_url = token_url
        self._password = password
        self._assertion = Assertion()

    def hand_over_through(self, safe: Safe) -> bool:
        """Put the deployment's safe behind the links that hand over passwords, if there are any."""
        if not isinstance(self._deliver, RevealLink):
            return False
        self._deliver = self._deliver.through(safe, system=self.name, title=self.title)
        return True

    async def probe(self) -> None:
        """List one user."""
        query = {"customer": self.customer, "maxResults": "1"}
        await self.http.call(LIST_USERS, query=query)

    async def check(self) -> Check:
        """Prove delegation by fetching a token for the scopes we use, and read with it."""
        query = {"customer": self.customer, "maxResults": "1"}
        try:
            answer = await self.http.call(LIST_USERS, query=query)
        except AuthFailed as refused:
            missing = await self._undelegated() if refused.code == _NOT_DELEGATED else ()
            have = tuple(scope for scope in self.scopes if scope not in missing)
            return Check(
                ok=False,
                have=have if missing else (),
                missing=missing,
                capabilities=_capable(have) if missing else None,
                notes=(str(refused),),
            )
        users = USER_PAGES.read(answer).users
        notes = tuple(f"The customer's id is {user.customer}." for user in users if user.customer)
        return Check(
            ok=True,
            identity=self.admin,
            have=self.scopes,
            capabilities=_capable(self.scopes),
            notes=notes[:1],
        )

    def declared_capabilities(self) -> Mapping[str, str]:
        """Licences and transfers, by the scopes that are delegated."""
        return {
            name: ""
            if scope in self.scopes
            else f"the scope {scope.rpartition('/')[2]} is not delegated to newel"
            for name, scope in _SCOPE_OF.items()
        }

    async def _undelegated(self) -> tuple[str, ...]:
        """Ask for a token of each scope by itself, and give the scopes that are refused."""
        refused = []
        for scope in self.scopes:
            try:
                await self._token_for(self.http, (scope,))
            except AuthFailed:
                refused.append(scope)
        return tuple(refused)

    # Requests ----------------------------------------------------------------------------------

    async def _user(self, person: Person) -> User | None:
        return await self._user_at(person.email)

    async def _user_at(self, key: str) -> User | None:
        answer = await self.http.call(GET_USER, {"key": key}, expect=(HTTPStatus.NOT_FOUND,))
        return None if answer.status == HTTPStatus.NOT_FOUND else USERS.read(answer)

    async def _own(self, person: Person) -> tuple[User | None, str]:
        """Give the person's account and why it is theirs; raises OwnershipConflict if it is not."""
        found = await self._user(person)
        return found, "" if found is None else found.evidence(marker_of(person))

    async def _update(self, user: User, fields: Mapping[str, object]) -> User:
        answer = await self.http.call(UPDATE_USER, {"key": user.id}, body=dict(fields))
        return USERS.read(answer)

    def _pages(
        self,
        route: Route,
        shape: Shape[P],
        path: Mapping[str, object] | None = None,
        *,
        query: Mapping[str, str],
    ) -> AsyncIterator[P]:
        """Give the pages of a listing, to its end."""

        async def read(token: str) -> tuple[P, str | None]:
            asked = {**query, "pageToken": token} if token else query
            page = shape.read(await self.http.call(route, path, query=asked))
            return page, page.next or None

        return pages(route.operation, read, "")

    def _account(self, user: User) -> Account:
        return Account(
            system=self.name,
            id=user.id,
            handle=user.email,
            email=user.email,
            state="suspended" if user.suspended else "active",
            url=f"https://admin.google.com/ac/users/{user.id}",
        )

    # Credential --------------------------------------------------------------------------------

    async def _fetched(self, http: Http) -> Token:
        return await self._token_for(http, self.scopes)

    async def _token_for(self, http: Http, scopes: Sequence[str]) -> Token:
        """Fetch a token for an hour with an assertion signed by the service account's key."""
        key = _key_file(await revealed(self._service_account))
        now = http.now()
        claims = {
            "iss": key["client_email"],
            "sub": self.admin,
            "scope": " ".join(scopes),
            "aud": self._token_url,
            "iat": int(now.timestamp()),
            "exp": int((now + _LASTS).timestamp()),
        }
        assertion = self._assertion.signed(
            claims, Secret(key["private_key"]), key_id=key.get("private_key_id", "")
        )
        granted = await exchanged(http, TOKEN, assertion, _ADVICE)
        lasts = timedelta(seconds=granted.expires_in or 0)
        return Token(granted.access_token, now + (lasts or _LASTS))

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of Google."""
        return google_answers.judged(answer)


def _key_file(secret: Secret) -> dict[str, str]:
    try:
        document = orjson.loads(secret.reveal())
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict) or not {"client_email", "private_key"} <= document.keys():
        # Not chained: the cause quotes the file.
        raise AuthFailed("The service account's key file is not the JSON that Google hands out.")
    return {name: str(value) for name, value in document.items()}


def _capable(scopes: Sequence[str]) -> tuple[str, ...]:
    """What scopes allow beyond accounts and groups."""
    return tuple(name for name, scope in _SCOPE_OF.items() if scope in scopes)
