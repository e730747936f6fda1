"""A directory behind SCIM 2.0 at `/scim/v2/`: users and groups, filters, patches, entity tags.

Sorting, bulk requests and changing passwords are announced as not supported. Where a path is
unknown the answer is 404 in SCIM's form, because the standard demands it here. Views that can lag:
`scim.filter`. Source: RFC 7643, RFC 7644; connectors document, §18.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .faults import Throttle
from .scim_patch import only, patched, without
from .scim_query import predicate
from .scim_schema import (
    PROVIDER,
    SCHEMAS,
    TYPES,
    Wrong,
    attributes_of,
    checked,
    published_schema,
    published_type,
)
from .scim_world import ScimWorld, version_of
from .wire import Answer, Asked, Credential, Document, Refused, Route, route

ROOT = "/scim/v2"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
MEDIA_TYPES = ("application/scim+json", "application/json")
MOST_RESULTS = 200
READ_USERS, WRITE_USERS = ("scim:users:read",), ("scim:users:write",)
READ_GROUPS, WRITE_GROUPS = ("scim:groups:read",), ("scim:groups:write",)
_STATUSES = {
    "400": "the request cannot be read",
    "401": "the token is not known or has expired",
    "404": "there is no such resource",
    "409": "it exists already",
    "412": "the resource has changed since it was read",
    "429": "too many requests",
    "500": "internal error",
    "503": "not available for the moment",
}


class ScimSimulator(ScimWorld):
    """One SCIM directory; see the module's text."""

    # How it refuses ----------------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find the bearer token."""
        kind, _, secret = asked.headers.get("authorization", "").partition(" ")
        found = self.known_credential(secret) if kind.lower() == "bearer" else None
        if found is None:
            answer = self.error("401", asked=asked)
            raise Refused(answer.with_headers({"WWW-Authenticate": "Bearer"}))
        return found

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse with 403."""
        del asked, route
        return self.problem(403, f"The token lacks the permission {missing[0]}.")

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give the envelope for a status, or for a scimType (400, `uniqueness` 409)."""
        del asked
        if code.isdigit():
            return self.problem(int(code), _STATUSES.get(code, "the request failed"))
        return self.problem(409 if code == "uniqueness" else 400, code, code)

    def problem(self, status: int, detail: str, kind: str = "") -> Answer:
        """Build the error of RFC 7644, §3.12: the status is a text."""
        body = {"schemas": [ERROR], "detail": detail, "status": str(status)}
        return self._answer(status, {**body, "scimType": kind} if kind else body)

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Answer 429, with Retry-After where one is stated."""
        wait = {} if effect.retry_after is None else {"Retry-After": str(effect.retry_after)}
        return self.error("429", asked=asked).with_headers(wait)

    def unknown_route(self, asked: Asked) -> Answer:
        """Answer 404 in SCIM's form; it says that the path, not an object, is unknown."""
        return self.problem(404, f"The scim simulator has no {asked.method} {asked.path}.")

    def wrong_method(self, asked: Asked, allowed: Sequence[str]) -> Answer:
        """Refuse a method in SCIM's form."""
        answer = self.problem(405, f"{asked.method} is not allowed for {asked.path}")
        return answer.with_headers({"Allow": ", ".join(allowed)})

    def unreadable(self, asked: Asked, reason: str) -> Answer:
        """Say that the body is no JSON object."""
        del asked
        return self.problem(400, reason, "invalidSyntax")

    # What the server says of itself --------------------------------------------------------------

    @route("GET", ROOT + "/ServiceProviderConfig", operation="scim/config")
    def provider_config(self, asked: Asked) -> Answer:
        """Say what this server can do."""
        body = {
            "schemas": [PROVIDER],
            "patch": {"supported": self.quirks.patch_style != "put"},
            "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
            "filter": {"supported": True, "maxResults": MOST_RESULTS},
            "changePassword": {"supported": False},
            "sort": {"supported": False},
            "etag": {"supported": self.quirks.etag},
            "authenticationSchemes": [
                {
                    "type": "oauthbearertoken",
                    "name": "Bearer token",
                    "description": "A token of an administrator",
                }
            ],
            "meta": {
                "resourceType": "ServiceProviderConfig",
                "location": f"{_base(asked)}/ServiceProviderConfig",
            },
        }
        return self._answer(200, body)

    @route("GET", ROOT + "/Schemas", operation="scim/schemas")
    def schemas(self, asked: Asked) -> Answer:
        """List the schemas."""
        self._refuse_filter(asked)
        return self._whole_list([published_schema(urn, _base(asked)) for urn in SCHEMAS])

    @route("GET", ROOT + "/Schemas/{urn}", operation="scim/schema")
    def schema(self, asked: Asked) -> Answer:
        """Show one schema."""
        if asked.params["urn"] not in SCHEMAS:
            raise Refused(self.error("404", asked=asked))
        return self._answer(200, published_schema(asked.params["urn"], _base(asked)))

    @route("GET", ROOT + "/ResourceTypes", operation="scim/types")
    def resource_types(self, asked: Asked) -> Answer:
        """List the resource types."""
        self._refuse_filter(asked)
        return self._whole_list([published_type(place, _base(asked)) for place in TYPES])

    @route("GET", ROOT + "/ResourceTypes/{name}", operation="scim/type")
    def resource_type(self, asked: Asked) -> Answer:
        """Show one resource type."""
        for place, (name, _, _) in TYPES.items():
            if name == asked.params["name"]:
                return self._answer(200, published_type(place, _base(asked)))
        raise Refused(self.error("404", asked=asked))

    # Users and groups ----------------------------------------------------------------------------

    @route("GET", ROOT + "/Users", operation="scim/users/list", needs=READ_USERS)
    def users(self, asked: Asked) -> Answer:
        """List users, all or by a filter, one page at a time."""
        return self._listed(("Users",), asked, asked.query)

    @route("GET", ROOT + "/Groups", operation="scim/groups/list", needs=READ_GROUPS)
    def groups(self, asked: Asked) -> Answer:
        """List groups."""
        return self._listed(("Groups",), asked, asked.query)

    @route(
        "POST",
        ROOT + "/Users/.search",
        operation="scim/users/search",
        needs=READ_USERS,
        mutating=False,
    )
    def search_users(self, asked: Asked) -> Answer:
        """List users by a request in the body, so that no name stands in an address."""
        return self._listed(("Users",), asked, _as_query(self._body(asked)))

    @route(
        "POST",
        ROOT + "/.search",
        operation="scim/search",
        needs=(*READ_USERS, *READ_GROUPS),
        mutating=False,
    )
    def search(self, asked: Asked) -> Answer:
        """List users and groups together."""
        return self._listed(("Users", "Groups"), asked, _as_query(self._body(asked)))

    @route("POST", ROOT + "/Users", operation="scim/users/create", needs=WRITE_USERS)
    def create_user(self, asked: Asked) -> Answer:
        """Create a user."""
        return self._created("Users", asked)

    @route("POST", ROOT + "/Groups", operation="scim/groups/create", needs=WRITE_GROUPS)
    def create_group_resource(self, asked: Asked) -> Answer:
        """Create a group."""
        return self._created("Groups", asked)

    @route("GET", ROOT + "/Users/{id}", operation="scim/users/get", needs=READ_USERS)
    def user(self, asked: Asked) -> Answer:
        """Show a user."""
        return self._shown("Users", self._row("Users", asked), asked)

    @route("GET", ROOT + "/Groups/{id}", operation="scim/groups/get", needs=READ_GROUPS)
    def group(self, asked: Asked) -> Answer:
        """Show a group."""
        return self._shown("Groups", self._row("Groups", asked), asked)

    @route("PATCH", ROOT + "/Users/{id}", operation="scim/users/patch", needs=WRITE_USERS)
    def patch_user(self, asked: Asked) -> Answer:
        """Change attributes of a user; repeating it changes nothing."""
        return self._patched("Users", asked)

    @route("PATCH", ROOT + "/Groups/{id}", operation="scim/groups/patch", needs=WRITE_GROUPS)
    def patch_group(self, asked: Asked) -> Answer:
        """Change a group or its members."""
        return self._patched("Groups", asked)

    @route("PUT", ROOT + "/Users/{id}", operation="scim/users/replace", needs=WRITE_USERS)
    def replace_user(self, asked: Asked) -> Answer:
        """Replace a user; attributes that are not sent are gone."""
        return self._replaced("Users", asked)

    @route("PUT", ROOT + "/Groups/{id}", operation="scim/groups/replace", needs=WRITE_GROUPS)
    def replace_group(self, asked: Asked) -> Answer:
        """Replace a group."""
        return self._replaced("Groups", asked)

    @route("DELETE", ROOT + "/Users/{id}", operation="scim/users/delete", needs=WRITE_USERS)
    def delete_user(self, asked: Asked) -> Answer:
        """Delete a user, or deactivate where that is what DELETE means here."""
        row = self._row("Users", asked)
        if self.quirks.delete_means == "deactivate":
            self.keep("Users", row, {**row["resource"], "active": False})
            return Answer(204)
        for group in self.store.rows("Groups").values():
            self._without_member(group, row["id"])
        self.store.remove("Users", row["id"])
        return Answer(204)

    @route("DELETE", ROOT + "/Groups/{id}", operation="scim/groups/delete", needs=WRITE_GROUPS)
    def delete_group(self, asked: Asked) -> Answer:
        """Delete a group, for ever."""
        row = self._row("Groups", asked)
        self.store.remove("Groups", row["id"])
        return Answer(204)

    # How it is done ------------------------------------------------------------------------------

    def _answer(self, status: int, body: Document, headers: dict[str, str] | None = None) -> Answer:
        return Answer(status, body, headers or {}, self.quirks.content_type)

    def _whole_list(self, found: list[Document]) -> Answer:
        body = {
            "schemas": [LIST],
            "totalResults": len(found),
            "itemsPerPage": len(found),
            "startIndex": 1,
            "Resources": found,
        }
        return self._answer(200, body)

    def _refuse_filter(self, asked: Asked) -> None:
        """Refuse a filter on what the server says of itself (RFC 7644, §4)."""
        if "filter" in asked.query:
            raise Refused(self.problem(403, "no filter is allowed here"))

    def _listed(self, places: tuple[str, ...], asked: Asked, query: Any) -> Answer:  # Any: strings
        found = [(place, row) for place in places for row in self._chosen(place, query, asked)]
        try:
            start = max(1, int(query.get("startIndex") or 1))
            count = max(0, int(query.get("count") or MOST_RESULTS))
        except ValueError as wrong:
            raise Refused(self.problem(400, "startIndex and count are numbers")) from wrong
        size = self.page(count, largest=MOST_RESULTS) if count else 0
        page = found[start - 1 : start - 1 + size]
        body = {
            "schemas": [LIST],
            "totalResults": len(found),
            "itemsPerPage": len(page),
            "startIndex": start,
            "Resources": [self._view(place, row, asked, query) for place, row in page],
        }
        return self._answer(200, body)

    def _chosen(self, place: str, query: Any, asked: Asked) -> list[Document]:  # Any: strings
        rows = list(self.store.rows(place, lag=self.lag("scim.filter")).values())
        text = str(query.get("filter") or "")
        if not text:
            return rows
        lookup = self.quirks.lookup
        if place == "Users" and lookup and not text.lower().startswith(lookup.lower()):
            raise Refused(self.problem(400, f"only {lookup} can be filtered", "invalidFilter"))
        try:
            holds = predicate(text, attributes_of(place))
        except Wrong as wrong:
            raise Refused(self.problem(400, str(wrong), wrong.kind)) from wrong
        base = _base(asked)
        return [row for row in rows if holds(self.resource(place, row, base))]

    def _view(
        self, place: str, row: Document, asked: Asked, query: Any
    ) -> Document:  # Any: strings
        shown = self.resource(place, row, _base(asked))
        if names := _names(query.get("attributes")):
            return only(shown, names, place)
        return without(shown, _names(query.get("excludedAttributes")), place)

    def _shown(self, place: str, row: Document, asked: Asked, status: int = 200) -> Answer:
        headers = {"ETag": version_of(row)} if self.quirks.etag else {}
        if self.quirks.etag and asked.headers.get("if-none-match") == version_of(row):
            return Answer(304, None, headers)
        shown = self._view(place, row, asked, asked.query)
        if status == 201:
            headers["Location"] = f"{_base(asked)}/{place}/{row['id']}"
        return self._answer(status, shown, headers)

    def _created(self, place: str, asked: Asked) -> Answer:
        resource = self._read(place, asked)
        asked.concerns(_concern(place, resource), marker=str(resource.get("externalId") or ""))
        if place == "Users":
            resource.setdefault("active", True)
            self._refuse_taken(resource, beside="")
        return self._shown(place, self.new_resource(place, resource), asked, 201)

    def _patched(self, place: str, asked: Asked) -> Answer:
        row, wanted = self._row(place, asked), self._body(asked)
        self._refuse_quirks(wanted)
        try:
            resource = patched(place, row["resource"], self._plain(wanted))
        except Wrong as wrong:
            raise Refused(self.problem(400, str(wrong), wrong.kind)) from wrong
        return self._kept(place, row, resource, asked)

    def _replaced(self, place: str, asked: Asked) -> Answer:
        row = self._row(place, asked)
        return self._kept(place, row, self._read(place, asked), asked)

    def _kept(self, place: str, row: Document, resource: Document, asked: Asked) -> Answer:
        if place == "Users":
            self._refuse_taken(resource, beside=row["id"])
        return self._shown(place, self.keep(place, row, resource), asked)

    def _row(self, place: str, asked: Asked) -> Document:
        """Find the resource of a path; refuse a change on an older version of it."""
        row = self.store.find(place, asked.params["id"])
        if row is None:
            raise Refused(self.error("404", asked=asked))
        marker = str(row["resource"].get("externalId") or "")
        asked.concerns(_concern(place, row["resource"]), marker=marker)
        expected = asked.headers.get("if-match")
        if self.quirks.etag and expected not in (None, "*", version_of(row)):
            raise Refused(self.error("412", asked=asked))
        return row

    def _body(self, asked: Asked) -> Document:
        if asked.media_type not in MEDIA_TYPES:
            raise Refused(self.problem(415, f"send {MEDIA_TYPES[0]}"))
        return asked.json()

    def _read(self, place: str, asked: Asked) -> Document:
        try:
            return checked(place, self._body(asked))
        except Wrong as wrong:
            raise Refused(self.problem(400, str(wrong), wrong.kind)) from wrong

    def _refuse_taken(self, resource: Document, *, beside: str) -> None:
        name = resource["userName"].lower()
        taken = self.store.first(
            "Users",
            lambda row: row["id"] != beside and row["resource"]["userName"].lower() == name,
        )
        if taken is not None:
            raise Refused(self.problem(409, "the userName is taken", "uniqueness"))

    def _refuse_quirks(self, wanted: Document) -> None:
        """Refuse what this server, unlike the standard, does not take."""
        if self.quirks.patch_style == "put":
            raise Refused(self.problem(501, "PATCH is not supported"))
        for step in wanted.get("Operations") or []:
            path = str(step.get("path") or "")
            if path and self.quirks.patch_style == "no_path" and not path.startswith("members"):
                raise Refused(self.problem(400, "paths are not supported", "invalidPath"))
            is_part = path.startswith("members[") or (path == "members" and step["op"] != "replace")
            if is_part and self.quirks.member_patch == "replace":
                raise Refused(self.problem(400, "members are replaced as a whole", "invalidPath"))

    def _plain(self, wanted: Document) -> Document:
        """Read booleans as this server wants them sent."""
        if self.quirks.bool_style == "bool":
            return wanted
        steps = []
        for step in wanted.get("Operations") or []:
            value = step.get("value")
            if step.get("path") == "active":
                value = self._boolean(value)
            elif isinstance(value, dict) and "active" in value:
                value = {**value, "active": self._boolean(value["active"])}
            steps.append({**step, "value": value})
        return {**wanted, "Operations": steps}

    def _boolean(self, value: object) -> bool:
        if value not in ("True", "False"):
            raise Refused(self.problem(400, 'active is "True" or "False"', "invalidValue"))
        return value == "True"

    def _without_member(self, group: Document, identity: str) -> None:
        members = group["resource"].get("members", [])
        kept = [each for each in members if each.get("value") != identity]
        if kept != members:
            self.keep("Groups", group, {**group["resource"], "members": kept})


def _base(asked: Asked) -> str:
    return asked.base_url + ROOT


def _concern(place: str, resource: Document) -> str:
    if place == "Users":
        return f"account/{str(resource.get('userName', '')).lower()}"
    return f"group/{resource.get('displayName', '')}"


def _names(stated: object) -> list[str]:
    listed = stated if isinstance(stated, list) else str(stated or "").split(",")
    return [str(each).strip() for each in listed if str(each).strip()]


def _as_query(body: Document) -> Document:
    """Read a search request: the same names as in an address, lists as lists."""
    return {name: value for name, value in body.items() if name != "schemas"}
