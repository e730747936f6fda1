"""Groups of a Jira site: who is in them, and who gets in and out.

A group is named by its name; Jira itself goes by an id, which is looked up.
Source: connectors document, §13.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from newel.base.errors import Invalid
from newel.connectors.ensure import Exists, ensured, removed
from newel.connectors.jira_contract import (
    API,
    BROWSE_USERS,
    GROUP_LISTS,
    GROUP_MEMBERS,
    GROUP_PAGES,
    GROUPS,
    JOIN_GROUP,
    LEAVE_GROUP,
    MEMBER_PAGES,
    USER_GROUPS,
    Group,
    GroupPage,
    MemberPage,
)
from newel.connectors.jira_site import JiraSite
from newel.connectors.operation import operation
from newel.connectors.paging import pages
from newel.domain.values import Account

__all__ = ["JiraGroups"]


class JiraGroups(JiraSite):
    """Membership in groups."""

    @operation(
        natural_key="group/{group}/{account.id}",
        idempotency="natural",
        grants="{system}:group/{group}",
        undo="leave_group",
        reversible="yes",
        bucket=API,
        needs=("USER_PICKER", "SITE_ADMIN"),
        spec=(JOIN_GROUP.operation,),
        reads=(GROUPS.operation, USER_GROUPS.operation),
        title="Add to the Jira group",
    )
    async def join_group(self, account: Account, group: str) -> Account:
        """Put an account into a group, by the group's name."""
        reached = await ensured(
            look=lambda: self._in_group(account, group),
            ours=lambda _: "account id",
            create=lambda: self._join(account, group),
            settling=self.settling(0),
            what="group membership",
        )
        return self.reported(reached, account)

    @operation(
        natural_key="group/{group}/{account.id}",
        idempotency="natural",
        revokes="{system}:group/{group}",
        undo="join_group",
        reversible="yes",
        bucket=API,
        needs=("USER_PICKER", "SITE_ADMIN"),
        spec=(LEAVE_GROUP.operation,),
        reads=(GROUPS.operation, USER_GROUPS.operation),
        title="Take out of the Jira group",
    )
    async def leave_group(self, account: Account, group: str) -> Account:
        """Take an account out of a group, by the group's name."""
        reached = await removed(
            look=lambda: self._in_group(account, group),
            ours=lambda _: "account id",
            remove=lambda group_id: self._leave(account, group_id),
            settling=self.settling(0),
            what="group membership",
        )
        return self.reported(reached, account, access="revoked")

    # Requests ----------------------------------------------------------------------------------

    async def _groups(self) -> AsyncIterator[Group]:
        async def read(seen: int) -> tuple[GroupPage, int | None]:
            page = GROUP_PAGES.read(await self.http.call(GROUPS, query={"startAt": str(seen)}))
            is_last = page.is_last or not page.values
            return page, None if is_last else seen + len(page.values)

        async for page in pages(GROUPS.operation, read, 0):
            for group in page.values:
                yield group

    async def _members(self, group: Group) -> AsyncIterator[str]:
        """Give who is in a group, by account id, also who is locked out."""
        query = {"groupId": group.group_id, "includeInactiveUsers": "true"}

        async def read(seen: int) -> tuple[MemberPage, int | None]:
            asked = {**query, "startAt": str(seen)}
            page = MEMBER_PAGES.read(await self.http.call(GROUP_MEMBERS, query=asked))
            is_last = page.is_last or not page.values
            return page, None if is_last else seen + len(page.values)

        async for page in pages(GROUP_MEMBERS.operation, read, 0):
            for member in page.values:
                yield member.account_id

    async def _in_group(self, account: Account, group: str) -> str | None:
        """Give the group's id if the account is in it; one that is gone is in none."""
        await self.prove(BROWSE_USERS)
        answer = await self.http.call(USER_GROUPS, query={"accountId": account.id}, expect=(404,))
        if answer.status == 404:
            return None
        return next(
            (each.group_id for each in GROUP_LISTS.read(answer) if each.name == group), None
        )

    async def _join(self, account: Account, group: str) -> str:
        page = GROUP_PAGES.read(await self.http.call(GROUPS, query={"groupName": group}))
        group_id = next((each.group_id for each in page.values if each.name == group), None)
        if group_id is None:
            raise Invalid("There is no such group.", fields={"group": "is not known"})
        try:
            await self.http.call(
                JOIN_GROUP, query={"groupId": group_id}, body={"accountId": account.id}
            )
        except Invalid as refused:
            if "already a member" in str(refused):
                raise Exists from refused
            raise
        return group_id

    async def _leave(self, account: Account, group_id: str) -> None:
        query = {"groupId": group_id, "accountId": account.id}
        try:
            await self.http.call(LEAVE_GROUP, query=query, expect=(404,))
        except Invalid as refused:
            if "not a member" not in str(refused):
                raise
