"""Slack's SCIM 2.0 at `/scim/v2/`: users created, found, changed and deactivated.

RFC 7643 and RFC 7644, with Slack's ways: DELETE deactivates, the limit is the organization's. Only
the plans "business" and "enterprise" have it.
"""

from __future__ import annotations

import re
from typing import Any

from .slack_world import GENERAL, SlackWorld
from .wire import Answer, Asked, Document, Refused, route

USERS = "/scim/v2/Users"
ONE = USERS + "/{id}"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MEDIA = "application/scim+json"
_FILTER = re.compile(r'\s*([\w.]+)\s+eq\s+"((?:[^"\\]|\\.)*)"\s*', re.IGNORECASE)
# The attributes a filter may name, in lower case, and what of a user they read.
READERS = {
    "username": "userName",
    "externalid": "externalId",
    "email": "email",
    "emails": "email",
    "emails.value": "email",
    "id": "id",
}


class SlackScim(SlackWorld):
    """The routes of SCIM."""

    def scim_error(self, status: int, detail: str, kind: str = "") -> Answer:
        """Give the error of RFC 7644, §3.12: the status is a text."""
        body = {"schemas": [ERROR], "detail": detail, "status": str(status)}
        return Answer(status, {**body, "scimType": kind} if kind else body, media_type=MEDIA)

    @route("GET", "/scim/v2/ServiceProviderConfig", operation="scim/config", needs=("admin",))
    def provider_config(self, asked: Asked) -> Answer:
        """Say what this SCIM can do."""
        self._need_plan()
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
            "patch": {"supported": True},
            "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
            "filter": {"supported": True, "maxResults": 1000},
            "changePassword": {"supported": False},
            "sort": {"supported": False},
            "etag": {"supported": False},
            "authenticationSchemes": [
                {
                    "type": "oauthbearertoken",
                    "name": "OAuth Bearer Token",
                    "description": "A token with the scope admin",
                }
            ],
            "meta": {
                "resourceType": "ServiceProviderConfig",
                "location": f"{asked.base_url}/scim/v2/ServiceProviderConfig",
            },
        }
        return _answer(200, body)

    @route("GET", USERS, operation="scim/list", needs=("admin",))
    def scim_users(self, asked: Asked) -> Answer:
        """List users, all or by one attribute, one page at a time."""
        self._need_plan()
        text = asked.query.get("filter", "")
        rows = self.store.rows("users", lag=self.lag("scim.filter"))
        chosen = list(rows.values())
        if text:
            found = _FILTER.fullmatch(text)
            if found is None or found[1].lower() not in READERS:
                raise Refused(self.scim_error(400, f"invalid filter: {text}", "invalidFilter"))
            name, wanted = READERS[found[1].lower()], re.sub(r"\\(.)", r"\1", found[2]).lower()
            chosen = [row for row in chosen if str(row[name]).lower() == wanted]
        start = max(1, int(asked.query.get("startIndex", "1")))
        size = self.page(int(asked.query.get("count", "10")), largest=1000)
        page = chosen[start - 1 : start - 1 + size]
        body = {
            "schemas": [LIST],
            "totalResults": len(chosen),
            "itemsPerPage": len(page),
            "startIndex": start,
            "Resources": [self._resource(row, asked) for row in page],
        }
        return _answer(200, body)

    @route("POST", USERS, operation="scim/create", needs=("admin",))
    def scim_create(self, asked: Asked) -> Answer:
        """Create a user, who is in the workspace at once."""
        self._need_plan()
        wanted = asked.json()
        email = _email(wanted)
        external = str(wanted.get("externalId") or "")
        asked.concerns(f"account/{email}", marker=external)
        name = str(wanted.get("userName") or "")
        if not name or not email:
            missing = "emails" if name else "userName"
            raise Refused(self.scim_error(400, f"{missing} is required", "invalidValue"))
        self._refuse_taken(name=name, email=email, beside="")
        user = self.new_user(
            email,
            name=_full_name(wanted) or name,
            channels=[GENERAL],
            user_name=name,
            external_id=external,
            resource=_kept(wanted),
        )
        shown = self._resource(user, asked)
        return _answer(201, shown, {"Location": shown["meta"]["location"]})

    @route("GET", ONE, operation="scim/get", needs=("admin",))
    def scim_get(self, asked: Asked) -> Answer:
        """Show a user."""
        self._need_plan()
        return _answer(200, self._resource(self._user(asked), asked))

    @route("PATCH", ONE, operation="scim/patch", needs=("admin",))
    def scim_patch(self, asked: Asked) -> Answer:
        """Change attributes, by path or by a value object; repeating it changes nothing."""
        self._need_plan()
        user, wanted = self._user(asked), asked.json()
        asked.concerns(f"account/{user['email']}", marker=user["externalId"])
        if PATCH not in wanted.get("schemas", []):
            raise Refused(self.scim_error(400, f"schemas must hold {PATCH}", "invalidSyntax"))
        changed = dict(user)
        for step in wanted.get("Operations") or []:
            for path, value in self._steps(step):
                self._set(changed, path, value)
        self._refuse_taken(name=changed["userName"], email=changed["email"], beside=user["id"])
        if not changed["active"]:
            self._deactivate(user)
        self.store.put("users", user["id"], changed)
        return _answer(200, self._resource(changed, asked))

    @route("DELETE", ONE, operation="scim/delete", needs=("admin",))
    def scim_delete(self, asked: Asked) -> Answer:
        """Deactivate a user: Slack deletes nobody."""
        self._need_plan()
        user = self._user(asked)
        asked.concerns(f"account/{user['email']}", marker=user["externalId"])
        self._deactivate(user)
        self.store.put("users", user["id"], {**user, "active": False})
        return Answer(204)

    def _deactivate(self, user: Document) -> None:
        """End the sessions; a token of an administrator cannot act on the owner."""
        if user["primary_owner"]:
            raise Refused(self.scim_error(403, "cannot_modify_primary_owner"))
        self.store.remove("sessions", user["id"])

    def _need_plan(self) -> None:
        if self.plan == "pro":
            raise Refused(self.scim_error(403, "plan_upgrade_required"))

    def _user(self, asked: Asked) -> Document:
        found = self.store.find("users", asked.params["id"])
        if found is None:
            raise Refused(self.scim_error(404, f"User {asked.params['id']} not found"))
        return found

    def _refuse_taken(self, *, name: str, email: str, beside: str) -> None:
        taken = self.store.first(
            "users",
            lambda row: (
                row["id"] != beside
                and (
                    row["userName"].lower() == name.lower() or row["email"].lower() == email.lower()
                )
            ),
        )
        if taken is not None:
            word = "username_taken" if taken["userName"].lower() == name.lower() else "email_taken"
            raise Refused(self.scim_error(409, word, "uniqueness"))

    def _steps(self, step: Document) -> list[tuple[str, Any]]:
        if str(step.get("op", "")).lower() not in ("replace", "add"):
            raise Refused(self.scim_error(400, f"op {step.get('op')!r}", "invalidSyntax"))
        if "path" in step:
            return [(str(step["path"]), step.get("value"))]
        value = step.get("value")
        if not isinstance(value, dict):
            raise Refused(self.scim_error(400, "a value object is needed", "noTarget"))
        return list(value.items())

    def _set(self, user: Document, path: str, value: Any) -> None:
        match path.lower():
            case "active":
                user["active"] = value if isinstance(value, bool) else str(value).lower() == "true"
            case "username":
                user["userName"] = str(value)
            case "externalid":
                user["externalId"] = str(value)
            case "emails":
                user["email"] = _email({"emails": value}) or user["email"]
            case "name" | "displayname" | "title" | "name.givenname" | "name.familyname":
                user["resource"] = {**user["resource"], path: value}
                user["real_name"] = _full_name(user["resource"]) or user["real_name"]
            case _:
                raise Refused(self.scim_error(400, f"unknown path {path}", "invalidPath"))

    def _resource(self, user: Document, asked: Asked) -> Document:
        given, _, family = user["real_name"].partition(" ")
        return {
            "schemas": [CORE],
            **user["resource"],
            "id": user["id"],
            "externalId": user["externalId"],
            "userName": user["userName"],
            "name": user["resource"].get("name") or {"givenName": given, "familyName": family},
            "displayName": user["real_name"],
            "emails": [{"value": user["email"], "type": "work", "primary": True}],
            "active": user["active"],
            "meta": {
                "resourceType": "User",
                "created": user["created"],
                "location": f"{asked.base_url}{USERS}/{user['id']}",
            },
        }


def _answer(status: int, body: Document, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, body, headers or {}, MEDIA)


def _email(wanted: Document) -> str:
    emails = wanted.get("emails") or []
    first = next((e for e in emails if e.get("primary")), emails[0] if emails else {})
    return str(first.get("value") or "").lower()


def _full_name(wanted: Document) -> str:
    name = wanted.get("name") or {}
    parts = (name.get("givenName"), name.get("familyName"))
    return str(wanted.get("displayName") or " ".join(part for part in parts if part))


def _kept(wanted: Document) -> Document:
    own = {"id", "meta", "schemas", "emails", "externalId", "userName", "active"}
    return {name: value for name, value in wanted.items() if name not in own}
