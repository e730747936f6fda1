"""Google Workspace: the token endpoint with signed assertions, and the users of the directory.

The contract is the vendor's discovery document (`tests/contract/specs/google-directory.*`) and the
connectors document, §11; the error envelope and its reasons are from there. Views that can lag:
`google.user`. Styles of throttling: "" user rate, "quota" exceeded quota, "429".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from .clock import moment_from
from .faults import Throttle
from .google_world import (
    DOMAIN,
    TOKEN_URI,
    USER_SCOPE,
    GoogleWorld,
    etag_of,
    full_name,
    marker_of,
)
from .signing import Malformed, verified_claims
from .wire import Answer, Asked, Credential, Document, Refused, Route, route

USERS = "/admin/directory/v1/users"
ONE = USERS + "/{key}"
READ_SCOPES = f"{USER_SCOPE}|{USER_SCOPE}.readonly"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_LASTS_S = 3600
SKEW_S = 300
# What a caller may write; the other fields of a user are the vendor's own.
WRITABLE = {
    "primaryEmail",
    "password",
    "name",
    "externalIds",
    "orgUnitPath",
    "recoveryEmail",
    "recoveryPhone",
    "suspended",
    "archived",
    "changePasswordAtNextLogin",
    "hashFunction",
    "includeInGlobalAddressList",
    "ipWhitelisted",
    "emails",
    "phones",
    "addresses",
    "relations",
    "organizations",
    "locations",
    "notes",
    "keywords",
    "languages",
    "gender",
    "websites",
    "customSchemas",
}
_ADDRESS = re.compile(r"[a-z0-9._'+-]+@[a-z0-9.-]+", re.IGNORECASE)
_TERM = re.compile(r"(\w+)(?::|=)('[^']*'|\S+)")


class GoogleSimulator(GoogleWorld):
    """One Google Workspace customer; see the module's text."""

    # How Google refuses ------------------------------------------------------------------------

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

    # Token endpoint ----------------------------------------------------------------------------

    @route("POST", "/token", operation="token", mutating=False, open=True)
    def token(self, asked: Asked) -> Answer:
        """Exchange a signed assertion for an access token of one hour."""
        form = asked.form()
        if form.get("grant_type") != GRANT:
            raise Refused(_oauth(400, "unsupported_grant_type", "Invalid grant_type"))
        try:
            claims = verified_claims(form.get("assertion", ""), self.seed)
        except Malformed as wrong:
            raise Refused(_oauth(400, "invalid_grant", "Invalid JWT Signature.")) from wrong
        service = self.store.find("service_accounts", str(claims.get("iss")))
        if service is None:
            text = "Invalid grant: account not found"
            raise Refused(_oauth(400, "invalid_grant", text))
        self._check_claims(claims, asked)
        scopes = str(claims.get("scope", "")).split()
        if not scopes or not set(scopes) <= set(service["scopes"]) or self.is_revoked("newel"):
            text = (
                "Client is unauthorized to retrieve access tokens using this method, or client not "
                "authorized for any of the scopes requested."
            )
            raise Refused(_oauth(401, "unauthorized_client", text))
        secret = f"ya29.{self.store.opaque('token', 64)}"
        subject = str(claims["sub"])
        self.grant("newel", secret, scopes, subject=subject, for_s=TOKEN_LASTS_S)
        answer = {"access_token": secret, "expires_in": TOKEN_LASTS_S - 1, "token_type": "Bearer"}
        return Answer(200, answer)

    def _check_claims(self, claims: Document, asked: Asked) -> None:
        now = self.clock.now().timestamp()
        if claims.get("aud") not in (TOKEN_URI, f"{asked.base_url}/token"):
            raise Refused(_oauth(400, "invalid_grant", "Invalid JWT: Failed audience check."))
        issued, expires = claims.get("iat"), claims.get("exp")
        text = (
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
            "timeframe. Check your iat and exp values in the JWT claim."
        )
        if not isinstance(issued, int | float) or not isinstance(expires, int | float):
            raise Refused(_oauth(400, "invalid_grant", text))
        if expires <= now or issued > now + SKEW_S or expires > issued + 3600:
            raise Refused(_oauth(400, "invalid_grant", text))
        admin = self.find_user(str(claims.get("sub")))
        if admin is None or admin["suspended"]:
            raise Refused(_oauth(400, "invalid_grant", "Invalid email or User ID"))

    # Users -------------------------------------------------------------------------------------

    @route("GET", USERS, operation="directory.users.list", needs=(READ_SCOPES,))
    def users(self, asked: Asked) -> Answer:
        """List users of the customer or a domain, one page at a time."""
        self._as_admin(asked)
        if not asked.query.get("customer") and not asked.query.get("domain"):
            raise Refused(self.problem(400, "badRequest", "Bad Request"))
        rows = list(
            self.store.rows("users", self._query(asked), lag=self.lag("google.user")).values()
        )
        rows.sort(key=lambda user: user["primaryEmail"])
        start = int(asked.query.get("pageToken") or 0)
        size = self.page(int(asked.query.get("maxResults") or 100), largest=500)
        page: Document = {
            "kind": "admin#directory#users",
            "etag": etag_of(rows),
            "users": [self.user_view(user) for user in rows[start : start + size]],
        }
        if not page["users"]:
            del page["users"]
        if start + size < len(rows):
            page["nextPageToken"] = str(start + size)
        return Answer(200, page)

    def _query(self, asked: Asked) -> Callable[[Document], bool]:
        """Read the search clauses `email:`, `externalId:`, `name:` … joined by spaces."""
        terms = [(n.lower(), v.strip("'")) for n, v in _TERM.findall(asked.query.get("query", ""))]
        readers: dict[str, Callable[[Document], list[str]]] = {
            "email": lambda u: [u["primaryEmail"]],
            "externalid": lambda u: [str(e.get("value")) for e in u.get("externalIds") or []],
            "givenname": lambda u: [u["name"]["givenName"]],
            "familyname": lambda u: [u["name"]["familyName"]],
            "issuspended": lambda u: [str(u["suspended"])],
        }
        if any(name not in readers for name, _ in terms):
            raise Refused(self.problem(400, "invalid", "Invalid Input: query"))

        def fits(user: Document) -> bool:
            return all(
                any(value.lower().rstrip("*") in have.lower() for have in readers[name](user))
                for name, value in terms
            )

        return fits

    @route("POST", USERS, operation="directory.users.insert", needs=(USER_SCOPE,))
    def insert(self, asked: Asked) -> Answer:
        """Create a user; the address must be new and in a domain of the customer."""
        self._as_admin(asked)
        wanted = asked.json()
        email = str(wanted.get("primaryEmail") or "").lower()
        asked.concerns(f"account/{email}", marker=marker_of(wanted))
        self._check(wanted)
        name = wanted.get("name") or {}
        for field, present in (
            ("primary_user_email", email),
            ("password", wanted.get("password")),
            ("name.given_name", name.get("givenName")),
            ("name.family_name", name.get("familyName")),
        ):
            if not present:
                raise Refused(self.problem(400, "required", f"Missing required field: {field}"))
        if not _ADDRESS.fullmatch(email):
            raise Refused(self.problem(400, "invalid", "Invalid Input: primary_user_email"))
        if email.partition("@")[2] != DOMAIN:
            raise Refused(self.problem(404, "notFound", "Domain not found."))
        if self.find_user(email) is not None:
            raise Refused(self.error("duplicate", asked=asked))
        if not self.take_seat(used=self.store.count("users"), seats=self._licences):
            text = "Domain user limit reached."
            raise Refused(self.problem(412, "limitExceeded", text))
        return Answer(200, self.user_view(self.insert_user({**wanted, "primaryEmail": email})))

    @route("GET", ONE, operation="directory.users.get", needs=(READ_SCOPES,))
    def get(self, asked: Asked) -> Answer:
        """Show a user by address or id."""
        self._as_admin(asked)
        return Answer(200, self.user_view(self._user(asked, lagging=True)))

    @route("PUT", ONE, operation="directory.users.update", needs=(USER_SCOPE,))
    def update(self, asked: Asked) -> Answer:
        """Change the given fields: lists are replaced whole, null clears."""
        self._as_admin(asked)
        user, wanted = self._user(asked), asked.json()
        asked.concerns(f"account/{user['primaryEmail']}", marker=marker_of(wanted))
        self._check(wanted)
        if self.is_unready(moment_from(user["creationTime"])):
            raise Refused(self.error("conditionNotMet", asked=asked))
        new_email = str(wanted.get("primaryEmail") or user["primaryEmail"]).lower()
        other = self.find_user(new_email)
        if other is not None and other["id"] != user["id"]:
            raise Refused(self.error("duplicate", asked=asked))
        given = {n: v for n, v in wanted.items() if v is not None and n != "password"}
        cleared = {name for name, value in wanted.items() if value is None}
        changed = {n: v for n, v in {**user, **given}.items() if n not in cleared}
        changed |= {
            "primaryEmail": new_email,
            "name": full_name({**user["name"], **wanted.get("name", {})}),
        }
        if "password" in wanted:
            # Passwords are never shown; that there is a new one must still be a change.
            changed["passwordNumber"] = user.get("passwordNumber", 1) + 1
        if changed.get("suspended") and not user["suspended"]:
            changed["suspensionReason"] = "ADMIN"
        self.store.put("users", user["id"], changed)
        return Answer(200, self.user_view(changed))

    @route("DELETE", ONE, operation="directory.users.delete", needs=(USER_SCOPE,))
    def delete(self, asked: Asked) -> Answer:
        """Delete a user."""
        self._as_admin(asked)
        user = self._user(asked)
        asked.concerns(f"account/{user['primaryEmail']}", marker=marker_of(user))
        self.store.remove("users", user["id"])
        return Answer(204)

    # Reading a request ---------------------------------------------------------------------------

    def _as_admin(self, asked: Asked) -> None:
        subject = self.find_user(asked.credential.subject)
        if subject is None or not subject.get("isAdmin"):
            raise Refused(self.error("forbidden", asked=asked))

    def _user(self, asked: Asked, *, lagging: bool = False) -> Document:
        found = self.find_user(asked.params["key"], lagging=lagging)
        if found is None:
            raise Refused(self.error("notFound", asked=asked))
        return found

    def _check(self, wanted: Document) -> None:
        """Refuse unknown fields and values of the wrong form."""
        unknown = sorted(wanted.keys() - WRITABLE)
        if unknown:
            text = f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
            raise Refused(self.problem(400, "badRequest", text, status="INVALID_ARGUMENT"))
        password = wanted.get("password")
        if password is not None and not 8 <= len(str(password)) <= 100:
            raise Refused(self.problem(400, "invalid", "Invalid Password"))
        if not str(wanted.get("orgUnitPath") or "/").startswith("/"):
            raise Refused(self.problem(400, "invalid", "Invalid Input: INVALID_OU_ID"))


def _oauth(status: int, error: str, text: str) -> Answer:
    return Answer(status, {"error": error, "error_description": text})
