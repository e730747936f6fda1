"""Google Workspace: the accounts of the directory.

The account is made before the first day, suspended and with a password nobody knows, and carries
our mark from the moment it exists. Groups, what lets somebody in, and what is handed on at the end
are in the modules beside this one.
Source: connectors document, §11.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from typing import ClassVar, Final

from newel.base.errors import Invalid, NotReady
from newel.connectors.base import Holding, marker_of, names_of
from newel.connectors.ensure import Adoption, Ensured, Exists, ensured, removed
from newel.connectors.google_address import GoogleAddress
from newel.connectors.google_contract import (
    DELETE_USER,
    DIRECTORY,
    GET_USER,
    GROUP_SCOPE,
    INSERT_USER,
    LICENCE_PAGES,
    LICENCE_SCOPE,
    LIST_LICENCES,
    LIST_MEMBERS,
    LIST_USERS,
    MEMBER_PAGES,
    MEMBER_SCOPE,
    UNDELETE_USER,
    UPDATE_USER,
    USER_SCOPE,
)
from newel.connectors.google_groups import GoogleGroups, Group
from newel.connectors.google_handover import GoogleHandover, Transfer
from newel.connectors.google_security import GoogleSecurity, Issued
from newel.connectors.google_user import MARKER_TYPE, USER_PAGES, USERS, User
from newel.connectors.operation import operation
from newel.connectors.reserving import Address
from newel.domain.people import Person
from newel.domain.values import Access, Account

__all__ = ["Address", "Google", "Group", "Issued", "Transfer"]

_SETTLE: Final = (0, 5, 15, 30, 60)
_NEEDS: Final = (USER_SCOPE,)
_PAGE: Final = {"maxResults": "200"}


_on_user: Final = partial(
    operation,
    natural_key="user/{person.email}",
    bucket=DIRECTORY,
    needs=_NEEDS,
    reads=(GET_USER.operation,),
    settle=_SETTLE,
)


class Google(GoogleAddress, GoogleGroups, GoogleSecurity, GoogleHandover):
    """One Google Workspace customer: accounts of people, and what they have there."""

    nightly: ClassVar = ("find", "groups_of")

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

    @_on_user(
        idempotency="natural",
        grants="{system}:account",
        undo="withdraw_account",
        reversible="yes",
        spec=(INSERT_USER.operation, UPDATE_USER.operation),
        title="Create the Google account",
    )
    async def ensure_account(
        self, person: Person, *, suspended: bool = False, recovery_email: str = ""
    ) -> Account:
        """Create their account with our mark, or find that it is there.

        suspended: make it suspended; an account that exists is never suspended from here.
        recovery_email: a private address for a lost password; one that is set is left alone.
        """
        marker = marker_of(person)
        reached = await ensured(
            look=lambda: self._user(person),
            ours=lambda user: user.evidence(marker),
            create=lambda: self._insert(person, marker, recovery_email, suspended=suspended),
            differs=lambda user: {"suspended": False} if user.suspended and not suspended else {},
            change=self._update,
            settling=self.settling(*_SETTLE),
            what="Google account",
            adoption=Adoption(
                is_unmarked=lambda user: not user.marker,
                stamp=lambda user: self._update(user, {"externalIds": user.marked(marker)}),
                shown=self._seen_from_outside,
            ),
        )
        return self._told(reached, prepared=suspended)

    @_on_user(
        idempotency="put",
        grants="{system}:account",
        undo="suspend",
        reversible="yes",
        spec=(UPDATE_USER.operation,),
        title="Activate the Google account",
    )
    async def activate(self, person: Person) -> Account:
        """Let them in: end the suspension that the account was prepared with."""
        return self._told(await self._switched(person, suspended=False))

    @_on_user(
        idempotency="put",
        revokes="{system}:account",
        undo="restore",
        reversible="yes",
        spec=(UPDATE_USER.operation,),
        title="Suspend the Google account",
    )
    async def suspend(self, person: Person) -> Account:
        """Lock the account; everything in it stays. One that is gone lets nobody in."""
        if await self._user(person) is None:
            return self.gone(self.absent(person))
        return self._told(await self._switched(person, suspended=True))

    @_on_user(
        idempotency="put",
        grants="{system}:account",
        undo="suspend",
        reversible="yes",
        spec=(UPDATE_USER.operation,),
        title="Restore the Google account",
    )
    async def restore(self, person: Person) -> Account:
        """End a suspension."""
        return self._told(await self._switched(person, suspended=False))

    @_on_user(
        idempotency="put",
        revokes="{system}:account",
        undo="none: an account deleted unused is made anew by ensure_account",
        reversible="with_loss",
        spec=(DELETE_USER.operation, UPDATE_USER.operation),
        title="Withdraw the Google account",
    )
    async def withdraw_account(self, person: Person) -> Account:
        """Delete an account that was never used, still suspended; suspend any other."""
        found = await self._user(person)
        if found is not None and (found.has_logged_in or not found.suspended):
            return self._told(await self._switched(person, suspended=True))
        return await self._removed(person)

    @_on_user(
        idempotency="put",
        revokes="{system}:account",
        undo="undelete_account",
        reversible="until:20 days after the deletion",
        approval="delete an account for good",
        spec=(DELETE_USER.operation,),
        title="Delete the Google account",
    )
    async def delete_account(self, person: Person) -> Account:
        """Delete the account with all that is in it; what is to stay is transferred first."""
        return await self._removed(person)

    @_on_user(
        idempotency="put",
        grants="{system}:account",
        undo="suspend",
        reversible="yes",
        spec=(UNDELETE_USER.operation,),
        reads=(GET_USER.operation, LIST_USERS.operation),
        title="Bring the deleted Google account back",
    )
    async def undelete_account(self, person: Person) -> Account:
        """Bring a deleted account back, found by our mark; its groups and licences stay lost."""
        marker = marker_of(person)
        reached = await ensured(
            look=lambda: self._user(person),
            ours=lambda user: user.evidence(marker),
            create=lambda: self._undelete(person, marker),
            settling=self.settling(*_SETTLE),
            what="Google account",
        )
        return self._told(reached)

    async def _removed(self, person: Person) -> Account:
        marker = marker_of(person)
        reached = await removed(
            look=lambda: self._user(person),
            ours=lambda user: user.evidence(marker),
            remove=self._delete,
            settling=self.settling(*_SETTLE),
            what="Google account",
        )
        gone = self.absent(person, reached.value.id if reached.value else "")
        return self.reported(reached, gone, access="revoked")

    # Everybody ---------------------------------------------------------------------------------

    async def accounts(self) -> AsyncIterator[Holding]:
        """Give every account with its mark, its groups and its licences; reads only.

        Groups and licences are told as far as the scopes reach.
        """
        held = await self._entitlements()
        query = {"customer": self.customer, "maxResults": "500"}
        async for page in self._pages(LIST_USERS, USER_PAGES, query=query):
            for user in page.users:
                more = sorted(held[user.id] | held[user.email])
                yield Holding(
                    account=self._account(user),
                    entitlements=(self.base_entitlement, *more),
                    marker=user.marker,
                )

    async def _entitlements(self) -> defaultdict[str, set[str]]:
        """Give what accounts have beside themselves, by the user's id or address."""
        held: defaultdict[str, set[str]] = defaultdict(set)
        if {GROUP_SCOPE, MEMBER_SCOPE} <= set(self.scopes):
            async for group in self._groups("customer", self.customer):
                path = {"group": group.id}
                async for page in self._pages(LIST_MEMBERS, MEMBER_PAGES, path, query=_PAGE):
                    for member in page.members:
                        held[member.id].add(f"{self.name}:group/{group.address}")
        if LICENCE_SCOPE in self.scopes:
            query = {"customerId": self.customer, "maxResults": "1000"}
            for product in self.products:
                path = {"product": product}
                async for listed in self._pages(LIST_LICENCES, LICENCE_PAGES, path, query=query):
                    for licence in listed.items:
                        held[licence.user].add(f"{self.name}:licence/{licence.sku}")
        return held

    # Requests ----------------------------------------------------------------------------------

    async def _insert(
        self, person: Person, marker: str, recovery_email: str, *, suspended: bool
    ) -> User:
        given, family = names_of(person)
        body: dict[str, object] = {
            "primaryEmail": person.email,
            "name": {"givenName": given, "familyName": family},
            "password": self._password(),
            "externalIds": [{"type": MARKER_TYPE, "value": marker}],
            "orgUnitPath": self.org_unit,
            "suspended": suspended,
        }
        if recovery_email:
            body["recoveryEmail"] = recovery_email
        answer = await self.http.call(INSERT_USER, body=body, expect=(HTTPStatus.CONFLICT,))
        if answer.status == HTTPStatus.CONFLICT:
            raise Exists
        return USERS.read(answer)

    def _seen_from_outside(self, user: User) -> tuple[str, ...]:
        """Say what helps to decide whose an account is."""
        return (
            f"Look at it: {self._account(user).url}",
            "It is suspended." if user.suspended else "It is active.",
            f"It was last used on {user.last_login[:10]}."
            if user.has_logged_in
            else "Nobody has ever used it.",
        )

    async def _delete(self, user: User) -> None:
        await self.http.call(DELETE_USER, {"key": user.id}, expect=(HTTPStatus.NOT_FOUND,))

    async def _undelete(self, person: Person, marker: str) -> User:
        """Find the deleted user at the address, bring it back and show it."""
        query = {"customer": self.customer, "showDeleted": "true", "maxResults": "500"}
        async for page in self._pages(LIST_USERS, USER_PAGES, query=query):
            for user in page.users:
                if user.email == person.email and user.marker in {"", marker}:
                    return await self._back(user)
        raise Invalid("There is no deleted Google account of theirs that could be brought back.")

    async def _back(self, user: User) -> User:
        body = {"orgUnitPath": self.org_unit}
        await self.http.call(UNDELETE_USER, {"key": user.id}, body=body)
        found = await self._user_at(user.id)
        if found is None:
            raise NotReady("The account was brought back and is not to be seen yet.")
        return found

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
