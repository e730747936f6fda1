"""GitHub: membership of one organization, its teams, and access to its repositories.

GitHub has no place for our mark, so whom a membership belongs to is known from the user name
alone. It must therefore come from the person's own form or the HR record and stand in the
approval: a typo invites a stranger. A person accepts an invitation by hand; until then the
grant is prepared, and repositories are granted only afterwards.
Source: connectors document, §14; https://docs.github.com/rest (API version 2022-11-28).
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import ClassVar, Final, Literal, Unpack

from newel.base.errors import Forbidden, NoCapacity, StepError
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer, Route
from newel.connectors.auth import BearerCredential
from newel.connectors.base import Check, Connector, Outside
from newel.connectors.ensure import Ensured, ensured, removed
from newel.connectors.gate import Bucket, LimitHeaders
from newel.connectors.github_contract import (
    COLLABORATOR,
    END_COLLABORATOR,
    END_MEMBERSHIP,
    END_TEAM,
    INVITATIONS,
    INVITE,
    INVITED_PER_DAY,
    LIMITS,
    MEMBERSHIP,
    MEMBERSHIPS,
    ORG,
    ORGANIZATIONS,
    READ,
    SET_COLLABORATOR,
    SET_MEMBERSHIP,
    SET_TEAM,
    TEAM,
    TEAM_MEMBERSHIPS,
    WRITE,
    Membership,
    TeamMembership,
    judged,
    limits,
)
from newel.connectors.operation import operation
from newel.domain.people import Person
from newel.domain.values import Access, Account

__all__ = ["GitHub"]

Role = Literal["member", "admin"]
TeamRole = Literal["member", "maintainer"]
Permission = Literal["pull", "triage", "push", "maintain", "admin"]

_SETTLE: Final = (0, 5, 15)
_GONE: Final = HTTPStatus.NOT_FOUND


class GitHub(Connector):
    """One GitHub organization: membership, teams, repositories."""

    title = "GitHub"
    buckets: ClassVar = (
        Bucket(name=READ, rate=4000 / 3600, capacity=200),
        Bucket(name=WRITE, rate=1 / 1.2, capacity=5),
        Bucket(name=INVITE, rate=400 / 86400, capacity=400),
    )

    def __init__(
        self,
        *,
        org: str,
        token: SecretRef,
        name: str = "github",
        base_url: str = "https://api.github.com",
        api_version: str = "2022-11-28",
        **outside: Unpack[Outside],
    ) -> None:
        super().__init__(
            name=name,
            secret=token,
            credential=BearerCredential(token),
            addresses={"": base_url},
            headers={
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": api_version,
            },
            request_id=("x-github-request-id",),
            **outside,
        )
        self.org = org

    async def probe(self) -> None:
        """Ask for the rate limit, which costs none of it."""
        await self.http.call(LIMITS)

    async def check(self) -> Check:
        """Prove the token, the organization and the permission to see its members."""
        await self.http.call(LIMITS)
        found = await self.http.call(ORG, {"org": self.org})
        name = ORGANIZATIONS.read(found).login
        try:
            await self.http.call(INVITATIONS, {"org": self.org}, query={"per_page": "1"})
        except Forbidden as refused:
            return Check(ok=False, identity=name, missing=(refused.missing or "members:write",))
        return Check(ok=True, identity=name, have=("members:read|members:write",))

    # Membership --------------------------------------------------------------------------------

    @operation(
        idempotency="read",
        needs=("members:read|members:write",),
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
        needs=("members:write",),
        spec=(SET_MEMBERSHIP.operation,),
        reads=(MEMBERSHIP.operation,),
        settle=_SETTLE,
        title="Invite to the GitHub organization",
    )
    async def ensure_member(
        self, person: Person, username: str, *, role: Role = "member"
    ) -> Account:
        """Make them a member, or find that they are one; a new member is invited first."""
        del person
        reached = await ensured(
            look=lambda: self._membership(username),
            ours=_by_name,
            create=lambda: self._set_membership(username, role),
            differs=lambda found: {} if found.role == role else {"role": role},
            change=lambda _, __: self._set_membership(username, role),
            settling=self.settling(*_SETTLE),
            what="GitHub membership",
        )
        account = self._account(username, reached.value)
        access: Access = "active" if account.state == "active" else "prepared"
        return self.reported(reached, account, access=access)

    @operation(
        idempotency="read",
        grants="{system}:account",
        needs=("members:read|members:write",),
        reads=(MEMBERSHIP.operation,),
        natural_key="org/{username}",
        bucket=READ,
        title="See whether the GitHub invitation is accepted",
    )
    async def accepted(self, person: Person, username: str) -> bool:
        """Say whether they are an active member by now.

        Raises Forbidden(blocked) if the invitation is gone: it lasts seven days, or was declined.
        """
        del person
        found = await self._membership(username)
        if found is None:
            raise Forbidden(
                "There is no membership and no open invitation any more: it has expired or was "
                "declined. Invite them again in GitHub, then retry.",
                reason="blocked",
                operation=MEMBERSHIP.operation,
            )
        if found.state != "active":
            return False
        account = self._account(username, found)
        self.reported(Ensured(found, changed=True, evidence="accepted by the person"), account)
        return True

    @operation(
        natural_key="org/{username}",
        idempotency="put",
        revokes="{system}:account",
        undo="ensure_member",
        reversible="with_loss",
        sends_email="person",
        bucket=WRITE,
        needs=("members:write",),
        spec=(END_MEMBERSHIP.operation,),
        reads=(MEMBERSHIP.operation,),
        settle=_SETTLE,
        title="Remove from the GitHub organization",
    )
    async def remove_member(self, person: Person, username: str) -> Account:
        """End membership or invitation; private forks are lost."""
        del person
        reached = await removed(
            look=lambda: self._membership(username),
            ours=_by_name,
            remove=lambda _: self._end(END_MEMBERSHIP, username),
            settling=self.settling(*_SETTLE),
            what="GitHub membership",
        )
        account = Account(system=self.name, id="", handle=username, state="absent")
        return self.reported(reached, account, access="revoked")

    # Teams -------------------------------------------------------------------------------------

    @operation(
        natural_key="team/{slug}/{username}",
        idempotency="put",
        grants="{system}:team/{slug}",
        level="{role}",
        undo="leave_team",
        reversible="yes",
        bucket=WRITE,
        needs=("members:write",),
        spec=(SET_TEAM.operation,),
        reads=(TEAM.operation,),
        settle=_SETTLE,
        title="Add to the GitHub team",
    )
    async def join_team(
        self, person: Person, username: str, slug: str, *, role: TeamRole = "member"
    ) -> Account:
        """Put them into a team."""
        del person
        reached = await ensured(
            look=lambda: self._team(username, slug),
            ours=_by_name,
            create=lambda: self._set_team(username, slug, role),
            differs=lambda found: {} if found.role == role else {"role": role},
            change=lambda _, __: self._set_team(username, slug, role),
            settling=self.settling(*_SETTLE),
            what="GitHub team membership",
        )
        is_active = reached.value.state == "active"
        account = self._member(username, is_active=is_active)
        access: Access = "active" if is_active else "prepared"
        return self.reported(reached, account, access=access, level=role)

    @operation(
        natural_key="team/{slug}/{username}",
        idempotency="put",
        revokes="{system}:team/{slug}",
        undo="join_team",
        reversible="yes",
        bucket=WRITE,
        needs=("members:write",),
        spec=(END_TEAM.operation,),
        reads=(TEAM.operation,),
        settle=_SETTLE,
        title="Take out of the GitHub team",
    )
    async def leave_team(self, person: Person, username: str, slug: str) -> Account:
        """Take them out of a team."""
        del person
        reached = await removed(
            look=lambda: self._team(username, slug),
            ours=_by_name,
            remove=lambda _: self._end(END_TEAM, username, slug=slug),
            settling=self.settling(*_SETTLE),
            what="GitHub team membership",
        )
        return self.reported(reached, self._member(username, is_active=True), access="revoked")

    # Repositories ------------------------------------------------------------------------------

    @operation(
        natural_key="repo/{repository}/{username}",
        idempotency="put",
        grants="{system}:repo/{repository}",
        level="{permission}",
        undo="revoke",
        reversible="yes",
        sends_email="person",
        bucket=WRITE,
        needs=("administration:write",),
        spec=(SET_COLLABORATOR.operation,),
        reads=(COLLABORATOR.operation,),
        settle=_SETTLE,
        title="Grant access to the repository",
    )
    async def grant(
        self, person: Person, username: str, repository: str, *, permission: Permission = "push"
    ) -> Account:
        """Give access to a repository, `owner/name` or the name of one of the organization.

        Somebody who has access already keeps it as it is: the look-up does not show the level.
        """
        del person
        place = self._place(repository, username)
        reached = await ensured(
            look=lambda: self._collaborator(place),
            ours=_by_name,
            create=lambda: self._set_collaborator(place, permission),
            settling=self.settling(*_SETTLE),
            what="repository access",
        )
        access: Access = "active" if reached.value else "prepared"
        account = self._member(username, is_active=reached.value)
        return self.reported(reached, account, access=access, level=permission)

    @operation(
        natural_key="repo/{repository}/{username}",
        idempotency="put",
        revokes="{system}:repo/{repository}",
        undo="grant",
        reversible="yes",
        bucket=WRITE,
        needs=("administration:write",),
        spec=(END_COLLABORATOR.operation,),
        reads=(COLLABORATOR.operation,),
        settle=_SETTLE,
        title="Revoke access to the repository",
    )
    async def revoke(self, person: Person, username: str, repository: str) -> Account:
        """Take access to a repository away."""
        del person
        place = self._place(repository, username)
        reached = await removed(
            look=lambda: self._collaborator(place),
            ours=_by_name,
            remove=lambda _: self._end_collaborator(place),
            settling=self.settling(*_SETTLE),
            what="repository access",
        )
        return self.reported(reached, self._member(username, is_active=True), access="revoked")

    # Requests ----------------------------------------------------------------------------------

    async def _membership(self, username: str) -> Membership | None:
        path = {"org": self.org, "username": username}
        answer = await self.http.call(MEMBERSHIP, path, expect=(_GONE,))
        return None if answer.status == _GONE else MEMBERSHIPS.read(answer)

    async def _set_membership(self, username: str, role: Role) -> Membership:
        path = {"org": self.org, "username": username}
        try:
            answer = await self.http.call(SET_MEMBERSHIP, path, body={"role": role})
        except NoCapacity as full:
            if full.what == INVITED_PER_DAY:
                full.until = self.clock.now() + timedelta(days=1)
            raise
        return MEMBERSHIPS.read(answer)

    async def _team(self, username: str, slug: str) -> TeamMembership | None:
        path = {"org": self.org, "username": username, "slug": slug}
        answer = await self.http.call(TEAM, path, expect=(_GONE,))
        return None if answer.status == _GONE else TEAM_MEMBERSHIPS.read(answer)

    async def _set_team(self, username: str, slug: str, role: TeamRole) -> TeamMembership:
        path = {"org": self.org, "username": username, "slug": slug}
        return TEAM_MEMBERSHIPS.read(await self.http.call(SET_TEAM, path, body={"role": role}))

    async def _end(self, route: Route, username: str, **more: str) -> None:
        path = {"org": self.org, "username": username, **more}
        await self.http.call(route, path, expect=(_GONE,))

    def _place(self, repository: str, username: str) -> dict[str, object]:
        owner, _, name = repository.rpartition("/")
        return {"owner": owner or self.org, "repo": name, "username": username}

    async def _collaborator(self, place: dict[str, object]) -> bool | None:
        answer = await self.http.call(COLLABORATOR, place, expect=(_GONE,))
        return None if answer.status == _GONE else True

    async def _set_collaborator(self, place: dict[str, object], permission: Permission) -> bool:
        """Give access; False if that only made an invitation to the repository."""
        body = {"permission": permission}
        answer = await self.http.call(SET_COLLABORATOR, place, body=body)
        return answer.status == HTTPStatus.NO_CONTENT

    async def _end_collaborator(self, place: dict[str, object]) -> None:
        await self.http.call(END_COLLABORATOR, place, expect=(_GONE,))

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

    # Answers -----------------------------------------------------------------------------------

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of GitHub."""
        return judged(answer)

    @staticmethod
    def limits(answer: Answer) -> LimitHeaders | None:
        """Read how many requests are left in this hour."""
        return limits(answer)


def _by_name(_: object) -> str:
    """Nothing but the user name tells whose it is; see the module's text."""
    return "derived"
