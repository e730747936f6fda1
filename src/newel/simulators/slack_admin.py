"""What only an administrator of an Enterprise organization can do: `admin.users.*`."""

from __future__ import annotations

from .slack_refusals import SlackRefusals, arguments, listed, ok
from .slack_world import GENERAL
from .wire import Answer, Asked, Document, Refused, route


class SlackAdmin(SlackRefusals):
    """The routes of `admin.users`."""

    @route(
        "POST",
        "/api/admin.users.invite",
        operation="admin.users.invite",
        needs=("admin.users:write",),
    )
    def invite(self, asked: Asked) -> Answer:
        """Invite a person by address to channels."""
        wanted = self.as_admin(asked, "team_id", "email", "channel_ids")
        email = str(wanted["email"]).lower()
        asked.concerns(f"account/{email}")
        channels = listed(wanted["channel_ids"])
        if not channels or any(self.store.find("channels", c) is None for c in channels):
            raise Refused(self.error("failed_to_validate_channels", asked=asked))
        if "@" not in email:
            raise Refused(self.error("invalid_email", asked=asked))
        found = self.user_by_email(email)
        if found is not None:
            word = "already_in_team_invited_user" if found["invited"] else "already_in_team"
            raise Refused(self.error(word if found["active"] else "user_disabled", asked=asked))
        name = str(wanted.get("real_name") or email.partition("@")[0])
        self.new_user(email, name=name, channels=channels, invited=True)
        return ok({})

    @route(
        "POST",
        "/api/admin.users.assign",
        operation="admin.users.assign",
        needs=("admin.users:write",),
    )
    def assign(self, asked: Asked) -> Answer:
        """Put a user of the organization into the workspace."""
        wanted = self.as_admin(asked, "team_id", "user_id")
        found = self.store.find("users", str(wanted["user_id"]))
        if found is None:
            raise Refused(self.error("user_not_found", asked=asked))
        asked.concerns(f"workspace/{found['email']}")
        if found["in_team"]:
            raise Refused(self.error("user_already_team_member", asked=asked))
        self.store.put("users", found["id"], {**found, "in_team": True})
        for channel in listed(wanted.get("channel_ids")) or [GENERAL]:
            self.join(channel, found["id"])
        return ok({})

    @route(
        "POST",
        "/api/admin.users.remove",
        operation="admin.users.remove",
        needs=("admin.users:write",),
    )
    def remove(self, asked: Asked) -> Answer:
        """Take a user out of the workspace; the account stays in the organization."""
        wanted = self.as_admin(asked, "team_id", "user_id")
        found = self.store.find("users", str(wanted["user_id"]))
        if found is None:
            raise Refused(self.error("user_not_found", asked=asked))
        asked.concerns(f"workspace/{found['email']}")
        if found["primary_owner"]:
            raise Refused(self.error("cannot_modify_primary_owner", asked=asked))
        if not found["in_team"] or not found["active"]:
            raise Refused(self.error("user_already_deleted", asked=asked))
        self.store.put("users", found["id"], {**found, "in_team": False})
        for key in self.store.rows("channel_members", lambda row: row["user"] == found["id"]):
            self.store.remove("channel_members", key)
        self.store.remove("sessions", found["id"])
        return ok({})

    @route(
        "POST",
        "/api/admin.users.session.reset",
        operation="admin.users.session.reset",
        needs=("admin.users:write",),
    )
    def reset_sessions(self, asked: Asked) -> Answer:
        """End all sessions of a user, on every device."""
        if self.plan != "enterprise":
            raise Refused(self.error("feature_not_enabled", asked=asked))
        wanted = arguments(asked)
        self.need(asked, wanted, "user_id")
        found = self.store.find("users", str(wanted["user_id"]))
        if found is None:
            raise Refused(self.error("user_not_found", asked=asked))
        asked.concerns(f"sessions/{found['email']}")
        if found["primary_owner"]:
            raise Refused(self.error("cannot_reset_primary_owner", asked=asked))
        self.store.remove("sessions", found["id"])
        return ok({})

    def as_admin(self, asked: Asked, *required: str) -> Document:
        """Read the arguments of an `admin.*` method, which only Enterprise has."""
        if self.plan != "enterprise":
            raise Refused(self.error("feature_not_enabled", asked=asked))
        wanted = arguments(asked)
        self.need(asked, wanted, *required)
        if wanted["team_id"] != self.team:
            raise Refused(self.error("team_not_found", asked=asked))
        return wanted
