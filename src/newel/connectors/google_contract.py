"""What is agreed with Google Workspace: its routes, the scopes they need, the fields we read.

Source: connectors document, §11; discovery documents of the Admin SDK Directory API, the Data
Transfer API and the Enterprise License Manager API.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from newel.connectors.answers import Route
from newel.connectors.contract import Shape, named

DIRECTORY: Final = "google.directory"
_USERS: Final = "/admin/directory/v1/users"
_USER: Final = f"{_USERS}/{{key}}"
_GROUPS: Final = "/admin/directory/v1/groups"
_MEMBERS: Final = f"{_GROUPS}/{{group}}/members"
_TRANSFERS: Final = "/admin/datatransfer/v1"
_PRODUCT: Final = "/apps/licensing/v1/product/{product}"
_SKU: Final = f"{_PRODUCT}/sku/{{sku}}/user"

# Scopes ------------------------------------------------------------------------------------------

_AUTH: Final = "https://www.googleapis.com/auth/"
USER_SCOPE: Final = f"{_AUTH}admin.directory.user"
SECURITY_SCOPE: Final = f"{_AUTH}admin.directory.user.security"
MEMBER_SCOPE: Final = f"{_AUTH}admin.directory.group.member"
GROUP_SCOPE: Final = f"{_AUTH}admin.directory.group.readonly"
TRANSFER_SCOPE: Final = f"{_AUTH}admin.datatransfer"
LICENCE_SCOPE: Final = f"{_AUTH}apps.licensing"
SCOPES: Final = (
    USER_SCOPE,
    SECURITY_SCOPE,
    MEMBER_SCOPE,
    GROUP_SCOPE,
    TRANSFER_SCOPE,
    LICENCE_SCOPE,
)

# Routes ------------------------------------------------------------------------------------------

TOKEN: Final = Route("token", "POST", "/token", host="token", reads=True)

LIST_USERS: Final = Route("directory.users.list", "GET", _USERS, DIRECTORY)
GET_USER: Final = Route("directory.users.get", "GET", _USER, DIRECTORY)
INSERT_USER: Final = Route("directory.users.insert", "POST", _USERS, DIRECTORY)
UPDATE_USER: Final = Route("directory.users.update", "PUT", _USER, DIRECTORY, repeatable=True)
DELETE_USER: Final = Route("directory.users.delete", "DELETE", _USER, DIRECTORY, repeatable=True)
UNDELETE_USER: Final = Route(
    "directory.users.undelete", "POST", f"{_USER}/undelete", DIRECTORY, repeatable=True
)

SIGN_OUT: Final = Route(
    "directory.users.signOut", "POST", f"{_USER}/signOut", DIRECTORY, repeatable=True
)
LIST_TOKENS: Final = Route("directory.tokens.list", "GET", f"{_USER}/tokens", DIRECTORY)
DELETE_TOKEN: Final = Route(
    "directory.tokens.delete", "DELETE", f"{_USER}/tokens/{{item}}", DIRECTORY, repeatable=True
)
LIST_PASSWORDS: Final = Route("directory.asps.list", "GET", f"{_USER}/asps", DIRECTORY)
DELETE_PASSWORD: Final = Route(
    "directory.asps.delete", "DELETE", f"{_USER}/asps/{{item}}", DIRECTORY, repeatable=True
)
INVALIDATE_CODES: Final = Route(
    "directory.verificationCodes.invalidate",
    "POST",
    f"{_USER}/verificationCodes/invalidate",
    DIRECTORY,
    repeatable=True,
)

LIST_GROUPS: Final = Route("directory.groups.list", "GET", _GROUPS, DIRECTORY)
LIST_MEMBERS: Final = Route("directory.members.list", "GET", _MEMBERS, DIRECTORY)
GET_MEMBER: Final = Route("directory.members.get", "GET", f"{_MEMBERS}/{{member}}", DIRECTORY)
INSERT_MEMBER: Final = Route(
    "directory.members.insert", "POST", _MEMBERS, DIRECTORY, repeatable=True
)
DELETE_MEMBER: Final = Route(
    "directory.members.delete", "DELETE", f"{_MEMBERS}/{{member}}", DIRECTORY, repeatable=True
)

LIST_APPLICATIONS: Final = Route(
    "datatransfer.applications.list", "GET", f"{_TRANSFERS}/applications", DIRECTORY
)
LIST_TRANSFERS: Final = Route(
    "datatransfer.transfers.list", "GET", f"{_TRANSFERS}/transfers", DIRECTORY
)
GET_TRANSFER: Final = Route(
    "datatransfer.transfers.get", "GET", f"{_TRANSFERS}/transfers/{{id}}", DIRECTORY
)
INSERT_TRANSFER: Final = Route(
    "datatransfer.transfers.insert", "POST", f"{_TRANSFERS}/transfers", DIRECTORY
)

LIST_LICENCES: Final = Route(
    "licensing.licenseAssignments.listForProduct",
    "GET",
    f"{_PRODUCT}/users",
    DIRECTORY,
    "licensing",
)
GET_LICENCE: Final = Route(
    "licensing.licenseAssignments.get", "GET", f"{_SKU}/{{user}}", DIRECTORY, "licensing"
)
INSERT_LICENCE: Final = Route(
    "licensing.licenseAssignments.insert", "POST", _SKU, DIRECTORY, "licensing", repeatable=True
)
DELETE_LICENCE: Final = Route(
    "licensing.licenseAssignments.delete",
    "DELETE",
    f"{_SKU}/{{user}}",
    DIRECTORY,
    "licensing",
    repeatable=True,
)

SCOPE_OF: Final = {
    route.operation: scope
    for scope, routes in {
        USER_SCOPE: (LIST_USERS, GET_USER, INSERT_USER, UPDATE_USER, DELETE_USER, UNDELETE_USER),
        SECURITY_SCOPE: (
            SIGN_OUT,
            LIST_TOKENS,
            DELETE_TOKEN,
            LIST_PASSWORDS,
            DELETE_PASSWORD,
            INVALIDATE_CODES,
        ),
        GROUP_SCOPE: (LIST_GROUPS,),
        MEMBER_SCOPE: (LIST_MEMBERS, GET_MEMBER, INSERT_MEMBER, DELETE_MEMBER),
        TRANSFER_SCOPE: (LIST_APPLICATIONS, LIST_TRANSFERS, GET_TRANSFER, INSERT_TRANSFER),
        LICENCE_SCOPE: (LIST_LICENCES, GET_LICENCE, INSERT_LICENCE, DELETE_LICENCE),
    }.items()
    for route in routes
}
"""The scope that a route needs, by its operation."""

UNFINISHED: Final = "creation is not complete"
NEVER: Final = "1970-01-01T00:00:00.000Z"

# Answers -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GroupSeen:
    """A group, as the directory shows one."""

    id: str
    email: str
    name: str = ""


@dataclass(frozen=True)
class GroupPage:
    """One page of groups."""

    groups: tuple[GroupSeen, ...] = ()
    next: Annotated[str, named("nextPageToken")] = ""


@dataclass(frozen=True)
class Member:
    """A member of a group; a member that is a whole customer has no address."""

    id: str
    email: str = ""
    role: str = "MEMBER"


@dataclass(frozen=True)
class MemberPage:
    """One page of members."""

    members: tuple[Member, ...] = ()
    next: Annotated[str, named("nextPageToken")] = ""


@dataclass(frozen=True)
class AppToken:
    """An app that has access to an account."""

    id: Annotated[str, named("clientId")]


@dataclass(frozen=True)
class AppTokens:
    """The apps that have access to an account."""

    items: tuple[AppToken, ...] = ()


@dataclass(frozen=True)
class AppPassword:
    """A password for one app; the password itself is never shown."""

    id: Annotated[int, named("codeId")]


@dataclass(frozen=True)
class AppPasswords:
    """The passwords for apps of an account."""

    items: tuple[AppPassword, ...] = ()


@dataclass(frozen=True)
class Application:
    """An application whose data can be transferred."""

    id: str
    name: str


@dataclass(frozen=True)
class Applications:
    """The applications whose data can be transferred."""

    applications: tuple[Application, ...] = ()
    next: Annotated[str, named("nextPageToken")] = ""


@dataclass(frozen=True)
class TransferSeen:
    """A transfer of files, and how far it is: `inProgress`, `completed` or `failed`."""

    id: str
    status: Annotated[str, named("overallTransferStatusCode")]
    requested: Annotated[str, named("requestTime")] = NEVER


@dataclass(frozen=True)
class Transfers:
    """One page of transfers."""

    transfers: Annotated[tuple[TransferSeen, ...], named("dataTransfers")] = ()
    next: Annotated[str, named("nextPageToken")] = ""


@dataclass(frozen=True)
class Licence:
    """The licence of a user; the user is named by address."""

    sku: Annotated[str, named("skuId")]
    user: Annotated[str, named("userId")]


@dataclass(frozen=True)
class LicencePage:
    """One page of licences."""

    items: tuple[Licence, ...] = ()
    next: Annotated[str, named("nextPageToken")] = ""


GROUP_PAGES: Final = Shape(GroupPage)
MEMBERS: Final = Shape(Member)
MEMBER_PAGES: Final = Shape(MemberPage)
APP_TOKENS: Final = Shape(AppTokens)
APP_PASSWORDS: Final = Shape(AppPasswords)
APPLICATIONS: Final = Shape(Applications)
TRANSFERS: Final = Shape(TransferSeen)
TRANSFER_PAGES: Final = Shape(Transfers)
LICENCES: Final = Shape(Licence)
LICENCE_PAGES: Final = Shape(LicencePage)
