"""Salesforce: the token endpoint with signed assertions, queries, users, permission sets.

There is no official OpenAPI document; the tables of the connectors document, §15, are the contract.
Errors are a JSON array. Users can be deactivated and frozen, never deleted. Views that can lag:
`salesforce.query`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .faults import Licences, Seats, Throttle
from .salesforce_query import MalformedQuery, NotUnderstood, Query, Value, parsed
from .salesforce_world import (
    CLIENT_ID,
    LOGIN_HOSTS,
    MARKER_FIELD,
    SalesforceWorld,
    full_name,
)
from .signing import Malformed, verified_claims
from .wire import Answer, Asked, Credential, Document, Refused, Route, route

DATA = "/services/data/{version}"
SOBJECT = DATA + "/sobjects"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_LASTS_S = 7200
ASSERTION_LASTS_S = 300
SCOPES = ("api", "manage_users", "assign_permission_sets", "freeze_users")
# A licence is the seat of a person here: faults may call it either.
BOUGHT = (Seats, Licences)

REQUIRED = (
    "Username",
    "LastName",
    "Email",
    "Alias",
    "ProfileId",
    "TimeZoneSidKey",
    "LocaleSidKey",
    "EmailEncodingKey",
    "LanguageLocaleKey",
)
# What the asking user may do, by the field that says so.
PERMISSIONS = {
    "PermissionsApiEnabled": "api",
    "PermissionsManageUsers": "manage_users",
    "PermissionsAssignPermissionSets": "assign_permission_sets",
    "PermissionsFreezeUsers": "freeze_users",
}
# The fields a query may name, by object.
FIELDS = {
    "User": {
        *REQUIRED,
        "Id",
        "FirstName",
        "Name",
        "IsActive",
        "FederationIdentifier",
        "EmployeeNumber",
        "Title",
        "Department",
        "UserType",
        "CreatedDate",
        "LastLoginDate",
        MARKER_FIELD,
    },
    "Profile": {"Id", "Name", "UserType"},
    "PermissionSet": {"Id", "Name", "Label", "IsOwnedByProfile"},
    "PermissionSetAssignment": {"Id", "AssigneeId", "PermissionSetId"},
    "UserLogin": {"Id", "UserId", "IsFrozen", "IsPasswordLocked"},
    "UserLicense": {"Id", "Name", "TotalLicenses", "UsedLicenses"},
    "UserPermissionAccess": {"Id", *PERMISSIONS},
}
# Which object a relationship in a query leads to, and by which field.
RELATIONS = {
    ("User", "Profile"): ("ProfileId", "Profile"),
    ("PermissionSetAssignment", "PermissionSet"): ("PermissionSetId", "PermissionSet"),
    ("PermissionSetAssignment", "Assignee"): ("AssigneeId", "User"),
    ("UserLogin", "User"): ("UserId", "User"),
}
OWN = {"Id", "Name", "UserType", "CreatedDate", "LastLoginDate"}


class SalesforceSimulator(SalesforceWorld):
    """One Salesforce organization; see the module's text."""

    # How Salesforce refuses --------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find the bearer token that the token endpoint gave out."""
        kind, _, secret = asked.headers.get("authorization", "").partition(" ")
        found = self.known_credential(secret) if kind.lower() in ("bearer", "oauth") else None
        if found is None:
            raise Refused(self.error("INVALID_SESSION_ID", asked=asked))
        return found

    def over_quota(self, asked: Asked, route: Route) -> Answer | None:
        """Refuse what is beyond the requests of 24 hours, which hold without a fault too."""
        if not self.count_request():
            return self.error("REQUEST_LIMIT_EXCEEDED", asked=asked)
        return super().over_quota(asked, route)

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse with 403 in the words for the missing permission."""
        del asked, route
        if "api" in missing:
            return self.problem(403, "API_DISABLED_FOR_ORG", "The REST API is not enabled.")
        text = "insufficient access rights on cross-reference id"
        return self.problem(403, "INSUFFICIENT_ACCESS_OR_READONLY", text)

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give the error array for an error code or a status."""
        del asked
        known = {
            "400": (400, "JSON_PARSER_ERROR", "Unexpected character in the request body"),
            "401": (401, "INVALID_SESSION_ID", "Session expired or invalid"),
            "INVALID_SESSION_ID": (401, "INVALID_SESSION_ID", "Session expired or invalid"),
            "404": (404, "NOT_FOUND", "The requested resource does not exist"),
            "503": (503, "SERVER_UNAVAILABLE", "Server is unavailable"),
            "SERVER_UNAVAILABLE": (503, "SERVER_UNAVAILABLE", "Server is unavailable"),
            "REQUEST_LIMIT_EXCEEDED": (
                403,
                "REQUEST_LIMIT_EXCEEDED",
                "TotalRequests Limit exceeded.",
            ),
            "UNABLE_TO_LOCK_ROW": (
                400,
                "UNABLE_TO_LOCK_ROW",
                "unable to obtain exclusive access to this record",
            ),
            "LICENSE_LIMIT_EXCEEDED": (
                400,
                "LICENSE_LIMIT_EXCEEDED",
                "License Limit Exceeded: you have no more licenses of this type.",
            ),
        }
        status = int(code) if code.isdigit() else 400
        return self.problem(*known.get(code, (status, code, code)))

    def problem(self, status: int, code: str, text: str, fields: Sequence[str] = ()) -> Answer:
        """Build the error array; fields: the names of the fields in question."""
        problem: Document = {"message": text, "errorCode": code}
        if fields:
            problem["fields"] = list(fields)
        return Answer(status, [problem])

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Refuse by the rolling daily limit, which states no end."""
        del effect
        return self.error("REQUEST_LIMIT_EXCEEDED", asked=asked)

    def finished(self, asked: Asked, answer: Answer, *, sequence: int) -> Answer:
        """Add the use of the daily limit."""
        del asked, sequence
        usage = f"api-usage={self.requests_used}/{self.requests}"
        return answer.with_headers({"Sforce-Limit-Info": usage})

    # Token endpoint ----------------------------------------------------------------------------

    @route("POST", "/services/oauth2/token", operation="token", mutating=False, open=True)
    def token(self, asked: Asked) -> Answer:
        """Exchange a signed assertion for an access token."""
        form = asked.form()
        if form.get("grant_type") != GRANT:
            raise Refused(_oauth("unsupported_grant_type", "grant type not supported"))
        try:
            claims = verified_claims(form.get("assertion", ""), self.seed)
        except Malformed as wrong:
            raise Refused(_oauth("invalid_grant", "invalid assertion")) from wrong
        if claims.get("iss") != CLIENT_ID:
            raise Refused(_oauth("invalid_client_id", "client identifier invalid"))
        if claims.get("aud") not in (*LOGIN_HOSTS, asked.base_url):
            raise Refused(_oauth("invalid_grant", "audience is invalid"))
        now, expires = self.now().timestamp(), claims.get("exp")
        if not isinstance(expires, int | float) or not now < expires <= now + ASSERTION_LASTS_S:
            raise Refused(_oauth("invalid_grant", "expired authorization code"))
        user = self.by_username(str(claims.get("sub")))
        if user is None or not user["IsActive"] or self.is_revoked("newel"):
            raise Refused(_oauth("invalid_grant", "user hasn't approved this consumer"))
        secret = f"00D5e000001acme!{self.store.opaque('token', 60)}"
        self.grant("newel", secret, SCOPES, subject=user["Id"], for_s=TOKEN_LASTS_S)
        answer = {
            "access_token": secret,
            "scope": "api",
            "instance_url": asked.base_url,
            "id": f"{asked.base_url}/id/00D5e000001acmeEAA/{user['Id']}",
            "token_type": "Bearer",
        }
        return Answer(200, answer)

    # Reading -----------------------------------------------------------------------------------

    @route("GET", DATA + "/limits", operation="limits", needs=("api",))
    def limits(self, asked: Asked) -> Answer:
        """Show how much of the daily limit is left."""
        del asked
        left = self.requests - self.requests_used
        return Answer(200, {"DailyApiRequests": {"Max": self.requests, "Remaining": left}})

    @route("GET", DATA + "/query", operation="query", needs=("api",))
    def query(self, asked: Asked) -> Answer:
        """Answer a query; long answers come in pages."""
        text = asked.query.get("q", "")
        try:
            query = parsed(text)
            rows = self._chosen(query, asked)
            if query.order:
                rows.sort(key=lambda r: str(r.get(query.order)), reverse=query.descending)
            rows = rows[: query.limit]
            records = [self._record(query.object, row, query.fields, asked) for row in rows]
        except MalformedQuery as wrong:
            raise Refused(self.problem(400, "MALFORMED_QUERY", str(wrong))) from wrong
        except NotUnderstood as unknown:
            told = f"The salesforce simulator does not understand {unknown} in SOQL."
            raise Refused(Answer(501, {"simulator": "salesforce", "message": told})) from unknown
        size = self.page(2000, largest=2000)
        return self._records(asked, records, 0, size, text)

    @route("GET", DATA + "/query/{cursor}", operation="queryMore", needs=("api",))
    def query_more(self, asked: Asked) -> Answer:
        """Give the next page of a long answer."""
        found = self.store.find("cursors", asked.params["cursor"])
        if found is None:
            raise Refused(self.problem(400, "INVALID_QUERY_LOCATOR", "invalid query locator"))
        return self._records(asked, found["records"], found["start"], found["size"], found["text"])

    def _records(
        self, asked: Asked, records: list[Document], start: int, size: int, text: str
    ) -> Answer:
        page = {
            "totalSize": len(records),
            "done": start + size >= len(records),
            "records": records[start : start + size],
        }
        if not page["done"]:
            cursor = f"01g5e00000{self.store.opaque('cursor', 8)}"
            rest = {"records": records, "start": start + size, "size": size, "text": text}
            self.store.put("cursors", cursor, rest)
            page["nextRecordsUrl"] = f"/services/data/{asked.params['version']}/query/{cursor}"
        return Answer(200, page)

    def _chosen(self, query: Query, asked: Asked) -> list[Document]:
        kind = query.object
        if kind not in FIELDS:
            text = f"sObject type '{kind}' is not supported."
            raise Refused(self.problem(400, "INVALID_TYPE", text))
        if kind == "UserPermissionAccess":
            held = asked.credential.scopes
            return [{"Id": "000", **{name: scope in held for name, scope in PERMISSIONS.items()}}]
        if kind == "UserLicense":
            used = self.store.count("User", lambda row: row["IsActive"])
            left = self.seats_left(used=used, seats=self._licences, bought=BOUGHT)
            most = 1_000_000 if left is None else used + left
            licence = {"Id": "100", "Name": "Salesforce"}
            return [{**licence, "TotalLicenses": most, "UsedLicenses": used}]
        enough = any if query.any_holds else all

        def fits(row: Document) -> bool:
            return enough(c.holds(self._field(kind, row, c.field)) for c in query.clauses)

        rows = self.store.rows(kind, fits, lag=self.lag("salesforce.query"))
        return list(rows.values())

    def _field(self, kind: str, row: Document, name: str) -> Value:
        """Give the value of a field, across one relationship if it has a dot."""
        relation, dot, field = name.partition(".")
        if not dot:
            if name not in FIELDS[kind]:
                raise Refused(self._no_field(kind, name))
            return row.get(name)
        if (kind, relation) not in RELATIONS or field not in FIELDS[RELATIONS[kind, relation][1]]:
            raise Refused(self._no_field(kind, name))
        by, target = RELATIONS[kind, relation]
        other = self.store.find(target, str(row.get(by))) or {}
        return other.get(field)

    def _no_field(self, kind: str, name: str) -> Answer:
        text = f"No such column '{name}' on entity '{kind}'."
        return self.problem(400, "INVALID_FIELD", text)

    def _record(self, kind: str, row: Document, fields: Sequence[str], asked: Asked) -> Document:
        url = f"/services/data/{asked.params['version']}/sobjects/{kind}/{row['Id']}"
        record: Document = {"attributes": {"type": kind, "url": url}}
        for name in fields:
            relation, dot, field = name.partition(".")
            value = self._field(kind, row, name)
            if dot:
                target = RELATIONS[kind, relation][1]
                related = record.setdefault(relation, {"attributes": {"type": target}})
                related[field] = value
            else:
                record[name] = value
        return record

    # Users -------------------------------------------------------------------------------------

    @route("POST", SOBJECT + "/User", operation="createUser", needs=("api", "manage_users"))
    def create_user(self, asked: Asked) -> Answer:
        """Create a user; the username must be new in all of Salesforce."""
        wanted = asked.json()
        marker = str(wanted.get(MARKER_FIELD) or wanted.get("FederationIdentifier") or "")
        asked.concerns(f"account/{str(wanted.get('Username', '')).lower()}", marker=marker)
        return self._created(wanted)

    @route("PATCH", SOBJECT + "/User/{id}", operation="updateUser", needs=("api", "manage_users"))
    def update_user(self, asked: Asked) -> Answer:
        """Change fields of a user; repeating it changes nothing."""
        user = self._one("User", asked)
        asked.concerns(f"account/{user['Username'].lower()}")
        self._change(user, asked.json())
        return Answer(204)

    @route("GET", SOBJECT + "/User/{id}", operation="getUser", needs=("api",))
    def get_user(self, asked: Asked) -> Answer:
        """Show a user."""
        user = self._one("User", asked)
        return Answer(200, self._record("User", user, sorted(FIELDS["User"]), asked))

    @route(
        "PATCH",
        SOBJECT + "/User/{field}/{value}",
        operation="upsertUser",
        needs=("api", "manage_users"),
    )
    def upsert_user(self, asked: Asked) -> Answer:
        """Create or change the user with this value of an External-ID field."""
        field, value, wanted = asked.params["field"], asked.params["value"], asked.json()
        if field != MARKER_FIELD:
            text = f"Provided external ID field does not exist or is not accessible: {field}"
            raise Refused(self.problem(404, "NOT_FOUND", text))
        if {"Id", field} & wanted.keys():
            text = f"The {field} field should not be specified in the sobject data."
            raise Refused(self.problem(400, "INVALID_FIELD", text, [field]))
        user = self.store.first("User", lambda row: row.get(field) == value)
        username = user["Username"] if user else str(wanted.get("Username", ""))
        asked.concerns(f"account/{username.lower()}", marker=value)
        if user is None:
            created = self._created({**wanted, field: value})
            return Answer(201, {**created.body, "created": True})
        self._change(user, wanted)
        return Answer(200, {"id": user["Id"], "success": True, "errors": [], "created": False})

    @route(
        "PATCH",
        SOBJECT + "/UserLogin/{id}",
        operation="updateUserLogin",
        needs=("api", "freeze_users"),
    )
    def freeze(self, asked: Asked) -> Answer:
        """Freeze or unfreeze a login."""
        login, wanted = self._one("UserLogin", asked), asked.json()
        user: Document = self.store.find("User", login["UserId"]) or {}
        asked.concerns(f"login/{user['Username'].lower()}")
        if wanted.keys() - {"IsFrozen", "IsPasswordLocked"}:
            raise Refused(self._no_field("UserLogin", next(iter(wanted))))
        self.store.put("UserLogin", login["Id"], {**login, **wanted})
        return Answer(204)

    def _created(self, wanted: Document) -> Answer:
        missing = [name for name in REQUIRED if not wanted.get(name)]
        if missing:
            text = f"Required fields are missing: [{', '.join(missing)}]"
            raise Refused(self.problem(400, "REQUIRED_FIELD_MISSING", text, missing))
        self._check(wanted)
        username = wanted["Username"].lower()
        if self.by_username(username) or self.store.find("elsewhere", username):
            text = (
                "Duplicate Username. The username already exists in this or another Salesforce "
                "organization. Usernames must be unique across all Salesforce organizations."
            )
            raise Refused(self.problem(400, "DUPLICATE_USERNAME", text, ["Username"]))
        marker = wanted.get(MARKER_FIELD)
        if marker and self.store.first("User", lambda row: row.get(MARKER_FIELD) == marker):
            text = f"duplicate value found: {MARKER_FIELD} duplicates value on record"
            raise Refused(self.problem(400, "DUPLICATE_VALUE", text, [MARKER_FIELD]))
        used = self.store.count("User", lambda row: row["IsActive"])
        if not self.take_seat(used=used, seats=self._licences, bought=BOUGHT):
            text = "License Limit Exceeded: you have no more licenses of this type."
            raise Refused(self.problem(400, "LICENSE_LIMIT_EXCEEDED", text))
        user = self.new_user(wanted)
        return Answer(201, {"id": user["Id"], "success": True, "errors": []})

    def _change(self, user: Document, wanted: Document) -> None:
        self._check(wanted)
        if wanted.get("IsActive") is False and self.store.find("blocked", user["Id"]):
            text = "You cannot deactivate this user: they are the default lead owner."
            raise Refused(self.problem(400, "FIELD_INTEGRITY_EXCEPTION", text, ["IsActive"]))
        changed = {**user, **wanted}
        changed["Name"] = full_name(changed)
        self.store.put("User", user["Id"], changed)

    def _check(self, wanted: Document) -> None:
        """Refuse unknown fields and values of the wrong form."""
        for name in wanted:
            if name not in FIELDS["User"] or name in OWN:
                raise Refused(self._no_field("User", name))
        if len(str(wanted.get("Alias") or "")) > 8:
            text = f"Alias: data value too large: {wanted['Alias']} (max length=8)"
            raise Refused(self.problem(400, "STRING_TOO_LONG", text, ["Alias"]))
        for name in ("Username", "Email"):
            if name in wanted and "@" not in str(wanted[name]):
                text = f"{name}: invalid email address: {wanted[name]}"
                raise Refused(self.problem(400, "INVALID_EMAIL_ADDRESS", text, [name]))
        profile = wanted.get("ProfileId")
        if profile is not None and self.store.find("Profile", str(profile)) is None:
            text = f"invalid cross reference id: {profile}"
            raise Refused(self.problem(400, "INVALID_CROSS_REFERENCE_KEY", text, ["ProfileId"]))

    # Permission sets ---------------------------------------------------------------------------

    @route(
        "POST",
        SOBJECT + "/PermissionSetAssignment",
        operation="createPermissionSetAssignment",
        needs=("api", "assign_permission_sets"),
    )
    def assign(self, asked: Asked) -> Answer:
        """Give a user a permission set; giving it twice is refused as a duplicate."""
        wanted = asked.json()
        missing = [name for name in ("AssigneeId", "PermissionSetId") if not wanted.get(name)]
        if missing:
            text = f"Required fields are missing: [{', '.join(missing)}]"
            raise Refused(self.problem(400, "REQUIRED_FIELD_MISSING", text, missing))
        user = self.store.find("User", str(wanted["AssigneeId"]))
        permission_set = self.store.find("PermissionSet", str(wanted["PermissionSetId"]))
        if user is None or permission_set is None:
            text = "invalid cross reference id"
            raise Refused(self.problem(400, "INVALID_CROSS_REFERENCE_KEY", text))
        asked.concerns(f"permission_set/{permission_set['Name']}/{user['Username'].lower()}")
        if permission_set["Name"] in self.sets_of(user):
            text = "duplicate value found: PermissionSetAssignment duplicates value on record"
            raise Refused(self.problem(400, "DUPLICATE_VALUE", text))
        row = self.new("PermissionSetAssignment", wanted)
        return Answer(201, {"id": row["Id"], "success": True, "errors": []})

    @route(
        "DELETE",
        SOBJECT + "/PermissionSetAssignment/{id}",
        operation="deletePermissionSetAssignment",
        needs=("api", "assign_permission_sets"),
    )
    def unassign(self, asked: Asked) -> Answer:
        """Take a permission set away."""
        row = self._one("PermissionSetAssignment", asked)
        user: Document = self.store.find("User", row["AssigneeId"]) or {}
        held: Document = self.store.find("PermissionSet", row["PermissionSetId"]) or {}
        asked.concerns(f"permission_set/{held['Name']}/{user['Username'].lower()}")
        self.store.remove("PermissionSetAssignment", row["Id"])
        return Answer(204)

    # Reading a request ---------------------------------------------------------------------------

    def _one(self, kind: str, asked: Asked) -> Document:
        found = self.store.find(kind, asked.params["id"])
        if found is None:
            raise Refused(self.error("404", asked=asked))
        return found


def _oauth(error: str, text: str) -> Answer:
    return Answer(400, {"error": error, "error_description": text})


def _also_with_a_slash() -> Iterator[Route]:
    """Salesforce takes a slash behind an address, as clients send it; objects by id have none."""
    for each in SalesforceSimulator.routes:
        if not each.template.endswith("}") and not each.open:
            yield replace(each, template=f"{each.template}/")


SalesforceSimulator.routes = (*SalesforceSimulator.routes, *_also_with_a_slash())
