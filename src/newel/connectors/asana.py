"""Asana: its tasks and stories, as far as `trackers.asana` needs them.

A task can carry an id of the caller's, by which it is read again; that needs a credential of an
OAuth application, because such ids belong to the application.
Source: connectors document, §20; Asana's OpenAPI document.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Final, Unpack

from newel.base.errors import Forbidden, Invalid, NoCapacity, StepError
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer, Route, facts_of, judged_by_status, sanitised
from newel.connectors.auth import BearerCredential
from newel.connectors.base import Check, Connector, Outside
from newel.connectors.contract import Shape
from newel.connectors.gate import Bucket
from newel.connectors.paging import pages

__all__ = ["Asana", "AsanaTask"]

API: Final = "asana.api"
_BASE: Final = "/api/1.0"
_TASK: Final = f"{_BASE}/tasks/{{task_gid}}"
_FIELDS: Final = "completed,notes,permalink_url,external"

ME: Final = Route("getUser", "GET", f"{_BASE}/users/me", API)
LIST: Final = Route("getTasks", "GET", f"{_BASE}/tasks", API)
GET: Final = Route("getTask", "GET", _TASK, API)
CREATE: Final = Route("createTask", "POST", f"{_BASE}/tasks", API)
UPDATE: Final = Route("updateTask", "PUT", _TASK, API, repeatable=True)
STORIES: Final = Route("getStoriesForTask", "GET", f"{_TASK}/stories", API)
STORY: Final = Route("createStoryForTask", "POST", f"{_TASK}/stories", API)


@dataclass(frozen=True)
class AsanaTask:
    """A task."""

    gid: str
    completed: bool
    permalink_url: str
    notes: str = ""


@dataclass(frozen=True)
class _Next:
    offset: str


@dataclass(frozen=True)
class _Story:
    text: str = ""


@dataclass(frozen=True)
class _Stories:
    data: tuple[_Story, ...]
    next_page: _Next | None = None


_ONE: Final = Shape(AsanaTask, at="data")
_STORIES: Final = Shape(_Stories)
_ME: Final = Shape(str, at="data.name")
_GONE: Final = HTTPStatus.NOT_FOUND


class Asana(Connector):
    """Asana, as one application's credential sees it."""

    title = "Asana"
    buckets: ClassVar = (Bucket(name=API, rate=120 / 60, capacity=20),)

    def __init__(
        self,
        *,
        token: SecretRef,
        name: str = "asana",
        base_url: str = "https://app.asana.com",
        **outside: Unpack[Outside],
    ) -> None:
        super().__init__(
            name=name,
            secret=token,
            credential=BearerCredential(token),
            addresses={"": base_url},
            request_id=("x-request-id",),
            **outside,
        )

    async def probe(self) -> None:
        """Ask who we are."""
        await self.http.call(ME)

    async def check(self, *, project: str | None = None) -> Check:
        """Prove the token; project: prove that its tasks can be seen, too."""
        name = _ME.read(await self.http.call(ME))
        if project is not None:
            query = {"project": project, "limit": "1"}
            answer = await self.http.call(LIST, query=query, expect=(_GONE, HTTPStatus.FORBIDDEN))
            if answer.status != HTTPStatus.OK:
                missing = (f"tasks:read in project {project}",)
                return Check(ok=False, identity=name, missing=missing)
        return Check(ok=True, identity=name, have=("tasks:read",))

    async def task(self, gid: str) -> AsanaTask | None:
        """Read a task by its own id, or by ours as `external:…`; None if there is none."""
        query = {"opt_fields": _FIELDS}
        answer = await self.http.call(GET, {"task_gid": gid}, query=query, expect=(_GONE,))
        return None if answer.status == _GONE else _ONE.read(answer)

    async def create(self, fields: dict[str, object]) -> AsanaTask:
        """Create a task."""
        query = {"opt_fields": _FIELDS}
        return _ONE.read(await self.http.call(CREATE, query=query, body={"data": fields}))

    async def update(self, gid: str, fields: dict[str, object]) -> None:
        """Change a task."""
        await self.http.call(UPDATE, {"task_gid": gid}, body={"data": fields})

    async def comment(self, gid: str, text: str) -> None:
        """Add a comment."""
        await self.http.call(STORY, {"task_gid": gid}, body={"data": {"text": text}})

    async def comments(self, gid: str) -> AsyncIterator[str]:
        """Give the texts of a task's stories."""
        query = {"opt_fields": "text", "limit": "100"}

        async def read(offset: str) -> tuple[_Stories, str | None]:
            asked = {**query, "offset": offset} if offset else query
            page = _STORIES.read(await self.http.call(STORIES, {"task_gid": gid}, query=asked))
            return page, None if page.next_page is None else page.next_page.offset

        async for page in pages(STORIES.operation, read, ""):
            for each in page.data:
                yield each.text

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of Asana."""
        if answer.status < HTTPStatus.BAD_REQUEST:
            return judged_by_status(answer)
        document = answer.fields
        errors = document.get("errors")
        first = errors[0] if isinstance(errors, list) and errors else {}
        said = sanitised(first.get("message") if isinstance(first, dict) else "")
        facts = facts_of(answer)
        match answer.status:
            case 402:
                return NoCapacity(f"Asana's plan does not cover this: {said}", what="plan", **facts)
            case 403:
                return Forbidden(f"The token may not do this: {said}", **facts)
            case 404 if answer.route.is_mutating:
                fields = {"task": "is not known"}
                return Invalid(f"Asana does not know it: {said}", fields=fields, **facts)
            case _:
                return judged_by_status(answer, said=said)
