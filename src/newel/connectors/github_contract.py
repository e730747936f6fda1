"""What is agreed with GitHub: its routes, the fields we read, and what its refusals mean.

Source: connectors document, §14; https://docs.github.com/rest (API version 2022-11-28).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final, Literal

from newel.base.errors import AlreadyDone, Forbidden, Invalid, NoCapacity, StepError, Throttled
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
from newel.connectors.room import Room

_MEMBERSHIP = "/orgs/{org}/memberships/{username}"
_TEAM = "/orgs/{org}/teams/{slug}/memberships/{username}"
_COLLABORATORS = "/repos/{owner}/{repo}/collaborators"
_COLLABORATOR = f"{_COLLABORATORS}/{{username}}"
_MONTH: Final = timedelta(days=30)
SEATS: Final = "GitHub seats"
READ: Final = "github.read"
WRITE: Final = "github.write"
INVITE: Final = "github.invite"

LIMITS: Final = Route("rate-limit/get", "GET", "/rate_limit")
ORG: Final = Route("orgs/get", "GET", "/orgs/{org}", READ)
MEMBERS: Final = Route("orgs/list-members", "GET", "/orgs/{org}/members", READ)
INVITATIONS: Final = Route("orgs/list-pending-invitations", "GET", "/orgs/{org}/invitations", READ)
FAILED: Final = Route("orgs/list-failed-invitations", "GET", "/orgs/{org}/failed_invitations", READ)
INVITE_ADDRESS: Final = Route(
    "orgs/create-invitation", "POST", "/orgs/{org}/invitations", INVITE, pace=WRITE
)
CANCEL_INVITATION: Final = Route(
    "orgs/cancel-invitation",
    "DELETE",
    "/orgs/{org}/invitations/{invitation_id}",
    WRITE,
    repeatable=True,
)
MEMBERSHIP: Final = Route("orgs/get-membership-for-user", "GET", _MEMBERSHIP, READ)
SET_MEMBERSHIP: Final = Route(
    "orgs/set-membership-for-user", "PUT", _MEMBERSHIP, INVITE, repeatable=True, pace=WRITE
)
END_MEMBERSHIP: Final = Route(
    "orgs/remove-membership-for-user", "DELETE", _MEMBERSHIP, WRITE, repeatable=True
)
TEAMS: Final = Route("teams/list", "GET", "/orgs/{org}/teams", READ)
ONE_TEAM: Final = Route("teams/get-by-name", "GET", "/orgs/{org}/teams/{slug}", READ)
TEAM_MEMBERS: Final = Route(
    "teams/list-members-in-org", "GET", "/orgs/{org}/teams/{slug}/members", READ
)
TEAM: Final = Route("teams/get-membership-for-user-in-org", "GET", _TEAM, READ)
SET_TEAM: Final = Route(
    "teams/add-or-update-membership-for-user-in-org", "PUT", _TEAM, WRITE, repeatable=True
)
END_TEAM: Final = Route(
    "teams/remove-membership-for-user-in-org", "DELETE", _TEAM, WRITE, repeatable=True
)
# The list, because asking about one person answers "yes" to what every member may do anyway, and
# does not tell the level.
COLLABORATORS: Final = Route("repos/list-collaborators", "GET", _COLLABORATORS, READ)
SET_COLLABORATOR: Final = Route(
    "repos/add-collaborator", "PUT", _COLLABORATOR, WRITE, repeatable=True
)
END_COLLABORATOR: Final = Route(
    "repos/remove-collaborator", "DELETE", _COLLABORATOR, WRITE, repeatable=True
)

APP_TOKEN: Final = Route(
    "apps/create-installation-access-token",
    "POST",
    "/app/installations/{installation_id}/access_tokens",
    reads=True,
)

INVITED_PER_DAY: Final = "invitations per day"
_LISTINGS: Final = (MEMBERS, INVITATIONS, FAILED, TEAMS)
"""Of an organization, which is there: `check` has read it, or the token would be refused."""


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
class Plan:
    """What the organization has bought; seats are told to its owners."""

    name: str
    seats: int | None = None
    filled_seats: int | None = None


@dataclass(frozen=True)
class Organization:
    """The organization itself."""

    login: str
    created_at: str
    plan: Plan | None = None


@dataclass(frozen=True)
class Invitation:
    """An invitation, of a user or of an address; failed ones say when and why."""

    id: int
    login: str | None
    email: str | None
    role: str
    failed_at: str | None = None
    failed_reason: str | None = None


@dataclass(frozen=True)
class Team:
    """A team as listings have it."""

    id: int
    slug: str


@dataclass(frozen=True)
class Collaborator:
    """Somebody who was given access to a repository, and how much."""

    login: str
    role_name: str


MEMBERSHIPS: Final = Shape(Membership)
TEAM_MEMBERSHIPS: Final = Shape(TeamMembership)
ORGANIZATIONS: Final = Shape(Organization)
USERS: Final = Shape(tuple[User, ...])
ONE_INVITATION: Final = Shape(Invitation)
INVITATION_LISTS: Final = Shape(tuple[Invitation, ...])
TEAM_LISTS: Final = Shape(tuple[Team, ...])
COLLABORATOR_LISTS: Final = Shape(tuple[Collaborator, ...])

# The words for a level differ between giving it and showing it.
ROLE_NAMES: Final = {"pull": "read", "push": "write"}


def judged(answer: Answer) -> StepError | None:
    """Class an answer of GitHub."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return judged_by_status(answer)
    document = answer.fields
    text = str(document.get("message") or "")
    said, facts = sanitised(text), facts_of(answer)
    if answer.status in {403, 429} and (limited := _limited(answer, text)) is not None:
        return limited
    match answer.status:
        case 403:
            return _forbidden(answer, text, said, facts)
        case 404 if answer.route.is_mutating or answer.route in _LISTINGS:
            # Management routes hide behind 404 from a token without the permission.
            return _forbidden(answer, text, said, facts)
        case 422:
            return _unprocessable(document, said, facts)
        case _:
            return judged_by_status(answer, said=said)


def next_page(answer: Answer) -> str | None:
    """Give the address of the listing's next page; None on the last one.

    Source: RFC 8288, "Web Linking".
    """
    for link in answer.headers.get("link", "").split(","):
        address, _, relation = link.strip().partition(">")
        if 'rel="next"' in relation:
            return address.removeprefix("<")
    return None


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


_IS_THERE: Final = ("already a part", "already a member", "already been invited", "already invited")


def _unprocessable(document: Mapping[str, object], said: str, facts: Known) -> StepError:
    listed = document.get("errors")
    errors = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    texts = " ".join([str(document.get("message")), *(str(each.get("message")) for each in errors)])
    lowered = texts.lower()
    if "seat" in lowered:
        return NoCapacity("No seat is free in the organization.", what=SEATS, **facts)
    if "24 hours" in lowered or "invitation limit" in lowered:
        return NoCapacity("Today's invitations are used up.", what=INVITED_PER_DAY, **facts)
    is_invitation = facts["operation"] == INVITE_ADDRESS.operation
    if is_invitation and any(sign in lowered for sign in _IS_THERE):
        return AlreadyDone(message="They are invited or a member already.", **facts)
    if "blocked" in lowered:
        return Forbidden("This user has blocked the organization.", reason="blocked", **facts)
    fields = {
        str(each.get("field") or each.get("resource") or ""): sanitised(
            str(each.get("message") or each.get("code") or "")
        )
        for each in errors
    }
    return Invalid(f"GitHub refuses the data: {said}", fields=fields, **facts)


def seats_of(found: Organization) -> Room | None:
    """Read the seats, where the organization's plan counts them and tells them to this owner."""
    plan = found.plan
    if plan is None or not plan.seats:
        return None
    return Room(what=SEATS, most=plan.seats, used=plan.filled_seats or 0)


def notes_on(found: Organization, now: datetime) -> tuple[str, ...]:
    """Say what the organization's age means for invitations, and whether seats are left."""
    notes = []
    if now - datetime.fromisoformat(found.created_at) < _MONTH:
        notes.append("The organization is younger than a month: 50 invitations a day.")
    seats = seats_of(found)
    if seats is not None and not seats.left:
        notes.append("No seat is free: an invitation would be refused.")
    return tuple(notes)
