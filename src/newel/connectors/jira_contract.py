"""What is agreed with Jira Cloud: its routes, the fields we read, and what its refusals mean.

Source: connectors document, §13; Atlassian's OpenAPI document of the platform REST API v3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from newel.base.errors import Forbidden, Invalid, NoCapacity, StepError, Throttled, Transient
from newel.connectors.answers import (
    Answer,
    Known,
    Route,
    facts_of,
    judged_by_status,
    retry_after,
    sanitised,
)
from newel.connectors.contract import Shape, named
from newel.connectors.gate import LimitHeaders

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
# Of these a 404 is about the account or the group, which the path does not show.
_NAMED_IN_QUERY: Final = (USER_GROUPS, JOIN_GROUP, LEAVE_GROUP, REMOVE_USER)


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


def judged(answer: Answer) -> StepError | None:
    """Class an answer of Jira."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return judged_by_status(answer)
    document = answer.fields
    listed, by_field = document.get("errorMessages"), document.get("errors")
    messages = [str(each) for each in listed] if isinstance(listed, list) else []
    fields = by_field if isinstance(by_field, dict) else {}
    texts = " ".join([*messages, *(str(each) for each in fields.values())])
    said, facts = sanitised(texts), facts_of(answer)
    match answer.status:
        case 400 | 422:
            return _refused(texts.lower(), said, fields, facts)
        case 403:
            return Forbidden(f"The account may not do this: {said}", **facts)
        case 404 if answer.route in _NAMED_IN_QUERY:
            unknown = {"account": "is not known on the site, or the group is not"}
            return Invalid(f"Jira does not know it: {said}", fields=unknown, **facts)
        case 409:
            return Transient("Somebody else updates the same issue at this moment.", **facts)
        case 413:
            return Invalid("The issue has reached a limit of Jira.", **facts)
        case 429:
            return _throttled(answer, facts)
        case _:
            return judged_by_status(answer, said=said)


def _refused(texts: str, said: str, fields: dict[str, object], facts: Known) -> StepError:
    """Tell a lack of seats from wrong data: Jira answers 400 to both."""
    if "license" in texts or "user limit" in texts or "seat" in texts:
        return NoCapacity("No licence is free on the Jira site.", what=SEATS, **facts)
    reasons = {name: sanitised(str(why)) for name, why in fields.items()}
    if "already exists" in texts:
        reasons["products"] = (
            "An account with this address exists without access to the product: give it "
            "access in Jira's administration, then retry."
        )
    elif facts["operation"] == CREATE_USER.operation and not reasons:
        reasons["emailAddress"] = (
            "Jira does not say which: the address is not accepted, or no licence is free."
        )
    return Invalid(f"Jira refuses the data: {said}", fields=reasons, **facts)


def _throttled(answer: Answer, facts: Known) -> Throttled:
    wait = retry_after(answer)
    if not wait and (reset := _reset(answer)) is not None:
        return Throttled("Jira asks for fewer calls.", retry_at=reset, **facts)
    return Throttled("Jira asks for fewer calls.", **facts, **wait)


def _reset(answer: Answer) -> datetime | None:
    try:
        moment = datetime.fromisoformat(answer.headers.get("x-ratelimit-reset", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def limits(answer: Answer) -> LimitHeaders | None:
    """Read how many calls are left, and whether that is few, where Jira says so."""
    remaining = answer.headers.get("x-ratelimit-remaining", "")
    left = int(remaining) if remaining.isdigit() else None
    is_near = answer.headers.get("x-ratelimit-nearlimit", "").lower() == "true"
    if left is None and not is_near:
        return None
    return LimitHeaders(remaining=left, reset_at=_reset(answer), is_near=is_near)
