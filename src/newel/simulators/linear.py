"""Linear: a team with a workflow, issues and comments, asked for in GraphQL.

The contract of the inputs is the excerpt of Linear's schema in the specifications; this stand-in
reads the one root field of each request, its variables, and what is to be shown of the result.
Refusals come with status 200, save those of the credential and of the limit, which come with 400.
Faults meet all requests alike, because all have one address; `contains` chooses by the query.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from .clock import milliseconds
from .core import Simulator
from .faults import Throttle
from .quota import RateLimit
from .system import Panel, action, ticket_panel
from .wire import Answer, Asked, Credential, Document, Refused, Route, route

TEAM = "7b1f5c0e-9d0a-4c53-8a55-4f3f9a7d2c11"
STATES = {
    "todo": ("To Do", "unstarted"),
    "doing": ("In Progress", "started"),
    "done": ("Done", "completed"),
    "dropped": ("Canceled", "canceled"),
}
# The fields of the inputs in use, as the schema names them.
INPUTS = {
    "issueCreate": {"id", "teamId", "title", "description", "stateId", "priority", "labelIds"},
    "issueUpdate": {"title", "description", "stateId", "priority", "labelIds"},
    "commentCreate": {"id", "issueId", "body"},
}
NEEDS = {"issueCreate": "write", "issueUpdate": "write", "commentCreate": "write"}
_WORD = re.compile(r"[A-Za-z_]\w*|[{}]")
_ARGUMENTS = re.compile(r"\([^()]*\)")


class LinearSimulator(Simulator):
    """One Linear workspace with one team."""

    system = "linear"
    title = "Linear"
    # linear.app/developers/rate-limiting
    rate_limits = (RateLimit(most=2500, seconds=3600),)

    def populate(self) -> None:
        """Make the team's workflow and a person's key."""
        for name in STATES:
            self.store.put("states", name, {"id": self.store.uuid("state"), "name": name})
        self.grant("newel", f"lin_api_{self.store.opaque('key', 40)}", ("read", "write"))

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give key, team and address."""
        return {
            "LINEAR_KEY": next(iter(self.store.rows("credentials"))),
            "LINEAR_TEAM": TEAM,
            "LINEAR_URL": address or "https://api.linear.app",
        }

    # How Linear refuses ------------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find the key; a person's stands in the header without a word before it."""
        given = asked.headers.get("authorization", "")
        found = self.known_credential(given)
        if found is None:
            raise Refused(self.error("401", asked=asked))
        return found

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse what the key may not do."""
        del asked, route
        return self._refusal("FORBIDDEN", f"Invalid scope: `{missing[0]}` required")

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give Linear's envelope for a status or a code."""
        del asked
        if code == "401":
            text = "Authentication required, not authenticated"
            return self._refusal("AUTHENTICATION_ERROR", text, status=401)
        if code.isdigit():
            return self._refusal("INTERNAL_ERROR", "Internal server error", status=int(code))
        return self._refusal(code, code)

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Say "too many requests" with status 400, as Linear does."""
        del asked
        answer = self._refusal("RATELIMITED", "Rate limit exceeded.", status=400)
        wait = effect.retry_after
        return answer if wait is None else answer.with_headers({"Retry-After": str(wait)})

    def finished(self, asked: Asked, answer: Answer, *, sequence: int) -> Answer:
        """Add the request's id."""
        del asked
        return answer.with_headers({"X-Request-Id": f"{self.seed:08x}{sequence:08x}"})

    def _refusal(self, code: str, text: str, *, status: int = 200) -> Answer:
        error = {"message": text, "extensions": {"code": code, "userPresentableMessage": text}}
        return Answer(status, {"errors": [error], "data": None})

    # The one route -----------------------------------------------------------------------------

    @route("POST", "/graphql", operation="graphql")
    def graphql(self, asked: Asked) -> Answer:
        """Answer one root field with what the query wants to see of it."""
        wanted = asked.json()
        words = _WORD.findall(_ARGUMENTS.sub("", str(wanted.get("query") or "")))
        words = words[words.index("{") :] if "{" in words else []
        tree = _selected(words)
        field = next(iter(tree), "")
        need = NEEDS.get(field, "read")
        if need not in asked.credential.scopes:
            raise Refused(self._refusal("FORBIDDEN", f"Invalid scope: `{need}` required"))
        variables: Document = wanted.get("variables") or {}
        self._check_input(field, variables)
        answers = {
            "viewer": self._viewer,
            "team": self._team,
            "issue": self._issue,
            "issueCreate": self._create,
            "issueUpdate": self._update,
            "commentCreate": self._comment,
        }
        if field not in answers:
            return Answer(501, {"simulator": "linear", "message": f"there is no field {field!r}"})
        result = answers[field](asked, variables)
        return Answer(200, {"data": {field: _shown(result, tree[field])}})

    def _check_input(self, field: str, variables: Document) -> None:
        unknown = set(variables.get("input") or {}) - INPUTS.get(field, set())
        if unknown:
            text = f'Variable "$input" got invalid value; Field "{min(unknown)}" is not defined.'
            raise Refused(self._refusal("GRAPHQL_VALIDATION_FAILED", text, status=400))

    def _viewer(self, asked: Asked, variables: Document) -> Document:
        del asked, variables
        return {"id": "newel", "name": "newel"}

    def _team(self, asked: Asked, variables: Document) -> Document:
        del asked
        self._the_team(variables.get("id"))
        nodes = [
            {"id": row["id"], "name": STATES[name][0], "type": STATES[name][1]}
            for name, row in self.store.rows("states").items()
        ]
        return {"id": TEAM, "states": {"nodes": nodes}}

    def _the_team(self, identity: object) -> None:
        if identity != TEAM:
            raise Refused(self._refusal("INPUT_ERROR", "Entity not found: Team"))

    def _issue(self, asked: Asked, variables: Document) -> Document:
        del asked
        return self._view(self._the_issue(variables.get("id")))

    def _the_issue(self, identity: object) -> Document:
        found = self.store.first("issues", lambda row: identity in (row["id"], row["identifier"]))
        if found is None:
            raise Refused(self._refusal("INPUT_ERROR", "Entity not found: Issue"))
        return found

    def _create(self, asked: Asked, variables: Document) -> Document:
        given: Document = variables.get("input") or {}
        self._the_team(given.get("teamId"))
        if not str(given.get("title") or "").strip():
            raise Refused(self._refusal("INPUT_ERROR", "Argument Validation Error: title"))
        identity = self._chosen(given.get("id"), "issues")
        asked.concerns(f"issue/{identity}", marker=identity)
        number = self.store.number("issue")
        row = {
            "id": identity,
            "identifier": f"OPS-{number}",
            "title": given["title"],
            "description": given.get("description"),
            "state": "todo",
            "created": milliseconds(self.clock.now()),
        }
        self.store.put("issues", identity, row)
        return {"success": True, "issue": self._view(row)}

    def _chosen(self, identity: object, table: str) -> str:
        """Take the caller's id, which must be a UUID of version 4 that nothing has yet."""
        if identity is None:
            return self.store.uuid(table)
        try:
            is_right = UUID(str(identity)).version == 4
        except ValueError:
            is_right = False
        if not is_right:
            raise Refused(
                self._refusal("INPUT_ERROR", "Argument Validation Error: id must be a UUID")
            )
        if self.store.find(table, str(identity)):
            raise Refused(self._refusal("INPUT_ERROR", f"Entity with id {identity} already exists"))
        return str(identity)

    def _update(self, asked: Asked, variables: Document) -> Document:
        row = self._the_issue(variables.get("id"))
        asked.concerns(f"issue/{row['id']}")
        given: Document = variables.get("input") or {}
        told: Document = {n: given[n] for n in ("title", "description") if n in given}
        changed = {**row, **told}
        if "stateId" in given:
            states = self.store.rows("states", lambda each: each["id"] == given["stateId"])
            if not states:
                raise Refused(self._refusal("INPUT_ERROR", "Entity not found: WorkflowState"))
            changed["state"] = next(iter(states))
        if changed != row:
            self.store.put("issues", row["id"], changed)
        return {"success": True, "issue": self._view(changed)}

    def _comment(self, asked: Asked, variables: Document) -> Document:
        given: Document = variables.get("input") or {}
        row = self._the_issue(given.get("issueId"))
        identity = self._chosen(given.get("id"), "comments")
        asked.concerns(f"comment/{identity}", marker=identity)
        comment = {"id": identity, "issue": row["id"], "body": given.get("body") or ""}
        self.store.put("comments", identity, comment)
        return {"success": True, "comment": comment}

    def _view(self, row: Document) -> Document:
        name, kind = STATES[row["state"]]
        return {
            "id": row["id"],
            "identifier": row["identifier"],
            "url": f"https://linear.app/acme-example/issue/{row['identifier']}",
            "title": row["title"],
            "description": row["description"],
            "state": {"name": name, "type": kind},
        }

    # What people see and do --------------------------------------------------------------------

    @action
    def resolve_issue(self, key: str) -> None:
        """Let a person move an issue to Done."""
        row = self.store.first("issues", lambda each: each["identifier"] == key)
        if row is None:
            message = f"there is no issue {key}"
            raise ValueError(message)
        self.store.put("issues", row["id"], {**row, "state": "done"})

    def accounts(self) -> list[Document]:
        """Linear holds no accounts here."""
        return []

    def tickets(self) -> list[Document]:
        """List all issues: key, summary, text, status, comments."""
        comments = self.store.rows("comments").values()
        return [
            {
                "key": row["identifier"],
                "summary": row["title"],
                "body": row["description"] or "",
                "status": STATES[row["state"]][0],
                "comments": [each["body"] for each in comments if each["issue"] == row["id"]],
            }
            for row in self.store.rows("issues").values()
        ]

    def panels(self) -> list[Panel]:
        """Show the issues."""
        tickets = list(reversed(self.tickets()))
        return [ticket_panel("Issues", ("Key", "Title", "State", "Text"), tickets)]


def _selected(words: list[str]) -> dict[str, Any]:
    """Read a selection set: names, each with what is wanted of it; consumes up to its brace."""
    tree: dict[str, Any] = {}
    last = ""
    if words and words[0] == "{":
        words.pop(0)
    while words:
        word = words.pop(0)
        if word == "}":
            break
        if word == "{":
            tree[last] = _selected(words)
        else:
            last = word
            tree[word] = {}
    return tree


def _shown(value: Any, tree: dict[str, Any]) -> Any:
    """Keep of a result what was selected."""
    if isinstance(value, list):
        return [_shown(each, tree) for each in value]
    if isinstance(value, dict):
        return {name: _shown(value.get(name), below) for name, below in tree.items()}
    return value
