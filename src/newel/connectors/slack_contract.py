"""What is agreed with Slack: routes of the Web API and of SCIM, and what refusals mean.

Every answer of the Web API is HTTP 200; what failed stands in `ok` and `error`. SCIM answers
with statuses. Source: connectors document, §12; Slack's method reference; RFC 7643, RFC 7644.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from newel.connectors.answers import Route
from newel.connectors.contract import Shape, named

# Limits of the Web API hold for each method by itself: a budget's name is tier and method.
TIER2: Final = "slack.t2"
TIER3: Final = "slack.t3"
TIER4: Final = "slack.t4"
POST: Final = "slack.post"
SCIM_READ: Final = "slack.scim.read"
SCIM_USER: Final = "slack.scim.user"
_SCIM: Final = "/scim/v2"


def _method(
    name: str, verb: str, tier: str, *, reads: bool = False, repeatable: bool = False
) -> Route:
    """Give the route of a method of the Web API."""
    bucket = tier if tier in {"", POST} else f"{tier}:{name}"
    return Route(name, verb, f"/api/{name}", bucket, reads=reads, repeatable=repeatable)


AUTH_TEST: Final = _method("auth.test", "POST", "", reads=True)
LOOK_UP: Final = _method("users.lookupByEmail", "GET", TIER3)
LIST_USERS: Final = _method("users.list", "GET", TIER2)
INVITE: Final = _method("admin.users.invite", "POST", TIER2)
ASSIGN: Final = _method("admin.users.assign", "POST", TIER2)
REMOVE: Final = _method("admin.users.remove", "POST", TIER2)
END_SESSIONS: Final = _method("admin.users.session.reset", "POST", TIER2, repeatable=True)
SAY: Final = _method("chat.postMessage", "POST", POST)
HISTORY: Final = _method("conversations.history", "GET", TIER3)
CHANNELS: Final = _method("conversations.list", "GET", TIER2)
IN_CHANNEL: Final = _method("conversations.members", "GET", TIER4)
JOIN: Final = _method("conversations.invite", "POST", TIER3, repeatable=True)
KICK: Final = _method("conversations.kick", "POST", TIER3, repeatable=True)
SCIM_CONFIG: Final = Route(
    "scim/config", "GET", f"{_SCIM}/ServiceProviderConfig", SCIM_READ, "scim"
)
SCIM_FIND: Final = Route("scim/list", "GET", f"{_SCIM}/Users", SCIM_READ, "scim")
SCIM_CREATE: Final = Route("scim/create", "POST", f"{_SCIM}/Users", SCIM_USER, "scim")
SCIM_CHANGE: Final = Route(
    "scim/patch", "PATCH", f"{_SCIM}/Users/{{id}}", SCIM_USER, "scim", repeatable=True
)

USER_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True)
class Profile:
    """The part of a member that holds the address."""

    email: str = ""


@dataclass(frozen=True)
class Member:
    """A member of the workspace, as the Web API shows one."""

    id: str
    name: str
    deleted: bool = False
    is_bot: bool = False
    profile: Profile = Profile()


@dataclass(frozen=True)
class FoundMember:
    """The answer to a look-up by address."""

    user: Member


@dataclass(frozen=True)
class ScimEmail:
    """An address of a user."""

    value: str
    primary: bool = False


@dataclass(frozen=True)
class ScimUser:
    """A user, as SCIM shows one."""

    id: str
    user_name: Annotated[str, named("userName")]
    active: bool
    external_id: Annotated[str | None, named("externalId")] = None
    emails: tuple[ScimEmail, ...] = ()

    @property
    def email(self) -> str:
        """The primary address, else the first, else none."""
        values = sorted(self.emails, key=lambda each: not each.primary)
        return values[0].value if values else ""


@dataclass(frozen=True)
class ScimUsers:
    """One page of users; total: how many there are on all pages."""

    resources: Annotated[tuple[ScimUser, ...], named("Resources")] = ()
    total: Annotated[int, named("totalResults")] = 0


@dataclass(frozen=True)
class Posted:
    """A message that was said: in which channel, and its time, which is its name."""

    channel: str
    ts: str


@dataclass(frozen=True)
class Payload:
    """Our part of a message's metadata."""

    op_key: str = ""


@dataclass(frozen=True)
class Metadata:
    """The metadata of a message."""

    event_type: str = ""
    event_payload: Payload = Payload()


@dataclass(frozen=True)
class Said:
    """A message in the history of a channel."""

    ts: str
    metadata: Metadata | None = None


@dataclass(frozen=True)
class More:
    """Where the next page begins; empty at the end."""

    next_cursor: str = ""


@dataclass(frozen=True)
class HistoryPage:
    """One page of a channel's history, newest first."""

    messages: tuple[Said, ...]
    more: Annotated[More, named("response_metadata")] = More()


@dataclass(frozen=True)
class MemberPage:
    """One page of the workspace's members."""

    members: tuple[Member, ...]
    more: Annotated[More, named("response_metadata")] = More()


@dataclass(frozen=True)
class PresentPage:
    """One page of who is in a channel, by id."""

    members: tuple[str, ...]
    more: Annotated[More, named("response_metadata")] = More()


@dataclass(frozen=True)
class Channel:
    """A channel."""

    id: str
    name: str


@dataclass(frozen=True)
class ChannelPage:
    """One page of channels."""

    channels: tuple[Channel, ...]
    more: Annotated[More, named("response_metadata")] = More()


@dataclass(frozen=True)
class Whoami:
    """Whose token it is."""

    team: str
    user: str
    team_id: str


MEMBERS: Final = Shape(FoundMember)
MEMBER_PAGES: Final = Shape(MemberPage)
PRESENT: Final = Shape(PresentPage)
SCIM_USERS: Final = Shape(ScimUsers)
SCIM_ONE: Final = Shape(ScimUser)
POSTED: Final = Shape(Posted)
HISTORIES: Final = Shape(HistoryPage)
CHANNEL_PAGES: Final = Shape(ChannelPage)
WHOAMI: Final = Shape(Whoami)
