"""Slack: the Web API and SCIM, which of them depending on the plan.

Every Web API answer is HTTP 200; what failed stands in `ok` and `error`. Only "enterprise" has
`admin.*`, "business" and "enterprise" have SCIM, "pro" has neither: there people are invited by
hand. The contract is `tests/contract/specs/slack-*.json`, and the connectors document, §12;
channels, `admin.*` and SCIM are in the modules beside this. Views that can lag: `slack.history`,
`scim.filter`. Styles of throttling: "" 429 with Retry-After, "body" 200 without it.
"""

from __future__ import annotations

from .slack_admin import SlackAdmin
from .slack_channels import SlackChannels
from .slack_refusals import arguments, ok
from .wire import Answer, Asked, Document, Refused, route

HISTORY = "channels:history|groups:history"


class SlackSimulator(SlackChannels, SlackAdmin):
    """One Slack workspace; see the module's text."""

    # Who am I ----------------------------------------------------------------------------------

    @route("GET|POST", "/api/auth.test", operation="auth.test", mutating=False)
    def auth_test(self, asked: Asked) -> Answer:
        """Say who the token belongs to."""
        user: Document = self.store.find("users", asked.credential.subject) or {}
        answer = {
            "url": "https://acme-example.slack.com/",
            "team": "Acme",
            "user": user["userName"],
            "team_id": self.team,
            "user_id": user["id"],
            "is_enterprise_install": self.plan == "enterprise",
        }
        return ok(answer)

    @route(
        "GET|POST", "/api/team.info", operation="team.info", needs=("team:read",), mutating=False
    )
    def team_info(self, asked: Asked) -> Answer:
        """Show the workspace."""
        del asked
        team = {"id": self.team, "name": "Acme", "domain": "acme-example"}
        return ok({"team": {**team, "email_domain": "acme.example"}})

    # Users -------------------------------------------------------------------------------------

    @route(
        "GET|POST",
        "/api/users.lookupByEmail",
        operation="users.lookupByEmail",
        needs=("users:read.email",),
        mutating=False,
    )
    def lookup_by_email(self, asked: Asked) -> Answer:
        """Find a member by address; deactivated and merely invited people are not found."""
        email = str(arguments(asked).get("email") or "").lower()
        found = self.user_by_email(email)
        if found is None or not _is_member(found):
            raise Refused(self.error("users_not_found", asked=asked))
        return ok({"user": self.member_view(found)})

    @route(
        "GET|POST", "/api/users.list", operation="users.list", needs=("users:read",), mutating=False
    )
    def users(self, asked: Asked) -> Answer:
        """List members, deactivated ones too, one page at a time; addresses need a scope more."""
        rows = self.store.rows("users", lambda row: row["in_team"] and not row["invited"])
        views = [self.member_view(row) for row in rows.values()]
        if "users:read.email" not in asked.credential.scopes:
            for view in views:
                del view["profile"]["email"]
        return self.page_of(asked, arguments(asked), "members", views, default=100)

    @route(
        "GET|POST", "/api/users.info", operation="users.info", needs=("users:read",), mutating=False
    )
    def user_info(self, asked: Asked) -> Answer:
        """Show a user by id."""
        found = self.store.find("users", str(arguments(asked).get("user")))
        if found is None:
            raise Refused(self.error("user_not_found", asked=asked))
        return ok({"user": self.member_view(found)})

    # Messages ----------------------------------------------------------------------------------

    @route("POST", "/api/chat.postMessage", operation="chat.postMessage", needs=("chat:write",))
    def post_message(self, asked: Asked) -> Answer:
        """Say something in a channel; metadata is kept, every request says it again."""
        wanted = arguments(asked)
        self.need(asked, wanted, "channel")
        channel = self.channel_of(asked, wanted)
        metadata = wanted.get("metadata")
        mark = _mark(metadata)
        text = str(wanted.get("text") or wanted.get("markdown_text") or "")
        asked.concerns(f"message/{channel['name']}/{mark or text}", marker=mark)
        if not text and not wanted.get("blocks") and not wanted.get("attachments"):
            raise Refused(self.error("no_text", asked=asked))
        if metadata is not None and not _is_metadata(metadata):
            raise Refused(self.error("invalid_metadata_format", asked=asked))
        if channel["is_archived"]:
            raise Refused(self.error("is_archived", asked=asked))
        if not self.is_in(channel["id"], asked.credential.subject):
            raise Refused(self.error("not_in_channel", asked=asked))
        message = self.say(
            channel,
            text,
            user=asked.credential.subject,
            metadata=metadata,
            blocks=wanted.get("blocks"),
        )
        shown = self.message_view(message, with_metadata=True)
        return ok({"channel": channel["id"], "ts": message["ts"], "message": shown})

    @route(
        "GET|POST",
        "/api/conversations.history",
        operation="conversations.history",
        needs=(HISTORY,),
        mutating=False,
    )
    def history_of_channel(self, asked: Asked) -> Answer:
        """List the messages of a channel, newest first; metadata only if asked for."""
        wanted = arguments(asked)
        self.need(asked, wanted, "channel")
        channel = self.channel_of(asked, wanted, by_name=False)
        if not self.is_in(channel["id"], asked.credential.subject):
            raise Refused(self.error("not_in_channel", asked=asked))
        try:
            oldest = float(wanted.get("oldest") or 0)
            latest = float(wanted.get("latest") or "inf")
        except ValueError as wrong:
            raise Refused(self.error("invalid_ts_oldest", asked=asked)) from wrong
        inclusive = str(wanted.get("inclusive")).lower() in ("true", "1")
        rows = self.store.rows(
            "messages",
            lambda m: (
                m["channel"] == channel["id"]
                and _between(float(m["ts"]), oldest, latest, inclusive=inclusive)
            ),
            lag=self.lag("slack.history"),
        )
        with_metadata = str(wanted.get("include_all_metadata")).lower() in ("true", "1")
        views = [self.message_view(m, with_metadata=with_metadata) for m in rows.values()]
        views.sort(key=lambda message: float(message["ts"]), reverse=True)
        return self.page_of(asked, wanted, "messages", views, default=100)


def _is_member(user: Document) -> bool:
    return bool(user["active"] and user["in_team"] and not user["invited"])


def _is_metadata(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("event_type"), str)
        and isinstance(value.get("event_payload"), dict)
    )


def _mark(metadata: object) -> str:
    """Give the caller's mark of a message: the first value of its metadata's payload."""
    if not _is_metadata(metadata):
        return ""
    assert isinstance(metadata, dict)
    return str(next(iter(metadata["event_payload"].values()), ""))


def _between(moment: float, oldest: float, latest: float, *, inclusive: bool) -> bool:
    if inclusive:
        return oldest <= moment <= latest
    return oldest < moment < latest
