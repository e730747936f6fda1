"""Jira Cloud: accounts of people; escalation tickets are in `trackers.jira`.

Groups, issues and their transitions are in the modules beside this one. Suspending is the
organization's affair, with a key of its own: `atlassian`.
Source: connectors document, §13.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from newel.base.errors import OwnershipConflict
from newel.connectors.answers import Route
from newel.connectors.base import Holding
from newel.connectors.capability import ByHand, Way
from newel.connectors.ensure import ensured, removed
from newel.connectors.jira_contract import (
    ALL_USERS,
    API,
    BROWSE_USERS,
    CREATE_USER,
    FIND_USERS,
    ONE_USER,
    PERMISSIONS,
    REMOVE_USER,
    USER_SEARCH,
    USERS,
    User,
)
from newel.connectors.jira_groups import JiraGroups
from newel.connectors.jira_issues import Issue
from newel.connectors.jira_site import ADMINISTERING
from newel.connectors.jira_transitions import JiraTransitions
from newel.connectors.operation import operation
from newel.connectors.owning import Owned, evidence_of
from newel.connectors.paging import pages
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["Issue", "Jira"]

_OPEN: Final = "Open Atlassian's administration: Directory, Users."
_BY_API: Final = (Way(path="admin_api", capability=ADMINISTERING),)
_ACCOUNTS_SETTLE: Final = (0, 5)
_LARGEST_PAGE: Final = 1000


class Jira(JiraGroups, JiraTransitions):
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

        Access to each product is a grant of its own, that ends with the account. Whoever does it by
        hand chooses the products, and what an account had before is not known.
        """
        reached = await ensured(
            look=lambda: self._own(person, gives=True),
            ours=evidence_of,
            create=lambda: self._create_user(person, products),
            settling=self.settling(*_ACCOUNTS_SETTLE),
            what="Jira account",
        )
        given = () if reached.adopted else tuple(f"product/{product}" for product in products)
        return self.reported(reached, self._account(person, reached.value.value), also=given)

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
