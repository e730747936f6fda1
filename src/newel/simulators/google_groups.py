"""Groups of the directory and who is in them.

Groups are made by hand (`add_group`); callers read them and add or remove members. Views that can
lag: `google.member`. A user made a moment ago cannot be added yet (`NotReady`): Google then answers
404 for the member's key, although the user exists.
"""

from __future__ import annotations

import re
from datetime import timedelta

from .clock import moment_from
from .google_refusals import GoogleRefusals
from .google_world import SCOPE, etag_of
from .system import Panel, action
from .wire import Answer, Asked, Document, Refused, route

GROUPS = "/admin/directory/v1/groups"
MEMBERS = GROUPS + "/{group}/members"
MEMBER = MEMBERS + "/{member}"
GROUP_SCOPE = SCOPE + "admin.directory.group"
READ_GROUPS = f"{GROUP_SCOPE}|{GROUP_SCOPE}.readonly"
WRITE_MEMBERS = f"{GROUP_SCOPE}|{GROUP_SCOPE}.member"
READ_MEMBERS = f"{WRITE_MEMBERS}|{GROUP_SCOPE}.readonly|{GROUP_SCOPE}.member.readonly"
ROLES = {"OWNER", "MANAGER", "MEMBER"}
FIELDS = {"id", "email", "role", "type", "delivery_settings", "kind", "etag"}
_ADDRESS = re.compile(r"[a-z0-9._'+-]+@[a-z0-9.-]+", re.IGNORECASE)


class GoogleGroups(GoogleRefusals):
    """The routes of groups and members."""

    # What people do ------------------------------------------------------------------------------

    @action
    def add_group(self, email: str, name: str = "") -> Document:
        """Let an administrator make a group in the browser."""
        row: Document = {
            "id": f"03{self.store.opaque('group', 13)}",
            "email": email.lower(),
            "name": name or email.partition("@")[0],
        }
        return self.store.put("groups", row["id"], row)

    @action
    def add_member_by_hand(self, group: str, email: str) -> None:
        """Let an owner of a group add somebody in the browser."""
        row, user = self.find_group(group), self.find_user(email)
        if row is None or user is None:
            message = f"there is no group {group} or no user {email}"
            raise ValueError(message)
        self._put_member(row, user["id"], user["primaryEmail"], "MEMBER")

    # Groups --------------------------------------------------------------------------------------

    @route("GET", GROUPS, operation="directory.groups.list", needs=(READ_GROUPS,))
    def groups(self, asked: Asked) -> Answer:
        """List the groups of the customer, or those that one user is directly in."""
        self.as_admin(asked)
        rows = list(self.store.rows("groups").values())
        if key := asked.query.get("userKey"):
            user = self.find_user(key)
            if user is None:
                raise self.absent("userKey")
            rows = [row for row in rows if self._member(row, user["id"], lagging=True)]
        elif not asked.query.get("customer") and not asked.query.get("domain"):
            raise Refused(self.problem(400, "badRequest", "Bad Request"))
        rows.sort(key=lambda row: row["email"])
        views = [self._group_view(row) for row in rows]
        return self.listing(asked, "admin#directory#groups", "groups", views, largest=200)

    @route("GET", GROUPS + "/{group}", operation="directory.groups.get", needs=(READ_GROUPS,))
    def group(self, asked: Asked) -> Answer:
        """Show a group by address or id."""
        return Answer(200, self._group_view(self._group_of(asked)))

    # Members -------------------------------------------------------------------------------------

    @route("GET", MEMBERS, operation="directory.members.list", needs=(READ_MEMBERS,))
    def members(self, asked: Asked) -> Answer:
        """List the members of a group, one page at a time."""
        group = self._group_of(asked)
        rows = self.store.rows(
            "group_members", lambda row: row["group"] == group["id"], lag=self._member_lag
        )
        views = [_member_view(row) for row in rows.values()]
        return self.listing(asked, "admin#directory#members", "members", views, largest=200)

    @route("GET", MEMBER, operation="directory.members.get", needs=(READ_MEMBERS,))
    def member(self, asked: Asked) -> Answer:
        """Show a member by id or address."""
        group = self._group_of(asked)
        return Answer(200, _member_view(self._member_of(asked, group, lagging=True)))

    @route("POST", MEMBERS, operation="directory.members.insert", needs=(WRITE_MEMBERS,))
    def add_member(self, asked: Asked) -> Answer:
        """Add a user by id or address; an address outside the customer may be a member too."""
        group, wanted = self._group_of(asked), asked.json()
        self.known_fields(wanted, FIELDS)
        key = str(wanted.get("id") or wanted.get("email") or "")
        role = str(wanted.get("role") or "MEMBER")
        if not key:
            raise Refused(self.problem(400, "required", "Missing required field: memberKey"))
        if role not in ROLES:
            raise self.wrong("Invalid Input: role")
        user = self.find_user(key)
        if user is not None and self.is_unready(moment_from(user["creationTime"])):
            raise self.absent("memberKey")
        if user is None and (wanted.get("id") or not _ADDRESS.fullmatch(key)):
            raise self.absent("memberKey")
        identity = user["id"] if user else f"ext-{key.lower()}"
        email = user["primaryEmail"] if user else key.lower()
        asked.concerns(f"group/{group['email']}/{email}")
        if self._member(group, identity) is not None:
            raise Refused(self.problem(409, "duplicate", "Member already exists."))
        return Answer(200, _member_view(self._put_member(group, identity, email, role)))

    @route("DELETE", MEMBER, operation="directory.members.delete", needs=(WRITE_MEMBERS,))
    def remove_member(self, asked: Asked) -> Answer:
        """Take a member out of a group."""
        group = self._group_of(asked)
        row = self._member_of(asked, group)
        asked.concerns(f"group/{group['email']}/{row['email']}")
        self.store.remove("group_members", f"{group['id']}/{row['id']}")
        return Answer(204)

    # State ---------------------------------------------------------------------------------------

    def find_group(self, key: str) -> Document | None:
        """Give the group of an address or id, or None."""
        key = key.lower()
        return self.store.first("groups", lambda row: key in (row["id"], row["email"]))

    def panels(self) -> list[Panel]:
        """Show who is in which group, beside the users."""
        members = [
            (group["email"], row["email"], row["role"].lower())
            for row in reversed(self.store.rows("group_members").values())
            for group in (self.store.find("groups", row["group"]),)
            if group
        ]
        columns = ("Group", "Member", "Role")
        return [*super().panels(), Panel(title="Group members", columns=columns, rows=members)]

    def groups_of(self, email: str) -> list[str]:
        """List the addresses of the groups that somebody is in."""
        rows = self.store.rows("group_members", lambda row: row["email"] == email.lower())
        found = (self.store.find("groups", row["group"]) for row in rows.values())
        return sorted(group["email"] for group in found if group)

    def leave_all_groups(self, user: Document) -> None:
        """Take a user out of every group, as deleting the user does."""
        for key in self.store.rows("group_members", lambda row: row["id"] == user["id"]):
            self.store.remove("group_members", key)

    @property
    def _member_lag(self) -> timedelta:
        return self.lag("google.member")

    def _group_of(self, asked: Asked) -> Document:
        self.as_admin(asked)
        found = self.find_group(asked.params["group"])
        if found is None:
            raise self.absent("groupKey")
        return found

    def _member_of(self, asked: Asked, group: Document, *, lagging: bool = False) -> Document:
        key = asked.params["member"].lower()
        user = self.find_user(key)
        found = self._member(group, user["id"] if user else f"ext-{key}", lagging=lagging)
        if found is None:
            raise self.absent("memberKey")
        return found

    def _member(self, group: Document, user: str, *, lagging: bool = False) -> Document | None:
        lag = self._member_lag if lagging else timedelta(0)
        return self.store.find("group_members", f"{group['id']}/{user}", lag=lag)

    def _put_member(self, group: Document, user: str, email: str, role: str) -> Document:
        row: Document = {"id": user, "email": email, "role": role, "group": group["id"]}
        return self.store.put("group_members", f"{group['id']}/{user}", row)

    def _group_view(self, row: Document) -> Document:
        count = self.store.count("group_members", lambda each: each["group"] == row["id"])
        return {
            "kind": "admin#directory#group",
            "etag": etag_of([row, count]),
            **row,
            "description": "",
            "adminCreated": True,
            "directMembersCount": str(count),
        }


def _member_view(row: Document) -> Document:
    return {
        "kind": "admin#directory#member",
        "etag": etag_of(row),
        "id": row["id"],
        "email": row["email"],
        "role": row["role"],
        "type": "USER",
        "status": "ACTIVE",
    }
