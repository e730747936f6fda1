"""What is agreed with Jira Cloud: its routes, the permissions they need, the fields we read.

Source: connectors document, §13; Atlassian's OpenAPI document of the platform REST API v3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from newel.connectors.answers import Route
from newel.connectors.contract import Shape, named

API: Final = "jira.api"
USER_SEARCH: Final = "jira.user_search"
ISSUE_WRITES: Final = "jira.issue"
_V3: Final = "/rest/api/3"
_ISSUE: Final = f"{_V3}/issue/{{issue}}"

FieldValue = str | dict[str, str] | list[str] | list[dict[str, str]]
"""What a field of an issue is set to: a text, one of a choice (`{"name": …}`), or several."""

SEATS: Final = "Jira seats"
MYSELF: Final = Route("getCurrentUser", "GET", f"{_V3}/myself", API)
PERMISSIONS: Final = Route("getMyPermissions", "GET", f"{_V3}/mypermissions", API)
FIND_USERS: Final = Route("findUsers", "GET", f"{_V3}/user/search", USER_SEARCH)
ALL_USERS: Final = Route("getAllUsers", "GET", f"{_V3}/users/search", API)
ROLES: Final = Route("getAllApplicationRoles", "GET", f"{_V3}/applicationrole", API)
ISSUE_TYPES: Final = Route(
    "getCreateIssueMetaIssueTypes", "GET", f"{_V3}/issue/createmeta/{{project}}/issuetypes", API
)
ISSUE_FIELDS: Final = Route(
    "getCreateIssueMetaIssueTypeId",
    "GET",
    f"{_V3}/issue/createmeta/{{project}}/issuetypes/{{type}}",
    API,
)
CREATE_USER: Final = Route("createUser", "POST", f"{_V3}/user", API)
REMOVE_USER: Final = Route("removeUser", "DELETE", f"{_V3}/user", API, repeatable=True)
USER_GROUPS: Final = Route("getUserGroups", "GET", f"{_V3}/user/groups", API)
GROUPS: Final = Route("bulkGetGroups", "GET", f"{_V3}/group/bulk", API)
GROUP_MEMBERS: Final = Route("getUsersFromGroup", "GET", f"{_V3}/group/member", API)
JOIN_GROUP: Final = Route("addUserToGroup", "POST", f"{_V3}/group/user", API, repeatable=True)
LEAVE_GROUP: Final = Route(
    "removeUserFromGroup", "DELETE", f"{_V3}/group/user", API, repeatable=True
)
SEARCH: Final = Route("searchAndReconsileIssuesUsingJql", "GET", f"{_V3}/search/jql", API)
CREATE_ISSUE: Final = Route("createIssue", "POST", f"{_V3}/issue", API)
ISSUE: Final = Route("getIssue", "GET", _ISSUE, API)
EDIT_ISSUE: Final = Route("editIssue", "PUT", _ISSUE, API, repeatable=True)
COMMENTS: Final = Route("getComments", "GET", f"{_ISSUE}/comment", API)
ADD_COMMENT: Final = Route("addComment", "POST", f"{_ISSUE}/comment", API)
TRANSITIONS: Final = Route("getTransitions", "GET", f"{_ISSUE}/transitions", API)
MOVE: Final = Route("doTransition", "POST", f"{_ISSUE}/transitions", API)
LINKS: Final = Route("getRemoteIssueLinks", "GET", f"{_ISSUE}/remotelink", API)
LINK: Final = Route(
    "createOrUpdateRemoteIssueLink", "POST", f"{_ISSUE}/remotelink", API, repeatable=True
)

BROWSE_USERS: Final = "USER_PICKER"
BROWSE_PROJECTS: Final = "BROWSE_PROJECTS"
PERMISSION_NAMES: Final = {
    BROWSE_USERS: "Browse users and groups",
    "ADMINISTER": "Administer Jira",
    BROWSE_PROJECTS: "Browse projects",
    "CREATE_ISSUES": "Create issues",
    "EDIT_ISSUES": "Edit issues",
    "ADD_COMMENTS": "Add comments",
    "TRANSITION_ISSUES": "Transition issues",
    "LINK_ISSUES": "Link issues",
}


@dataclass(frozen=True)
class User:
    """A user; the address may be hidden by privacy settings."""

    account_id: Annotated[str, named("accountId")]
    email: Annotated[str, named("emailAddress")] = ""
    display_name: Annotated[str, named("displayName")] = ""
    active: bool = True
    kind: Annotated[str, named("accountType")] = "atlassian"


@dataclass(frozen=True)
class Group:
    """A group of users."""

    name: str
    group_id: Annotated[str, named("groupId")]


@dataclass(frozen=True)
class GroupPage:
    """One page of groups."""

    values: tuple[Group, ...]
    is_last: Annotated[bool, named("isLast")] = False


@dataclass(frozen=True)
class GroupMember:
    """Somebody in a group; whatever else there is to know stands in the listing of users."""

    account_id: Annotated[str, named("accountId")]


@dataclass(frozen=True)
class MemberPage:
    """One page of a group's members."""

    values: tuple[GroupMember, ...]
    is_last: Annotated[bool, named("isLast")] = False


@dataclass(frozen=True)
class Permission:
    """One permission, and whether this credential has it."""

    has: Annotated[bool, named("havePermission")]


@dataclass(frozen=True)
class Permissions:
    """The asked permissions by key."""

    permissions: dict[str, Permission]


@dataclass(frozen=True)
class CreatedIssue:
    """An issue as the answer to its creation names it."""

    id: str
    key: str


@dataclass(frozen=True)
class FoundIssue:
    """A search hit with the properties that were asked for."""

    id: str
    key: str
    properties: dict[str, Any] | None = None  # Any: the property's own JSON


@dataclass(frozen=True)
class IssuePage:
    """One page of search hits."""

    issues: tuple[FoundIssue, ...]
    next_page: Annotated[str | None, named("nextPageToken")] = None


@dataclass(frozen=True)
class StatusCategory:
    """The category of a status: `new`, `indeterminate` or `done`."""

    key: str


@dataclass(frozen=True)
class Status:
    """A status of an issue."""

    name: str
    category: Annotated[StatusCategory, named("statusCategory")]


@dataclass(frozen=True)
class IssueFields:
    """The fields of an issue that we ask for."""

    status: Status


@dataclass(frozen=True)
class Issue:
    """An issue with its status."""

    fields: IssueFields


@dataclass(frozen=True)
class Transition:
    """A way from the issue's status to another."""

    id: str
    name: str
    to: Status


@dataclass(frozen=True)
class Transitions:
    """The ways there are; none for who may not use them."""

    transitions: tuple[Transition, ...]


@dataclass(frozen=True)
class Comment:
    """A comment; the body is an Atlassian document."""

    body: Any = None  # Any: an Atlassian document, read by `text_of`


@dataclass(frozen=True)
class CommentPage:
    """One page of comments."""

    comments: tuple[Comment, ...]
    total: int


@dataclass(frozen=True)
class IssueType:
    """A kind of issue that may be created in a project."""

    id: str
    name: str


@dataclass(frozen=True)
class IssueTypePage:
    """The kinds of issues of a project."""

    issue_types: Annotated[tuple[IssueType, ...], named("issueTypes")]


@dataclass(frozen=True)
class IssueField:
    """A field of a kind of issue, and whether Jira refuses an issue without it."""

    id: Annotated[str, named("fieldId")]
    name: str
    is_required: Annotated[bool, named("required")]
    has_default: Annotated[bool, named("hasDefaultValue")] = False


@dataclass(frozen=True)
class IssueFieldPage:
    """One page of the fields of a kind of issue."""

    fields: tuple[IssueField, ...]
    total: int


@dataclass(frozen=True)
class Me:
    """The account the credential belongs to."""

    display_name: Annotated[str, named("displayName")]


@dataclass(frozen=True)
class ApplicationRole:
    """A product of the site, with its seats."""

    key: str
    seats: Annotated[int, named("numberOfSeats")]
    left: Annotated[int, named("remainingSeats")]
    is_unlimited: Annotated[bool, named("hasUnlimitedSeats")]


USERS: Final = Shape(tuple[User, ...])
ONE_USER: Final = Shape(User)
GROUP_PAGES: Final = Shape(GroupPage)
MEMBER_PAGES: Final = Shape(MemberPage)
GROUP_LISTS: Final = Shape(tuple[Group, ...])
MINE: Final = Shape(Permissions)
CREATED: Final = Shape(CreatedIssue)
HITS: Final = Shape(IssuePage)
ISSUES: Final = Shape(Issue)
WAYS: Final = Shape(Transitions)
COMMENT_PAGES: Final = Shape(CommentPage)
ME: Final = Shape(Me)
ROLE_LISTS: Final = Shape(tuple[ApplicationRole, ...])
ISSUE_TYPE_PAGES: Final = Shape(IssueTypePage)
ISSUE_FIELD_PAGES: Final = Shape(IssueFieldPage)


def labelled(fields: Mapping[str, FieldValue], *labels: str) -> list[str]:
    """Give the labels of an issue: its own first, then newel's."""
    own = fields.get("labels", [])
    return [*(str(each) for each in own), *labels] if isinstance(own, list) else list(labels)
