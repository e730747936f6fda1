"""Channels of Slack: who is in them, who is put in and taken out.

One person per call: a call for several does nothing at all if one of them cannot be put in. Who is
in a channel is read before anything is sent, and after somebody was taken out.
Source: connectors document, §12.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from newel.base.errors import AlreadyDone, Forbidden
from newel.connectors.ensure import Ensured, Exists, ensured, removed
from newel.connectors.operation import operation
from newel.connectors.slack_contract import (
    CHANNELS,
    IN_CHANNEL,
    JOIN,
    KICK,
    LOOK_UP,
    PRESENT,
    SCIM_FIND,
    TIER3,
)
from newel.connectors.slack_people import SlackPeople, Who
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["SlackChannels"]

_READ: Final = "channels:read|groups:read"
_FIND: Final = "admin|users:read.email"
_PUT_IN: Final = (
    "channels:write.invites|channels:manage|channels:write|groups:write.invites|groups:write"
)
_TAKE_OUT: Final = "channels:manage|channels:write|groups:write"
_LOOKS: Final = (
    SCIM_FIND.operation,
    LOOK_UP.operation,
    CHANNELS.operation,
    IN_CHANNEL.operation,
)


class SlackChannels(SlackPeople):
    """Membership in channels."""

    @operation(
        natural_key="channel/{channel}/{person.email}",
        idempotency="natural",
        grants="{system}:channel/{channel}",
        undo="leave_channel",
        reversible="yes",
        bucket=TIER3,
        needs=(_FIND, _READ, _PUT_IN),
        spec=(JOIN.operation,),
        reads=_LOOKS,
        title="Add to the Slack channel",
    )
    async def join_channel(self, person: Person, channel: str) -> Account:
        """Put them into a channel, by its id or name; our app must be in it."""
        who = await self._need_own(person)
        identity = await self._channel_id(channel)
        reached = await ensured(
            look=lambda: self._present(identity, who),
            ours=lambda _: who.evidence,
            create=lambda: self._put_in(identity, who),
            settling=self.settling(0),
            what="membership in the channel",
        )
        return self.reported(reached, self._account(who))

    @operation(
        natural_key="channel/{channel}/{person.email}",
        idempotency="put",
        revokes="{system}:channel/{channel}",
        undo="join_channel",
        reversible="yes",
        bucket=TIER3,
        needs=(_FIND, _READ, _TAKE_OUT),
        spec=(KICK.operation,),
        reads=_LOOKS,
        title="Take out of the Slack channel",
    )
    async def leave_channel(self, person: Person, channel: str) -> Account:
        """Take them out of a channel; out of the one that everybody is in, nobody."""
        who = await self._own(person)
        if who is None:
            return self.gone(self.absent(person))
        identity = await self._channel_id(channel)
        try:
            reached = await removed(
                look=lambda: self._present(identity, who),
                ours=lambda _: who.evidence,
                remove=lambda _: self._take_out(identity, who),
                settling=self.settling(0),
                what="membership in the channel",
            )
        except AlreadyDone:
            kept = Ensured(who, changed=False, evidence="everybody is in this channel")
            return self.reported(kept, self._account(who))
        return self.reported(reached, self._account(who), access="revoked")

    # Requests ----------------------------------------------------------------------------------

    async def _present(self, channel: str, who: Who) -> Who | None:
        """Say whether somebody is in a channel: themselves if so, else None."""
        async for user in self._members(channel):
            if user == who.id:
                return who
        return None

    async def _members(self, channel: str) -> AsyncIterator[str]:
        query = {"channel": channel, "limit": "999"}
        async for page in self.pages_of(IN_CHANNEL, PRESENT, query):
            for user in page.members:
                yield user

    async def _put_in(self, channel: str, who: Who) -> Who:
        body = {"channel": channel, "users": who.id}
        try:
            answer = await self.http.call(JOIN, body=body, expect=("already_in_channel",))
        except Forbidden as refused:
            if refused.code == "not_in_channel":
                refused.message = "newel's app is not in the channel: add it there, then retry."
                refused.args = (refused.message,)
            raise
        if answer.document.get("error"):
            raise Exists
        return who

    async def _take_out(self, channel: str, who: Who) -> None:
        body = {"channel": channel, "user": who.id}
        await self.http.call(KICK, body=body, expect=("not_in_channel",))
