"""What is agreed with a SCIM server: its routes, the fields we read, and what refusals mean.

Source: RFC 7643, RFC 7644; connectors document, §18.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Final, Literal

from newel.base.errors import Invalid, OwnershipConflict, StepError, Transient
from newel.connectors.answers import Answer, Route, facts_of, judged_by_status, sanitised
from newel.connectors.contract import Shape, named

API: Final = "scim.api"
CONFIG: Final = Route("scim/config", "GET", "/ServiceProviderConfig", API)
USERS: Final = Route("scim/users/list", "GET", "/Users", API)
USER: Final = Route("scim/users/get", "GET", "/Users/{id}", API)
CREATE_USER: Final = Route("scim/users/create", "POST", "/Users", API)
PATCH_USER: Final = Route("scim/users/patch", "PATCH", "/Users/{id}", API, repeatable=True)
REPLACE_USER: Final = Route("scim/users/replace", "PUT", "/Users/{id}", API, repeatable=True)
DELETE_USER: Final = Route("scim/users/delete", "DELETE", "/Users/{id}", API, repeatable=True)
GROUPS: Final = Route("scim/groups/list", "GET", "/Groups", API)
PATCH_GROUP: Final = Route("scim/groups/patch", "PATCH", "/Groups/{id}", API, repeatable=True)
REPLACE_GROUP: Final = Route("scim/groups/replace", "PUT", "/Groups/{id}", API, repeatable=True)

CORE_USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
# Servers name these themselves, each in its own way; these are our words for them.
READ_USERS: Final = "scim:users:read"
WRITE_USERS: Final = "scim:users:write"
READ_GROUPS: Final = "scim:groups:read"
WRITE_GROUPS: Final = "scim:groups:write"

_DIALECT: Final = frozenset({"invalidFilter", "invalidPath", "noTarget", "invalidSyntax"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """How a server differs from the standard.

    patch_style: `path`, `no_path` (a value object), `put` (no PATCH); None: as the server says.
    bool_style: `text` sends "True" and "False". lookup: the attribute by which users are found.
    delete_means: what DELETE of a user does there. member_patch: `filter` adds and removes one
    member, `replace` sends the whole list, which needs entity tags.
    etag, page_size: as the server says, unless set. content_type: of what is sent.
    """

    patch_style: Literal["path", "no_path", "put"] | None = None
    bool_style: Literal["bool", "text"] = "bool"
    lookup: Literal["userName", "externalId", "emails.value"] = "userName"
    delete_means: Literal["delete", "deactivate"] = "delete"
    member_patch: Literal["filter", "replace"] = "filter"
    etag: bool | None = None
    page_size: int | None = None
    content_type: Literal["application/scim+json", "application/json"] = "application/scim+json"


@dataclass(frozen=True)
class Supported:
    """Whether the server can do something."""

    supported: bool


@dataclass(frozen=True)
class Filtering:
    """Whether lists can be filtered, and how many results they give at most."""

    supported: bool
    most: Annotated[int, named("maxResults")] = 100


@dataclass(frozen=True)
class Config:
    """What a server says of itself."""

    patch: Supported
    filter: Filtering
    etag: Supported
    bulk: Supported


@dataclass(frozen=True)
class Meta:
    """What we read of a resource's meta: its version, where there are entity tags."""

    version: str | None = None


@dataclass(frozen=True)
class GroupOf:
    """A group that a user is in, as the user's record shows it."""

    name: Annotated[str | None, named("display")] = None


@dataclass(frozen=True)
class Address:
    """One address of a user."""

    value: str | None = None
    primary: bool = False


@dataclass(frozen=True)
class User:
    """A user of the directory."""

    id: str
    name: Annotated[str, named("userName")]
    mark: Annotated[str | None, named("externalId")] = None
    active: bool = True
    emails: tuple[Address, ...] = ()
    groups: tuple[GroupOf, ...] = ()
    meta: Meta = field(default_factory=Meta)

    @property
    def address(self) -> str:
        """The primary address, else the first, else nothing."""
        primary = [each.value for each in self.emails if each.primary]
        return next((each for each in (*primary, *(e.value for e in self.emails)) if each), "")

    def evidence(self, marker: str) -> str:
        """Say why the user is the subject's; raises OwnershipConflict if it is not."""
        if self.mark == marker:
            return "marker"
        raise OwnershipConflict(
            "An account with this name exists and is not known to be theirs.",
            external_id=self.id,
            evidence="marker of another subject" if self.mark else "no marker",
        )


@dataclass(frozen=True)
class Member:
    """A member of a group, by the id of its account."""

    value: str


@dataclass(frozen=True)
class Group:
    """A group and its members."""

    id: str
    name: Annotated[str, named("displayName")]
    members: tuple[Member, ...] = ()
    meta: Meta = field(default_factory=Meta)

    def has(self, identity: str) -> bool:
        """Say whether an account is a member."""
        return any(member.value == identity for member in self.members)


@dataclass(frozen=True)
class Users:
    """A page of users."""

    total: Annotated[int, named("totalResults")]
    resources: Annotated[tuple[User, ...], named("Resources")] = ()


@dataclass(frozen=True)
class Groups:
    """A page of groups."""

    total: Annotated[int, named("totalResults")]
    resources: Annotated[tuple[Group, ...], named("Resources")] = ()


CONFIGURATION: Final = Shape(Config)
ONE_USER: Final = Shape(User)
PAGE_OF_USERS: Final = Shape(Users)
PAGE_OF_GROUPS: Final = Shape(Groups)


def equal(attribute: str, value: str) -> str:
    """Write a filter; the value is a JSON string, so nothing in it is read as a filter.

    Source: RFC 7644, §3.4.2.2.
    """
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{attribute} eq "{escaped}"'


def replacing(name: str, value: object, quirks: Quirks) -> dict[str, object]:
    """Write a PATCH that sets one attribute, as the server likes it.

    Source: RFC 7644, §3.5.2.3.
    """
    if isinstance(value, bool) and quirks.bool_style == "text":
        value = str(value)
    step: dict[str, object] = {"op": "replace"}
    if quirks.patch_style == "no_path":
        step["value"] = {name: value}
    else:
        step |= {"path": name, "value": value}
    return {"schemas": [PATCH], "Operations": [step]}


def member_step(identity: str, *, is_member: bool) -> dict[str, object]:
    """Write a PATCH that adds or removes one member."""
    if is_member:
        step: dict[str, object] = {"op": "add", "path": "members", "value": [{"value": identity}]}
    else:
        chosen = equal("value", identity)
        step = {"op": "remove", "path": f"members[{chosen}]"}
    return {"schemas": [PATCH], "Operations": [step]}


def judged(answer: Answer) -> StepError | None:
    """Class an answer of a SCIM server, by its scimType and status."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return judged_by_status(answer)
    document = answer.fields
    kind, said = str(document.get("scimType") or ""), sanitised(document.get("detail"))
    facts = facts_of(answer, kind or None)
    match answer.status:
        case 409:
            return Invalid(f"The server refuses the data: {kind or said}", **facts)
        case 412:
            return Transient("Somebody else changed it at this moment.", **facts)
        case 400 if kind in _DIALECT:
            return Invalid(
                f"The server does not understand the request ({kind}): set its quirks. {said}",
                **facts,
            )
        case _:
            return judged_by_status(answer, code=kind or None, said=said)
