"""Slack: accounts by the way the plan has, beside channels and messages.

There are three ways. SCIM makes an account with our mark, and locks and unlocks it. Without SCIM an
Enterprise organization invites people; the account is there when they have accepted. Below that no
program can do it: a person is asked, and the step looks whether it has been done.
Source: connectors document, §7 and §12.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Final

from newel.base.errors import Bug, OutcomeUnknown
from newel.connectors.base import Holding, marker_of, names_of
from newel.connectors.capability import BY_HAND, ByHand, Way
from newel.connectors.ensure import Adoption, Ensured, Exists, ensured
from newel.connectors.http import MOST_PAGES
from newel.connectors.looking import WouldChange, believe
from newel.connectors.operation import operation
from newel.connectors.slack_base import ADMIN, SCIM, Plan, SlackCapability, Who, evidence_of
from newel.connectors.slack_channels import SlackChannels
from newel.connectors.slack_contract import (
    ASSIGN,
    END_SESSIONS,
    INVITE,
    LIST_USERS,
    LOOK_UP,
    MEMBER_PAGES,
    PATCH_SCHEMA,
    REMOVE,
    SCIM_CHANGE,
    SCIM_CREATE,
    SCIM_FIND,
    SCIM_ONE,
    SCIM_READ,
    SCIM_USER,
    SCIM_USERS,
    TIER2,
    USER_SCHEMA,
    Member,
)
from newel.connectors.slack_messages import Message, SlackMessages
from newel.domain.people import Person
from newel.domain.values import Access, Account

__all__ = ["Message", "Plan", "Slack", "SlackCapability"]

_SETTLE: Final = (0, 5)
_LONGEST_NAME: Final = 21
_INVITED: Final = "already_in_team_invited_user"
_FIND: Final = "admin|users:read.email"
_LOOKS: Final = (SCIM_FIND.operation, LOOK_UP.operation)
_BY_SCIM: Final = (Way(path="scim", capability=SCIM),)
_BY_ADMIN: Final = (Way(path="admin_api", capability=ADMIN),)
_OPEN: Final = "Open Slack's administration: Manage members."


class Slack(SlackMessages, SlackChannels):
    """One Slack workspace: accounts, channels, messages."""

    @operation(
        idempotency="read",
        natural_key="user/{person.email}",
        needs=(_FIND,),
        reads=_LOOKS,
        bucket=SCIM_READ,
        title="Look up the Slack account",
    )
    async def find(self, person: Person) -> Account | None:
        """Look for the account at the person's work address, whoever it belongs to."""
        who = await self._who(person)
        return None if who is None else self._account(who)

    async def at_address(self, person: Person) -> Holding | None:
        """Look for the account at a work address; only SCIM shows marks."""
        who = await self._who(person)
        return None if who is None else Holding(account=self._account(who), marker=who.mark)

    @operation(
        natural_key="user/{person.email}",
        idempotency="natural",
        ways=(*_BY_SCIM, Way(path="invitation", capability=ADMIN)),
        by_hand=ByHand(
            title="invite them to Slack",
            how=(_OPEN, "Invite people: enter their work address, as a member.", "Tell them."),
        ),
        grants="{system}:account",
        undo="deactivate",
        reversible="yes",
        sends_email="person",
        bucket=SCIM_USER,
        needs=("admin|admin.users:write|users:read.email",),
        spec=(SCIM_CREATE.operation, SCIM_CHANGE.operation, INVITE.operation),
        reads=_LOOKS,
        settle=_SETTLE,
        title="Create the Slack account",
    )
    async def ensure_account(self, person: Person) -> Account:
        """Create their account by the first way that the plan has, or find that it is there.

        By SCIM it has our mark, and a deactivated one of theirs is reactivated. An invited account
        is `invited` until they accept.
        """
        match self.way:
            case "scim":
                return await self._by_scim(person)
            case "invitation":
                return await self._by_invitation(person)
            case _:
                return await self._made_by_hand(person)

    @operation(
        idempotency="read",
        grants="{system}:account",
        needs=(_FIND,),
        reads=_LOOKS,
        natural_key="user/{person.email}",
        bucket=SCIM_READ,
        title="See whether the Slack invitation is accepted",
    )
    async def accepted(self, person: Person) -> bool:
        """Say whether their account is there by now; who was invited is not seen before."""
        who = await self._own(person)
        if who is None or who.state != "active":
            return False
        path = self.way_of(self.ensure_account).path
        reached = Ensured(who, changed=True, evidence="accepted by the person")
        self.reported(reached, self._account(who), path=path or BY_HAND)
        return True

    @operation(
        natural_key="user/{person.email}",
        idempotency="put",
        ways=_BY_SCIM,
        by_hand=ByHand(
            title="deactivate their Slack account",
            how=(_OPEN, "Find their work address, then: Deactivate account."),
        ),
        revokes="{system}:account",
        undo="reactivate",
        reversible="yes",
        bucket=SCIM_USER,
        needs=("admin",),
        spec=(SCIM_CHANGE.operation,),
        reads=(SCIM_FIND.operation,),
        title="Deactivate the Slack account",
    )
    async def deactivate(self, person: Person) -> Account:
        """Lock the account and end its sessions; messages and files stay."""
        if await self._who(person) is None:
            return self._gone(person)
        return await self._switched(person, active=False)

    @operation(
        natural_key="user/{person.email}",
        idempotency="put",
        ways=_BY_SCIM,
        by_hand=ByHand(
            title="activate their Slack account",
            how=(_OPEN, "Find their work address among the inactive, then: Activate account."),
        ),
        grants="{system}:account",
        undo="deactivate",
        reversible="yes",
        bucket=SCIM_USER,
        needs=("admin",),
        spec=(SCIM_CHANGE.operation,),
        reads=(SCIM_FIND.operation,),
        title="Reactivate the Slack account",
    )
    async def reactivate(self, person: Person) -> Account:
        """Let a deactivated person in again."""
        if self.way == BY_HAND:
            return await self._made_by_hand(person)
        return await self._switched(person, active=True)

    # The organization --------------------------------------------------------------------------

    @operation(
        natural_key="workspace/{person.email}",
        idempotency="natural",
        ways=_BY_ADMIN,
        by_hand=ByHand(
            title="add them to the Slack workspace",
            how=(_OPEN, "Add people: enter their work address, as a member."),
        ),
        grants="{system}:account",
        undo="remove",
        reversible="yes",
        bucket=TIER2,
        needs=(_FIND, "admin.users:write"),
        spec=(ASSIGN.operation,),
        reads=_LOOKS,
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

    @operation(
        natural_key="workspace/{person.email}",
        idempotency="put",
        ways=_BY_ADMIN,
        by_hand=ByHand(
            title="remove them from the Slack workspace",
            how=(_OPEN, "Find their work address, then: Remove from workspace, or Deactivate."),
        ),
        revokes="{system}:account",
        undo="assign",
        reversible="with_loss",
        bucket=TIER2,
        needs=(_FIND, "admin.users:write", "users:read.email"),
        spec=(REMOVE.operation,),
        reads=_LOOKS,
        title="Remove from the Slack workspace",
    )
    async def remove(self, person: Person) -> Account:
        """Take them out of this workspace, their channels included; the organization keeps them."""
        who = await self._own(person)
        if who is None or (self.way == BY_HAND and not await self._is_member(person)):
            return self._gone(person)
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

    @operation(
        natural_key="sessions/{person.email}",
        idempotency="put",
        ways=_BY_ADMIN,
        by_hand=ByHand(
            title="sign them out of Slack everywhere",
            how=(_OPEN, "Find their work address, then: Sign out of all sessions."),
            is_seen=False,
        ),
        undo="none: they sign in again",
        reversible="with_loss",
        bucket=TIER2,
        needs=(_FIND, "admin.users:write"),
        spec=(END_SESSIONS.operation,),
        reads=_LOOKS,
        title="Sign out of Slack everywhere",
    )
    async def end_sessions(self, person: Person) -> Account:
        """End all sessions, on every device; an account that is gone has none."""
        who = await self._own(person)
        if who is None:
            return self._gone(person)
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
        seen = 0
        for _ in range(MOST_PAGES):
            query = {"startIndex": str(seen + 1), "count": "200"}
            page = SCIM_USERS.read(await self.http.call(SCIM_FIND, query=query))
            for user in page.resources:
                yield self._seen(user, user.email)
            seen += len(page.resources)
            if not page.resources or seen >= page.total:
                return
        raise Bug("The list of users has no end.")

    async def _listed(self) -> AsyncIterator[Member]:
        query = {"limit": "200"}
        for _ in range(MOST_PAGES):
            page = MEMBER_PAGES.read(await self.http.call(LIST_USERS, query=query))
            for member in page.members:
                if not member.is_bot:
                    yield member
            if not page.more.next_cursor:
                return
            query["cursor"] = page.more.next_cursor
        raise Bug("The list of members has no end.")

    # Requests ----------------------------------------------------------------------------------

    async def _by_scim(self, person: Person) -> Account:
        marker = marker_of(person)
        reached = await ensured(
            look=lambda: self._who(person),
            ours=lambda who: evidence_of(who, marker),
            create=lambda: self._create(person, marker),
            differs=lambda who: {} if who.state == "active" else {"active": True},
            change=self._change,
            settling=self.settling(*_SETTLE),
            what="Slack account",
            adoption=Adoption(
                is_unmarked=lambda who: not who.mark,
                stamp=lambda who: self._change(who, {"externalId": marker}),
                shown=_seen_from_outside,
            ),
        )
        return self.reported(reached, self._account(reached.value), path="scim")

    async def _by_invitation(self, person: Person) -> Account:
        """Invite them; what `users.lookupByEmail` does not show, the answer tells."""
        reached = await ensured(
            look=lambda: self._who(person),
            ours=lambda who: who.evidence,
            create=lambda: self._invite(person),
            settling=self.settling(0),
            what="Slack account",
        )
        is_new = reached.value.evidence != _INVITED
        account = self._account(reached.value)
        access: Access = "prepared" if account.state == "invited" else "active"
        told = Ensured(
            reached.value,
            changed=reached.changed and is_new,
            evidence=reached.evidence if is_new else "derived",
        )
        return self.reported(told, account, access=access, path="invitation")

    async def _invite(self, person: Person) -> Who:
        channels = [await self._channel_id(each) for each in self.first_channels]
        body = {
            "team_id": await self._team_id(),
            "email": person.email,
            "channel_ids": ",".join(channels),
            "real_name": person.name,
        }
        answer = await self.http.call(INVITE, body=body, expect=("already_in_team", _INVITED))
        code = answer.document.get("error")
        if code == "already_in_team":
            raise Exists
        return Who(
            id="",
            handle=person.email,
            email=person.email,
            state="invited",
            evidence=str(code or "derived"),
        )

    async def _create(self, person: Person, marker: str) -> Who:
        given, family = names_of(person)
        body = {
            "schemas": [USER_SCHEMA],
            "userName": person.email.partition("@")[0][:_LONGEST_NAME],
            "name": {"givenName": given, "familyName": family},
            "displayName": person.name,
            "emails": [{"value": person.email, "primary": True}],
            "externalId": marker,
        }
        answer = await self.http.call(SCIM_CREATE, body=body, expect=(HTTPStatus.CONFLICT,))
        if answer.status == HTTPStatus.CONFLICT:
            raise Exists
        return self._seen(SCIM_ONE.read(answer), person.email)

    async def _change(self, who: Who, fields: Mapping[str, object]) -> Who:
        steps = [{"op": "replace", "path": name, "value": fields[name]} for name in fields]
        body = {"schemas": [PATCH_SCHEMA], "Operations": steps}
        answer = await self.http.call(SCIM_CHANGE, {"id": who.id}, body=body)
        return self._seen(SCIM_ONE.read(answer), who.email)

    async def _switched(self, person: Person, *, active: bool) -> Account:
        marker = marker_of(person)
        reached = await ensured(
            look=lambda: self._who(person),
            ours=lambda who: evidence_of(who, marker) if self.has_scim else who.evidence,
            create=None,
            differs=lambda who: {} if (who.state == "active") is active else {"active": active},
            change=self._change,
            settling=self.settling(0),
            what="Slack account",
        )
        account = self._account(reached.value)
        access: Access = "active" if account.state == "active" else "suspended"
        return self.reported(reached, account, access=access, path="scim")

    async def _made_by_hand(self, person: Person) -> Account:
        """Look whether they are an active member by now: a person was to see to that."""
        who = await self._own(person)
        if who is None or who.state != "active" or not await self._is_member(person):
            raise WouldChange(INVITE.operation)
        found = Ensured(who, changed=False, evidence=who.evidence)
        return self.reported(found, self._account(who))

    async def _is_member(self, person: Person) -> bool:
        """Whether this workspace shows them; invited people are not shown."""
        member = await self._member(person)
        return member is not None and not member.deleted

    def _gone(self, person: Person) -> Account:
        absent: Ensured[None] = Ensured(None, changed=False, evidence="verified absent")
        return self.reported(absent, self.absent(person), access="revoked")


def _seen_from_outside(who: Who) -> tuple[str, ...]:
    """Say what helps to decide whose an account is."""
    return (
        "Look for the address in Slack's administration: Manage members.",
        "It is active." if who.state == "active" else "It is deactivated.",
    )
