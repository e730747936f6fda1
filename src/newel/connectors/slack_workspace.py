"""A Slack workspace and its members: put in, removed, signed out, and listed.

An organization that may do it by `admin.*` does; else a person does, and the step looks.
Source: connectors document, §7 and §12.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from newel.base.errors import OutcomeUnknown
from newel.connectors.base import Holding
from newel.connectors.capability import BY_HAND, ByHand, Way
from newel.connectors.ensure import Ensured
from newel.connectors.looking import WouldChange, believe
from newel.connectors.operation import operation
from newel.connectors.paging import pages, place_after
from newel.connectors.slack_base import ADMIN
from newel.connectors.slack_channels import SlackChannels
from newel.connectors.slack_contract import (
    ASSIGN,
    END_SESSIONS,
    INVITE,
    LIST_USERS,
    LOOK_UP,
    MEMBER_PAGES,
    REMOVE,
    SCIM_FIND,
    SCIM_USERS,
    TIER2,
    Member,
    ScimUsers,
)
from newel.connectors.slack_people import Who
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["BY_ADMIN", "FIND", "LOOKS", "OPEN", "SlackWorkspace"]

FIND: Final = "admin|users:read.email"
LOOKS: Final = (SCIM_FIND.operation, LOOK_UP.operation)
BY_ADMIN: Final = (Way(path="admin_api", capability=ADMIN),)
OPEN: Final = "Open Slack's administration: Manage members."

_in_workspace: Final = partial(operation, ways=BY_ADMIN, bucket=TIER2, reads=LOOKS)


class SlackWorkspace(SlackChannels):
    """The members of one workspace."""

    @_in_workspace(
        natural_key="workspace/{person.email}",
        idempotency="natural",
        by_hand=ByHand(
            title="add them to the Slack workspace",
            how=(OPEN, "Add people: enter their work address, as a member."),
        ),
        grants="{system}:account",
        undo="remove",
        reversible="yes",
        needs=(FIND, "admin.users:write"),
        spec=(ASSIGN.operation,),
        title="Put into the Slack workspace",
    )
    async def assign(self, person: Person) -> Account:
        """Put somebody whom the organization has into this workspace."""
        if self.way == BY_HAND:
            return await self._made_by_hand(person)
        who = await self._need_own(person)
        body = {"team_id": await self._team_id(), "user_id": who.id}
        answer = await self.http.call(ASSIGN, body=body, expect=("user_already_team_member",))
        changed = not answer.document.get("error")
        reached = Ensured(who, changed=changed, evidence=who.evidence)
        return self.reported(reached, self._account(who))

    @_in_workspace(
        natural_key="workspace/{person.email}",
        idempotency="put",
        by_hand=ByHand(
            title="remove them from the Slack workspace",
            how=(OPEN, "Find their work address, then: Remove from workspace, or Deactivate."),
        ),
        revokes="{system}:account",
        undo="assign",
        reversible="with_loss",
        needs=(FIND, "admin.users:write", "users:read.email"),
        spec=(REMOVE.operation,),
        title="Remove from the Slack workspace",
    )
    async def remove(self, person: Person) -> Account:
        """Take them out of this workspace, their channels included; the organization keeps them."""
        who = await self._own(person)
        if who is None or (self.way == BY_HAND and not await self._is_member(person)):
            return self.gone(self.absent(person))
        body = {"team_id": await self._team_id(), "user_id": who.id}
        done = ("user_already_deleted", "user_not_found")
        answer = await self.http.call(REMOVE, body=body, expect=done)
        changed = not answer.document.get("error")
        if await self._is_member(person):
            raise OutcomeUnknown(
                "The person was removed from the workspace and is still to be seen.",
                code="still-seen",
            )
        reached = Ensured(who, changed=changed, evidence=f"{who.evidence}, verified absent")
        return self.reported(reached, self.absent(person), access="revoked")

    @_in_workspace(
        natural_key="sessions/{person.email}",
        idempotency="put",
        by_hand=ByHand(
            title="sign them out of Slack everywhere",
            how=(OPEN, "Find their work address, then: Sign out of all sessions."),
            is_seen=False,
        ),
        undo="none: they sign in again",
        reversible="with_loss",
        needs=(FIND, "admin.users:write"),
        spec=(END_SESSIONS.operation,),
        title="Sign out of Slack everywhere",
    )
    async def end_sessions(self, person: Person) -> Account:
        """End all sessions, on every device; an account that is gone has none."""
        who = await self._own(person)
        if who is None:
            return self.gone(self.absent(person))
        if self.way == BY_HAND:
            believe(END_SESSIONS.operation)
        else:
            await self.http.call(END_SESSIONS, body={"user_id": who.id})
        ended = Ensured(who, changed=True, evidence=who.evidence)
        return self.reported(ended, self._account(who))

    # Everybody ---------------------------------------------------------------------------------

    async def accounts(self) -> AsyncIterator[Holding]:
        """Give every account with its mark and its channels; reads only."""
        held: defaultdict[str, list[str]] = defaultdict(list)
        async for channel in self._channels():
            async for user in self._members(channel.id):
                held[user].append(f"{self.name}:channel/{channel.id}")
        async for who in self._everybody():
            yield Holding(
                account=self._account(who),
                entitlements=(self.base_entitlement, *sorted(held[who.id])),
                marker=who.mark,
            )

    async def _everybody(self) -> AsyncIterator[Who]:
        if not self.has_scim:
            async for member in self._listed():
                yield Who(
                    id=member.id,
                    handle=member.name,
                    email=member.profile.email,
                    state="suspended" if member.deleted else "active",
                )
            return

        async def read(start: int) -> tuple[ScimUsers, int | None]:
            query = {"startIndex": str(start), "count": "200"}
            page = SCIM_USERS.read(await self.http.call(SCIM_FIND, query=query))
            return page, place_after(start, len(page.resources), page.total + 1)

        async for page in pages(SCIM_FIND.operation, read, 1):
            for user in page.resources:
                yield self._seen(user, user.email)

    async def _listed(self) -> AsyncIterator[Member]:
        async for page in self.pages_of(LIST_USERS, MEMBER_PAGES, {"limit": "200"}):
            for member in page.members:
                if not member.is_bot:
                    yield member

    async def _made_by_hand(self, person: Person) -> Account:
        """Look whether they are an active member by now: a person was to see to that."""
        who = await self._own(person, gives=True)
        if who is None or who.state != "active" or not await self._is_member(person):
            raise WouldChange(INVITE.operation)
        found = Ensured(who, changed=False, evidence=who.evidence)
        return self.reported(found, self._account(who))

    async def _is_member(self, person: Person) -> bool:
        """Whether this workspace shows them; invited people are not shown."""
        member = await self._member(person)
        return member is not None and not member.deleted
