"""What a Slack workspace is made of: users, channels, messages, and how they are shown."""

from __future__ import annotations

from typing import Any, Literal

from .clock import stamp
from .core import Simulator
from .quota import RateLimit
from .system import Panel, RowAct, action
from .wire import Document

GENERAL = "C0ACME00001"
Plan = Literal["pro", "business", "enterprise"]
SCOPES = (
    "admin",
    "admin.users:write",
    "channels:history",
    "channels:manage",
    "channels:read",
    "channels:write.invites",
    "chat:write",
    "groups:history",
    "groups:read",
    "groups:write",
    "groups:write.invites",
    "team:read",
    "users:read",
    "users:read.email",
)


# The tiers of the methods that are simulated, by Slack's reference; auth.test has no limit to speak
# of, and a message is limited for its channel.
TIER_2 = ("admin.*", "users.list", "conversations.list")
TIER_3 = (
    "users.lookupByEmail",
    "conversations.invite",
    "conversations.kick",
    "conversations.history",
    "team.info",
)
TIER_4 = ("users.info", "conversations.members", "chat.postMessage")


class SlackWorld(Simulator):
    """The state of one workspace, and what people do there."""

    system = "slack"
    title = "Slack"
    # docs.slack.dev/apis/web-api/rate-limits, for each method; and SCIM's own limits
    rate_limits = (
        RateLimit(most=20, seconds=60, operations=TIER_2, is_apart=True),
        RateLimit(most=50, seconds=60, operations=TIER_3, is_apart=True),
        RateLimit(most=100, seconds=60, operations=TIER_4, is_apart=True),
        RateLimit(most=180, seconds=60, operations=("scim/*",), is_of_changes=True),
        RateLimit(most=1000, seconds=60, operations=("scim/*",)),
    )

    def __init__(self, *, plan: Plan = "business", **options: Any) -> None:
        """Make it on this plan, which decides how accounts can be made."""
        self.plan: Plan = plan
        self.team = "T0ACME0001"
        super().__init__(**options)

    def populate(self) -> None:
        """Make the workspace with our app's user and two channels it is in."""
        app = self.new_user("newel@acme.example", name="newel", channels=[])
        for identity, name in ((GENERAL, "general"), ("C0ACME00002", "engineering")):
            self.add_channel(name, identity=identity)
            self.join(identity, app["id"])
        secret = f"xoxp-{self.store.opaque('token', 48)}"
        self.grant("newel", secret, SCOPES, subject=app["id"])

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give token, workspace, plan and addresses."""
        token = next(iter(self.store.rows("credentials", lambda row: row["label"] == "newel")))
        return {
            "SLACK_TOKEN": token,
            "SLACK_TEAM": self.team,
            "SLACK_PLAN": self.plan,
            "SLACK_URL": address or "https://slack.com",
            "SLACK_SCIM_URL": address or "https://api.slack.com",
        }

    def accounts(self) -> list[Document]:
        """List the users."""
        return [
            {
                "id": user["id"],
                "handle": user["userName"],
                "email": user["email"],
                "state": _state(user),
                "marker": user["externalId"],
                "access": sorted(self.channels_of(user["id"])),
            }
            for user in self.store.rows("users").values()
        ]

    def messages(self) -> list[Document]:
        """List all messages, oldest first: channel name, text, ts, metadata."""
        names = {row["id"]: row["name"] for row in self.store.rows("channels").values()}
        return [
            {**message, "channel": names[message["channel"]]}
            for message in self.store.rows("messages").values()
        ]

    def panels(self) -> list[Panel]:
        """Show messages and users."""
        messages = [
            (
                f"#{m['channel']}",
                m["text"],
                m["ts"],
                str((m["metadata"] or {}).get("event_type", "")),
            )
            for m in reversed(self.messages())
        ]
        accounts = list(reversed(self.accounts()))
        users = [
            (a["email"], a["handle"], a["state"], a["marker"], ", ".join(a["access"]))
            for a in accounts
        ]
        accepting = [
            (RowAct(label="Accept", action="accept_in_slack", given={"email": a["email"]}),)
            if a["state"] == "invited"
            else ()
            for a in accounts
        ]
        columns = ("E-mail", "Name", "State", "Marker", "Channels")
        return [
            Panel(title="Messages", columns=("Channel", "Text", "Time", "Metadata"), rows=messages),
            Panel(title="Users", columns=columns, rows=users, acts=accepting),
        ]

    # What people do ----------------------------------------------------------------------------

    @action
    def accept_in_slack(self, email: str) -> Document:
        """Accept an invitation; someone who was invited by hand appears."""
        found = self.user_by_email(email.lower())
        if found is None:
            name = email.partition("@")[0]
            return self.new_user(email.lower(), name=name, channels=[GENERAL])
        return self.store.put("users", found["id"], {**found, "invited": False})

    @action
    def create_by_hand(self, email: str, name: str = "") -> Document:
        """Let an administrator add a user in the browser, without a marker."""
        name = name or email.partition("@")[0]
        return self.new_user(email.lower(), name=name, channels=[GENERAL])

    @action
    def add_channel(
        self, name: str, *, is_private: bool = False, identity: str | None = None
    ) -> Document:
        """Make a channel."""
        row: Document = {
            "id": identity or f"C0{self.store.opaque('channel', 9).upper()}",
            "name": name,
            "is_private": is_private,
            "is_archived": False,
            "created": int(self.clock.now().timestamp()),
        }
        return self.store.put("channels", row["id"], row)

    @action
    def archive_channel(self, name: str) -> None:
        """Archive a channel."""
        row = self.store.first("channels", lambda each: each["name"] == name)
        if row is None:
            message = f"there is no channel {name}"
            raise ValueError(message)
        self.store.put("channels", row["id"], {**row, "is_archived": True})

    @action
    def deactivate_by_hand(self, email: str) -> None:
        """Let an administrator deactivate a user in the browser."""
        user = self._named(email)
        self.store.put("users", user["id"], {**user, "active": False})
        self.store.remove("sessions", user["id"])

    @action
    def log_in(self, email: str) -> None:
        """Let a person sign in."""
        user = self._named(email)
        self.store.put("sessions", user["id"], {"user": user["id"]})

    @action
    def make_guest(self, email: str) -> None:
        """Let an administrator make somebody a guest, who is in few channels."""
        user = self._named(email)
        self.store.put("users", user["id"], {**user, "guest": True})

    @action
    def make_primary_owner(self, email: str) -> None:
        """Let the workspace be handed to somebody, whom no program may touch from then on."""
        user = self._named(email)
        self.store.put("users", user["id"], {**user, "primary_owner": True})

    # State -------------------------------------------------------------------------------------

    def new_user(
        self,
        email: str,
        *,
        name: str,
        channels: list[str],
        invited: bool = False,
        user_name: str = "",
        external_id: str = "",
        resource: Document | None = None,
    ) -> Document:
        """Make a user in the workspace. resource: what SCIM said about it, kept as it was."""
        identity = f"U0{self.store.opaque('user', 9).upper()}"
        now = stamp(self.clock.now())
        user = {
            "id": identity,
            "email": email,
            "userName": user_name or email.partition("@")[0],
            "real_name": name,
            "externalId": external_id,
            "active": True,
            "invited": invited,
            "in_team": True,
            "guest": False,
            "primary_owner": False,
            "resource": resource or {},
            "created": now,
            "updated": now,
        }
        self.store.put("users", identity, user)
        for channel in channels:
            self.join(channel, identity)
        return user

    def user_by_email(self, email: str) -> Document | None:
        """Give the user of an address, deactivated and invited ones included."""
        return self.store.first("users", lambda row: row["email"].lower() == email)

    def is_signed_in(self, email: str) -> bool:
        """Say whether somebody has a session."""
        return self.store.find("sessions", self._named(email)["id"]) is not None

    def _named(self, email: str) -> Document:
        user = self.user_by_email(email.lower())
        if user is None:
            message = f"there is no user {email}"
            raise ValueError(message)
        return user

    def join(self, channel: str, user: str) -> None:
        """Put a user into a channel."""
        self.store.put("channel_members", f"{channel}/{user}", {"channel": channel, "user": user})

    def is_in(self, channel: str, user: str) -> bool:
        """Say whether a user is in a channel."""
        return self.store.find("channel_members", f"{channel}/{user}") is not None

    def channels_of(self, user: str) -> list[str]:
        """List the names of a user's channels."""
        rows = self.store.rows("channel_members", lambda row: row["user"] == user)
        channels = (self.store.find("channels", row["channel"]) for row in rows.values())
        return [channel["name"] for channel in channels if channel]

    def say(
        self,
        channel: Document,
        text: str,
        *,
        user: str,
        metadata: Document | None,
        blocks: list[Document] | None,
    ) -> Document:
        """Keep a message; its `ts` is its name in the channel."""
        seconds = int(self.clock.now().timestamp())
        ts = f"{seconds}.{self.store.number('message'):06d}"
        message = {
            "ts": ts,
            "channel": channel["id"],
            "user": user,
            "text": text,
            "metadata": metadata,
            "blocks": blocks,
        }
        return self.store.put("messages", f"{channel['id']}/{ts}", message)

    # Views -------------------------------------------------------------------------------------

    def member_view(self, user: Document) -> Document:
        """Show a user as the Web API does."""
        return {
            "id": user["id"],
            "team_id": self.team,
            "name": user["userName"],
            "deleted": not user["active"],
            "real_name": user["real_name"],
            "tz": "Europe/Berlin",
            "profile": {
                "real_name": user["real_name"],
                "display_name": user["userName"],
                "email": user["email"],
                "team": self.team,
            },
            "is_admin": False,
            "is_owner": user["primary_owner"],
            "is_primary_owner": user["primary_owner"],
            "is_restricted": user["guest"],
            "is_ultra_restricted": False,
            "is_bot": False,
            "is_invited_user": user["invited"],
        }

    def channel_view(self, row: Document) -> Document:
        """Show a channel."""
        members = self.store.count("channel_members", lambda each: each["channel"] == row["id"])
        return {
            "id": row["id"],
            "name": row["name"],
            "is_channel": not row["is_private"],
            "is_group": row["is_private"],
            "is_private": row["is_private"],
            "is_archived": row["is_archived"],
            "is_general": row["id"] == GENERAL,
            "is_member": True,
            "created": row["created"],
            "num_members": members,
        }

    def message_view(self, message: Document, *, with_metadata: bool) -> Document:
        """Show a message."""
        view = {
            "type": "message",
            "user": message["user"],
            "text": message["text"],
            "ts": message["ts"],
            "team": self.team,
        }
        if message["blocks"]:
            view["blocks"] = message["blocks"]
        if with_metadata and message["metadata"]:
            view["metadata"] = message["metadata"]
        return view


def _state(user: Document) -> str:
    if not user["active"]:
        return "deactivated"
    return "invited" if user["invited"] else "active"
