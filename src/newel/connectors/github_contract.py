"""What is agreed with GitHub: its routes, the fields we read, and what its refusals mean.

Source: connectors document, §14; https://docs.github.com/rest (API version 2022-11-28).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final, Literal

from newel.base.errors import Forbidden, Invalid, NoCapacity, StepError, Throttled
from newel.connectors.answers import (
    Answer,
    Known,
    Route,
    facts_of,
    judged_by_status,
    retry_after,
    sanitised,
)
from newel.connectors.contract import Shape
from newel.connectors.gate import LimitHeaders

_MEMBERSHIP = "/orgs/{org}/memberships/{username}"
_TEAM = "/orgs/{org}/teams/{slug}/memberships/{username}"
_COLLABORATOR = "/repos/{owner}/{repo}/collaborators/{username}"
READ: Final = "github.read"
WRITE: Final = "github.write"
INVITE: Final = "github.invite"

LIMITS: Final = Route("rate-limit/get", "GET", "/rate_limit")
ORG: Final = Route("orgs/get", "GET", "/orgs/{org}", READ)
INVITATIONS: Final = Route("orgs/list-pending-invitations", "GET", "/orgs/{org}/invitations", READ)
MEMBERSHIP: Final = Route("orgs/get-membership-for-user", "GET", _MEMBERSHIP, READ)
SET_MEMBERSHIP: Final = Route(
    "orgs/set-membership-for-user", "PUT", _MEMBERSHIP, INVITE, repeatable=True
)
END_MEMBERSHIP: Final = Route(
    "orgs/remove-membership-for-user", "DELETE", _MEMBERSHIP, WRITE, repeatable=True
)
TEAM: Final = Route("teams/get-membership-for-user-in-org", "GET", _TEAM, READ)
SET_TEAM: Final = Route(
    "teams/add-or-update-membership-for-user-in-org", "PUT", _TEAM, WRITE, repeatable=True
)
END_TEAM: Final = Route(
    "teams/remove-membership-for-user-in-org", "DELETE", _TEAM, WRITE, repeatable=True
)
COLLABORATOR: Final = Route("repos/check-collaborator", "GET", _COLLABORATOR, READ)
SET_COLLABORATOR: Final = Route(
    "repos/add-collaborator", "PUT", _COLLABORATOR, WRITE, repeatable=True
)
END_COLLABORATOR: Final = Route(
    "repos/remove-collaborator", "DELETE", _COLLABORATOR, WRITE, repeatable=True
)

INVITED_PER_DAY: Final = "invitations per day"


@dataclass(frozen=True)
class User:
    """Whom a membership belongs to."""

    id: int
    login: str


@dataclass(frozen=True)
class Membership:
    """A membership of the organization; pending until the person accepts."""

    state: Literal["active", "pending"]
    role: str
    user: User | None


@dataclass(frozen=True)
class TeamMembership:
    """A membership of a team."""

    state: Literal["active", "pending"]
    role: str


@dataclass(frozen=True)
class Organization:
    """The organization itself."""

    login: str


MEMBERSHIPS: Final = Shape(Membership)
TEAM_MEMBERSHIPS: Final = Shape(TeamMembership)
ORGANIZATIONS: Final = Shape(Organization)


def judged(answer: Answer) -> StepError | None:
    """Class an answer of GitHub."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return judged_by_status(answer)
    document = answer.document if isinstance(answer.document, dict) else {}
    text = str(document.get("message") or "")
    said, facts = sanitised(text), facts_of(answer)
    if answer.status in {403, 429} and (limited := _limited(answer, text)) is not None:
        return limited
    match answer.status:
        case 403:
            return _forbidden(answer, text, said, facts)
        case 404 if answer.route.is_mutating:
            # Management routes hide behind 404 from a token without the permission.
            return _forbidden(answer, text, said, facts)
        case 422:
            return _unprocessable(document, said, facts)
        case _:
            return judged_by_status(answer, said=said)


def limits(answer: Answer) -> LimitHeaders | None:
    """Read how many requests are left in this hour."""
    remaining = answer.headers.get("x-ratelimit-remaining", "")
    if not remaining.isdigit():
        return None
    return LimitHeaders(remaining=int(remaining), reset_at=_reset(answer))


def _reset(answer: Answer) -> datetime | None:
    stated = answer.headers.get("x-ratelimit-reset", "")
    return datetime.fromtimestamp(int(stated), UTC) if stated.isdigit() else None


def _limited(answer: Answer, text: str) -> Throttled | None:
    """Tell a limit from a missing permission: both are 403.

    Order: retry-after, then the reset of a used-up hour, else no moment is stated.
    """
    facts = facts_of(answer)
    stated = retry_after(answer)
    if stated:
        return Throttled("GitHub asks for fewer calls.", **facts, **stated)
    if answer.headers.get("x-ratelimit-remaining") == "0":
        return Throttled("GitHub's hourly limit is used up.", retry_at=_reset(answer), **facts)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS or "rate limit" in text.lower():
        minute = timedelta(seconds=60)
        return Throttled("GitHub asks for fewer calls.", retry_after=minute, **facts)
    return None


def _forbidden(answer: Answer, text: str, said: str, facts: Known) -> Forbidden:
    lowered = text.lower()
    if "last owner" in lowered or "identity provider" in lowered or "synchroniz" in lowered:
        return Forbidden(f"GitHub refuses this at present: {said}", reason="blocked", **facts)
    accepted = answer.headers.get("x-accepted-github-permissions", "")
    missing = accepted.replace("=", ":") or None
    named = f" It needs {missing}." if missing else ""
    return Forbidden(f"The token may not do this: {said}.{named}", missing=missing, **facts)


def _unprocessable(document: dict[str, object], said: str, facts: Known) -> StepError:
    listed = document.get("errors")
    errors = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    texts = " ".join([str(document.get("message")), *(str(each.get("message")) for each in errors)])
    lowered = texts.lower()
    if "seat" in lowered:
        return NoCapacity("No seat is free in the organization.", what="GitHub seats", **facts)
    if "24 hours" in lowered or "invitation limit" in lowered:
        return NoCapacity("Today's invitations are used up.", what=INVITED_PER_DAY, **facts)
    if "blocked" in lowered:
        return Forbidden("This user has blocked the organization.", reason="blocked", **facts)
    fields = {
        str(each.get("field") or each.get("resource") or ""): sanitised(
            str(each.get("message") or each.get("code") or "")
        )
        for each in errors
    }
    return Invalid(f"GitHub refuses the data: {said}", fields=fields, **facts)
