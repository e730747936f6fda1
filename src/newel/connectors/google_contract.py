"""What is agreed with Google Workspace: its routes, the fields we read, what refusals mean.

Source: connectors document, §11; discovery document of the Admin SDK Directory API.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Final

from newel.base.errors import (
    Forbidden,
    Invalid,
    NoCapacity,
    NotReady,
    OwnershipConflict,
    StepError,
    Throttled,
)
from newel.connectors.answers import (
    Answer,
    Route,
    facts_of,
    judged_by_status,
    retry_after,
    sanitised,
)
from newel.connectors.contract import Shape, named

DIRECTORY: Final = "google.directory"
_USERS: Final = "/admin/directory/v1/users"

TOKEN: Final = Route("token", "POST", "/token", host="token", reads=True)
LIST_USERS: Final = Route("directory.users.list", "GET", _USERS, DIRECTORY)
GET_USER: Final = Route("directory.users.get", "GET", f"{_USERS}/{{key}}", DIRECTORY)
INSERT_USER: Final = Route("directory.users.insert", "POST", _USERS, DIRECTORY)
UPDATE_USER: Final = Route(
    "directory.users.update", "PUT", f"{_USERS}/{{key}}", DIRECTORY, repeatable=True
)
DELETE_USER: Final = Route(
    "directory.users.delete", "DELETE", f"{_USERS}/{{key}}", DIRECTORY, repeatable=True
)

SCOPE: Final = "https://www.googleapis.com/auth/admin.directory.user"
MARKER_TYPE: Final = "organization"
# Google calls it concurrency; in practice it lasts (baton-google-workspace does not retry it).
_LONG_QUOTA: Final = timedelta(minutes=10)
_NEVER: Final = "1970-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class ExternalId:
    """An id of the user in another system; ours has the type `organization`."""

    type: str = ""
    value: str = ""


@dataclass(frozen=True)
class User:
    """A user of the directory."""

    id: str
    email: Annotated[str, named("primaryEmail")]
    suspended: bool = False
    external_ids: Annotated[tuple[ExternalId, ...], named("externalIds")] = ()
    last_login: Annotated[str, named("lastLoginTime")] = _NEVER

    @property
    def has_logged_in(self) -> bool:
        """Whether the person has ever used the account."""
        return self.last_login != _NEVER

    def evidence(self, marker: str) -> str:
        """Say why the user is the subject's; raises OwnershipConflict if it is not.

        Google can hold our mark, so a user without it was made by somebody else.
        """
        marks = [each.value for each in self.external_ids if each.type == MARKER_TYPE]
        if marker in marks:
            return "marker"
        raise OwnershipConflict(
            "An account with this address exists and is not known to be theirs.",
            external_id=self.id,
            evidence="marker of another subject" if marks else "no marker",
        )


USERS: Final = Shape(User)


def judged(answer: Answer) -> StepError | None:
    """Class an answer of Google, by its reason."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return judged_by_status(answer)
    error = answer.document.get("error") if isinstance(answer.document, dict) else None
    details = error if isinstance(error, dict) else {}
    text = str(details.get("message") or "")
    reason, said = _reason(details), sanitised(text)
    facts = facts_of(answer, reason or None)
    match reason:
        case "userRateLimitExceeded" | "rateLimitExceeded":
            return Throttled("Google asks for fewer calls.", **facts, **retry_after(answer))
        case "quotaExceeded" | "dailyLimitExceeded":
            return Throttled("Google's quota is used up.", retry_after=_LONG_QUOTA, **facts)
        case "conditionNotMet":
            return NotReady("Google has not finished creating the account.", **facts)
        case "limitExceeded":
            return NoCapacity("No licence is free.", what="Google Workspace licences", **facts)
        case "insufficientPermissions" | "forbidden":
            return Forbidden(f"The credential may not do this: {said}", **facts)
        case "notFound" if answer.route is INSERT_USER:
            wrong = {"primaryEmail": "its domain is not one of this Google Workspace"}
            return Invalid("Google does not know the domain.", fields=wrong, **facts)
        case _:
            if "creation is not complete" in text.lower():
                return NotReady("Google has not finished creating the account.", **facts)
            return judged_by_status(answer, code=reason or None, said=said)


def _reason(details: dict[str, object]) -> str:
    errors = details.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    return str(first.get("reason") or "") if isinstance(first, dict) else ""
