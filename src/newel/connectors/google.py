"""Google Workspace: the accounts of the directory.

The account is made before the first day, suspended and with a password nobody knows, and carries
our mark from the moment it exists. A service account acts for an administrator; its key signs an
assertion for a token of an hour.
Source: connectors document, §11.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import ClassVar, Final, Unpack

import orjson

from newel.base.errors import AuthFailed, StepError
from newel.base.secrets import Secret, SecretRef
from newel.connectors.answers import Answer
from newel.connectors.auth import Assertion, FetchedCredential, Token, exchanged, revealed
from newel.connectors.base import Check, Connector, Outside, marker_of, names_of
from newel.connectors.ensure import Ensured, Exists, ensured, removed
from newel.connectors.gate import Bucket
from newel.connectors.google_contract import (
    DELETE_USER,
    DIRECTORY,
    GET_USER,
    INSERT_USER,
    LIST_USERS,
    MARKER_TYPE,
    SCOPE,
    TOKEN,
    UPDATE_USER,
    USERS,
    User,
    judged,
)
from newel.connectors.http import Http
from newel.connectors.operation import operation
from newel.domain.people import Person
from newel.domain.values import Access, Account

__all__ = ["Google"]

_SETTLE: Final = (0, 5, 15, 30, 60)
_LASTS: Final = timedelta(hours=1)
_NEEDS: Final = (SCOPE,)
_ADVICE: Final = {
    "unauthorized_client": f"Delegate the scope {SCOPE} to the service account.",
    "invalid email": "The administrator to act for does not exist or is suspended.",
    "account not found": "The service account does not exist.",
    "signature": "The key does not belong to the service account.",
}


def _unknown_password() -> str:
    """Make a password that nobody gets to know; the account is entered another way."""
    return secrets.token_urlsafe(48)


class Google(Connector):
    """One Google Workspace customer: accounts of people."""

    title = "Google Workspace"
    buckets: ClassVar = (Bucket(name=DIRECTORY, rate=32, capacity=64),)

    def __init__(
        self,
        *,
        service_account: SecretRef,
        admin: str,
        customer: str = "my_customer",
        org_unit: str = "/",
        name: str = "google",
        base_url: str = "https://admin.googleapis.com",
        token_url: str = "https://oauth2.googleapis.com/token",  # noqa: S107 - an address
        password: Callable[[], str] = _unknown_password,
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for a service account's key file that may act for an administrator.

        service_account: reference to the JSON key file. admin: address of the administrator.
        """
        super().__init__(
            name=name,
            secret=service_account,
            credential=FetchedCredential(self._fetched),
            addresses={"": base_url, "token": token_url.removesuffix("/token")},
            request_id=("x-goog-request-id",),
            **outside,
        )
        self.admin = admin
        self.customer = customer
        self.org_unit = org_unit
        self._service_account = service_account
        self._token_url = token_url
        self._password = password
        self._assertion = Assertion()

    async def probe(self) -> None:
        """List one user."""
        query = {"customer": self.customer, "maxResults": "1"}
        await self.http.call(LIST_USERS, query=query)

    async def check(self) -> Check:
        """Prove delegation by fetching a token for the scopes we use, and read with it."""
        try:
            await self.probe()
        except AuthFailed as refused:
            return Check(ok=False, missing=_NEEDS, notes=(str(refused),))
        return Check(ok=True, identity=self.admin, have=_NEEDS)

    @operation(
        idempotency="read",
        natural_key="user/{person.email}",
        needs=_NEEDS,
        reads=(GET_USER.operation,),
        bucket=DIRECTORY,
        title="Look up the Google account",
    )
    async def find(self, person: Person) -> Account | None:
        """Look for the account at the person's work address, whoever it belongs to."""
        found = await self._user(person)
        return None if found is None else self._account(found)

    @operation(
        natural_key="user/{person.email}",
        idempotency="natural",
        grants="{system}:account",
        undo="withdraw_account",
        reversible="yes",
        bucket=DIRECTORY,
        needs=_NEEDS,
        spec=(INSERT_USER.operation, UPDATE_USER.operation),
        reads=(GET_USER.operation,),
        settle=_SETTLE,
        title="Create the Google account",
    )
    async def ensure_account(self, person: Person, *, suspended: bool = False) -> Account:
        """Create their account with our mark, or find that it is there.

        suspended: make it suspended; an account that exists is never suspended from here.
        """
        marker = marker_of(person)
        reached = await ensured(
            look=lambda: self._user(person),
            ours=lambda user: user.evidence(marker),
            create=lambda: self._insert(person, marker, suspended=suspended),
            differs=lambda user: {"suspended": False} if user.suspended and not suspended else {},
            change=self._update,
            settling=self.settling(*_SETTLE),
            what="Google account",
        )
        return self._told(reached, prepared=suspended)

    @operation(
        natural_key="user/{person.email}",
        idempotency="put",
        grants="{system}:account",
        undo="suspend",
        reversible="yes",
        bucket=DIRECTORY,
        needs=_NEEDS,
        spec=(UPDATE_USER.operation,),
        reads=(GET_USER.operation,),
        settle=_SETTLE,
        title="Activate the Google account",
    )
    async def activate(self, person: Person) -> Account:
        """Let them in: end the suspension that the account was prepared with."""
        return self._told(await self._switched(person, suspended=False))

    @operation(
        natural_key="user/{person.email}",
        idempotency="put",
        revokes="{system}:account",
        undo="restore",
        reversible="yes",
        bucket=DIRECTORY,
        needs=_NEEDS,
        spec=(UPDATE_USER.operation,),
        reads=(GET_USER.operation,),
        settle=_SETTLE,
        title="Suspend the Google account",
    )
    async def suspend(self, person: Person) -> Account:
        """Lock the account; everything in it stays."""
        return self._told(await self._switched(person, suspended=True))

    @operation(
        natural_key="user/{person.email}",
        idempotency="put",
        grants="{system}:account",
        undo="suspend",
        reversible="yes",
        bucket=DIRECTORY,
        needs=_NEEDS,
        spec=(UPDATE_USER.operation,),
        reads=(GET_USER.operation,),
        settle=_SETTLE,
        title="Restore the Google account",
    )
    async def restore(self, person: Person) -> Account:
        """End a suspension."""
        return self._told(await self._switched(person, suspended=False))

    @operation(
        natural_key="user/{person.email}",
        idempotency="put",
        revokes="{system}:account",
        undo="none: an account deleted unused is made anew by ensure_account",
        reversible="with_loss",
        bucket=DIRECTORY,
        needs=_NEEDS,
        spec=(DELETE_USER.operation, UPDATE_USER.operation),
        reads=(GET_USER.operation,),
        settle=_SETTLE,
        title="Withdraw the Google account",
    )
    async def withdraw_account(self, person: Person) -> Account:
        """Delete an account that was never used, still suspended; suspend any other."""
        marker = marker_of(person)
        found = await self._user(person)
        if found is not None and (found.has_logged_in or not found.suspended):
            return self._told(await self._switched(person, suspended=True))
        reached = await removed(
            look=lambda: self._user(person),
            ours=lambda user: user.evidence(marker),
            remove=self._delete,
            settling=self.settling(*_SETTLE),
            what="Google account",
        )
        gone = Account(
            system=self.name,
            id=reached.value.id if reached.value else "",
            handle=person.email,
            email=person.email,
            state="absent",
        )
        return self.reported(reached, gone, access="revoked")

    # Requests ----------------------------------------------------------------------------------

    async def _user(self, person: Person) -> User | None:
        answer = await self.http.call(
            GET_USER, {"key": person.email}, expect=(HTTPStatus.NOT_FOUND,)
        )
        return None if answer.status == HTTPStatus.NOT_FOUND else USERS.read(answer)

    async def _insert(self, person: Person, marker: str, *, suspended: bool) -> User:
        given, family = names_of(person)
        body = {
            "primaryEmail": person.email,
            "name": {"givenName": given, "familyName": family},
            "password": self._password(),
            "externalIds": [{"type": MARKER_TYPE, "value": marker}],
            "orgUnitPath": self.org_unit,
            "suspended": suspended,
        }
        answer = await self.http.call(INSERT_USER, body=body, expect=(HTTPStatus.CONFLICT,))
        if answer.status == HTTPStatus.CONFLICT:
            raise Exists
        return USERS.read(answer)

    async def _update(self, user: User, fields: Mapping[str, object]) -> User:
        answer = await self.http.call(UPDATE_USER, {"key": user.id}, body=dict(fields))
        return USERS.read(answer)

    async def _delete(self, user: User) -> None:
        await self.http.call(DELETE_USER, {"key": user.id}, expect=(HTTPStatus.NOT_FOUND,))

    async def _switched(self, person: Person, *, suspended: bool) -> Ensured[User]:
        marker = marker_of(person)
        return await ensured(
            look=lambda: self._user(person),
            ours=lambda user: user.evidence(marker),
            create=None,
            differs=lambda user: {} if user.suspended is suspended else {"suspended": suspended},
            change=self._update,
            settling=self.settling(0),
            what="Google account",
        )

    def _told(self, reached: Ensured[User], *, prepared: bool = False) -> Account:
        """Report the account as it is now; prepared: a suspension before the first day."""
        account = self._account(reached.value)
        access: Access = "active"
        if account.state == "suspended":
            access = "prepared" if prepared else "suspended"
        return self.reported(reached, account, access=access)

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
        """Fetch a token for an hour with an assertion signed by the service account's key."""
        key = _key_file(await revealed(self._service_account))
        now = http.now()
        claims = {
            "iss": key["client_email"],
            "sub": self.admin,
            "scope": SCOPE,
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
        return judged(answer)


def _key_file(secret: Secret) -> dict[str, str]:
    try:
        document = orjson.loads(secret.reveal())
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict) or not {"client_email", "private_key"} <= document.keys():
        # Not chained: the cause quotes the file.
        raise AuthFailed("The service account's key file is not the JSON that Google hands out.")
    return {name: str(value) for name, value in document.items()}
