"""Groups of Google Workspace: who is in them, and who gets in and out.

A member is named by the user's id: an address may still be bound to an identity of the past. A
group may show a change minutes after it answered 200; a change is never sent again because of that.
Source: connectors document, §11.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from newel.base.errors import Invalid
from newel.connectors.ensure import Exists, ensured, removed
from newel.connectors.google_base import GoogleBase
from newel.connectors.google_contract import (
    DELETE_MEMBER,
    DIRECTORY,
    GET_MEMBER,
    GET_USER,
    GROUP_PAGES,
    GROUP_SCOPE,
    INSERT_MEMBER,
    LIST_GROUPS,
    MEMBER_SCOPE,
    MEMBERS,
    USER_SCOPE,
    Member,
)
from newel.connectors.google_user import User
from newel.connectors.operation import operation
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["GoogleGroups", "Group"]

_SETTLE: Final = (0, 10, 30, 60, 120, 300)
_NEEDS: Final = (USER_SCOPE, MEMBER_SCOPE)


@dataclass(frozen=True, kw_only=True)
class Group:
    """A group that somebody is in; address: how operations and entitlements name it."""

    system: str
    id: str
    address: str
    name: str = ""


class GoogleGroups(GoogleBase):
    """Membership in groups."""

    @operation(
        idempotency="read",
        natural_key="user/{person.email}",
        needs=(USER_SCOPE, GROUP_SCOPE),
        reads=(GET_USER.operation, LIST_GROUPS.operation),
        bucket=DIRECTORY,
        title="List the Google groups",
    )
    async def groups_of(self, person: Person) -> tuple[Group, ...]:
        """List the groups they are directly in, by address; recorded before they are left."""
        user, _ = await self._own(person)
        return (
            ()
            if user is None
            else tuple([group async for group in self._groups("userKey", user.id)])
        )

    @operation(
        natural_key="group/{group}/{person.email}",
        idempotency="natural",
        grants="{system}:group/{group}",
        undo="leave_group",
        reversible="yes",
        bucket=DIRECTORY,
        needs=_NEEDS,
        spec=(INSERT_MEMBER.operation,),
        reads=(GET_USER.operation, GET_MEMBER.operation),
        settle=_SETTLE,
        title="Add to the Google group",
    )
    async def join_group(self, person: Person, group: str) -> Account:
        """Put them into a group, by its address."""
        user, evidence = await self._own(person)
        if user is None:
            raise Invalid("There is no Google account to put into the group.")
        reached = await ensured(
            look=lambda: self._member(group, user),
            ours=lambda _: evidence,
            create=lambda: self._insert_member(group, user),
            settling=self.settling(*_SETTLE),
            what="group membership",
        )
        return self.reported(reached, self._account(user))

    @operation(
        natural_key="group/{group}/{person.email}",
        idempotency="put",
        revokes="{system}:group/{group}",
        undo="join_group",
        reversible="yes",
        bucket=DIRECTORY,
        needs=_NEEDS,
        spec=(DELETE_MEMBER.operation,),
        reads=(GET_USER.operation, GET_MEMBER.operation),
        settle=_SETTLE,
        title="Take out of the Google group",
    )
    async def leave_group(self, person: Person, group: str) -> Account:
        """Take them out of a group; an account that is gone is in none."""
        user, evidence = await self._own(person)
        if user is None:
            return self.gone(self.absent(person))
        reached = await removed(
            look=lambda: self._member(group, user),
            ours=lambda _: evidence,
            remove=lambda _: self._delete_member(group, user),
            settling=self.settling(*_SETTLE),
            what="group membership",
        )
        return self.reported(reached, self._account(user), access="revoked")

    # Requests ----------------------------------------------------------------------------------

    async def _groups(self, by: str, value: str) -> AsyncIterator[Group]:
        query = {by: value, "maxResults": "200"}
        async for page in self._pages(LIST_GROUPS, GROUP_PAGES, query=query):
            for group in page.groups:
                yield Group(system=self.name, id=group.id, address=group.email, name=group.name)

    async def _member(self, group: str, user: User) -> Member | None:
        path = {"group": group, "member": user.id}
        answer = await self.http.call(GET_MEMBER, path, expect=(HTTPStatus.NOT_FOUND,))
        return None if answer.status == HTTPStatus.NOT_FOUND else MEMBERS.read(answer)

    async def _insert_member(self, group: str, user: User) -> Member:
        body = {"id": user.id, "role": "MEMBER"}
        answer = await self.http.call(
            INSERT_MEMBER, {"group": group}, body=body, expect=(HTTPStatus.CONFLICT,)
        )
        if answer.status == HTTPStatus.CONFLICT:
            raise Exists
        return MEMBERS.read(answer)

    async def _delete_member(self, group: str, user: User) -> None:
        path = {"group": group, "member": user.id}
        await self.http.call(DELETE_MEMBER, path, expect=(HTTPStatus.NOT_FOUND,))
