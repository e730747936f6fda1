"""Who somebody is in a Slack workspace: how their account is found, and why it is theirs.

An account seen by SCIM carries our mark; whose one is that is seen without it, `owning` says.
Source: connectors document, §4.3 and §12.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from newel.base.errors import Invalid, OwnershipConflict
from newel.connectors.base import marker_of
from newel.connectors.slack_base import SlackBase
from newel.connectors.slack_contract import (
    LOOK_UP,
    MEMBERS,
    SCIM_FIND,
    SCIM_USERS,
    Member,
    ScimUser,
)
from newel.domain.people import Person
from newel.domain.values import Account, AccountState

__all__ = ["SlackPeople", "Who", "evidence_of", "seen_from_outside"]


@dataclass(frozen=True, kw_only=True)
class Who:
    """An account of Slack and why it is the subject's; mark: our mark on it, or empty."""

    id: str
    handle: str
    email: str
    state: AccountState
    evidence: str = ""
    mark: str = ""


class SlackPeople(SlackBase):
    """The workspace's people."""

    async def _who(self, person: Person) -> Who | None:
        """Find the account at the person's work address, whoever it belongs to."""
        if self.has_scim:
            found = await self._scim_user(person)
            return None if found is None else self._seen(found, person.email)
        member = await self._member(person)
        if member is None:
            return None
        return Who(
            id=member.id,
            handle=member.name,
            email=person.email,
            state="suspended" if member.deleted else "active",
        )

    async def _member(self, person: Person) -> Member | None:
        """Find the member of this workspace at an address; invited people are not shown."""
        answer = await self.http.call(
            LOOK_UP, query={"email": person.email}, expect=("users_not_found",)
        )
        return None if answer.document.get("error") else MEMBERS.read(answer).user

    async def _own(self, person: Person, *, gives: bool = False) -> Who | None:
        """Find the person's own account; raises OwnershipConflict if it is not known to be.

        gives: whether the account is what the step is to give.
        """
        who = await self._who(person)
        if who is None:
            return None
        if self.has_scim:
            return replace(who, evidence=evidence_of(who, marker_of(person)))
        shown = seen_from_outside(who)
        evidence = await self.whose(person, self._account(who), *shown, gives=gives)
        return replace(who, evidence=evidence)

    async def _need_own(self, person: Person) -> Who:
        who = await self._own(person)
        if who is None:
            raise Invalid("There is no Slack account to change.")
        return who

    async def _scim_user(self, person: Person) -> ScimUser | None:
        address = person.email.replace("\\", "\\\\").replace('"', '\\"')
        answer = await self.http.call(SCIM_FIND, query={"filter": f'email eq "{address}"'})
        users = SCIM_USERS.read(answer).resources
        if len(users) > 1:
            raise OwnershipConflict(
                "More than one account has this address.", evidence=f"{len(users)} hits"
            )
        return users[0] if users else None

    def _seen(self, user: ScimUser, email: str) -> Who:
        return Who(
            id=user.id,
            handle=user.user_name,
            email=email,
            state="active" if user.active else "suspended",
            mark=user.external_id or "",
        )

    def _account(self, who: Who) -> Account:
        return Account(
            system=self.name, id=who.id, handle=who.handle, email=who.email, state=who.state
        )


def evidence_of(who: Who, marker: str) -> str:
    """Say why an account is the subject's; SCIM can hold our mark, so without it, it is not."""
    if who.mark == marker:
        return "marker"
    raise OwnershipConflict(
        "An account with this address exists and is not known to be theirs.",
        external_id=who.id,
        evidence="marker of another subject" if who.mark else "no marker",
    )


def seen_from_outside(who: Who) -> tuple[str, ...]:
    """Say what helps to decide whose an account is."""
    return (
        "Look for the address in Slack's administration: Manage members.",
        "It is active." if who.state == "active" else "It is deactivated.",
    )
