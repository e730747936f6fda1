"""One GitHub organization: who is in it, who is invited, and until when.

GitHub has no place for our mark, so whom a membership belongs to is known from the user name that
the person has given. It must therefore come from their own form or the HR record and stand in the
approval: a typo invites a stranger. One that the ledger has with somebody else is refused. A person
accepts an invitation by hand; until then the grant is prepared, and repositories are granted only
afterwards.
Source: connectors document, §14; https://docs.github.com/rest (API version 2022-11-28).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final, Literal

from newel.base.errors import Forbidden, NoCapacity
from newel.connectors.answers import Route
from newel.connectors.base import Holding
from newel.connectors.ensure import ensured, removed
from newel.connectors.github_base import GONE, NEEDS_READ, NEEDS_WRITE, SETTLE, GitHubBase
from newel.connectors.github_contract import (
    END_MEMBERSHIP,
    INVITATION_LISTS,
    INVITATIONS,
    INVITE,
    INVITED_PER_DAY,
    MEMBERS,
    MEMBERSHIP,
    MEMBERSHIPS,
    READ,
    SET_MEMBERSHIP,
    TEAM_MEMBERS,
    USERS,
    WRITE,
    Invitation,
    Membership,
)
from newel.connectors.operation import operation
from newel.connectors.owning import IN_LEDGER, Owned, evidence_of
from newel.domain.people import Person
from newel.domain.values import Access, Account

__all__ = ["GitHubMembers"]

Role = Literal["member", "admin"]

IS_MEMBER: Final = "member"
_BY_NAME: Final = "user name"


class GitHubMembers(GitHubBase):
    """The organization's members."""

    async def accounts(self) -> AsyncIterator[Holding]:
        """Give everybody in the organization with their teams, and who is invited to it.

        Owners hold the organization itself. One request for each team; who is in a team below
        another is in both.
        """
        path, base = {"org": self.org}, (self.base_entitlement,)
        held: defaultdict[int, list[str]] = defaultdict(list)
        async for team in self.teams():
            async for user in self.listed(TEAM_MEMBERS, USERS, {**path, "slug": team.slug}):
                held[user.id].append(f"{self.name}:team/{team.slug}")
        owners = {user.id async for user in self.listed(MEMBERS, USERS, path, role="admin")}
        async for user in self.listed(MEMBERS, USERS, path):
            account = Account(
                system=self.name,
                id=str(user.id),
                handle=user.login,
                url=f"https://github.com/{user.login}",
            )
            more = (f"{self.name}:org",) if user.id in owners else ()
            teams = sorted(held[user.id])
            yield Holding(account=account, entitlements=(*base, *more, *teams))
        async for invitation in self.listed(INVITATIONS, INVITATION_LISTS, path):
            yield Holding(account=self._invited(invitation), entitlements=base)

    # Membership --------------------------------------------------------------------------------

    @operation(
        idempotency="read",
        needs=(NEEDS_READ,),
        reads=(MEMBERSHIP.operation,),
        natural_key="org/{username}",
        bucket=READ,
        title="Look up GitHub membership",
    )
    async def find(self, username: str) -> Account | None:
        """Look a user up in the organization; None if they are neither member nor invited."""
        found = await self._membership(username)
        return None if found is None else self._account(username, found)

    @operation(
        natural_key="org/{username}",
        idempotency="put",
        path="admin_api",
        grants="{system}:account",
        undo="remove_member",
        reversible="with_loss",
        sends_email="person",
        bucket=INVITE,
        needs=(NEEDS_WRITE,),
        spec=(SET_MEMBERSHIP.operation,),
        reads=(MEMBERSHIP.operation,),
        settle=SETTLE,
        title="Invite to the GitHub organization",
    )
    async def ensure_member(self, person: Person, username: str) -> Account:
        """Make them a member, or find that they are one; a new member is invited first."""
        reached = await ensured(
            look=lambda: self._own(person, username),
            ours=evidence_of,
            create=lambda: self._set_membership(username, "member"),
            settling=self.settling(*SETTLE),
            what="GitHub membership",
        )
        account = self._account(username, reached.value.value)
        access: Access = "active" if account.state == "active" else "prepared"
        return self.reported(reached, account, access=access)

    @operation(
        natural_key="org/{username}",
        idempotency="put",
        revokes="{system}:account",
        undo="ensure_member",
        reversible="with_loss",
        sends_email="person",
        bucket=WRITE,
        needs=(NEEDS_WRITE,),
        spec=(END_MEMBERSHIP.operation,),
        reads=(MEMBERSHIP.operation,),
        settle=SETTLE,
        title="Remove from the GitHub organization",
    )
    async def remove_member(self, person: Person, username: str) -> Account:
        """End membership or invitation; private forks are lost."""
        reached = await removed(
            look=lambda: self._own(person, username),
            ours=evidence_of,
            remove=lambda _: self._end(END_MEMBERSHIP, username),
            settling=self.settling(*SETTLE),
            what="GitHub membership",
        )
        account = Account(system=self.name, id="", handle=username, state="absent")
        return self.reported(reached, account, access="revoked")

    # Requests ----------------------------------------------------------------------------------

    async def _own(self, person: Person, username: str) -> Owned[Membership] | None:
        """Find the membership of their user name; raises OwnershipConflict if it is another's."""
        found = await self._membership(username)
        if found is None:
            return None
        bound = await self.bound(person, self._account(username, found))
        return Owned(found, _BY_NAME if bound is None else IN_LEDGER)

    async def _membership(self, username: str) -> Membership | None:
        path = {"org": self.org, "username": username}
        answer = await self.http.call(MEMBERSHIP, path, expect=(GONE,))
        return None if answer.status == GONE else MEMBERSHIPS.read(answer)

    async def _set_membership(self, username: str, role: Role) -> Owned[Membership]:
        path = {"org": self.org, "username": username}
        try:
            answer = await self.http.call(SET_MEMBERSHIP, path, body={"role": role})
        except NoCapacity as full:
            raise self._dated(full) from None
        return Owned(MEMBERSHIPS.read(answer), _BY_NAME)

    def _dated(self, full: NoCapacity) -> NoCapacity:
        """Say when a spent day of invitations returns."""
        if full.what == INVITED_PER_DAY:
            full.until = self.clock.now() + timedelta(days=1)
        return full

    async def _end(self, route: Route, username: str, **more: str) -> None:
        path = {"org": self.org, "username": username, **more}
        await self.http.call(route, path, expect=(GONE,))

    def _invited(self, found: Invitation) -> Account:
        handle = found.login or found.email or ""
        return Account(
            system=self.name,
            id="",
            handle=handle,
            email=found.email or "",
            state="active" if found.role == IS_MEMBER else "invited",
            url=f"https://github.com/orgs/{self.org}/people/pending_invitations",
        )

    def _account(self, username: str, found: Membership) -> Account:
        user = found.user
        return Account(
            system=self.name,
            id=str(user.id) if user else "",
            handle=user.login if user else username,
            state="active" if found.state == "active" else "invited",
            url=f"https://github.com/{username}",
        )

    def _member(self, username: str, *, is_active: bool) -> Account:
        return Account(
            system=self.name,
            id="",
            handle=username,
            state="active" if is_active else "invited",
            url=f"https://github.com/{username}",
        )


def by_name(_: object) -> str:
    """Nothing but the user name tells whose it is; see the module's text."""
    return _BY_NAME


def over(route: str) -> Forbidden:
    """Make the refusal of a membership that ended before it began; `route`: what was asked."""
    return Forbidden(
        "There is no membership and no open invitation any more: it has expired or was "
        "declined. Invite them again, then retry.",
        reason="blocked",
        operation=route,
    )
