"""Google Workspace: the token endpoint with signed assertions, and the users of the directory.

The contract is the vendor's discovery documents (`tests/contract/specs/google-*`) and the
connectors document, §11; the error envelope and its reasons are from there. Views that can lag:
`google.user`, `google.member`. Styles of throttling: "" user rate, "quota" exceeded quota, "429".
Groups, sessions, and what is handed on when somebody goes are in the modules beside this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from .clock import milliseconds, moment_from
from .google_groups import GoogleGroups
from .google_handover import GoogleHandover
from .google_security import GoogleSecurity
from .google_world import DOMAIN, TOKEN_URI, USER_SCOPE, full_name, marker_of
from .signing import Malformed, verified_claims
from .wire import Answer, Asked, Document, Refused, route

USERS = "/admin/directory/v1/users"
ONE = USERS + "/{key}"
READ_SCOPES = f"{USER_SCOPE}|{USER_SCOPE}.readonly"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_LASTS_S = 3600
SKEW_S = 300
# A deleted user can be brought back; its address is free again only after a while.
KEPT = timedelta(days=20)
RESERVED = timedelta(minutes=5)
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


class GoogleSimulator(GoogleGroups, GoogleSecurity, GoogleHandover):
    """One Google Workspace customer; see the module's text."""

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
        now = self.now().timestamp()
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
        self.as_admin(asked)
        if not asked.query.get("customer") and not asked.query.get("domain"):
            raise Refused(self.problem(400, "badRequest", "Bad Request"))
        table = "deleted_users" if asked.query.get("showDeleted") == "true" else "users"
        rows = self.store.rows(table, self._query(asked), lag=self.lag("google.user"))
        views = [self.user_view(user) for user in rows.values()]
        views.sort(key=lambda user: str(user["primaryEmail"]))
        return self.listing(asked, "admin#directory#users", "users", views, largest=500)

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
        self.as_admin(asked)
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
        if self.find_user(email) is not None or self._is_reserved(email):
            raise Refused(self.error("duplicate", asked=asked))
        if not self.take_seat(used=self.store.count("users"), seats=self.seats):
            text = "Domain user limit reached."
            raise Refused(self.problem(412, "limitExceeded", text))
        return Answer(200, self.user_view(self.insert_user({**wanted, "primaryEmail": email})))

    @route("GET", ONE, operation="directory.users.get", needs=(READ_SCOPES,))
    def get(self, asked: Asked) -> Answer:
        """Show a user by address or id."""
        return Answer(200, self.user_view(self.user_of(asked, lagging=True)))

    @route("PUT", ONE, operation="directory.users.update", needs=(USER_SCOPE,))
    def update(self, asked: Asked) -> Answer:
        """Change the given fields: lists are replaced whole, null clears."""
        user, wanted = self.user_of(asked), asked.json()
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
        """Delete a user, who can be brought back for some days; licences become free."""
        user = self.user_of(asked)
        asked.concerns(f"account/{user['primaryEmail']}", marker=marker_of(user))
        self.store.remove("users", user["id"])
        deleted = {**user, "deletionTime": milliseconds(self.clock.now())}
        self.store.put("deleted_users", user["id"], deleted)
        self.leave_all_groups(user)
        for table in ("licences", "sessions", "app_tokens", "app_passwords", "backup_codes"):
            for key in self.store.rows(table, lambda row: row["user"] == user["id"]):
                self.store.remove(table, key)
        return Answer(204)

    @route("POST", ONE + "/undelete", operation="directory.users.undelete", needs=(USER_SCOPE,))
    def undelete(self, asked: Asked) -> Answer:
        """Bring a deleted user back, by id, as long as it is kept."""
        self.as_admin(asked)
        self._check(asked.json())
        user = self.store.find("deleted_users", asked.params["key"])
        if user is None or self._age(user) > KEPT:
            raise self.absent("userKey")
        asked.concerns(f"account/{user['primaryEmail']}", marker=marker_of(user))
        if self.find_user(user["primaryEmail"]) is not None:
            raise Refused(self.error("duplicate", asked=asked))
        self.store.remove("deleted_users", user["id"])
        unit = asked.json().get("orgUnitPath", "/")
        alive = {name: value for name, value in user.items() if name != "deletionTime"}
        self.store.put("users", user["id"], {**alive, "orgUnitPath": unit})
        return Answer(204)

    def _age(self, deleted: Document) -> timedelta:
        return self.clock.now() - moment_from(deleted["deletionTime"])

    def _is_reserved(self, email: str) -> bool:
        """Say whether the address belonged to a user deleted a moment ago."""
        return any(
            row["primaryEmail"] == email and self._age(row) < RESERVED
            for row in self.store.rows("deleted_users").values()
        )

    def _check(self, wanted: Document) -> None:
        """Refuse unknown fields and values of the wrong form."""
        self.known_fields(wanted, WRITABLE)
        if wanted.get("archived"):
            text = "Insufficient archived user licenses."
            raise Refused(self.problem(412, "conditionNotMet", text))
        password = wanted.get("password")
        if password is not None and not 8 <= len(str(password)) <= 100:
            raise Refused(self.problem(400, "invalid", "Invalid Password"))
        if not str(wanted.get("orgUnitPath") or "/").startswith("/"):
            raise Refused(self.problem(400, "invalid", "Invalid Input: INVALID_OU_ID"))


def _oauth(status: int, error: str, text: str) -> Answer:
    return Answer(status, {"error": error, "error_description": text})
