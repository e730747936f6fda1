"""How Slack refuses, and how the arguments of a method are read: shared by all routes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .faults import Throttle
from .slack_scim import SlackScim
from .wire import Answer, Asked, Credential, Document, Refused, Route, Unreadable


class SlackRefusals(SlackScim):
    """The words all methods of the Web API share."""

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
        return self.lacking(asked, missing[0].split("|")[0])

    def lacking(self, asked: Asked, needed: str) -> Answer:
        """Refuse for want of a scope, naming it and what the token has."""
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

    # Reading a request -------------------------------------------------------------------------

    def unreadable(self, asked: Asked, reason: str) -> Answer:
        """Refuse a body that is no JSON object."""
        del reason
        return self.error("400", asked=asked)

    def need(self, asked: Asked, wanted: Document, *names: str) -> None:
        """Refuse a call that lacks an argument."""
        missing = [name for name in names if not wanted.get(name)]
        if missing:
            messages = [f"[ERROR] missing required field: {name}" for name in missing]
            body = {"ok": False, "error": "invalid_arguments"}
            answer = {**body, "response_metadata": {"messages": messages}}
            if "channel" in missing:
                raise Refused(self.error("channel_not_found", asked=asked))
            raise Refused(Answer(200, answer))

    def channel_of(self, asked: Asked, wanted: Document, *, by_name: bool = True) -> Document:
        """Give the channel of the arguments, by id or, where Slack takes it, by name."""
        given = str(wanted["channel"])
        found = self.store.find("channels", given)
        if found is None and by_name:
            name = given.removeprefix("#")
            found = self.store.first("channels", lambda row: row["name"] == name)
        if found is None:
            raise Refused(self.error("channel_not_found", asked=asked))
        return found

    def page_of(
        self, asked: Asked, wanted: Document, name: str, rows: Sequence[object], *, default: int
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
        return ok({**page, "has_more": more} if name == "messages" else page)


def ok(body: Document) -> Answer:
    """Give a success."""
    return Answer(200, {"ok": True, **body})


def arguments(asked: Asked) -> Document:
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


def listed(value: object) -> list[str]:
    """Read a list, or a text of parts joined by commas."""
    if isinstance(value, list):
        return [str(each) for each in value]
    return [part.strip() for part in str(value or "").split(",") if part.strip()]
