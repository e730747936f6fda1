"""Slack: the Web API and SCIM, which of them depending on the plan.

Every Web API answer is HTTP 200; what failed stands in `ok` and `error`. Only "enterprise" has
`admin.*`, "business" and "enterprise" have SCIM, "pro" has neither: there people are invited by
hand. The contract is `tests/contract/specs/slack-*.json` and the connectors document, §12; the
routes of SCIM are in `slack_scim`. Views that can lag: `slack.history`, `scim.filter`. Styles of
throttling: "" 429 with Retry-After, "body" 200 without it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .faults import Throttle
from .slack_scim import SlackScim
from .slack_world import GENERAL
from .wire import Answer, Asked, Credential, Document, Refused, Route, Unreadable, route

HISTORY = "channels:history|groups:history"
INVITE = "channels:write.invites|groups:write.invites|channels:manage|groups:write"


class SlackSimulator(SlackScim):
    """One Slack workspace; see the module's text."""

    # How Slack refuses -------------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find the token: bearer, or the argument `token` of a form."""
        kind, _, secret = asked.headers.get("authorization", "").partition(" ")
        if not kind:
            secret = asked.query.get("token", "")
            if not secret and asked.media_type == "application/x-www-form-urlencoded":
                secret = asked.form().get("token", "")
        if not secret:
            raise Refused(self.error("not_authed", asked=asked))
        found = self.known_credential(secret)
        if found is None:
            is_known = self.store.find("credentials", secret) is not None
            code = "token_revoked" if is_known else "invalid_auth"
            raise Refused(self.error(code, asked=asked))
        return found

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse with `missing_scope`, naming what is needed and what the token has."""
        del route
        if asked.path.startswith("/scim/"):
            return self.scim_error(403, "missing_scope")
        needed = missing[0].split("|")[0]
        provided = ",".join(sorted(asked.credential.scopes))
        body = {"ok": False, "error": "missing_scope", "needed": needed, "provided": provided}
        return Answer(200, body)

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give `ok: false` with this error; a number is answered with that status."""
        if asked.path.startswith("/scim/"):
            statuses = {"not_authed": 401, "invalid_auth": 401, "token_revoked": 401}
            status = int(code) if code.isdigit() else statuses.get(code, 400)
            return self.scim_error(status, code)
        if code == "400":
            return Answer(200, {"ok": False, "error": "invalid_json"})
        if code.isdigit():
            error = "service_unavailable" if code == "503" else "internal_error"
            return Answer(int(code), {"ok": False, "error": error})
        return Answer(200, {"ok": False, "error": code})

    def expired(self, asked: Asked) -> Answer:
        """Refuse with `token_expired`."""
        if asked.path.startswith("/scim/"):
            return self.scim_error(401, "token_expired")
        return self.error("token_expired", asked=asked)

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Refuse as rate limited, in the header or only in the body."""
        word = "rate_limited" if asked.path.endswith("chat.postMessage") else "ratelimited"
        if effect.style == "body":
            return Answer(200, {"ok": False, "error": word})
        wait = {} if effect.retry_after is None else {"Retry-After": str(effect.retry_after)}
        if asked.path.startswith("/scim/"):
            return self.scim_error(429, "ratelimited").with_headers(wait)
        return Answer(429, {"ok": False, "error": "ratelimited"}, wait)

    def finished(self, asked: Asked, answer: Answer, *, sequence: int) -> Answer:
        """Add the request's id and the token's scopes."""
        headers = {"X-Slack-Req-Id": f"{self.seed:08x}{sequence:024x}"}
        if asked.credential.secret:
            headers["X-OAuth-Scopes"] = ",".join(sorted(asked.credential.scopes))
        return answer.with_headers(headers)

    def wrong_method(self, asked: Asked, allowed: Sequence[str]) -> Answer:
        """Refuse a method: SCIM with 405, the Web API in its body."""
        if asked.path.startswith("/scim/"):
            return super().wrong_method(asked, allowed)
        return self.error("method_not_allowed", asked=asked)

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
        return _ok(answer)

    @route(
        "GET|POST", "/api/team.info", operation="team.info", needs=("team:read",), mutating=False
    )
    def team_info(self, asked: Asked) -> Answer:
        """Show the workspace."""
        del asked
        team = {"id": self.team, "name": "Acme", "domain": "acme-example"}
        return _ok({"team": {**team, "email_domain": "acme.example"}})

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
        email = str(_arguments(asked).get("email") or "").lower()
        found = self.user_by_email(email)
        if found is None or not found["active"] or found["invited"]:
            raise Refused(self.error("users_not_found", asked=asked))
        return _ok({"user": self.member_view(found)})

    @route(
        "GET|POST", "/api/users.info", operation="users.info", needs=("users:read",), mutating=False
    )
    def user_info(self, asked: Asked) -> Answer:
        """Show a user by id."""
        found = self.store.find("users", str(_arguments(asked).get("user")))
        if found is None:
            raise Refused(self.error("user_not_found", asked=asked))
        return _ok({"user": self.member_view(found)})

    @route(
        "POST",
        "/api/admin.users.invite",
        operation="admin.users.invite",
        needs=("admin.users:write",),
    )
    def invite(self, asked: Asked) -> Answer:
        """Invite a person by address to channels."""
        wanted = self._as_admin(asked, "team_id", "email", "channel_ids")
        email = str(wanted["email"]).lower()
        asked.concerns(f"account/{email}")
        channels = _list(wanted["channel_ids"])
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
        return _ok({})

    @route(
        "POST",
        "/api/admin.users.assign",
        operation="admin.users.assign",
        needs=("admin.users:write",),
    )
    def assign(self, asked: Asked) -> Answer:
        """Put a user of the organization into the workspace."""
        wanted = self._as_admin(asked, "team_id", "user_id")
        found = self.store.find("users", str(wanted["user_id"]))
        if found is None:
            raise Refused(self.error("user_not_found", asked=asked))
        asked.concerns(f"workspace/{found['email']}")
        if found["in_team"]:
            raise Refused(self.error("user_already_team_member", asked=asked))
        self.store.put("users", found["id"], {**found, "in_team": True})
        for channel in _list(wanted.get("channel_ids")) or [GENERAL]:
            self.join(channel, found["id"])
        return _ok({})

    def _as_admin(self, asked: Asked, *required: str) -> Document:
        """Read the arguments of an `admin.*` method, which only Enterprise has."""
        if self.plan != "enterprise":
            raise Refused(self.error("feature_not_enabled", asked=asked))
        wanted = _arguments(asked)
        self._need(asked, wanted, *required)
        if wanted["team_id"] != self.team:
            raise Refused(self.error("team_not_found", asked=asked))
        return wanted

    # Channels ----------------------------------------------------------------------------------

    @route(
        "GET|POST",
        "/api/conversations.list",
        operation="conversations.list",
        needs=("channels:read|groups:read",),
        mutating=False,
    )
    def channels(self, asked: Asked) -> Answer:
        """List channels, one page at a time; public ones unless asked otherwise."""
        wanted = _arguments(asked)
        types = _list(wanted.get("types")) or ["public_channel"]
        hide_archived = str(wanted.get("exclude_archived")).lower() == "true"
        rows = [
            row
            for row in self.store.rows("channels").values()
            if ("private_channel" if row["is_private"] else "public_channel") in types
            and not (hide_archived and row["is_archived"])
        ]
        views = [self.channel_view(row) for row in rows]
        return self._page(asked, wanted, "channels", views, default=100)

    @route("POST", "/api/conversations.invite", operation="conversations.invite", needs=(INVITE,))
    def invite_to_channel(self, asked: Asked) -> Answer:
        """Put users into a channel: all of them or none."""
        wanted = _arguments(asked)
        self._need(asked, wanted, "channel", "users")
        channel = self._channel(asked, wanted)
        users = _list(wanted["users"])
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
        return _ok({"channel": self.channel_view(channel)})

    def _cannot_join(self, channel: Document, identity: str, user: Document | None) -> str:
        if user is None or not user["active"]:
            return "user_not_found"
        if self.is_in(channel["id"], identity):
            return "already_in_channel"
        return "" if user["in_team"] else "org_user_not_in_team"

    # Messages ----------------------------------------------------------------------------------

    @route("POST", "/api/chat.postMessage", operation="chat.postMessage", needs=("chat:write",))
    def post_message(self, asked: Asked) -> Answer:
        """Say something in a channel; metadata is kept, every request says it again."""
        wanted = _arguments(asked)
        self._need(asked, wanted, "channel")
        channel = self._channel(asked, wanted)
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
        return _ok({"channel": channel["id"], "ts": message["ts"], "message": shown})

    @route(
        "GET|POST",
        "/api/conversations.history",
        operation="conversations.history",
        needs=(HISTORY,),
        mutating=False,
    )
    def history_of_channel(self, asked: Asked) -> Answer:
        """List the messages of a channel, newest first; metadata only if asked for."""
        wanted = _arguments(asked)
        self._need(asked, wanted, "channel")
        channel = self._channel(asked, wanted, by_name=False)
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
        return self._page(asked, wanted, "messages", views, default=100)

    # Reading a request -------------------------------------------------------------------------

    def unreadable(self, asked: Asked, reason: str) -> Answer:
        """Refuse a body that is no JSON object."""
        del reason
        return self.error("400", asked=asked)

    def _need(self, asked: Asked, wanted: Document, *names: str) -> None:
        missing = [name for name in names if not wanted.get(name)]
        if missing:
            messages = [f"[ERROR] missing required field: {name}" for name in missing]
            body = {"ok": False, "error": "invalid_arguments"}
            answer = {**body, "response_metadata": {"messages": messages}}
            if "channel" in missing:
                raise Refused(self.error("channel_not_found", asked=asked))
            raise Refused(Answer(200, answer))

    def _channel(self, asked: Asked, wanted: Document, *, by_name: bool = True) -> Document:
        given = str(wanted["channel"])
        found = self.store.find("channels", given)
        if found is None and by_name:
            name = given.removeprefix("#")
            found = self.store.first("channels", lambda row: row["name"] == name)
        if found is None:
            raise Refused(self.error("channel_not_found", asked=asked))
        return found

    def _page(
        self, asked: Asked, wanted: Document, name: str, rows: list[Document], *, default: int
    ) -> Answer:
        """Give one page of a listing; an empty cursor is the end."""
        cursor = str(wanted.get("cursor") or "")
        if cursor and not cursor.removeprefix("next:").isdigit():
            raise Refused(self.error("invalid_cursor", asked=asked))
        start = int(cursor.removeprefix("next:") or 0)
        size = self.page(int(wanted.get("limit") or default), largest=999)
        more = start + size < len(rows)
        page: Document = {
            name: rows[start : start + size],
            "response_metadata": {"next_cursor": f"next:{start + size}" if more else ""},
        }
        return _ok({**page, "has_more": more} if name == "messages" else page)


def _ok(body: Document) -> Answer:
    return Answer(200, {"ok": True, **body})


def _arguments(asked: Asked) -> Document:
    """Read the arguments of a method: query, form or JSON; JSON inside a form is unpacked."""
    if asked.method == "GET":
        return dict(asked.query)
    if asked.media_type == "application/json":
        return asked.json()
    given: dict[str, Any] = {**asked.query, **asked.form()}
    for name in ("metadata", "blocks", "attachments"):
        if isinstance(given.get(name), str):
            try:
                given[name] = json.loads(given[name])
            except ValueError as wrong:
                raise Unreadable(str(wrong)) from wrong
    return given


def _list(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(each) for each in value]
    return [part.strip() for part in str(value or "").split(",") if part.strip()]


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
