"""GitHub: inviting a work address, for who has no known user name.

An address is all that such an invitation knows, and GitHub never tells whose it is. In an
organization whose people an enterprise manages nobody is invited: the identity provider makes their
accounts, whose names follow from their addresses.
Source: connectors document, §7 and §14; docs.github.com, "Username considerations for external
authentication".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal

from newel.base.errors import AlreadyDone, Invalid, NoCapacity
from newel.connectors.answers import Route
from newel.connectors.base import Holding
from newel.connectors.capability import BY_HAND, ByHand, Way
from newel.connectors.ensure import BY_PERSON, Ensured, Exists, ensured, removed
from newel.connectors.github_base import (
    GONE,
    INVITING,
    MANAGED,
    MANAGING,
    NEEDS_READ,
    NEEDS_WRITE,
    SETTLE,
)
from newel.connectors.github_contract import (
    CANCEL_INVITATION,
    END_MEMBERSHIP,
    FAILED,
    INVITATION_LISTS,
    INVITATIONS,
    INVITE,
    INVITE_ADDRESS,
    MEMBERSHIP,
    ONE_INVITATION,
    READ,
    TEAMS,
    WRITE,
    Invitation,
    Membership,
)
from newel.connectors.github_members import IS_MEMBER, GitHubMembers, over
from newel.connectors.looking import WouldChange, believe
from newel.connectors.operation import operation
from newel.connectors.owning import INVITED, Owned, evidence_of
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["GitHubInvitations"]

_LOOK_FOR_THEM: Final = (
    "GitHub says that a member has this address, and not which one.",
    "Look for them in the organization: People.",
)
_LONGEST_LOGIN: Final = 39
_NOT_PLAIN: Final = re.compile(r"[^a-z0-9]+")
# What an invitation calls the role of a member; our own word stands for one who is in already.
_INVITED_AS: Final = {"member": "direct_member"}


class GitHubInvitations(GitHubMembers):
    """The organization's invitations of addresses."""

    def declared_capabilities(self) -> Mapping[str, str]:
        """Invitations, or people who are managed: never both."""
        return {
            INVITING: f"the people of this organization {MANAGED}" if self.is_managed else "",
            MANAGING: "" if self.is_managed else "no `short_code=` is declared",
        }

    def login_of(self, person: Person) -> str:
        """Give the user name that a managed person has: their address, plain, and the short code.

        Raises Invalid where no enterprise manages people: then they choose their names.
        """
        if not self.is_managed:
            raise Invalid("Nobody manages the people of this organization: they have own names.")
        plain = _NOT_PLAIN.sub("-", person.email.partition("@")[0].lower()).strip("-")
        end = f"_{self.short_code}"
        return plain[: _LONGEST_LOGIN - len(end)].strip("-") + end

    async def at_address(self, person: Person) -> Holding | None:
        """Look for an open invitation of a work address, or a managed member of its name.

        GitHub shows no address of a member.
        """
        if self.is_managed:
            username = self.login_of(person)
            found = await self._membership(username)
            return None if found is None else Holding(account=self._account(username, found))
        invited = await self._invitation(person.email)
        return None if invited is None else Holding(account=self._invited(invited))

    # Invitations by address --------------------------------------------------------------------

    @operation(
        natural_key="invitation/{person.email}",
        idempotency="natural",
        ways=(Way(path="invitation", capability=INVITING),),
        by_hand=ByHand(
            title="take them into the GitHub organization",
            how=(
                "Where an enterprise manages people: assign GitHub to them where they come from.",
                "Then open GitHub's enterprise: People, and add them to the organization.",
                "Elsewhere: open GitHub's organization: People, and invite their work address.",
            ),
        ),
        grants="{system}:account",
        undo="cancel_invitation",
        reversible="until:accepted",
        sends_email="person",
        bucket=INVITE,
        needs=(NEEDS_WRITE,),
        spec=(INVITE_ADDRESS.operation,),
        reads=(INVITATIONS.operation, TEAMS.operation, MEMBERSHIP.operation),
        settle=SETTLE,
        title="Invite to the GitHub organization by mail",
    )
    async def ensure_invited(
        self,
        person: Person,
        *,
        role: Literal["member", "reinstate"] = "member",
        teams: tuple[str, ...] = (),
    ) -> Account:
        """Invite their work address, with teams by slug; for who has no known user name.

        role: `reinstate` gives a former member back what they had. An invitation that has
        expired is sent again. GitHub never tells which user an address belongs to. Who is managed
        by an enterprise is assigned by a person, until they are a member; where the token may not
        invite, a person does, and is believed once the invitation is no longer open.
        """
        if self.way == BY_HAND:
            return await self._taken_in(person)
        reached = await ensured(
            look=lambda: self._open(person),
            ours=evidence_of,
            create=lambda: self._invite(person, role, teams),
            settling=self.settling(*SETTLE),
            what="GitHub invitation",
        )
        own = reached.value
        account = self._invited(own.value)
        if account.state == "invited":
            return self.reported(reached, account, access="prepared", path="invitation")
        is_adopted = own.evidence == BY_PERSON
        there = Ensured(own, changed=is_adopted, evidence=own.evidence, adopted=is_adopted)
        return self.reported(there, account, path="invitation")

    @operation(
        natural_key="invitation/{person.email}",
        idempotency="natural",
        path="invitation",
        revokes="{system}:account",
        undo="none: a new invitation is another one",
        reversible="yes",
        bucket=WRITE,
        needs=(NEEDS_WRITE,),
        spec=(CANCEL_INVITATION.operation, END_MEMBERSHIP.operation),
        reads=(INVITATIONS.operation, MEMBERSHIP.operation),
        settle=SETTLE,
        title="Take back the invitation to GitHub",
    )
    async def cancel_invitation(self, person: Person) -> Account:
        """Withdraw the open invitation of their work address; an accepted one stays.

        A managed person was never invited: their membership ends.
        """
        if self.is_managed:
            await self._own_managed(person)
            return await self.remove_member.called(person, self.login_of(person))
        reached = await removed(
            look=lambda: self._open(person),
            ours=evidence_of,
            remove=lambda own: self._cancel(own.value),
            settling=self.settling(*SETTLE),
            what="GitHub invitation",
        )
        gone = self.absent(person)
        return self.reported(reached, gone, access="revoked", path="invitation")

    @operation(
        idempotency="read",
        grants="{system}:account",
        path="invitation",
        needs=(NEEDS_READ,),
        reads=(INVITATIONS.operation, FAILED.operation, MEMBERSHIP.operation),
        natural_key="invitation/{person.email}",
        bucket=READ,
        title="See whether the GitHub invitation by mail is accepted",
    )
    async def joined(self, person: Person) -> bool:
        """Say whether the invitation of their work address has been accepted by now.

        Raises Forbidden(blocked) if it has expired or failed.
        """
        if self.is_managed:
            return await self._is_in(person)
        if await self._invitation(person.email) is not None:
            return False
        failed = await self._first(FAILED, person.email)
        if failed is not None:
            raise over(FAILED.operation)
        account = Account(
            system=self.name, id="", handle=person.email, email=person.email, state="active"
        )
        accepted = Ensured(account, changed=True, evidence="accepted by the person")
        self.reported(accepted, account, path="invitation")
        return True

    # Managed people ----------------------------------------------------------------------------

    async def _taken_in(self, person: Person) -> Account:
        """Look whether they are managed or invited by now: a person was to see to that."""
        if self.is_managed:
            return await self._managed(person)
        if await self._open(person) is None:
            # Who has accepted already is not to be seen: no member shows an address.
            believe(INVITE_ADDRESS.operation)
        invited = Account(
            system=self.name, id="", handle=person.email, email=person.email, state="invited"
        )
        found = Ensured(invited, changed=False, evidence=INVITED)
        return self.reported(found, invited, access="prepared")

    async def _managed(self, person: Person) -> Account:
        """Look whether they are a member by now: a person was to see to that."""
        own = await self._own_managed(person)
        if own is None or own.value.state != "active":
            raise WouldChange(INVITE_ADDRESS.operation)
        reached = Ensured(own, changed=False, evidence=own.evidence)
        return self.reported(reached, self._account(self.login_of(person), own.value))

    async def _own_managed(self, person: Person) -> Owned[Membership] | None:
        """Find who has the name that follows from their address; raises OwnershipConflict."""
        username = self.login_of(person)
        found = await self._membership(username)
        if found is None:
            return None
        account = replace(self._account(username, found), email=person.email)
        return Owned(found, await self.whose(person, account, _LOOK_FOR_THEM[-1]))

    async def _is_in(self, person: Person) -> bool:
        try:
            await self._managed(person)
        except WouldChange:
            return False
        return True

    # Requests ----------------------------------------------------------------------------------

    async def _open(self, person: Person) -> Owned[Invitation] | None:
        """Find the open invitation of their address, whoever has sent it."""
        found = await self._invitation(person.email)
        return None if found is None else Owned(found, INVITED)

    async def _invitation(self, email: str) -> Invitation | None:
        return await self._first(INVITATIONS, email)

    async def _first(self, route: Route, email: str) -> Invitation | None:
        """Find an address in a listing of invitations."""
        async for each in self.listed(route, INVITATION_LISTS, {"org": self.org}):
            if (each.email or "").lower() == email.lower():
                return each
        return None

    async def _invite(self, person: Person, role: str, teams: tuple[str, ...]) -> Owned[Invitation]:
        email = person.email
        body: dict[str, object] = {"email": email, "role": _INVITED_AS.get(role, role)}
        if teams:
            body["team_ids"] = await self._team_ids(teams)
        try:
            answer = await self.http.call(INVITE_ADDRESS, {"org": self.org}, body=body)
        except AlreadyDone as there:
            if await self._invitation(email) is not None:
                raise Exists from there
            # No open invitation: the address is a member's, and GitHub does not say whose.
            member = Invitation(id=0, login=None, email=email, role=IS_MEMBER)
            evidence = await self.whose(person, self._invited(member), *_LOOK_FOR_THEM)
            return Owned(member, evidence)
        except NoCapacity as full:
            raise self._dated(full) from None
        return Owned(ONE_INVITATION.read(answer), "created")

    async def _team_ids(self, slugs: tuple[str, ...]) -> list[int]:
        found = {each.slug: each.id async for each in self.teams()}
        if unknown := [slug for slug in slugs if slug not in found]:
            raise Invalid("There is no such team.", fields=dict.fromkeys(unknown, "is not known"))
        return [found[slug] for slug in slugs]

    async def _cancel(self, invitation: Invitation) -> None:
        path = {"org": self.org, "invitation_id": invitation.id}
        await self.http.call(CANCEL_INVITATION, path, expect=(GONE,))
