"""Asana: the tasks of one project, their stories, and the ids that an application gives them.

The contract is Asana's OpenAPI document (`tests/contract/specs/asana.openapi.json`); the listing of
stories and the own profile answer as https://developers.asana.com says. Every body is wrapped in
`data`, and fields that are not asked for are not shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from .clock import milliseconds
from .core import Simulator
from .faults import Throttle
from .quota import RateLimit
from .system import Panel, action, ticket_panel
from .wire import Answer, Asked, Credential, Document, Refused, Route, route

BASE = "/api/1.0"
TASK = BASE + "/tasks/{task}"
PROJECT = "1204000000000001"
SETTABLE = {"name", "notes", "projects", "workspace", "external", "completed", "assignee"}
ALWAYS = ("gid", "resource_type", "name", "resource_subtype")
READ = ("tasks:read",)
WRITE = ("tasks:write",)


class AsanaSimulator(Simulator):
    """One Asana workspace with one project."""

    system = "asana"
    title = "Asana"
    # developers.asana.com/docs/rate-limits, without a paid plan
    rate_limits = (RateLimit(most=150, seconds=60),)

    def populate(self) -> None:
        """Make the token of an application."""
        scopes = ("tasks:read", "tasks:write", "stories:read", "stories:write", "users:read")
        self.grant("newel", f"2/{self.store.opaque('token', 40)}", scopes)

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give token, project and address."""
        return {
            "ASANA_TOKEN": next(iter(self.store.rows("credentials"))),
            "ASANA_PROJECT": PROJECT,
            "ASANA_URL": address or "https://app.asana.com",
        }

    # How Asana refuses -------------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find the bearer token."""
        kind, _, secret = asked.headers.get("authorization", "").partition(" ")
        found = self.known_credential(secret) if kind.lower() == "bearer" else None
        if found is None:
            raise Refused(self.error("401", asked=asked))
        return found

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse and name the scope."""
        del asked, route
        return self._problem(403, f"Your token is missing the scope {missing[0]}.")

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give Asana's envelope for a status."""
        del asked
        texts = {
            "400": "Could not parse request data, invalid JSON",
            "401": "Not Authorized",
            "404": "Not a recognized ID",
            "500": "Server Error",
        }
        return self._problem(int(code) if code.isdigit() else 400, texts.get(code, code))

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Answer 429 with the wait."""
        del asked
        answer = self._problem(429, "You have made too many requests recently.")
        wait = effect.retry_after
        return answer if wait is None else answer.with_headers({"Retry-After": str(wait)})

    def _problem(self, status: int, text: str) -> Answer:
        help_text = "For more information on API status codes and how to handle them, read the docs"
        return Answer(status, {"errors": [{"message": text, "help": help_text}]})

    # Routes ------------------------------------------------------------------------------------

    @route("GET", BASE + "/users/me", operation="getUser", needs=("users:read",))
    def me(self, asked: Asked) -> Answer:
        """Show whose token it is."""
        del asked
        return Answer(200, {"data": {"gid": "12", "resource_type": "user", "name": "newel"}})

    @route("GET", BASE + "/tasks", operation="getTasks", needs=READ)
    def tasks(self, asked: Asked) -> Answer:
        """List the tasks of a project."""
        if asked.query.get("project") != PROJECT:
            raise Refused(self._problem(404, "project: Not a recognized ID"))
        rows = list(self.store.rows("tasks").values())
        return self._paged(asked, [self._view(row, asked) for row in rows])

    @route("POST", BASE + "/tasks", operation="createTask", needs=WRITE)
    def create(self, asked: Asked) -> Answer:
        """Create a task; an external id is given once."""
        given = self._data(asked)
        if given.get("projects") != [PROJECT]:
            raise Refused(self._problem(400, "projects: Not a recognized ID"))
        external: Document = given.get("external") or {}
        mark = str(external.get("gid") or "")
        asked.concerns(f"task/{mark or given.get('name')}", marker=mark)
        if mark and self._external(mark):
            raise Refused(self._problem(400, "external: gid is already in use by another task"))
        gid = str(self.store.number("task", start=1_205_000_000_000_001))
        row = {
            "gid": gid,
            "name": given.get("name", ""),
            "notes": given.get("notes", ""),
            "external": external,
            "completed": False,
            "created_at": milliseconds(self.clock.now()),
        }
        self.store.put("tasks", gid, row)
        return Answer(201, {"data": self._view(row, asked)})

    @route("GET", TASK, operation="getTask", needs=READ)
    def task(self, asked: Asked) -> Answer:
        """Show a task, by its id or by `external:` and the application's."""
        return Answer(200, {"data": self._view(self._task(asked), asked)})

    @route("PUT", TASK, operation="updateTask", needs=WRITE)
    def update(self, asked: Asked) -> Answer:
        """Change a task; repeating it changes nothing."""
        row, given = self._task(asked), self._data(asked)
        asked.concerns(f"task/{row['gid']}")
        told: Document = {n: given[n] for n in ("name", "notes", "completed") if n in given}
        changed = {**row, **told}
        if changed != row:
            self.store.put("tasks", row["gid"], changed)
        return Answer(200, {"data": self._view(changed, asked)})

    @route(
        "GET", TASK + "/stories", operation="getStoriesForTask", needs=("stories:read|tasks:read",)
    )
    def stories(self, asked: Asked) -> Answer:
        """List the stories of a task, oldest first."""
        row = self._task(asked)
        found = self.store.rows("stories", lambda each: each["task"] == row["gid"])
        shown = [{"gid": e["gid"], "text": e["text"]} for e in found.values()]
        return self._paged(asked, shown)

    @route("POST", TASK + "/stories", operation="createStoryForTask", needs=("stories:write",))
    def add_story(self, asked: Asked) -> Answer:
        """Add a comment: every request adds one."""
        row, text = self._task(asked), str(self._data(asked).get("text") or "")
        if not text.strip():
            raise Refused(self._problem(400, "text: Missing input"))
        asked.concerns(f"story/{row['gid']}/{text.strip().splitlines()[-1]}")
        gid = str(self.store.number("story", start=1_206_000_000_000_001))
        self.store.put("stories", gid, {"gid": gid, "task": row["gid"], "text": text})
        shown = {"gid": gid, "resource_type": "story", "type": "comment", "text": text}
        return Answer(201, {"data": shown})

    def _data(self, asked: Asked) -> Document:
        given = asked.json().get("data")
        if not isinstance(given, dict):
            raise Refused(self._problem(400, "data: Missing input"))
        if unknown := set(given) - SETTABLE - {"text"}:
            raise Refused(self._problem(400, f"{min(unknown)}: Unrecognized field"))
        return given

    def _external(self, mark: str) -> Document | None:
        return self.store.first("tasks", lambda row: row["external"].get("gid") == mark)

    def _task(self, asked: Asked) -> Document:
        wanted = asked.params["task"]
        kind, _, mark = wanted.partition(":")
        found = self._external(mark) if kind == "external" else self.store.find("tasks", wanted)
        if found is None:
            raise Refused(self._problem(404, f"task: Unknown object: {wanted}"))
        return found

    def _view(self, row: Document, asked: Asked) -> Document:
        wanted = {each for each in asked.query.get("opt_fields", "").split(",") if each}
        every: Document = {
            **row,
            "resource_type": "task",
            "resource_subtype": "default_task",
            "permalink_url": f"https://app.asana.com/0/{PROJECT}/{row['gid']}",
        }
        if not wanted and "task" in asked.params:
            wanted = set(every) - {"external"}
        return {name: every[name] for name in every if name in wanted or name in ALWAYS}

    def _paged(self, asked: Asked, rows: list[Document]) -> Answer:
        start = int(asked.query.get("offset", "0"))
        size = self.page(int(asked.query.get("limit", "20")), largest=100)
        page: Document = {"data": rows[start : start + size], "next_page": None}
        if start + size < len(rows):
            offset = str(start + size)
            path = f"{asked.path}?limit={size}&offset={offset}"
            page["next_page"] = {"offset": offset, "path": path, "uri": asked.base_url + path}
        return Answer(200, page)

    # What people see and do --------------------------------------------------------------------

    @action
    def resolve_issue(self, key: str) -> None:
        """Let a person complete a task."""
        row = self.store.find("tasks", key)
        if row is None:
            message = f"there is no task {key}"
            raise ValueError(message)
        self.store.put("tasks", key, {**row, "completed": True})

    def accounts(self) -> list[Document]:
        """Asana holds no accounts here."""
        return []

    def tickets(self) -> list[Document]:
        """List all tasks: key, summary, text, status, comments."""
        stories = self.store.rows("stories").values()
        return [
            {
                "key": row["gid"],
                "summary": row["name"],
                "body": row["notes"],
                "status": "Done" if row["completed"] else "To Do",
                "comments": [each["text"] for each in stories if each["task"] == row["gid"]],
            }
            for row in self.store.rows("tasks").values()
        ]

    def panels(self) -> list[Panel]:
        """Show the tasks."""
        tickets = list(reversed(self.tickets()))
        return [ticket_panel("Tasks", ("Id", "Name", "State", "Text"), tickets)]
