"""GitHub: who owns the organization, which is more than being a member of it.

An owner may do everything, so ownership is access of its own in the ledger, asked for and taken
away by operations of its own: a membership that carried it as a role would be recorded as a
membership. Making somebody a member never takes an ownership from them.
Source: connectors document, §3.2 and §14; docs.github.com, "Roles in an organization".
"""

from __future__ import annotations

from typing import Final

from newel.connectors.ensure import ensured, removed
from newel.connectors.github_base import NEEDS_WRITE, SETTLE
from newel.connectors.github_contract import MEMBERSHIP, SET_MEMBERSHIP, WRITE, Membership
from newel.connectors.github_invitations import GitHubInvitations
from newel.connectors.operation import operation
from newel.connectors.owning import Owned, evidence_of
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["GitHubOwners"]

OWNER: Final = "admin"
"""GitHub's word for the role of an owner."""


class GitHubOwners(GitHubInvitations):
    """The organization's owners."""

    @operation(
        natural_key="org/{username}/owner",
        idempotency="put",
        grants="{system}:org",
        level=OWNER,
        undo="end_ownership",
        reversible="yes",
        bucket=WRITE,
        needs=(NEEDS_WRITE,),
        spec=(SET_MEMBERSHIP.operation,),
        reads=(MEMBERSHIP.operation,),
        settle=SETTLE,
        approval="own the organization",
        title="Make an owner of the GitHub organization",
    )
    async def make_owner(self, person: Person, username: str) -> Account:
        """Make a member an owner; raises Invalid for who has not accepted yet."""
        reached = await ensured(
            look=lambda: self._active(person, username),
            ours=evidence_of,
            create=None,  # an invitation as an owner would give all of it to whoever accepts
            differs=lambda own: {} if own.value.role == OWNER else {"role": OWNER},
            change=lambda _, __: self._set_membership(username, OWNER),
            settling=self.settling(*SETTLE),
            what="accepted membership of the GitHub organization",
        )
        return self.reported(reached, self._account(username, reached.value.value), level=OWNER)

    @operation(
        natural_key="org/{username}/owner",
        idempotency="put",
        revokes="{system}:org",
        undo="make_owner",
        reversible="yes",
        bucket=WRITE,
        needs=(NEEDS_WRITE,),
        spec=(SET_MEMBERSHIP.operation,),
        reads=(MEMBERSHIP.operation,),
        settle=SETTLE,
        title="End ownership of the GitHub organization",
    )
    async def end_ownership(self, person: Person, username: str) -> Account:
        """Leave them a member and no more; who is no owner is left alone."""
        reached = await removed(
            look=lambda: self._ownership(person, username),
            ours=evidence_of,
            remove=lambda _: self._made_member(username),
            settling=self.settling(*SETTLE),
            what="GitHub ownership",
        )
        account = Account(system=self.name, id="", handle=username, state="active")
        return self.reported(reached, account, access="revoked")

    async def _active(self, person: Person, username: str) -> Owned[Membership] | None:
        own = await self._own(person, username)
        return own if own is not None and own.value.state == "active" else None

    async def _ownership(self, person: Person, username: str) -> Owned[Membership] | None:
        own = await self._own(person, username)
        return own if own is not None and own.value.role == OWNER else None

    async def _made_member(self, username: str) -> None:
        await self._set_membership(username, "member")
