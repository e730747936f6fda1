"""Slack: accounts through SCIM where the plan has it, and messages.

Below Business+ nobody can be invited by a program: there the account is made by hand. Messages
have no documented idempotency key, so each carries an opaque key in its metadata, by which a
lost one is found in the channel's history. Metadata is readable by every app of the workspace:
it holds the key and nothing else.
Source: connectors document, §12.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import ClassVar, Final, Literal, Unpack

from newel.base.errors import Bug, Forbidden, Invalid, OwnershipConflict, StepError
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.auth import BearerCredential
from newel.connectors.base import Check, Connector, Outside, all_of, marker_of, names_of
from newel.connectors.ensure import Ensured, Exists, ensured
from newel.connectors.gate import Bucket
from newel.connectors.http import MOST_PAGES
from newel.connectors.looking import report
from newel.connectors.operation import operation
from newel.connectors.slack_contract import (
    AUTH_TEST,
    CHANNEL_PAGES,
    CHANNELS,
    HISTORIES,
    HISTORY,
    LOOK_UP,
    MEMBERS,
    PATCH_SCHEMA,
    POST,
    POSTED,
    SAY,
    SCIM_CHANGE,
    SCIM_CONFIG,
    SCIM_CREATE,
    SCIM_FIND,
    SCIM_ONE,
    SCIM_READ,
    SCIM_USER,
    SCIM_USERS,
    TIER2,
    TIER3,
    USER_SCHEMA,
    WHOAMI,
    ScimUser,
    judged,
)
from newel.domain.people import Person
from newel.domain.values import Absent, Access, Account, Effect, Found, Unclear
from newel.flow.context import ATTEMPT

__all__ = ["Message", "Plan", "Slack"]

Plan = Literal["pro", "business", "enterprise"]

_SETTLE: Final = (0, 5)
_HISTORY_SETTLES: Final = (0, 5)
_CLOCKS_DIFFER: Final = timedelta(minutes=2)
_LONGEST_NAME: Final = 21
_SAY_NEEDS: Final = ("chat:write", "channels:history|groups:history", "channels:read|groups:read")


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message that was said; `ts` is its name inside the channel."""

    system: str
    channel: str
    ts: str


class Slack(Connector):
    """One Slack workspace: accounts and messages."""

    title = "Slack"
    buckets: ClassVar = (
        Bucket(name=TIER2, rate=16 / 60, capacity=16),
        Bucket(name=TIER3, rate=40 / 60, capacity=40),
        Bucket(name=POST, rate=48 / 60, capacity=4),
        Bucket(name=SCIM_USER, rate=144 / 60, capacity=16),
        Bucket(name=SCIM_READ, rate=800 / 60, capacity=100),
    )

    def __init__(
        self,
        *,
        token: SecretRef,
        plan: Plan = "business",
        name: str = "slack",
        base_url: str = "https://slack.com",
        scim_url: str = "https://api.slack.com",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for a token; plan: what the workspace pays for, which no token can tell."""
        super().__init__(
            name=name,
            secret=token,
            credential=BearerCredential(token),
            addresses={"": base_url, "scim": scim_url},
            request_id=("x-slack-req-id",),
            **outside,
        )
        self.plan: Plan = plan
        self._channel_ids: dict[str, str] = {}

    @property
    def has_scim(self) -> bool:
        """Whether accounts can be made by SCIM."""
        return self.plan != "pro"

    async def probe(self) -> None:
        """Ask whose token it is."""
        await self.http.call(AUTH_TEST)

    async def check(self) -> Check:
        """Prove token, scopes and, where the plan has it, SCIM."""
        answer = await self.http.call(AUTH_TEST)
        who = WHOAMI.read(answer)
        have = tuple(sorted(answer.headers.get("x-oauth-scopes", "").replace(" ", "").split(",")))
        missing = all_of(self._needs(), have)
        if self.has_scim and "admin" not in missing:
            await self.http.call(SCIM_CONFIG)
        return Check(
            ok=not missing,
            identity=f"{who.user} in {who.team}",
            have=have,
            missing=missing,
            capabilities=("slack.scim",) if self.has_scim else (),
        )

    def _needs(self) -> tuple[str, ...]:
        return (*_SAY_NEEDS, "admin") if self.has_scim else (*_SAY_NEEDS, "users:read.email")

    # Accounts ----------------------------------------------------------------------------------

    @operation(
        idempotency="read",
        natural_key="user/{person.email}",
        needs=("admin|users:read.email",),
        reads=(SCIM_FIND.operation, LOOK_UP.operation),
        bucket=SCIM_READ,
        title="Look up the Slack account",
    )
    async def find(self, person: Person) -> Account | None:
        """Look for the account at the person's work address, whoever it belongs to."""
        if self.has_scim:
            found = await self._user(person)
            return None if found is None else self._account(person, found)
        answer = await self.http.call(
            LOOK_UP, query={"email": person.email}, expect=("users_not_found",)
        )
        if answer.document.get("error"):
            return None
        member = MEMBERS.read(answer).user
        return Account(
            system=self.name,
            id=member.id,
            handle=member.name,
            email=person.email,
            state="suspended" if member.deleted else "active",
        )

    @operation(
        natural_key="user/{person.email}",
        idempotency="natural",
        path="scim",
        grants="{system}:account",
        undo="deactivate",
        reversible="yes",
        sends_email="person",
        bucket=SCIM_USER,
        needs=("admin",),
        spec=(SCIM_CREATE.operation, SCIM_CHANGE.operation),
        reads=(SCIM_FIND.operation,),
        settle=_SETTLE,
        title="Create the Slack account",
    )
    async def ensure_account(self, person: Person) -> Account:
        """Create their account with our mark; a deactivated one of theirs is reactivated."""
        self._need_scim()
        marker = marker_of(person)
        reached = await ensured(
            look=lambda: self._user(person),
            ours=lambda user: _evidence(user, marker),
            create=lambda: self._create(person, marker),
            differs=lambda user: {} if user.active else {"active": True},
            change=self._change,
            settling=self.settling(*_SETTLE),
            what="Slack account",
        )
        return self.reported(reached, self._account(person, reached.value), path="scim")

    @operation(
        natural_key="user/{person.email}",
        idempotency="put",
        path="scim",
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
        return await self._switched(person, active=False)

    @operation(
        natural_key="user/{person.email}",
        idempotency="put",
        path="scim",
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
        return await self._switched(person, active=True)

    # Messages ----------------------------------------------------------------------------------

    async def _verify_say(self, channel: str, text: str) -> Found[Message] | Absent | Unclear:
        """Look for the message's key in the channel's history since the call was intended."""
        try:
            found = await self.settling(*_HISTORY_SETTLES).look(
                lambda: self.said(channel, self._op_key(channel, text))
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
        needs=_SAY_NEEDS,
        spec=(SAY.operation,),
        reads=(HISTORY.operation, CHANNELS.operation),
        settle=_HISTORY_SETTLES,
        verify=_verify_say,
        unclear="repeat",
        title="Say something in Slack",
    )
    async def say(self, channel: str, text: str) -> Message:
        """Say something in a channel, by its name (`#general`) or id.

        Without the scope to read the channel's history a lost answer may lead to a repetition.
        """
        posted = await self.post(channel, text, self._op_key(channel, text))
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

    def _op_key(self, channel: str, text: str) -> str:
        """Give the key of this act: the same for every attempt of it, opaque to everybody."""
        attempting = ATTEMPT.get()
        seed = attempting.info.idempotency_key if attempting else f"{channel}\0{text}"
        return self.key_of(seed)

    async def said(self, channel: str, op_key: str) -> Message | None:
        """Find the message that carries a key, since the attempt's intent if there is one."""
        channel_id = await self._channel_id(channel)
        attempting = ATTEMPT.get()
        query = {"channel": channel_id, "include_all_metadata": "true", "limit": "200"}
        if attempting is not None:
            # Their clock is not ours: a little earlier than the intent, to be sure.
            oldest = attempting.info.intended_at - _CLOCKS_DIFFER
            query["oldest"] = f"{oldest.timestamp():.6f}"
        for _ in range(MOST_PAGES):
            page = HISTORIES.read(await self.http.call(HISTORY, query=query))
            for message in page.messages:
                metadata = message.metadata
                if metadata is not None and metadata.event_payload.op_key == op_key:
                    return Message(system=self.name, channel=channel_id, ts=message.ts)
            if not page.more.next_cursor:
                return None
            query["cursor"] = page.more.next_cursor
        raise Bug("The history of a channel has no end.")

    async def _channel_id(self, channel: str) -> str:
        """Give the id of a channel; a name is looked up once."""
        name = channel.removeprefix("#")
        if channel == name and channel[:1] in "CGD" and channel.isupper():
            return channel
        if name in self._channel_ids:
            return self._channel_ids[name]
        query = {"types": "public_channel,private_channel", "limit": "999"}
        for _ in range(MOST_PAGES):
            page = CHANNEL_PAGES.read(await self.http.call(CHANNELS, query=query))
            self._channel_ids |= {each.name: each.id for each in page.channels}
            if name in self._channel_ids or not page.more.next_cursor:
                break
            query["cursor"] = page.more.next_cursor
        if name not in self._channel_ids:
            raise Invalid("There is no such channel.", fields={"channel": "is not known"})
        return self._channel_ids[name]

    # Requests ----------------------------------------------------------------------------------

    def _need_scim(self) -> None:
        if not self.has_scim:
            raise Forbidden(
                f"Slack's plan {self.plan} lets no program make accounts: invite the person by "
                "hand in Slack, then complete this step by hand.",
                reason="blocked",
                operation=SCIM_CREATE.operation,
            )

    async def _user(self, person: Person) -> ScimUser | None:
        address = person.email.replace("\\", "\\\\").replace('"', '\\"')
        answer = await self.http.call(SCIM_FIND, query={"filter": f'email eq "{address}"'})
        users = SCIM_USERS.read(answer).resources
        if len(users) > 1:
            raise OwnershipConflict(
                "More than one account has this address.", evidence=f"{len(users)} hits"
            )
        return users[0] if users else None

    async def _create(self, person: Person, marker: str) -> ScimUser:
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
        return SCIM_ONE.read(answer)

    async def _change(self, user: ScimUser, fields: Mapping[str, object]) -> ScimUser:
        steps = [{"op": "replace", "path": name, "value": fields[name]} for name in fields]
        body = {"schemas": [PATCH_SCHEMA], "Operations": steps}
        return SCIM_ONE.read(await self.http.call(SCIM_CHANGE, {"id": user.id}, body=body))

    async def _switched(self, person: Person, *, active: bool) -> Account:
        self._need_scim()
        marker = marker_of(person)
        reached: Ensured[ScimUser] = await ensured(
            look=lambda: self._user(person),
            ours=lambda user: _evidence(user, marker),
            create=None,
            differs=lambda user: {} if user.active is active else {"active": active},
            change=self._change,
            settling=self.settling(0),
            what="Slack account",
        )
        account = self._account(person, reached.value)
        access: Access = "active" if reached.value.active else "suspended"
        return self.reported(reached, account, access=access, path="scim")

    def _account(self, person: Person, user: ScimUser) -> Account:
        return Account(
            system=self.name,
            id=user.id,
            handle=user.user_name,
            email=person.email,
            state="active" if user.active else "suspended",
        )

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of Slack."""
        return judged(answer)


def _evidence(user: ScimUser, marker: str) -> str:
    """Say why an account is the subject's; Slack can hold our mark, so without it, it is not."""
    if user.external_id == marker:
        return "marker"
    raise OwnershipConflict(
        "An account with this address exists and is not known to be theirs.",
        external_id=user.id,
        evidence="marker of another subject" if user.external_id else "no marker",
    )
