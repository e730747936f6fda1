"""Slack: accounts by the way the plan has, beside channels and messages.

There are three ways. SCIM makes an account with our mark, and locks and unlocks it. Without SCIM an
Enterprise organization invites people; the account is there when they have accepted. Below that no
program can do it: a person is asked, and the step looks whether it has been done.
Source: connectors document, §7 and §12.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from newel.connectors.base import Holding, marker_of, names_of
from newel.connectors.capability import BY_HAND, ByHand, Way
from newel.connectors.ensure import Adoption, Ensured, Exists, ensured
from newel.connectors.operation import operation
from newel.connectors.owning import INVITED
from newel.connectors.slack_base import ADMIN, SCIM, Plan, SlackCapability
from newel.connectors.slack_contract import (
    INVITE,
    PATCH_SCHEMA,
    SCIM_CHANGE,
    SCIM_CREATE,
    SCIM_FIND,
    SCIM_ONE,
    SCIM_READ,
    SCIM_USER,
    USER_SCHEMA,
)
from newel.connectors.slack_messages import Message, SlackMessages
from newel.connectors.slack_people import Who, evidence_of, seen_from_outside
from newel.connectors.slack_workspace import FIND, LOOKS, OPEN, SlackWorkspace
from newel.domain.people import Person
from newel.domain.values import Access, Account

__all__ = ["Message", "Plan", "Slack", "SlackCapability"]

_SETTLE: Final = (0, 5)
_LONGEST_NAME: Final = 21
_INVITED: Final = "already_in_team_invited_user"
_BY_SCIM: Final = (Way(path="scim", capability=SCIM),)


class Slack(SlackMessages, SlackWorkspace):
    """One Slack workspace: accounts, channels, messages."""

    @operation(
        idempotency="read",
        natural_key="user/{person.email}",
        needs=(FIND,),
        reads=LOOKS,
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
            how=(OPEN, "Invite people: enter their work address, as a member.", "Tell them."),
        ),
        grants="{system}:account",
        undo="deactivate",
        reversible="yes",
        sends_email="person",
        bucket=SCIM_USER,
        needs=("admin|admin.users:write|users:read.email",),
        spec=(SCIM_CREATE.operation, SCIM_CHANGE.operation, INVITE.operation),
        reads=LOOKS,
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
        needs=(FIND,),
        reads=LOOKS,
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
            how=(OPEN, "Find their work address, then: Deactivate account."),
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
            return self.gone(self.absent(person))
        return await self._switched(person, active=False)

    @operation(
        natural_key="user/{person.email}",
        idempotency="put",
        ways=_BY_SCIM,
        by_hand=ByHand(
            title="activate their Slack account",
            how=(OPEN, "Find their work address among the inactive, then: Activate account."),
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
                shown=seen_from_outside,
            ),
        )
        return self.reported(reached, self._account(reached.value), path="scim")

    async def _by_invitation(self, person: Person) -> Account:
        """Invite them; what `users.lookupByEmail` does not show, the answer tells."""
        reached = await ensured(
            look=lambda: self._own(person),
            ours=lambda who: who.evidence,
            create=lambda: self._invite(person),
            settling=self.settling(0),
            what="Slack account",
        )
        is_new = reached.value.evidence != INVITED
        account = self._account(reached.value)
        access: Access = "prepared" if account.state == "invited" else "active"
        told = Ensured(
            reached.value,
            changed=reached.changed and is_new,
            evidence=reached.evidence if is_new else INVITED,
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
            evidence="" if code is None else INVITED,
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
        reached = await ensured(
            look=lambda: self._own(person),
            ours=lambda who: who.evidence,
            create=None,
            differs=lambda who: {} if (who.state == "active") is active else {"active": active},
            change=self._change,
            settling=self.settling(0),
            what="Slack account",
        )
        account = self._account(reached.value)
        access: Access = "active" if account.state == "active" else "suspended"
        return self.reported(reached, account, access=access, path="scim")
