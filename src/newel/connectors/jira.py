"""Jira Cloud: accounts, groups and issues; escalation tickets are in `trackers.jira`.

Suspending is the organization's affair, with a key of its own: `atlassian`.
Source: connectors document, §13.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Final

from newel.base.errors import Forbidden, Invalid, OwnershipConflict
from newel.connectors.answers import Route
from newel.connectors.base import Holding
from newel.connectors.capability import ByHand, Way
from newel.connectors.ensure import Exists, ensured, removed
from newel.connectors.jira_contract import (
    ADD_COMMENT,
    ALL_USERS,
    API,
    BROWSE_USERS,
    COMMENTS,
    CREATE_ISSUE,
    CREATE_USER,
    FIND_USERS,
    GROUP_LISTS,
    GROUP_MEMBERS,
    GROUP_PAGES,
    GROUPS,
    ISSUE,
    JOIN_GROUP,
    LEAVE_GROUP,
    MEMBER_PAGES,
    MOVE,
    ONE_USER,
    PERMISSIONS,
    REMOVE_USER,
    SEARCH,
    TRANSITIONS,
    USER_GROUPS,
    USER_SEARCH,
    USERS,
    FieldValue,
    Group,
    GroupPage,
    MemberPage,
    Transition,
    User,
    labelled,
)
from newel.connectors.jira_document import document_of
from newel.connectors.jira_site import ADMINISTERING, Issue, JiraSite
from newel.connectors.looking import report
from newel.connectors.operation import operation
from newel.connectors.owning import Owned, evidence_of
from newel.connectors.paging import pages
from newel.domain.people import Person
from newel.domain.values import Account, Effect
from newel.flow.context import ATTEMPT

__all__ = ["Issue", "Jira"]

_OPEN: Final = "Open Atlassian's administration: Directory, Users."
_BY_API: Final = (Way(path="admin_api", capability=ADMINISTERING),)
_ACCOUNTS_SETTLE: Final = (0, 5)
_SEARCH_SETTLES: Final = (0, 20, 60)
_MARK: Final = "newel.key"
_LARGEST_PAGE: Final = 1000


class Jira(JiraSite):
    """One Jira Cloud site: accounts, groups, issues."""

    async def accounts(self) -> AsyncIterator[Holding]:
        """Give all people's accounts, also locked ones; programs and customers are left out.

        One request for each group. Raises Forbidden if the credential cannot see users.
        """
        await self.prove(BROWSE_USERS)
        held: defaultdict[str, list[str]] = defaultdict(list)
        async for group in self._groups():
            async for member in self._members(group):
                held[member].append(f"{self.name}:group/{group.name}")
        async for user in self._users(ALL_USERS, {}):
            if user.kind == "atlassian":
                groups = sorted(held[user.account_id])
                yield Holding(
                    account=self._shown(user), entitlements=(self.base_entitlement, *groups)
                )

    # Accounts ----------------------------------------------------------------------------------

    @operation(
        idempotency="read",
        natural_key="user/{person.email}",
        needs=("USER_PICKER",),
        reads=(PERMISSIONS.operation, FIND_USERS.operation),
        bucket=USER_SEARCH,
        title="Look up the Jira account",
    )
    async def find(self, person: Person) -> Account | None:
        """Look for the account with the person's work address; None if there is none.

        Raises Forbidden if the credential cannot see users: nothing found would prove nothing.
        """
        found = await self._user(person)
        return None if found is None else self._account(person, found)

    async def at_address(self, person: Person) -> Holding | None:
        """Look for the account with a work address; Jira holds no marks."""
        found = await self._user(person)
        return None if found is None else Holding(account=self._account(person, found))

    @operation(
        natural_key="user/{person.email}",
        idempotency="natural",
        ways=_BY_API,
        by_hand=ByHand(
            title="give them a Jira account",
            how=(_OPEN, "Invite users: enter their work address, with access to Jira."),
        ),
        grants="{system}:account",
        undo="remove_account",
        reversible="with_loss",
        sends_email="person",
        bucket=API,
        needs=("USER_PICKER", "ADMINISTER"),
        spec=(CREATE_USER.operation,),
        reads=(PERMISSIONS.operation, FIND_USERS.operation),
        settle=_ACCOUNTS_SETTLE,
        title="Create the Jira account",
    )
    async def ensure_account(
        self, person: Person, *, products: tuple[str, ...] = ("jira-software",)
    ) -> Account:
        """Invite them with access to products, or find that they have an account.

        Whoever does it by hand chooses the products.
        """
        reached = await ensured(
            look=lambda: self._own(person, gives=True),
            ours=evidence_of,
            create=lambda: self._create_user(person, products),
            settling=self.settling(*_ACCOUNTS_SETTLE),
            what="Jira account",
        )
        return self.reported(reached, self._account(person, reached.value.value))

    @operation(
        natural_key="user/{person.email}",
        idempotency="natural",
        ways=_BY_API,
        by_hand=ByHand(
            title="take their Jira account away",
            how=(_OPEN, "Find their work address, then: Remove user."),
        ),
        revokes="{system}:account",
        undo="ensure_account",
        reversible="with_loss",
        bucket=API,
        needs=("USER_PICKER", "SITE_ADMIN"),
        spec=(REMOVE_USER.operation,),
        reads=(PERMISSIONS.operation, FIND_USERS.operation),
        settle=_ACCOUNTS_SETTLE,
        title="Remove the Jira account",
    )
    async def remove_account(self, person: Person) -> Account:
        """Remove them from the site; the Atlassian account itself survives."""
        reached = await removed(
            look=lambda: self._own(person),
            ours=evidence_of,
            remove=lambda own: self._remove_user(own.value),
            settling=self.settling(*_ACCOUNTS_SETTLE),
            what="Jira account",
        )
        gone = self.absent(person, reached.value.value.account_id if reached.value else "")
        return self.reported(reached, gone, access="revoked")

    # Groups ------------------------------------------------------------------------------------

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

    # Issues ------------------------------------------------------------------------------------

    @operation(
        idempotency="marker",
        undo="none: an issue is closed, not unmade",
        reversible="no",
        bucket=API,
        needs=("BROWSE_PROJECTS", "CREATE_ISSUES"),
        spec=(CREATE_ISSUE.operation,),
        reads=(PERMISSIONS.operation, SEARCH.operation),
        settle=_SEARCH_SETTLES,
        title="Create a Jira issue",
    )
    async def create_issue(
        self,
        project: str,
        title: str,
        text: str,
        *,
        issue_type: str = "Task",
        fields: dict[str, FieldValue] | None = None,
    ) -> Issue:
        """Create one issue for this act, found again by its mark after a lost answer.

        fields: what the project asks for beside title and text, by the ids of its fields, as
        Jira's interface takes it: `{"components": [{"name": "Access"}]}`.
        """
        mark = _mark_of(project, title)
        reached = await ensured(
            look=lambda: self.search(project, mark, _MARK, mark),
            ours=lambda _: "marker",
            create=lambda: self._create_issue(project, title, text, issue_type, mark, fields or {}),
            settling=self.settling(*_SEARCH_SETTLES),
            what="issue",
        )
        report(
            Effect(
                changed=reached.changed,
                external_id=reached.value.id,
                account=reached.value.key,
                evidence=reached.evidence,
            )
        )
        return reached.value

    @operation(
        idempotency="marker",
        undo="none: a comment has been read and mailed",
        reversible="no",
        sends_email="person",
        bucket=API,
        needs=("BROWSE_PROJECTS", "ADD_COMMENTS"),
        spec=(ADD_COMMENT.operation,),
        reads=(COMMENTS.operation,),
        title="Comment on the Jira issue",
    )
    async def comment(self, issue: str, text: str) -> Issue:
        """Add one comment for this act to an issue, by its key."""
        changed = await self.comment_once(issue, _mark_of(issue, text), text)
        return self._told(issue, changed=changed, evidence="added" if changed else "marker")

    @operation(
        natural_key="issue/{issue}",
        idempotency="natural",
        undo="none: which way leads back is the workflow's",
        reversible="with_loss",
        bucket=API,
        needs=("BROWSE_PROJECTS", "TRANSITION_ISSUES"),
        spec=(MOVE.operation,),
        reads=(ISSUE.operation, TRANSITIONS.operation),
        title="Move the Jira issue",
    )
    async def transition(self, issue: str, to: str) -> Issue:
        """Move an issue by the name of a transition or of the status it leads to.

        `done` leads to any status that ends the work. Raises Invalid naming the ways there are.
        """
        wanted = to.lower()
        status = await self.status_of(issue)
        if wanted in {status.name.lower(), status.category.key}:
            return self._told(issue, changed=False, evidence="its status")
        ways = await self.ways_from(issue)
        if not ways:
            # Jira shows no way to who may take none.
            raise Forbidden(
                "The account may not move this issue: it needs the permission TRANSITION_ISSUES.",
                missing="TRANSITION_ISSUES",
                operation=TRANSITIONS.operation,
            )
        chosen = next((way for way in ways if wanted in _names_of(way)), None)
        if chosen is None:
            there_are = ", ".join(way.name for way in ways)
            raise Invalid(
                f"No transition of the issue leads to `{to}`; there are: {there_are}.",
                fields={"to": "is no transition of the issue"},
            )
        await self.move(issue, chosen)
        return self._told(issue, changed=True, evidence="moved")

    def _told(self, key: str, *, changed: bool, evidence: str) -> Issue:
        report(Effect(changed=changed, account=key, evidence=evidence))
        return self.issue("", key)

    # Requests ----------------------------------------------------------------------------------

    async def _own(self, person: Person, *, gives: bool = False) -> Owned[User] | None:
        """Find the person's own account; raises OwnershipConflict if it is not known to be.

        gives: whether the account is what the step is to give.
        """
        user = await self._user(person)
        if user is None:
            return None
        account = self._account(person, user)
        shown = (f"Look at it: {account.url}", f"It is {account.state}.")
        return Owned(user, await self.whose(person, account, *shown, gives=gives))

    async def _user(self, person: Person) -> User | None:
        """Find the one user with this address; where addresses are hidden, the only hit."""
        await self.prove(BROWSE_USERS)
        hidden = []
        async for user in self._users(FIND_USERS, {"query": person.email}):
            if user.email.lower() == person.email.lower():
                return user
            if not user.email:
                hidden.append(user)
        if len(hidden) > 1:
            raise OwnershipConflict(
                "More than one account may be theirs: their addresses are hidden.",
                evidence=f"{len(hidden)} hits",
            )
        return hidden[0] if hidden else None

    async def _users(self, route: Route, query: dict[str, str]) -> AsyncIterator[User]:
        """Give all hits, page by page; a page may be shorter than asked and not be the last."""

        async def read(seen: int) -> tuple[tuple[User, ...], int | None]:
            page = {**query, "startAt": str(seen), "maxResults": str(_LARGEST_PAGE)}
            users = USERS.read(await self.http.call(route, query=page))
            following = seen + len(users)
            is_last = not users or (route is FIND_USERS and following >= _LARGEST_PAGE)
            return users, None if is_last else following

        async for users in pages(route.operation, read, 0):
            for user in users:
                yield user

    async def _create_user(self, person: Person, products: tuple[str, ...]) -> Owned[User]:
        body = {
            "emailAddress": person.email,
            "displayName": person.name,
            "products": list(products),
        }
        user = ONE_USER.read(await self.http.call(CREATE_USER, body=body))
        # Of an account that is there, and that searches do not show, Jira answers as of a new one.
        await self.bound(person, self._account(person, user))
        return Owned(user, "created")

    async def _remove_user(self, user: User) -> None:
        await self.http.call(REMOVE_USER, query={"accountId": user.account_id}, expect=(404,))

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

    async def _create_issue(
        self,
        project: str,
        title: str,
        text: str,
        issue_type: str,
        mark: str,
        more: Mapping[str, FieldValue],
    ) -> Issue:
        fields: dict[str, object] = {
            **more,
            "issuetype": {"name": issue_type},
            "summary": title,
            "description": document_of(text),
            "labels": labelled(more, "newel", mark),
        }
        return await self.create(project, fields, _MARK, mark)

    def _account(self, person: Person, user: User) -> Account:
        return replace(
            self._shown(user),
            handle=user.display_name or person.email,
            email=user.email or person.email,
        )

    def _shown(self, user: User) -> Account:
        return Account(
            system=self.name,
            id=user.account_id,
            handle=user.display_name or user.email,
            email=user.email,
            state="active" if user.active else "suspended",
            url=f"{self.site_url}/jira/people/{user.account_id}",
        )


def _mark_of(project: str, title: str) -> str:
    """Give the label of this act: the same for every attempt of it."""
    attempting = ATTEMPT.get()
    seed = attempting.info.idempotency_key if attempting else f"{project}\0{title}"
    return f"newel-{hashlib.sha256(seed.encode()).hexdigest()[:16]}"


def _names_of(way: Transition) -> set[str]:
    return {way.name.lower(), way.to.name.lower(), way.to.category.key}
