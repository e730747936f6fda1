"""What lets somebody in: passwords, sessions, tokens of apps, app passwords, backup codes.

All of it is ended when somebody goes, in this order: the password, then the sessions, then what
needs no password. None of it can be brought back; what a person needs again, they set up again.
Source: connectors document, §8.1 and §11.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Final

from newel.base.errors import Forbidden, Invalid, OutcomeUnknown, StepError, Transient
from newel.base.secrets import Secret
from newel.connectors.answers import Route
from newel.connectors.contract import Shape
from newel.connectors.ensure import Ensured
from newel.connectors.google_base import GoogleBase
from newel.connectors.google_contract import (
    APP_PASSWORDS,
    APP_TOKENS,
    DELETE_PASSWORD,
    DELETE_TOKEN,
    DIRECTORY,
    GET_USER,
    INVALIDATE_CODES,
    LIST_PASSWORDS,
    LIST_TOKENS,
    SECURITY_SCOPE,
    SIGN_OUT,
    UPDATE_USER,
    USER_SCOPE,
    AppPasswords,
    AppTokens,
)
from newel.connectors.google_user import User
from newel.connectors.operation import operation
from newel.connectors.reveal_link import RevealLink
from newel.domain.people import Person
from newel.domain.values import Absent, Account
from newel.flow.context import ATTEMPT

__all__ = ["GoogleSecurity", "Issued"]

_NEEDS: Final = (USER_SCOPE, SECURITY_SCOPE)
_GONE: Final = "none: they sign in again, and set up what they need"

_signing_out: Final = partial(
    operation,
    idempotency="put",
    undo=_GONE,
    reversible="with_loss",
    bucket=DIRECTORY,
    needs=_NEEDS,
)


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A first password that was handed over: when, and in which message; never the password.

    at: None if there was nothing to do, because one was issued before or the account is in use.
    """

    system: str
    at: datetime | None
    message: str = ""


class GoogleSecurity(GoogleBase):
    """Ends what lets somebody in, and issues the password that first does."""

    async def _never_sure(self, person: Person) -> Absent:
        """In doubt a new password is issued: the newest one counts."""
        del self, person
        return Absent()

    @operation(
        natural_key="user/{person.email}/first-password",
        idempotency="put",
        undo="none: a password that was handed over is replaced by `forget_password`",
        reversible="no",
        sends_email="person",
        bucket=DIRECTORY,
        needs=(USER_SCOPE,),
        spec=(UPDATE_USER.operation,),
        reads=(GET_USER.operation,),
        verify=_never_sure,
        unclear="repeat",
        title="Issue a first Google password",
    )
    async def issue_password(self, person: Person) -> Issued:
        """Set a password for the first login and hand it over, both inside one attempt.

        Does nothing where one is waiting to be used, or the account is in use. A link that was
        not sent, or that nobody opened in time, counts as no password.
        """
        deliver = self._deliver
        if deliver is None:
            raise Forbidden(
                "Nothing is set up to hand over a password: give the connector `deliver=`, or "
                "set one in Google's administration and tell the person.",
                reason="blocked",
                operation=UPDATE_USER.operation,
            )
        if isinstance(deliver, RevealLink):
            deliver.check(person)
        user, _ = await self._need_own(person)
        if user.has_logged_in or await self._has_first_password(user, person):
            return Issued(system=self.name, at=None)
        secret = self._password()
        await self._update(user, {"password": secret, "changePasswordAtNextLogin": True})
        try:
            message = await deliver(person, Secret(secret))
        except StepError as failed:
            # The password is set and nobody has it: the next attempt must make another.
            raise OutcomeUnknown(
                f"The password is set and could not be handed over: {failed.message}"
            ) from failed
        self.reported(Ensured(user, changed=True, evidence="issued"), self._account(user))
        return Issued(system=self.name, at=self.clock.now(), message=message)

    @operation(
        natural_key="user/{person.email}/password",
        idempotency="put",
        undo="none: a new password is issued by `issue_password`",
        reversible="no",
        bucket=DIRECTORY,
        needs=(USER_SCOPE,),
        spec=(UPDATE_USER.operation,),
        reads=(GET_USER.operation,),
        title="Replace the Google password by one nobody knows",
    )
    async def forget_password(self, person: Person) -> Account:
        """Set a password that nobody knows."""
        return await self._ended(
            person, lambda user: self._update(user, {"password": self._password()})
        )

    @_signing_out(
        natural_key="user/{person.email}/sessions",
        spec=(SIGN_OUT.operation,),
        reads=(GET_USER.operation,),
        title="Sign out of Google everywhere",
    )
    async def sign_out(self, person: Person) -> Account:
        """End all sessions, on every device."""
        return await self._ended(person, lambda user: self.http.call(SIGN_OUT, {"key": user.id}))

    @_signing_out(
        natural_key="user/{person.email}/tokens",
        spec=(DELETE_TOKEN.operation,),
        reads=(GET_USER.operation, LIST_TOKENS.operation),
        title="End the access of apps to the Google account",
    )
    async def revoke_tokens(self, person: Person) -> Account:
        """End the access of every app, and see that none has it any more."""
        return await self._emptied(person, LIST_TOKENS, APP_TOKENS, DELETE_TOKEN)

    @_signing_out(
        natural_key="user/{person.email}/app-passwords",
        spec=(DELETE_PASSWORD.operation,),
        reads=(GET_USER.operation, LIST_PASSWORDS.operation),
        title="Delete the app passwords of the Google account",
    )
    async def revoke_app_passwords(self, person: Person) -> Account:
        """Delete every password that was made for an app, and see that none is left."""
        return await self._emptied(person, LIST_PASSWORDS, APP_PASSWORDS, DELETE_PASSWORD)

    @_signing_out(
        natural_key="user/{person.email}/codes",
        spec=(INVALIDATE_CODES.operation,),
        reads=(GET_USER.operation,),
        title="Invalidate the backup codes of the Google account",
    )
    async def invalidate_codes(self, person: Person) -> Account:
        """Make the printed backup codes worthless."""
        return await self._ended(
            person, lambda user: self.http.call(INVALIDATE_CODES, {"key": user.id})
        )

    # Requests ----------------------------------------------------------------------------------

    async def _has_first_password(self, user: User, person: Person) -> bool:
        """Whether a password was handed over that the person can still sign in with."""
        attempting = ATTEMPT.get()
        if not user.must_change_password or (attempting and attempting.info.follows_doubt):
            return False
        link = self._deliver if isinstance(self._deliver, RevealLink) else None
        return link is None or not await link.has_missed(person)

    async def _need_own(self, person: Person) -> tuple[User, str]:
        user, evidence = await self._own(person)
        if user is None:
            raise Invalid("There is no Google account to change.")
        return user, evidence

    async def _ended(self, person: Person, end: Callable[[User], Awaitable[object]]) -> Account:
        """End something that cannot be looked at; with the account gone it is gone too."""
        user, evidence = await self._own(person)
        if user is None:
            return self.gone(self.absent(person))
        await end(user)
        return self.reported(Ensured(user, changed=True, evidence=evidence), self._account(user))

    async def _emptied(
        self,
        person: Person,
        listing: Route,
        shape: Shape[AppTokens] | Shape[AppPasswords],
        deletion: Route,
    ) -> Account:
        """Delete every entry of a list, and read the list again."""
        user, evidence = await self._own(person)
        if user is None:
            return self.gone(self.absent(person))
        path = {"key": user.id}
        items = shape.read(await self.http.call(listing, path)).items
        for item in items:
            await self.http.call(
                deletion, {**path, "item": item.id}, expect=(HTTPStatus.NOT_FOUND,)
            )
        if items and shape.read(await self.http.call(listing, path)).items:
            raise Transient("Some of it was deleted and is still to be seen.")
        told = f"{evidence}, {len(items)} ended, verified absent"
        reached = Ensured(user, changed=bool(items), evidence=told)
        return self.reported(reached, self._account(user))
