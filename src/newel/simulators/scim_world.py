"""What a directory behind SCIM is made of: users, groups, quirks, and what people do there.

The quirks are those by which real servers differ; each is a switch of the same name in the
connector. Source: connectors document, §18.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from .clock import SimulatedClock
from .core import Simulator
from .quota import RateLimit
from .scim_schema import TYPES, USER
from .system import Panel, action
from .wire import Document

SCOPES = ("scim:users:read", "scim:users:write", "scim:groups:read", "scim:groups:write")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """How this server differs from the standard; the defaults are the standard.

    patch_style: `path` takes everything, `no_path` value objects only, `put` no PATCH at all.
    bool_style: `text` takes "True" and "False" in a PATCH, and nothing else.
    lookup: the only attribute a filter may name; empty: any.
    delete_means: what DELETE of a user does. member_patch: `replace` takes whole lists only.
    """

    patch_style: Literal["path", "no_path", "put"] = "path"
    bool_style: Literal["bool", "text"] = "bool"
    lookup: Literal["", "userName", "externalId", "emails.value"] = ""
    delete_means: Literal["delete", "deactivate"] = "delete"
    member_patch: Literal["filter", "replace"] = "filter"
    etag: bool = True
    content_type: Literal["application/scim+json", "application/json"] = "application/scim+json"


class ScimWorld(Simulator):
    """The state of one directory."""

    system = "scim"
    title = "SCIM directory"
    # A directory of a company's own: as much as we allow ourselves twice.
    rate_limits = (RateLimit(most=10, seconds=1),)

    def __init__(
        self,
        *,
        quirks: Quirks | None = None,
        seed: int = 0,
        clock: SimulatedClock | None = None,
        page_size: int | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        """Make the directory; see `SimulatedSystem`."""
        self.quirks = quirks or Quirks()
        more: dict[str, Any] = {} if sleep is None else {"sleep": sleep}
        super().__init__(seed=seed, clock=clock, page_size=page_size, **more)

    def populate(self) -> None:
        """Make the token and one group."""
        self.grant("newel", self.store.opaque("token", 43), SCOPES)
        self.new_resource("Groups", {"displayName": "Staff"})

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give token and address."""
        token = next(iter(self.store.rows("credentials", lambda row: row["label"] == "newel")))
        return {"SCIM_TOKEN": token, "SCIM_URL": f"{address or 'https://scim.example'}/scim/v2"}

    def accounts(self) -> list[Document]:
        """List the users."""
        return [
            {
                "id": row["id"],
                "handle": row["resource"]["userName"],
                "email": address_of(row["resource"]),
                "state": "active" if row["resource"].get("active", True) else "suspended",
                "marker": row["resource"].get("externalId", ""),
                "access": sorted(each["displayName"] for each in self.groups_of(row["id"])),
            }
            for row in self.store.rows("Users").values()
        ]

    def panels(self) -> list[Panel]:
        """Show users and groups."""
        users = [
            (
                each["handle"],
                each["email"],
                each["state"],
                each["marker"],
                ", ".join(each["access"]),
            )
            for each in reversed(self.accounts())
        ]
        groups = [
            (row["resource"]["displayName"], str(len(row["resource"].get("members", []))))
            for row in self.store.rows("Groups").values()
        ]
        return [
            Panel(
                title="Users",
                columns=("User name", "E-mail", "State", "Marker", "Groups"),
                rows=users,
            ),
            Panel(title="Groups", columns=("Name", "Members"), rows=groups),
        ]

    # What people do ------------------------------------------------------------------------------

    @action
    def create_by_hand(self, user_name: str, email: str = "") -> str:
        """Let an administrator make a user without any mark."""
        resource: Document = {"schemas": [USER], "userName": user_name, "active": True}
        if email:
            resource["emails"] = [{"value": email, "type": "work", "primary": True}]
        return str(self.new_resource("Users", resource)["id"])

    @action
    def create_group(self, name: str) -> str:
        """Let an administrator make a group."""
        return str(self.new_resource("Groups", {"displayName": name})["id"])

    # State ---------------------------------------------------------------------------------------

    def new_resource(self, place: str, resource: Document) -> Document:
        """Keep a new resource under a fresh id."""
        identity = self.store.uuid(place)
        row = {"id": identity, "created": self._now(), "number": 0}
        return self.keep(place, row, resource)

    def keep(self, place: str, row: Document, resource: Document) -> Document:
        """Keep a resource; its version grows only if something has changed."""
        if row.get("resource") == resource:
            return row
        changed = {
            **row,
            "resource": resource,
            "changed": self._now(),
            "number": row["number"] + 1,
        }
        return self.store.put(place, row["id"], changed)

    def groups_of(self, identity: str) -> list[Document]:
        """List the groups something is a member of, as id and name."""
        return [
            {"value": row["id"], "displayName": row["resource"]["displayName"]}
            for row in self.store.rows("Groups").values()
            if any(each.get("value") == identity for each in row["resource"].get("members", []))
        ]

    def resource(self, place: str, row: Document, base: str) -> Document:
        """Show a resource as it is sent, with everything the server itself adds."""
        kind, core, extensions = TYPES[place]
        kept = row["resource"]
        shown: Document = {
            "schemas": [core, *(urn for urn in extensions if urn in kept)],
            "id": row["id"],
            **{name: value for name, value in kept.items() if name != "schemas"},
            "meta": {
                "resourceType": kind,
                "created": row["created"],
                "lastModified": row["changed"],
                "location": f"{base}/{place}/{row['id']}",
            },
        }
        if self.quirks.etag:
            shown["meta"]["version"] = version_of(row)
        if place == "Users" and (groups := self.groups_of(row["id"])):
            shown["groups"] = [
                {
                    "value": each["value"],
                    "$ref": f"{base}/Groups/{each['value']}",
                    "display": each["displayName"],
                    "type": "Group",
                }
                for each in groups
            ]
        return shown

    def _now(self) -> str:
        return self.clock.now().isoformat().replace("+00:00", "Z")


def version_of(row: Document) -> str:
    """Give the entity tag of a resource: a weak one, because bodies differ by what is asked."""
    return f'W/"{row["number"]}"'


def address_of(resource: Document) -> str:
    """Give the primary address of a user, else the first, else nothing."""
    emails = resource.get("emails") or []
    primary = next((each for each in emails if each.get("primary")), None)
    first = primary or (emails[0] if emails else {})
    return str(first.get("value") or "")
