"""What is agreed with Salesforce: its routes, the fields we read, and what refusals mean.

There is no official OpenAPI document. Errors are a JSON array.
Source: connectors document, §15.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from newel.base.errors import (
    AuthFailed,
    Forbidden,
    Invalid,
    NoCapacity,
    OwnershipConflict,
    StepError,
    Transient,
)
from newel.connectors.answers import Answer, Route, facts_of, judged_by_status, sanitised
from newel.connectors.contract import Shape, named
from newel.connectors.gate import LimitHeaders
from newel.connectors.http import REQUESTS

API: Final = "salesforce.api"
_DATA: Final = "/services/data/{version}"
_OBJECTS: Final = f"{_DATA}/sobjects"

TOKEN: Final = Route("token", "POST", "/services/oauth2/token", host="login", reads=True)
# Without a bucket: it tells what is left when nothing else may be asked.
LIMITS: Final = Route("limits", "GET", f"{_DATA}/limits")
QUERY: Final = Route("query", "GET", f"{_DATA}/query", API)
QUERY_MORE: Final = Route("queryMore", "GET", f"{_DATA}/query/{{cursor}}", API)
CREATE_USER: Final = Route("createUser", "POST", f"{_OBJECTS}/User", API)
UPSERT_USER: Final = Route("upsertUser", "PATCH", f"{_OBJECTS}/User/{{field}}/{{value}}", API)
UPDATE_USER: Final = Route("updateUser", "PATCH", f"{_OBJECTS}/User/{{id}}", API, repeatable=True)
FREEZE: Final = Route(
    "updateUserLogin", "PATCH", f"{_OBJECTS}/UserLogin/{{id}}", API, repeatable=True
)
ASSIGN: Final = Route(
    "createPermissionSetAssignment", "POST", f"{_OBJECTS}/PermissionSetAssignment", API
)
UNASSIGN: Final = Route(
    "deletePermissionSetAssignment",
    "DELETE",
    f"{_OBJECTS}/PermissionSetAssignment/{{id}}",
    API,
    repeatable=True,
)

# The permissions we need, by the fields of UserPermissionAccess, as the set-up pages name them.
PERMISSIONS: Final[Mapping[str, str]] = {
    "PermissionsApiEnabled": "API Enabled",
    "PermissionsManageUsers": "Manage Users",
    "PermissionsAssignPermissionSets": "Assign Permission Sets",
    "PermissionsFreezeUsers": "Freeze Users",
}
TAKEN: Final = ("DUPLICATE_USERNAME", "DUPLICATE_VALUE")
BLOCKED: Final = ("FIELD_INTEGRITY_EXCEPTION", "DELETE_FAILED", "ENTITY_IS_LOCKED")
_NOT_PERMITTED: Final = {
    "API_DISABLED_FOR_ORG",
    "INSUFFICIENT_ACCESS",
    "INSUFFICIENT_ACCESS_OR_READONLY",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
}

LICENCES: Final = "Salesforce licences"
# A new user may not be seen by queries for seconds.
SETTLE: Final = (0, 2, 5, 15, 30)
_USAGE: Final = re.compile(r"\bapi-usage=(\d{1,12})/(\d{1,12})")


@dataclass(frozen=True)
class Made:
    """An object that was created; after an upsert, whether it was new."""

    id: str
    success: bool


@dataclass(frozen=True)
class Rows:
    """One page of a query; the fields of a row are those that were asked for.

    more: where the next page is; empty behind the last one.
    """

    records: tuple[dict[str, Any], ...]  # Any: read field by field, see `field_of`
    more: Annotated[str, named("nextRecordsUrl")] = ""


@dataclass(frozen=True)
class DailyUse:
    """The daily limit of requests."""

    most: Annotated[int, named("Max")]
    remaining: Annotated[int, named("Remaining")]


@dataclass(frozen=True)
class Limits:
    """The limits of the organization."""

    daily: Annotated[DailyUse, named("DailyApiRequests")]


@dataclass(frozen=True)
class User:
    """A user: its id, whether it may log in, what stands in the marker field, its user name."""

    id: str
    is_active: bool
    mark: str
    name: str = ""

    def evidence(self, marker: str) -> str:
        """Say why the user is the subject's; raises OwnershipConflict if it is not."""
        if self.mark == marker:
            return "marker"
        raise OwnershipConflict(
            "An account with this user name exists and is not known to be theirs.",
            external_id=self.id,
            evidence="marker of another subject" if self.mark else "no marker",
        )


MADE: Final = Shape(Made)
ROWS: Final = Shape(Rows)
ALL_LIMITS: Final = Shape(Limits)


def selected(
    fields: str, kind: str, conditions: Mapping[str, str], joint: Literal["AND", "OR"] = "AND"
) -> str:
    """Write a query: fields and kind are ours, values are escaped.

    Source: SOQL and SOSL reference, "Quoted String Escape Sequences".
    """
    clauses = [f"{field} = {_quoted(value)}" for field, value in conditions.items()]
    where = f" WHERE {f' {joint} '.join(clauses)}" if clauses else ""
    return f"SELECT {fields} FROM {kind}{where}"  # noqa: S608 - values are escaped


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def judged(answer: Answer) -> StepError | None:
    """Class an answer of Salesforce, by its error code."""
    if answer.status == HTTPStatus.MULTIPLE_CHOICES:
        return OwnershipConflict(
            "More than one account carries the mark.",
            evidence="several hits",
            **facts_of(answer),
        )
    if answer.status < HTTPStatus.BAD_REQUEST:
        return judged_by_status(answer)
    listed = answer.document if isinstance(answer.document, list) else []
    error = listed[0] if listed and isinstance(listed[0], dict) else {}
    code = str(error.get("errorCode") or "")
    facts, said = facts_of(answer, code or None), sanitised(error.get("message"))
    match code:
        case "INVALID_SESSION_ID":
            return AuthFailed("Salesforce refuses the token.", **facts)
        case "REQUEST_LIMIT_EXCEEDED":
            return NoCapacity("The day's requests are used up.", what=REQUESTS, **facts)
        case "LICENSE_LIMIT_EXCEEDED":
            return NoCapacity("No licence is free.", what=LICENCES, **facts)
        case "UNABLE_TO_LOCK_ROW" | "SERVER_UNAVAILABLE":
            return Transient(f"Salesforce cannot do this now: {code}.", **facts)
        case _ if code in _NOT_PERMITTED:
            return Forbidden(f"The user may not do this: {said}", **facts)
        case _ if answer.status == HTTPStatus.BAD_REQUEST:
            names = error.get("fields")
            fields = {str(each): said for each in names} if isinstance(names, list) else {}
            return Invalid(f"Salesforce refuses the data: {code}.", fields=fields, **facts)
        case _:
            return judged_by_status(answer, code=code or None, said=said)


def limits(answer: Answer) -> LimitHeaders | None:
    """Read how much of the day's requests the whole organization has used."""
    found = _USAGE.search(answer.headers.get("sforce-limit-info", ""))
    if found is None or (most := int(found[2])) == 0:
        return None
    return LimitHeaders(used=int(found[1]) / most)
