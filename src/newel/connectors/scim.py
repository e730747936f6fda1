"""Any directory that speaks SCIM 2.0: accounts and groups.

Our mark is `externalId`. How servers differ stands in `scim_base`, their groups in `scim_groups`.
Source: connectors document, §18; RFC 7644.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Final

from newel.base.errors import (
    ContractDrift,
    NotReady,
    OwnershipConflict,
    Transient,
)
from newel.connectors.answers import Answer
from newel.connectors.base import Holding, marker_of, names_of
from newel.connectors.ensure import Adoption, Exists, ensured, removed
from newel.connectors.operation import operation
from newel.connectors.paging import pages, place_after
from newel.connectors.scim_base import LARGEST_PAGE
from newel.connectors.scim_contract import (
    API,
    CONFIG,
    CORE_USER,
    CREATE_USER,
    DELETE_USER,
    ONE_USER,
    PAGE_OF_USERS,
    PATCH_USER,
    READ_USERS,
    REPLACE_USER,
    USER,
    USERS,
    WRITE_USERS,
    Quirks,
    User,
    Users,
    equal,
    replacing,
)
from newel.connectors.scim_groups import ScimGroups
from newel.domain.people import Person
from newel.domain.values import Access, Account

__all__ = ["Quirks", "Scim"]

_SETTLE: Final = (0, 2, 5)
_STALE: Final = HTTPStatus.PRECONDITION_FAILED


_on_account: Final = partial(
    operation,
    natural_key="account/{person.email}",
    path="scim",
    bucket=API,
    needs=(READ_USERS, WRITE_USERS),
    reads=(CONFIG.operation, USERS.operation, USER.operation),
    settle=_SETTLE,
)


class Scim(ScimGroups):
    """One directory behind SCIM: accounts and groups."""

    # Accounts ----------------------------------------------------------------------------------

    @operation(
        idempotency="read",
        natural_key="account/{person.email}",
        path="scim",
        needs=(READ_USERS,),
        reads=(USERS.operation,),
        bucket=API,
        title="Look up the account",
    )
    async def find(self, person: Person) -> Account | None:
        """Look for the account with the person's address, whoever it belongs to."""
        found = await self._user(person)
        return None if found is None else self._account(person, found)

    async def at_address(self, person: Person) -> Holding | None:
        """Look for the account at a work address, with its mark."""
        found = await self._user(person)
        return None if found is None else self._holding(found)

    @_on_account(
        idempotency="natural",
        grants="{system}:account",
        undo="deactivate",
        reversible="yes",
        spec=(CREATE_USER.operation, PATCH_USER.operation, REPLACE_USER.operation),
        title="Create the account",
    )
    async def ensure_account(self, person: Person) -> Account:
        """Create their account with our mark; a deactivated one of theirs is reactivated."""
        return await self._ensured(person, create=lambda: self._create(person), is_active=True)

    @_on_account(
        idempotency="put",
        revokes="{system}:account",
        undo="reactivate",
        reversible="yes",
        spec=(PATCH_USER.operation, REPLACE_USER.operation),
        title="Deactivate the account",
    )
    async def deactivate(self, person: Person) -> Account:
        """Shut their account; what is in it stays."""
        return await self._ensured(person, create=None, is_active=False)

    @_on_account(
        idempotency="put",
        grants="{system}:account",
        undo="deactivate",
        reversible="yes",
        spec=(PATCH_USER.operation, REPLACE_USER.operation),
        title="Reactivate the account",
    )
    async def reactivate(self, person: Person) -> Account:
        """Open a deactivated account again."""
        return await self._ensured(person, create=None, is_active=True)

    @_on_account(
        idempotency="put",
        revokes="{system}:account",
        undo="none: what was deleted is gone",
        reversible="no",
        approval="delete an account for good",
        spec=(DELETE_USER.operation,),
        reads=(USERS.operation,),
        title="Delete the account",
    )
    async def delete_account(self, person: Person) -> Account:
        """Delete their account for good; some servers only deactivate it."""
        marker = marker_of(person)
        reached = await removed(
            look=lambda: self._undeleted(person),
            ours=lambda user: user.evidence(marker),
            remove=self._delete,
            settling=self.settling(*_SETTLE),
            what="account",
        )
        gone = self.absent(person, reached.value.id if reached.value else "")
        return self.reported(reached, gone, access="revoked", path="scim")

    async def accounts(self) -> AsyncIterator[Holding]:
        """Give all accounts of the directory with their groups, page by page; changes nothing."""
        config = await self.dialect()
        size = config.page_size or LARGEST_PAGE

        async def read(start: int) -> tuple[Users, int | None]:
            query = {"startIndex": str(start), "count": str(size)}
            page = PAGE_OF_USERS.read(await self.http.call(USERS, query=query))
            return page, place_after(start, len(page.resources), page.total + 1)

        async for page in pages(USERS.operation, read, 1):
            for user in page.resources:
                yield self._holding(user)

    def _holding(self, user: User) -> Holding:
        groups = tuple(
            f"{self.access_system}:group/{each.name}" for each in user.groups if each.name
        )
        return Holding(
            account=Account(
                system=self.access_system,
                id=user.id,
                handle=user.name,
                email=user.address,
                state="active" if user.active else "suspended",
            ),
            entitlements=(self.base_entitlement, *groups),
            marker=user.mark or "",
        )

    # Requests ----------------------------------------------------------------------------------

    async def _user(self, person: Person) -> User | None:
        lookup = self._quirks.lookup
        wanted = marker_of(person) if lookup == "externalId" else person.email
        answer = await self.http.call(USERS, query={"filter": equal(lookup, wanted)})
        found = PAGE_OF_USERS.read(answer).resources
        if len(found) > 1:
            raise OwnershipConflict(
                "More than one account answers to this person.", evidence=f"{len(found)} hits"
            )
        return found[0] if found else None

    async def _undeleted(self, person: Person) -> User | None:
        """Look for the account; where deleting only deactivates, an inactive one counts as gone."""
        found = await self._user(person)
        is_gone = found and not found.active and self._quirks.delete_means == "deactivate"
        return None if is_gone else found

    async def _ensured(
        self, person: Person, *, create: Callable[[], Awaitable[User]] | None, is_active: bool
    ) -> Account:
        marker = marker_of(person)
        reached = await ensured(
            look=lambda: self._user(person),
            ours=lambda user: user.evidence(marker),
            create=create,
            differs=lambda user: {} if user.active is is_active else {"active": is_active},
            change=self._change,
            settling=self.settling(*_SETTLE),
            what="account",
            adoption=None if create is None else self._adoption(marker),
        )
        account = self._account(person, reached.value)
        access: Access = "active" if is_active else "suspended"
        return self.reported(reached, account, access=access, path="scim")

    def _adoption(self, marker: str) -> Adoption[User]:
        return Adoption(
            is_unmarked=lambda user: not user.mark,
            stamp=lambda user: self._change(user, {"externalId": marker}),
            shown=lambda user: ("It is active." if user.active else "It is deactivated.",),
        )

    async def _create(self, person: Person) -> User:
        given, family = names_of(person)
        body = {
            "schemas": [CORE_USER],
            "userName": person.email,
            "externalId": marker_of(person),
            "name": {"givenName": given, "familyName": family, "formatted": person.name},
            "displayName": person.name,
            "emails": [{"value": person.email, "type": "work", "primary": True}],
            "active": True,
        }
        answer = await self.http.call(
            CREATE_USER, body=body, headers=self.headers(), expect=(HTTPStatus.CONFLICT,)
        )
        if answer.status == HTTPStatus.CONFLICT:
            raise Exists
        return ONE_USER.read(answer)

    async def _change(self, user: User, fields: Mapping[str, object]) -> User:
        """Set attributes of a user, and see that they are set."""
        quirks = await self.dialect()
        path: dict[str, object] = {"id": user.id}
        if quirks.patch_style == "put":
            answer = await self._replaced(path, fields)
        else:
            (name, value), *_ = fields.items()
            body = replacing(name, value, quirks)
            answer = await self.http.call(PATCH_USER, path, body=body, headers=self.headers())
        if answer.status == HTTPStatus.NO_CONTENT:
            answer = await self.http.call(USER, path)
        changed = ONE_USER.read(answer)
        shows = {"active": changed.active, "externalId": changed.mark}
        if any(shows[name] != value for name, value in fields.items()):
            raise NotReady("The account was changed and still shows its former state.")
        return changed

    async def _replaced(self, path: Mapping[str, object], fields: Mapping[str, object]) -> Answer:
        """Send a user back whole with changed fields, unless somebody else has changed it."""
        for _ in range(2):
            read = await self.http.call(USER, path)
            body = read.document
            if not isinstance(body, dict):
                raise ContractDrift("The user is no object.", expected="object", seen="other")
            version = read.headers.get("etag")
            answer = await self.http.call(
                REPLACE_USER,
                path,
                body={**body, **fields},
                headers=self.headers(version),
                expect=(_STALE,),
            )
            if answer.status != _STALE:
                return answer
        raise Transient("Somebody else keeps changing the account.")

    async def _delete(self, user: User) -> None:
        await self.http.call(DELETE_USER, {"id": user.id}, expect=(HTTPStatus.NOT_FOUND,))

    def _account(self, person: Person, user: User) -> Account:
        return Account(
            system=self.access_system,
            id=user.id,
            handle=user.name,
            email=person.email,
            state="active" if user.active else "suspended",
        )
