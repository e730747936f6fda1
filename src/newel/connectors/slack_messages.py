"""Messages in Slack's channels, each said once.

Messages have no documented idempotency key, so each carries an opaque key in its metadata, by
which a lost one is found in the channel's history. Metadata is readable by every app of the
workspace: it holds the key and nothing else.
Source: connectors document, §12.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from newel.base.errors import Forbidden
from newel.connectors.base import marker_of
from newel.connectors.looking import report
from newel.connectors.operation import operation
from newel.connectors.slack_base import SlackBase
from newel.connectors.slack_contract import (
    CHANNELS,
    HISTORIES,
    HISTORY,
    POST,
    POSTED,
    SAY,
)
from newel.domain.people import Person
from newel.domain.values import Absent, Effect, Found, Unclear
from newel.flow.context import ATTEMPT

__all__ = ["Message", "SlackMessages"]

_HISTORY_SETTLES: Final = (0, 5)
_CLOCKS_DIFFER: Final = timedelta(minutes=2)
_ONCE_LASTS: Final = timedelta(days=90)
_NEEDS: Final = ("chat:write", "channels:history|groups:history", "channels:read|groups:read")


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message that was said; `ts` is its name inside the channel."""

    system: str
    channel: str
    ts: str


class SlackMessages(SlackBase):
    """What is said in channels."""

    async def _verify_say(
        self, channel: str, text: str, *, once: str = "", about: Person | None = None
    ) -> Found[Message] | Absent | Unclear:
        """Look for the message's key in the channel's history since the call was intended."""
        op_key = self._op_key(channel, text, once, about)
        try:
            found = await self.settling(*_HISTORY_SETTLES).look(
                lambda: self.said(channel, op_key, since=self._since(once))
            )
        except Forbidden as refused:
            return Unclear(f"The history of the channel cannot be read: {refused}")
        if found is None:
            return Absent()
        report(
            Effect(
                changed=True,
                external_id=found.ts,
                account=channel,
                evidence="key in the channel's history",
            )
        )
        return Found(found)

    @operation(
        idempotency="append",
        undo="none: a message that was read cannot be unread",
        reversible="no",
        bucket=POST,
        needs=_NEEDS,
        spec=(SAY.operation,),
        reads=(HISTORY.operation, CHANNELS.operation),
        settle=_HISTORY_SETTLES,
        verify=_verify_say,
        unclear="repeat",
        title="Say something in Slack",
    )
    async def say(
        self, channel: str, text: str, *, once: str = "", about: Person | None = None
    ) -> Message:
        """Say something in a channel, by its name (`#general`) or id.

        once, about: what is said of whom; it is not said again by another run within 90 days.
        Without the scope to read the channel's history a lost answer may lead to a repetition.
        """
        op_key = self._op_key(channel, text, once, about)
        if (
            once
            and (found := await self.said(channel, op_key, since=self._since(once))) is not None
        ):
            told = "key in the channel's history"
            report(Effect(changed=False, external_id=found.ts, account=channel, evidence=told))
            return found
        posted = await self.post(channel, text, op_key)
        report(Effect(changed=True, external_id=posted.ts, account=channel, evidence="created"))
        return posted

    async def post(
        self, channel: str, text: str, op_key: str, *, thread: str | None = None
    ) -> Message:
        """Post a message that carries a key; thread: the message that it answers."""
        body: dict[str, object] = {
            "channel": channel,
            "text": text,
            "metadata": {"event_type": "newel", "event_payload": {"op_key": op_key}},
        }
        if thread is not None:
            body["thread_ts"] = thread
        answer = await self.http.call(SAY, body=body, bucket=f"{POST}:{channel}")
        posted = POSTED.read(answer)
        return Message(system=self.name, channel=posted.channel, ts=posted.ts)

    def key_of(self, what: str) -> str:
        """Give the key that a message about something carries; opaque to everybody."""
        return hashlib.sha256(f"{self.name}\0{what}".encode()).hexdigest()[:32]

    def _since(self, once: str) -> datetime | None:
        return self.clock.now() - _ONCE_LASTS if once else None

    def _op_key(self, channel: str, text: str, once: str, about: Person | None) -> str:
        """Give the key of this act: the same for every attempt of it, opaque to everybody.

        What is said once has a key of its subject instead, the same in every run.
        """
        if once:
            return self.key_of(f"{channel}\0{once}\0{marker_of(about) if about else ''}")
        attempting = ATTEMPT.get()
        seed = attempting.info.idempotency_key if attempting else f"{channel}\0{text}"
        return self.key_of(seed)

    async def said(
        self, channel: str, op_key: str, *, since: datetime | None = None
    ) -> Message | None:
        """Find the message that carries a key; since: the attempt's intent, where there is one."""
        channel_id = await self._channel_id(channel)
        attempting = ATTEMPT.get()
        query = {"channel": channel_id, "include_all_metadata": "true", "limit": "200"}
        if since is None and attempting is not None:
            # Their clock is not ours: a little earlier than the intent, to be sure.
            since = attempting.info.intended_at - _CLOCKS_DIFFER
        if since is not None:
            query["oldest"] = f"{since.timestamp():.6f}"
        async for page in self.pages_of(HISTORY, HISTORIES, query):
            for message in page.messages:
                metadata = message.metadata
                if metadata is not None and metadata.event_payload.op_key == op_key:
                    return Message(system=self.name, channel=channel_id, ts=message.ts)
        return None
