"""Salesforce: users; their logins are in `salesforce_logins`, permission sets in `salesforce_sets`.

Users can be deactivated and frozen, never deleted; user names are unique across all of
Salesforce. Our mark stands in a field of the user; where that is an External-ID field, creating
is an upsert on it, so that two of them at once make one user.
Source: connectors document, §15.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Final

from newel.base.errors import (
    Forbidden,
    Invalid,
    OwnershipConflict,
)
from newel.connectors.base import Holding, marker_of, names_of
from newel.connectors.ensure import Adoption, Ensured, Exists, ensured
from newel.connectors.operation import operation
from newel.connectors.salesforce_base import text_of
from newel.connectors.salesforce_contract import (
    API,
    BLOCKED,
    CREATE_USER,
    FREEZE,
    MADE,
    QUERY,
    SETTLE,
    TAKEN,
    UPDATE_USER,
    UPSERT_USER,
    User,
)
from newel.connectors.salesforce_logins import SalesforceLogins
from newel.connectors.salesforce_sets import SalesforcePermissionSets
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["Salesforce"]

_USERS: Final = ("Manage Users",)


_on_user: Final = partial(
    operation,
    natural_key="user/{person.email}",
    bucket=API,
    needs=("Manage Users", "Freeze Users"),
    reads=(QUERY.operation,),
    settle=SETTLE,
)


class Salesforce(SalesforceLogins, SalesforcePermissionSets):
    """One Salesforce organization: users and permission sets."""

    # Accounts ----------------------------------------------------------------------------------

    async def accounts(self) -> AsyncIterator[Holding]:
        """Give every user with our mark and their permission sets, but those of their profile."""
        held: defaultdict[str, list[str]] = defaultdict(list)
        fields = "AssigneeId, PermissionSet.Name, PermissionSet.IsOwnedByProfile"
        for row in await self._rows(fields, "PermissionSetAssignment", {}):
            given = row.get("PermissionSet") or {}
            if given.get("IsOwnedByProfile") is not True:
                key = f"{self.name}:permission_set/{text_of(given, 'Name')}"
                held[text_of(row, "AssigneeId")].append(key)
        fields = f"Id, IsActive, Username, Email, {self._marker_field}"
        for row in await self._rows(fields, "User", {}):
            account = Account(
                system=self.name,
                id=text_of(row, "Id"),
                handle=text_of(row, "Username"),
                email=text_of(row, "Email"),
                state="active" if row.get("IsActive") is True else "suspended",
            )
            yield Holding(
                account=account,
                entitlements=(self.base_entitlement, *sorted(held[account.id])),
                marker=self._mark(row),
            )

    @operation(
        idempotency="read",
        natural_key="user/{person.email}",
        needs=("API Enabled",),
        reads=(QUERY.operation,),
        bucket=API,
        title="Look up the Salesforce account",
    )
    async def find(self, person: Person) -> Account | None:
        """Look for the user with the person's user name, whoever it belongs to."""
        found = await self._user(person)
        return None if found is None else self._account(person, found)

    async def at_address(self, person: Person) -> Holding | None:
        """Look for the user with our mark, or with the user name of a work address."""
        found = await self._user(person)
        if found is None:
            return None
        return Holding(account=self._account(person, found), marker=found.mark)

    @_on_user(
        idempotency="natural",
        grants="{system}:account",
        undo="deactivate",
        reversible="yes",
        sends_email="person",
        needs=_USERS,
        spec=(CREATE_USER.operation, UPSERT_USER.operation, UPDATE_USER.operation),
        title="Create the Salesforce account",
    )
    async def ensure_account(self, person: Person) -> Account:
        """Create their user with our mark; a deactivated one of theirs is reactivated."""
        marker = marker_of(person)
        try:
            reached = await ensured(
                look=lambda: self._user(person),
                ours=lambda user: user.evidence(marker),
                create=lambda: self._create(person, marker),
                differs=lambda user: {} if user.is_active else {"IsActive": True},
                change=self._change,
                settling=self.settling(*SETTLE),
                what="Salesforce account",
                adoption=Adoption(
                    is_unmarked=lambda user: not user.mark,
                    stamp=lambda user: self._change(user, {self._marker_field: marker}),
                    shown=_seen_from_outside,
                ),
            )
        except OwnershipConflict as conflict:
            if conflict.evidence != "exists but cannot be read":
                raise
            raise Invalid(
                "The user name is taken in another Salesforce organization.",
                fields={"Username": "is taken; set username_suffix, for instance .acme"},
                operation=CREATE_USER.operation,
            ) from conflict
        return self.reported(reached, self._account(person, reached.value))

    @_on_user(
        idempotency="put",
        revokes="{system}:account",
        undo="reactivate",
        reversible="yes",
        spec=(FREEZE.operation, UPDATE_USER.operation),
        title="Deactivate the Salesforce account",
    )
    async def deactivate(self, person: Person) -> Account:
        """Freeze the login at once, then deactivate the user.

        Raises Forbidden(blocked) if Salesforce still needs the user; the login stays frozen.
        """
        return await self._switched(person, is_active=False)

    @_on_user(
        idempotency="put",
        grants="{system}:account",
        undo="deactivate",
        reversible="yes",
        spec=(FREEZE.operation, UPDATE_USER.operation),
        title="Reactivate the Salesforce account",
    )
    async def reactivate(self, person: Person) -> Account:
        """Let a deactivated person in again."""
        return await self._switched(person, is_active=True)

    # Requests ----------------------------------------------------------------------------------

    async def _create(self, person: Person, marker: str) -> User:
        given, family = names_of(person)
        body: dict[str, object] = {
            "Username": self._login_name(person),
            "LastName": family,
            "Email": person.email,
            "Alias": person.email.partition("@")[0].replace(".", "")[:8],
            "ProfileId": self._profile_id,
            **self._locale,
        }
        if given != family:
            body["FirstName"] = given
        if self._marker_field.endswith("__c"):
            path = self._path(field=self._marker_field, value=marker)
            answer = await self.http.call(UPSERT_USER, path, body=body, expect=TAKEN)
        else:
            body[self._marker_field] = marker
            answer = await self.http.call(CREATE_USER, self._path(), body=body, expect=TAKEN)
        if answer.status != HTTPStatus.CREATED:  # taken, or an upsert met the mark elsewhere
            raise Exists
        name = self._login_name(person)
        return User(id=MADE.read(answer).id, is_active=True, mark=marker, name=name)

    async def _change(self, user: User, fields: Mapping[str, object]) -> User:
        await self.http.call(UPDATE_USER, self._path(id=user.id), body=dict(fields))
        is_active = fields.get("IsActive", user.is_active) is True
        mark = str(fields.get(self._marker_field, user.mark))
        return replace(user, is_active=is_active, mark=mark)

    async def _switched(self, person: Person, *, is_active: bool) -> Account:
        marker = marker_of(person)
        reached: Ensured[User] = await ensured(
            look=lambda: self._user(person),
            ours=lambda user: user.evidence(marker),
            create=None,
            differs=lambda user: {} if user.is_active is is_active else {"IsActive": is_active},
            change=self._deactivated if not is_active else self._reactivated,
            settling=self.settling(0),
            what="Salesforce account",
        )
        account = self._account(person, reached.value)
        return self.reported(reached, account, access="active" if is_active else "suspended")

    async def _deactivated(self, user: User, fields: Mapping[str, object]) -> User:
        """Freeze first: that works at once, whatever stands against deactivation."""
        await self._freeze(user, is_frozen=True)
        try:
            return await self._change(user, fields)
        except Invalid as refused:
            if refused.code not in BLOCKED:
                raise
            obstacles = "; ".join(refused.fields.values())
            raise Forbidden(
                "Salesforce still needs the user; the login is frozen. Hand over what they own, "
                f"then retry. {obstacles}".rstrip(),
                reason="blocked",
                code=refused.code,
                operation=UPDATE_USER.operation,
            ) from refused

    async def _reactivated(self, user: User, fields: Mapping[str, object]) -> User:
        changed = await self._change(user, fields)
        await self._freeze(user, is_frozen=False)
        return changed


def _seen_from_outside(user: User) -> tuple[str, ...]:
    """Say what helps to decide whose an account is."""
    return (
        "Look for its id in Salesforce's setup: Users.",
        "It is active." if user.is_active else "It is deactivated.",
    )
