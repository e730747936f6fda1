"""The way to one Slack workspace: its token, its plan, and what the two allow.

The plan decides what can be done at all: SCIM makes, locks and shows accounts (Business+ and
Enterprise), `admin.*` invites and removes (Enterprise), and below that people do it by hand. Whose
an account is, `slack_people` says.
Source: connectors document, §7 and §12.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import ClassVar, Final, Literal, Protocol, TypeVar, Unpack

from newel.base.errors import DefinitionError, Forbidden, Invalid, StepError
from newel.base.secrets import SecretRef
from newel.connectors import slack_answers
from newel.connectors.answers import Answer, Route
from newel.connectors.auth import BearerCredential
from newel.connectors.base import Check, Connector, Outside, all_of
from newel.connectors.contract import Shape
from newel.connectors.declaring import declared
from newel.connectors.gate import Bucket
from newel.connectors.paging import pages
from newel.connectors.slack_contract import (
    AUTH_TEST,
    CHANNEL_PAGES,
    CHANNELS,
    POST,
    SCIM_CONFIG,
    SCIM_READ,
    SCIM_USER,
    TIER2,
    TIER3,
    TIER4,
    WHOAMI,
    Channel,
    ChannelPage,
    More,
)

__all__ = ["ADMIN", "SCIM", "Plan", "SlackBase", "SlackCapability"]

Plan = Literal["pro", "business", "enterprise"]
SlackCapability = Literal["slack.scim", "slack.admin"]

SCIM: Final = "slack.scim"
ADMIN: Final = "slack.admin"
_ALLOWS: Final[dict[Plan, tuple[SlackCapability, ...]]] = {
    "pro": (),
    "business": ("slack.scim",),
    "enterprise": ("slack.scim", "slack.admin"),
}
_LACKS: Final[dict[SlackCapability, str]] = {
    "slack.scim": "Slack's plan {plan} has no SCIM",
    "slack.admin": "Slack lets programs invite and remove people only on the plan enterprise",
}
_LEFT_OUT: Final = "the connector is told not to use {name}"
_CAPABILITY_OF: Final[dict[str, SlackCapability]] = {
    "admin": "slack.scim",
    "admin.users:write": "slack.admin",
}
PUBLIC: Final = "public_channel"
PRIVATE: Final = "private_channel"


class _Paged(Protocol):
    """One page of a listing of Slack."""

    @property
    def more(self) -> More:
        """Where the next page begins."""
        ...


P = TypeVar("P", bound=_Paged)


class SlackBase(Connector):
    """One Slack workspace, without its operations."""

    title = "Slack"
    buckets: ClassVar = (
        Bucket(name=TIER2, rate=16 / 60, capacity=16),
        Bucket(name=TIER3, rate=40 / 60, capacity=40),
        Bucket(name=TIER4, rate=80 / 60, capacity=80),
        Bucket(name=POST, rate=48 / 60, capacity=4),
        Bucket(name=SCIM_USER, rate=144 / 60, capacity=16),
        Bucket(name=SCIM_READ, rate=800 / 60, capacity=100),
    )

    def __init__(
        self,
        *,
        token: SecretRef,
        plan: Plan = "business",
        capabilities: Sequence[SlackCapability] | None = None,
        team: str = "",
        first_channels: Sequence[str] = ("general",),
        name: str = "slack",
        base_url: str = "https://slack.com",
        scim_url: str = "https://api.slack.com",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for a token; plan: what the workspace pays for, which no token can tell.

        capabilities: those of the plan that the token is meant for; None: all of them.
        team: the workspace's id, where one token serves several. first_channels: names or ids of
        the channels that an invitation is to. Raises DefinitionError for what the plan has not.
        """
        super().__init__(
            name=name,
            secret=token,
            credential=BearerCredential(token),
            addresses={"": base_url, "scim": scim_url},
            request_id=("x-slack-req-id",),
            **outside,
        )
        allowed = _ALLOWS[plan]
        wanted = allowed if capabilities is None else tuple(capabilities)
        if beyond := [each for each in wanted if each not in allowed]:
            raise DefinitionError(
                f"The connector `{name}` is told to use {beyond[0]}, which Slack's plan {plan} "
                "does not have.",
                fix="another `plan=`, or fewer `capabilities=`.",
            )
        self.plan: Plan = plan
        self.wanted = wanted
        self.first_channels = tuple(first_channels)
        self._team = team
        self._channel_ids: dict[str, str] = {}

    def declared_capabilities(self) -> Mapping[str, str]:
        """SCIM and `admin.*`, by plan and by what the token is meant for."""
        found: dict[str, str] = {}
        for name, lacks in _LACKS.items():
            if name not in _ALLOWS[self.plan]:
                found[name] = lacks.format(plan=self.plan)
            else:
                found[name] = "" if name in self.wanted else _LEFT_OUT.format(name=name)
        return found

    @property
    def has_scim(self) -> bool:
        """Whether accounts are made, and seen, by SCIM."""
        return self.known_capabilities.allows(SCIM)

    async def probe(self) -> None:
        """Ask whose token it is."""
        await self.http.call(AUTH_TEST)

    async def check(self) -> Check:
        """Prove token, scopes and, where the plan has it, SCIM."""
        answer = await self.http.call(AUTH_TEST)
        who = WHOAMI.read(answer)
        have = tuple(sorted(answer.headers.get("x-oauth-scopes", "").replace(" ", "").split(",")))
        missing = all_of(self.scopes_needed(), have)
        proved = {_CAPABILITY_OF[scope] for scope in _CAPABILITY_OF if scope in have}
        notes: tuple[str, ...] = ()
        if SCIM in self.wanted and "admin" not in missing:
            try:
                await self.http.call(SCIM_CONFIG)
            except Forbidden as refused:
                proved.discard("slack.scim")
                notes = (f"Slack's plan {self.plan} was to have SCIM: {refused}",)
        lost = set(self.wanted) - proved
        return Check(
            ok=not missing and not lost,
            identity=f"{who.user} in {who.team}",
            have=have,
            missing=missing,
            capabilities=tuple(each for each in self.wanted if each in proved),
            notes=notes,
        )

    def scopes_needed(self) -> tuple[str, ...]:
        """Give the scopes of the operations that this plan has, each once, in order."""
        found: dict[str, None] = {}
        for step in self.operations().values():
            for need in declared(step).needs:
                route = _CAPABILITY_OF.get(need)
                if route is None or route in self.wanted:
                    found[need] = None
        return tuple(found)

    async def _team_id(self) -> str:
        """Give the workspace's id, as told or as the token has it; asked for once."""
        if not self._team:
            self._team = WHOAMI.read(await self.http.call(AUTH_TEST)).team_id
        return self._team

    # Channels ----------------------------------------------------------------------------------

    async def _channel_id(self, channel: str) -> str:
        """Give the id of a channel; a name is looked up once."""
        name = channel.removeprefix("#")
        if channel == name and channel[:1] in "CGD" and channel.isupper():
            return channel
        if name not in self._channel_ids:
            async for each in self._channels():
                self._channel_ids[each.name] = each.id
                if each.name == name:
                    break
        if name not in self._channel_ids:
            raise Invalid("There is no such channel.", fields={"channel": "is not known"})
        return self._channel_ids[name]

    async def _channels(self) -> AsyncIterator[Channel]:
        """List the channels that the token may see: public ones and, with the scope, private."""
        types = f"{PUBLIC},{PRIVATE}"

        async def read(cursor: str) -> tuple[ChannelPage, str | None]:
            nonlocal types
            query = {"types": types, "limit": "999", **({"cursor": cursor} if cursor else {})}
            answer = await self.http.call(CHANNELS, query=query, expect=("missing_scope",))
            if answer.document.get("error"):
                types = PUBLIC
                answer = await self.http.call(CHANNELS, query={**query, "types": types})
            page = CHANNEL_PAGES.read(answer)
            return page, page.more.next_cursor or None

        async for page in pages(CHANNELS.operation, read, ""):
            for each in page.channels:
                yield each

    def pages_of(self, route: Route, shape: Shape[P], query: Mapping[str, str]) -> AsyncIterator[P]:
        """Give the pages of a listing, to its end."""

        async def read(cursor: str) -> tuple[P, str | None]:
            asked = {**query, "cursor": cursor} if cursor else query
            page = shape.read(await self.http.call(route, query=asked))
            return page, page.more.next_cursor or None

        return pages(route.operation, read, "")

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of Slack."""
        return slack_answers.judged(answer)
