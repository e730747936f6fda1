"""GitHub: membership of one organization, its teams, and access to its repositories.

Members are in `github_members`, whether they have come in `github_acceptance`, invitations of
addresses in `github_invitations`, owners in `github_owners`. Teams and repositories are given only
to who has accepted: before that they would be invited once more, each time by mail.
Source: connectors document, §14; https://docs.github.com/rest (API version 2022-11-28).
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import ClassVar, Literal

from newel.base.errors import Forbidden, Invalid
from newel.connectors.ensure import Ensured, ensured, removed
from newel.connectors.github_acceptance import GitHubAcceptance
from newel.connectors.github_app import GitHubApp
from newel.connectors.github_base import (
    GONE,
    NEEDS_READ,
    NEEDS_REPOSITORY,
    NEEDS_WRITE,
    SETTLE,
)
from newel.connectors.github_contract import (
    COLLABORATOR_LISTS,
    COLLABORATORS,
    END_COLLABORATOR,
    END_TEAM,
    ONE_TEAM,
    READ,
    ROLE_NAMES,
    SET_COLLABORATOR,
    SET_TEAM,
    TEAM,
    TEAM_MEMBERSHIPS,
    TEAMS,
    WRITE,
    Collaborator,
    TeamMembership,
)
from newel.connectors.github_members import by_name
from newel.connectors.github_owners import GitHubOwners
from newel.connectors.looking import is_looking
from newel.connectors.operation import operation
from newel.domain.people import Person
from newel.domain.values import Access, Account

__all__ = ["GitHub", "GitHubApp"]

TeamRole = Literal["member", "maintainer"]
Permission = Literal["pull", "triage", "push", "maintain", "admin"]


class GitHub(GitHubOwners, GitHubAcceptance):
    """One GitHub organization: membership, teams, repositories."""

    nightly: ClassVar = ("find", "teams_of")

    # Teams -------------------------------------------------------------------------------------

    @operation(
        natural_key="team/{slug}/{username}",
        idempotency="put",
        grants="{system}:team/{slug}",
        level="{role}",
        undo="leave_team",
        reversible="yes",
        bucket=WRITE,
        needs=(NEEDS_WRITE,),
        spec=(SET_TEAM.operation,),
        reads=(TEAM.operation,),
        settle=SETTLE,
        title="Add to the GitHub team",
    )
    async def join_team(
        self, person: Person, username: str, slug: str, *, role: TeamRole = "member"
    ) -> Account:
        """Put them into a team."""
        del person
        reached = await ensured(
            look=lambda: self._team(username, slug),
            ours=by_name,
            create=lambda: self._set_team(username, slug, role),
            differs=lambda found: {} if found.role == role else {"role": role},
            change=lambda _, __: self._set_team(username, slug, role),
            settling=self.settling(*SETTLE),
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
        needs=(NEEDS_WRITE,),
        spec=(END_TEAM.operation,),
        reads=(TEAM.operation,),
        settle=SETTLE,
        title="Take out of the GitHub team",
    )
    async def leave_team(self, person: Person, username: str, slug: str) -> Account:
        """Take them out of a team."""
        del person
        reached = await removed(
            look=lambda: self._team(username, slug),
            ours=by_name,
            remove=lambda _: self._end(END_TEAM, username, slug=slug),
            settling=self.settling(*SETTLE),
            what="GitHub team membership",
        )
        return self.reported(reached, self._member(username, is_active=True), access="revoked")

    @operation(
        idempotency="read",
        needs=(NEEDS_READ,),
        reads=(TEAMS.operation, TEAM.operation),
        natural_key="teams/{username}",
        bucket=READ,
        timeout=timedelta(seconds=60),
        title="List their GitHub teams",
    )
    async def teams_of(self, username: str) -> tuple[str, ...]:
        """Give the slugs of their teams; asked before a removal, for its evidence and its undo.

        One request for each team of the organization.
        """
        slugs = [team.slug async for team in self.teams()]
        return tuple([slug for slug in slugs if await self._team(username, slug) is not None])

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
        needs=(NEEDS_REPOSITORY,),
        spec=(SET_COLLABORATOR.operation,),
        reads=(COLLABORATORS.operation,),
        settle=SETTLE,
        title="Grant access to the repository",
    )
    async def grant(
        self, person: Person, username: str, repository: str, *, permission: Permission = "push"
    ) -> Account:
        """Give access to a repository, `owner/name` or the name of one of the organization."""
        del person
        place = self._place(repository, username)
        level = ROLE_NAMES.get(permission, permission)
        reached = await ensured(
            look=lambda: self._collaborator(place),
            ours=by_name,
            create=lambda: self._set_collaborator(place, permission),
            differs=lambda found: {} if found.role_name == level else {"role": level},
            change=lambda _, __: self._set_collaborator(place, permission),
            settling=self.settling(*SETTLE),
            what="repository access",
        )
        is_active = bool(reached.value.role_name)
        access: Access = "active" if is_active else "prepared"
        account = self._member(username, is_active=is_active)
        return self.reported(reached, account, access=access, level=permission)

    @operation(
        natural_key="repo/{repository}/{username}",
        idempotency="put",
        revokes="{system}:repo/{repository}",
        undo="grant",
        reversible="yes",
        bucket=WRITE,
        needs=(NEEDS_REPOSITORY,),
        spec=(END_COLLABORATOR.operation,),
        reads=(COLLABORATORS.operation,),
        settle=SETTLE,
        title="Revoke access to the repository",
    )
    async def revoke(self, person: Person, username: str, repository: str) -> Account:
        """Take access to a repository away, and an open invitation to it."""
        del person
        place = self._place(repository, username)
        reached = await removed(
            look=lambda: self._collaborator(place),
            ours=by_name,
            remove=lambda _: self._take(place),
            settling=self.settling(*SETTLE),
            what="repository access",
        )
        if reached.value is None and not is_looking():
            # An invitation to the repository is in no listing of who has access.
            had_invitation = await self._end_collaborator(place)
            reached = Ensured(None, changed=had_invitation, evidence=reached.evidence)
        return self.reported(reached, self._member(username, is_active=True), access="revoked")

    # Requests ----------------------------------------------------------------------------------

    async def _team(self, username: str, slug: str) -> TeamMembership | None:
        path = {"org": self.org, "username": username, "slug": slug}
        answer = await self.http.call(TEAM, path, expect=(GONE,))
        return None if answer.status == GONE else TEAM_MEMBERSHIPS.read(answer)

    async def _set_team(self, username: str, slug: str, role: TeamRole) -> TeamMembership:
        path = {"org": self.org, "username": username, "slug": slug}
        try:
            answer = await self.http.call(SET_TEAM, path, body={"role": role})
        except Forbidden as refused:
            if refused.status == GONE and not await self._has_team(slug):
                raise Invalid("There is no such team.", fields={"team": "is not known"}) from None
            raise
        return TEAM_MEMBERSHIPS.read(answer)

    async def _has_team(self, slug: str) -> bool:
        path = {"org": self.org, "slug": slug}
        return (await self.http.call(ONE_TEAM, path, expect=(GONE,))).status != GONE

    def _place(self, repository: str, username: str) -> dict[str, object]:
        owner, _, name = repository.rpartition("/")
        return {"owner": owner or self.org, "repo": name, "username": username}

    async def _collaborator(self, place: dict[str, object]) -> Collaborator | None:
        """Find who was given access; what every member may do anyway does not count."""
        path = {name: place[name] for name in ("owner", "repo")}
        wanted = str(place["username"]).lower()
        async for each in self.listed(
            COLLABORATORS, COLLABORATOR_LISTS, path, affiliation="direct"
        ):
            if each.login.lower() == wanted:
                return each
        return None

    async def _set_collaborator(
        self, place: dict[str, object], permission: Permission
    ) -> Collaborator:
        """Give access; without a level if that only made an invitation to the repository."""
        body = {"permission": permission}
        answer = await self.http.call(SET_COLLABORATOR, place, body=body)
        is_given = answer.status == HTTPStatus.NO_CONTENT
        level = ROLE_NAMES.get(permission, permission) if is_given else ""
        return Collaborator(str(place["username"]), level)

    async def _take(self, place: dict[str, object]) -> None:
        await self._end_collaborator(place)

    async def _end_collaborator(self, place: dict[str, object]) -> bool:
        """Take access away, an open invitation to the repository too; False if there was none."""
        answer = await self.http.call(END_COLLABORATOR, place, expect=(GONE,))
        return answer.status != GONE
