"""Linear: its issues and comments, as far as `trackers.linear` needs them.

Linear lets the caller choose the id of what is created, so a lost answer is found by that id and
nothing can be made twice. Refusals may come with status 200; their code says what they are.
Source: connectors document, §20; the excerpt of Linear's schema there (2026-07).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final, Unpack
from uuid import UUID

from newel.base.errors import AuthFailed, Forbidden, Invalid, StepError, Throttled, Transient
from newel.base.secrets import SecretRef
from newel.connectors.answers import (
    Answer,
    Route,
    facts_of,
    judged_by_status,
    retry_after,
    sanitised,
)
from newel.connectors.auth import PlainCredential
from newel.connectors.base import Check, Connector, Outside
from newel.connectors.contract import Shape
from newel.connectors.gate import Bucket, LimitHeaders

__all__ = ["Linear", "LinearIssue", "LinearState", "id_of"]

API: Final = "linear.api"
_ISSUE_FIELDS: Final = "id identifier url description state { type }"

VIEWER: Final = Route("viewer", "POST", "/graphql", API, reads=True)
TEAM: Final = Route("team", "POST", "/graphql", API, reads=True)
ISSUE: Final = Route("issue", "POST", "/graphql", API, reads=True)
# Repeatable, because the id is the caller's: a second one of the same id is refused.
CREATE: Final = Route("issueCreate", "POST", "/graphql", API, repeatable=True)
UPDATE: Final = Route("issueUpdate", "POST", "/graphql", API, repeatable=True)
COMMENT: Final = Route("commentCreate", "POST", "/graphql", API, repeatable=True)
QUERIES: Final = {
    VIEWER: "query { viewer { id name } }",
    TEAM: "query($id: String!) { team(id: $id) { states { nodes { id name type } } } }",
    ISSUE: f"query($id: String!) {{ issue(id: $id) {{ {_ISSUE_FIELDS} }} }}",
    CREATE: (
        "mutation($input: IssueCreateInput!) "
        f"{{ issueCreate(input: $input) {{ success issue {{ {_ISSUE_FIELDS} }} }} }}"
    ),
    UPDATE: (
        "mutation($id: String!, $input: IssueUpdateInput!) "
        "{ issueUpdate(id: $id, input: $input) { success } }"
    ),
    COMMENT: ("mutation($input: CommentCreateInput!) { commentCreate(input: $input) { success } }"),
}


@dataclass(frozen=True)
class LinearState:
    """A state of a team's workflow; type: triage, backlog, unstarted, started, completed."""

    id: str
    name: str
    type: str


@dataclass(frozen=True)
class _StateType:
    type: str


@dataclass(frozen=True)
class LinearIssue:
    """An issue; identifier: its key as people read it."""

    id: str
    identifier: str
    url: str
    state: _StateType
    description: str | None = None


@dataclass(frozen=True)
class _Viewer:
    id: str
    name: str


@dataclass(frozen=True)
class _Done:
    success: bool
    issue: LinearIssue | None = None


_VIEWERS: Final = Shape(_Viewer, at="data.viewer")
_TEAMS: Final = Shape(tuple[LinearState, ...], at="data.team.states.nodes")
_ISSUES: Final = Shape(LinearIssue, at="data.issue")
_CREATES: Final = Shape(_Done, at="data.issueCreate")
_NOT_FOUND: Final = "NOT_FOUND"
_EXISTS: Final = "EXISTS"
_CODES: Final = {
    "AUTHENTICATION_ERROR": "auth",
    "FORBIDDEN": "forbidden",
    "FEATURE_NOT_ACCESSIBLE": "forbidden",
    "RATELIMITED": "limit",
    "USAGE_LIMIT_EXCEEDED": "limit",
    "INTERNAL_ERROR": "fault",
    "LOCK_TIMEOUT": "fault",
}


def id_of(*what: str) -> str:
    """Choose the id of an object from what it is about: the same for every attempt at it.

    Linear takes UUIDs of version 4 only, so version and variant are set into a hash.
    Source: RFC 9562, section 5.4.
    """
    digest = hashlib.sha256("\0".join(what).encode()).digest()[:16]
    return str(UUID(bytes=digest, version=4))


class Linear(Connector):
    """One Linear workspace."""

    title = "Linear"
    buckets: ClassVar = (Bucket(name=API, rate=2000 / 3600, capacity=60),)

    def __init__(
        self,
        *,
        key: SecretRef,
        name: str = "linear",
        base_url: str = "https://api.linear.app",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for a person's API key with the scopes read and write."""
        super().__init__(
            name=name,
            secret=key,
            credential=PlainCredential(key),
            addresses={"": base_url},
            request_id=("x-request-id",),
            **outside,
        )

    async def probe(self) -> None:
        """Ask who we are."""
        await self._asked(VIEWER, {})

    async def check(self, *, team: str | None = None) -> Check:
        """Prove the key; team: prove that this team can be seen, too."""
        viewer = _VIEWERS.read(await self._asked(VIEWER, {}))
        if team is not None:
            try:
                await self.states(team)
            except Invalid:
                return Check(ok=False, identity=viewer.name, missing=(f"access to team {team}",))
        return Check(ok=True, identity=viewer.name, have=("read",))

    async def states(self, team: str) -> tuple[LinearState, ...]:
        """Give the states of a team's workflow."""
        return _TEAMS.read(await self._asked(TEAM, {"id": team}))

    async def issue(self, identity: str) -> LinearIssue | None:
        """Read an issue by id or identifier; None if there is none."""
        answer = await self._asked(ISSUE, {"id": identity}, expect=(_NOT_FOUND,))
        if _refusal(answer) is not None:
            return None
        return _ISSUES.read(answer)

    async def create(self, fields: dict[str, object]) -> LinearIssue | None:
        """Create an issue with its own `id` among the fields; None if there is one of that id."""
        answer = await self._asked(CREATE, {"input": fields}, expect=(_EXISTS,))
        if _refusal(answer) is not None:
            return None
        return _CREATES.read(answer).issue

    async def update(self, identity: str, fields: dict[str, object]) -> None:
        """Change an issue."""
        await self._asked(UPDATE, {"id": identity, "input": fields})

    async def comment(self, fields: dict[str, object]) -> None:
        """Add a comment with its own `id` among the fields; one of that id is enough."""
        await self._asked(COMMENT, {"input": fields}, expect=(_EXISTS,))

    async def _asked(
        self, route: Route, variables: dict[str, object], *, expect: tuple[str, ...] = ()
    ) -> Answer:
        body = {"query": QUERIES[route], "variables": variables}
        return await self.http.call(route, body=body, expect=expect)

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of Linear: its own code first, then the status."""
        refusal = _refusal(answer)
        if refusal is None:
            return judged_by_status(answer)
        code, said = _code(refusal), sanitised(refusal.get("message"))
        facts = facts_of(answer, code)
        match _CODES.get(code):
            case "auth":
                return AuthFailed(f"Linear refuses the key: {said}", **facts)
            case "forbidden":
                return Forbidden(f"The key may not do this: {said}", **facts)
            case "limit":
                return Throttled("Linear asks for fewer calls.", **facts, **retry_after(answer))
            case "fault":
                return Transient(f"Linear has a fault of its own: {said}", **facts)
            case _ if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return judged_by_status(answer, code=code, said=said)
            case _:
                return Invalid(f"Linear refuses the data: {said}", **facts)

    @staticmethod
    def limits(answer: Answer) -> LimitHeaders | None:
        """Read how many requests are left in this hour."""
        remaining = answer.headers.get("x-ratelimit-requests-remaining", "")
        return LimitHeaders(remaining=int(remaining)) if remaining.isdigit() else None


def _refusal(answer: Answer) -> dict[str, Any] | None:  # Any: a vendor's JSON
    """Give the first of the errors that an answer carries, whatever its status."""
    document = answer.document
    listed = document.get("errors") if isinstance(document, dict) else None
    if isinstance(listed, list) and listed and isinstance(listed[0], dict):
        return listed[0]
    return None


def _code(refusal: dict[str, Any]) -> str:  # Any: a vendor's JSON
    """Give the code; "not found" and "exists already" are told apart by the sentence alone."""
    extensions = refusal.get("extensions")
    code = str(extensions.get("code") or "") if isinstance(extensions, dict) else ""
    said = str(refusal.get("message") or "").lower()
    if "not found" in said or "could not find" in said:
        return _NOT_FOUND
    if "already exists" in said or "duplicate" in said or "unique" in said:
        return _EXISTS
    return code
