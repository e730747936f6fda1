"""Channels: which there are, who is in them, who is put in and taken out.

A public channel needs the scopes of channels, a private one those of groups.
"""

from __future__ import annotations

from .slack_refusals import SlackRefusals, arguments, listed, ok
from .slack_world import GENERAL
from .wire import Answer, Asked, Document, Refused, route

LIST = "channels:read|groups:read"
INVITE = "channels:write.invites|groups:write.invites|channels:manage|channels:write|groups:write"
KICK = "channels:manage|channels:write|groups:write"


class SlackChannels(SlackRefusals):
    """The routes of `conversations`, save their messages."""

    @route(
        "GET|POST",
        "/api/conversations.list",
        operation="conversations.list",
        needs=(LIST,),
        mutating=False,
    )
    def channels(self, asked: Asked) -> Answer:
        """List channels, one page at a time; public ones unless asked otherwise."""
        wanted = arguments(asked)
        types = listed(wanted.get("types")) or ["public_channel"]
        for kind, scope in (("public_channel", "channels"), ("private_channel", "groups")):
            if kind in types:
                self._allow(asked, f"{scope}:read")
        hide_archived = str(wanted.get("exclude_archived")).lower() == "true"
        rows = [
            row
            for row in self.store.rows("channels").values()
            if ("private_channel" if row["is_private"] else "public_channel") in types
            and not (hide_archived and row["is_archived"])
        ]
        views = [self.channel_view(row) for row in rows]
        return self.page_of(asked, wanted, "channels", views, default=100)

    @route("POST", "/api/conversations.invite", operation="conversations.invite", needs=(INVITE,))
    def invite_to_channel(self, asked: Asked) -> Answer:
        """Put users into a channel: all of them or none."""
        wanted = arguments(asked)
        self.need(asked, wanted, "channel", "users")
        channel = self.channel_of(asked, wanted)
        users = listed(wanted["users"])
        family = _family(channel)
        self._allow(asked, f"{family}:write.invites", *_manages(family))
        found = [self.store.find("users", user) for user in users]
        asked.concerns(f"channel/{channel['name']}/{','.join(u['email'] for u in found if u)}")
        if channel["is_archived"]:
            raise Refused(self.error("is_archived", asked=asked))
        if not self.is_in(channel["id"], asked.credential.subject):
            raise Refused(self.error("not_in_channel", asked=asked))
        for identity, user in zip(users, found, strict=True):
            problem = self._cannot_join(channel, identity, user)
            if problem:
                errors = [{"ok": False, "error": problem, "user": identity}]
                raise Refused(Answer(200, {"ok": False, "error": problem, "errors": errors}))
        for identity in users:
            self.join(channel["id"], identity)
        return ok({"channel": self.channel_view(channel)})

    def _cannot_join(self, channel: Document, identity: str, user: Document | None) -> str:
        if user is None or not user["active"]:
            return "user_not_found"
        if self.is_in(channel["id"], identity):
            return "already_in_channel"
        if user["guest"]:
            return "user_is_restricted"
        return "" if user["in_team"] else "org_user_not_in_team"

    @route("POST", "/api/conversations.kick", operation="conversations.kick", needs=(KICK,))
    def kick(self, asked: Asked) -> Answer:
        """Take a user out of a channel; nobody is taken out of the one that everybody is in."""
        wanted = arguments(asked)
        self.need(asked, wanted, "channel", "user")
        channel = self.channel_of(asked, wanted)
        self._allow(asked, *_manages(_family(channel)))
        user = self.store.find("users", str(wanted["user"]))
        if user is None:
            raise Refused(self.error("user_not_found", asked=asked))
        asked.concerns(f"channel/{channel['name']}/{user['email']}")
        if channel["id"] == GENERAL:
            raise Refused(self.error("cant_kick_from_general", asked=asked))
        if user["id"] == asked.credential.subject:
            raise Refused(self.error("cant_kick_self", asked=asked))
        if not self.is_in(channel["id"], user["id"]):
            raise Refused(self.error("not_in_channel", asked=asked))
        self.store.remove("channel_members", f"{channel['id']}/{user['id']}")
        return ok({})

    @route(
        "GET|POST",
        "/api/conversations.members",
        operation="conversations.members",
        needs=(LIST,),
        mutating=False,
    )
    def members(self, asked: Asked) -> Answer:
        """List the ids of who is in a channel, one page at a time."""
        wanted = arguments(asked)
        self.need(asked, wanted, "channel")
        channel = self.channel_of(asked, wanted, by_name=False)
        self._allow(asked, f"{_family(channel)}:read")
        rows = self.store.rows("channel_members", lambda row: row["channel"] == channel["id"])
        users = [row["user"] for row in rows.values()]
        return self.page_of(asked, wanted, "members", users, default=100)

    def _allow(self, asked: Asked, *scopes: str) -> None:
        """Refuse a token with none of the scopes that this kind of channel needs."""
        if not asked.credential.scopes.intersection(scopes):
            raise Refused(self.lacking(asked, scopes[0]))


def _family(channel: Document) -> str:
    return "groups" if channel["is_private"] else "channels"


def _manages(family: str) -> tuple[str, ...]:
    return ("groups:write",) if family == "groups" else ("channels:manage", "channels:write")
