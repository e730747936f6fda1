"""How Google refuses: its envelope of errors, the bearer token, who may act in the directory."""

from __future__ import annotations

from collections.abc import Sequence

from .faults import Throttle
from .google_world import GoogleWorld, etag_of
from .wire import Answer, Asked, Credential, Document, Refused, Route


class GoogleRefusals(GoogleWorld):
    """The words all routes of Google share."""

    def authenticated(self, asked: Asked) -> Credential:
        """Find the bearer token that the token endpoint gave out."""
        kind, _, secret = asked.headers.get("authorization", "").partition(" ")
        found = self.known_credential(secret) if kind.lower() == "bearer" else None
        if found is None:
            raise Refused(self.error("authError", asked=asked))
        return found

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse with 403 insufficientPermissions."""
        del asked, route, missing
        text = "Request had insufficient authentication scopes."
        return self.problem(403, "insufficientPermissions", text, status="PERMISSION_DENIED")

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give Google's envelope for a reason or a status."""
        del asked
        known = {
            "400": (400, "parseError", "Parse Error"),
            "401": (401, "authError", "Invalid Credentials"),
            "authError": (401, "authError", "Invalid Credentials"),
            "403": (403, "forbidden", "Not Authorized to access this resource/api"),
            "forbidden": (403, "forbidden", "Not Authorized to access this resource/api"),
            "404": (404, "notFound", "Resource Not Found: userKey"),
            "notFound": (404, "notFound", "Resource Not Found: userKey"),
            "duplicate": (409, "duplicate", "Entity already exists."),
            "conditionNotMet": (412, "conditionNotMet", "User creation is not complete."),
            "500": (500, "backendError", "Backend Error"),
            "backendError": (503, "backendError", "Backend Error"),
            "503": (503, "backendError", "Service unavailable. Please try again"),
        }
        status = int(code) if code.isdigit() else 400
        return self.problem(*known.get(code, (status, code, code)))

    def problem(self, code: int, reason: str, text: str, *, status: str = "") -> Answer:
        """Build the error envelope."""
        domain = "usageLimits" if "xceeded" in reason else "global"
        error = {
            "code": code,
            "message": text,
            "errors": [{"message": text, "domain": domain, "reason": reason}],
        }
        return Answer(code, {"error": {**error, "status": status} if status else error})

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Refuse by the user's rate, by the quota, or with 429."""
        del asked
        text = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user'."
        match effect.style:
            case "quota":
                answer = self.problem(403, "quotaExceeded", text)
            case "429":
                answer = self.problem(429, "rateLimitExceeded", text, status="RESOURCE_EXHAUSTED")
            case _:
                answer = self.problem(403, "userRateLimitExceeded", text)
        # Google promises no Retry-After; it is sent only if the rule asks for another than 30 s.
        given = effect.retry_after not in (None, Throttle().retry_after)
        return answer.with_headers({"Retry-After": str(effect.retry_after)} if given else {})

    def absent(self, what: str) -> Refused:
        """Refuse with 404: what (`userKey`, `groupKey`, `memberKey`) does not exist."""
        return Refused(self.problem(404, "notFound", f"Resource Not Found: {what}"))

    def wrong(self, text: str) -> Refused:
        """Refuse a value with 400."""
        return Refused(self.problem(400, "invalid", text))

    # Reading a request ---------------------------------------------------------------------------

    def as_admin(self, asked: Asked) -> None:
        """Refuse whoever acts for somebody who is no administrator."""
        subject = self.find_user(asked.credential.subject)
        if subject is None or not subject.get("isAdmin"):
            raise Refused(self.error("forbidden", asked=asked))

    def user_of(self, asked: Asked, *, lagging: bool = False) -> Document:
        """Give the user that the path names, as the administrator who asks sees them."""
        self.as_admin(asked)
        found = self.find_user(asked.params["key"], lagging=lagging)
        if found is None:
            raise self.absent("userKey")
        return found

    def listing(
        self, asked: Asked, kind: str, name: str, rows: list[Document], *, largest: int
    ) -> Answer:
        """Give one page of a listing; the last page has no token, an empty one no list."""
        token = asked.query.get("pageToken") or "0"
        if not token.isdigit():
            raise self.wrong("Invalid Input: pageToken")
        start = int(token)
        size = self.page(int(asked.query.get("maxResults") or min(largest, 100)), largest=largest)
        page: Document = {"kind": kind, "etag": etag_of(rows)}
        if shown := rows[start : start + size]:
            page[name] = shown
        if start + size < len(rows):
            page["nextPageToken"] = str(start + size)
        return Answer(200, page)

    def known_fields(self, wanted: Document, fields: set[str]) -> None:
        """Refuse a body with fields the vendor does not know."""
        unknown = sorted(wanted.keys() - fields)
        if unknown:
            text = f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
            raise Refused(self.problem(400, "badRequest", text, status="INVALID_ARGUMENT"))
