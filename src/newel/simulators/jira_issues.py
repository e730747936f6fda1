"""Jira's issues: create, edit, search, comment, move, link; the tracker of escalation tickets."""

from __future__ import annotations

from typing import Any

from .jira_organization import JiraOrganization
from .jira_query import NotJql, NotUnderstood, parsed
from .jira_world import ISSUE_TYPES, STATUSES, TRANSITIONS, plain_text
from .wire import Answer, Asked, Document, Refused, route

ISSUE = "/rest/api/3/issue"
# The version before, which takes text where the present one takes documents.
OLD_API = "/rest/api/2/"
ONE = ISSUE + "/{key}"
SEARCH = "/rest/api/3/search/jql"
SETTABLE = {"summary", "description", "labels", "priority", "assignee", "duedate"}
FIRST_STATUS = "10000"


class JiraIssues(JiraOrganization):
    """The routes about issues."""

    def problem(self, status: int, *messages: str, **errors: str) -> Answer:
        """Give Jira's error envelope: messages about the whole, errors by field."""
        return Answer(status, {"errorMessages": list(messages), "errors": errors})

    # Create and edit ---------------------------------------------------------------------------

    @route("POST", ISSUE, operation="createIssue", needs=("CREATE_ISSUES",))
    def create_issue(self, asked: Asked) -> Answer:
        """Create an issue with fields and entity properties in one request."""
        wanted = asked.json()
        fields: Document = dict(wanted.get("fields") or {})
        properties = self._properties(wanted.get("properties") or [])
        mark = next(iter(properties.values()), fields.get("summary", ""))
        asked.concerns(f"issue/{_mark(mark)}", marker=_mark(mark) if properties else "")
        project, kind = self._project_and_type(fields)
        self._check_fields(fields, asked)
        if not str(fields.get("summary") or "").strip():
            raise Refused(self.problem(400, summary="You must specify a summary of the issue."))
        lacking = {
            identity: f"{name} is required."
            for identity, name in self.required.items()
            if not fields.get(identity)
        }
        if lacking:
            raise Refused(self.problem(400, **lacking))
        number = self.store.number("issue")
        identity, now = str(10_000 + number), self.moment()
        issue = {
            "id": identity,
            "key": f"{project['key']}-{number}",
            "project": project["key"],
            "issuetype": kind,
            "fields": fields,
            "properties": properties,
            "status": FIRST_STATUS,
            "reporter": asked.credential.subject,
            "created": now,
            "updated": now,
        }
        self.store.put("issues", identity, issue)
        url = f"{asked.base_url}{ISSUE}/{identity}"
        return Answer(201, {"id": identity, "key": issue["key"], "self": url})

    def _project_and_type(self, fields: Document) -> tuple[Document, str]:
        """Take project and type out of the fields; both are required."""
        project, kind = fields.pop("project", None) or {}, fields.pop("issuetype", None) or {}
        found = self.store.first(
            "projects", lambda r: r["key"] == project.get("key") or r["id"] == project.get("id")
        )
        if found is None:
            raise Refused(self.problem(400, project="valid project is required"))
        for identity, name in ISSUE_TYPES.items():
            if kind.get("id") == identity or kind.get("name") == name:
                return found, identity
        raise Refused(self.problem(400, issuetype="Specify a valid issue type"))

    def _check_fields(self, fields: Document, asked: Asked) -> None:
        """Refuse what Jira's screens and field types refuse, each error by its field."""
        errors: dict[str, str] = {}
        for name in fields.keys() - SETTABLE - self.required.keys():
            text = f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."
            errors[name] = text
        description = fields.get("description")
        is_text = isinstance(description, str) and OLD_API in asked.path
        if description is not None and not is_text and not _is_document(description):
            errors["description"] = (
                "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
            )
        labels = fields.get("labels") or []
        if not isinstance(labels, list) or any(" " in str(label) for label in labels):
            errors["labels"] = "The label can't contain spaces."
        if len(str(fields.get("summary", ""))) > 255:  # Jira's limit of the field
            errors["summary"] = "Summary must be less than 255 characters."
        if errors:
            raise Refused(self.problem(400, **errors))

    def _properties(self, given: list[Document]) -> dict[str, Any]:
        if any("key" not in each or "value" not in each for each in given):
            raise Refused(self.problem(400, "An entity property needs a key and a value."))
        return {each["key"]: each["value"] for each in given}

    @route("GET", ONE, operation="getIssue", needs=("BROWSE_PROJECTS",))
    def get_issue(self, asked: Asked) -> Answer:
        """Show an issue; `fields` and `properties` choose what."""
        issue = self._issue(asked)
        wanted = asked.query.get("fields", "*all").split(",")
        properties = asked.query.get("properties", "").split(",")
        return Answer(200, self._issue_view(issue, wanted, properties, asked))

    @route("PUT", ONE, operation="editIssue", needs=("EDIT_ISSUES",))
    def edit(self, asked: Asked) -> Answer:
        """Change fields; repeating it changes nothing."""
        issue, wanted = self._issue(asked), asked.json()
        asked.concerns(f"issue/{issue['key']}")
        fields: Document = dict(wanted.get("fields") or {})
        for change in (wanted.get("update") or {}).get("labels", []):
            labels = fields.get("labels", issue["fields"].get("labels", []))
            fields["labels"] = _labels(labels, change)
        self._check_fields(fields, asked)
        changed = {**issue["fields"], **fields}
        properties = {**issue["properties"], **self._properties(wanted.get("properties") or [])}
        if changed != issue["fields"] or properties != issue["properties"]:
            touched = {"fields": changed, "properties": properties, "updated": self.moment()}
            issue = self.store.put("issues", issue["id"], {**issue, **touched})
        if asked.query.get("returnIssue") == "true":
            return Answer(200, self._issue_view(issue, ["*all"], [], asked))
        return Answer(204)

    # Search ------------------------------------------------------------------------------------

    @route("GET", SEARCH, operation="searchAndReconsileIssuesUsingJql")
    def search(self, asked: Asked) -> Answer:
        """Search by query parameters."""
        wanted: Document = dict(asked.query)
        for name in ("fields", "properties"):
            wanted[name] = [each for each in asked.query.get(name, "").split(",") if each]
        return self._search(asked, wanted)

    @route("POST", SEARCH, operation="searchAndReconsileIssuesUsingJqlPost", mutating=False)
    def search_by_post(self, asked: Asked) -> Answer:
        """Search by a JSON body."""
        return self._search(asked, asked.json())

    @route("GET|POST", "/rest/api/3/search", operation="searchRemoved", mutating=False)
    def removed_search(self, asked: Asked) -> Answer:
        """Answer as Atlassian does since the old search was removed (CHANGE-2046)."""
        del asked
        text = "The requested API has been removed. Please migrate to /rest/api/3/search/jql."
        return self.problem(410, text)

    def _search(self, asked: Asked, wanted: Document) -> Answer:
        try:
            query = parsed(str(wanted.get("jql") or ""))
        except NotJql as wrong:
            raise Refused(self.problem(400, str(wrong))) from wrong
        except NotUnderstood as unknown:
            text = f"The jira simulator does not understand {unknown} in JQL."
            raise Refused(Answer(501, {"simulator": "jira", "message": text})) from unknown
        if not query.clauses:
            text = "Unbounded JQL queries are not allowed here. Please add a search restriction."
            raise Refused(self.problem(400, text))
        rows = list(self.store.rows("issues", lag=self.lag("jira.search")).values())
        if "BROWSE_PROJECTS" not in asked.credential.scopes:
            rows = []
        rows = [r for r in rows if all(c.holds(self._values(r, c.field)) for c in query.clauses)]
        # Jira's order without ORDER BY is not promised; here it is the order of creation.
        rows.sort(key=lambda row: int(row["id"]), reverse=query.descending)
        start = int(wanted.get("nextPageToken") or 0)
        size = self.page(int(wanted.get("maxResults") or 50), largest=5000)
        fields = wanted.get("fields") or ["id"]
        properties = wanted.get("properties") or []
        chosen = [
            self._issue_view(row, fields, properties, asked) for row in rows[start : start + size]
        ]
        is_last = start + size >= len(rows)
        page: Document = {"issues": chosen, "isLast": is_last}
        return Answer(200, page if is_last else {**page, "nextPageToken": str(start + size)})

    def _values(self, issue: Document, field: str) -> list[str]:
        """Give the present values of a field as a query compares them."""
        status, category, _, _ = STATUSES[issue["status"]]
        match field:
            case "project":
                return [issue["project"]]
            case "labels" | "label":
                return list(issue["fields"].get("labels", []))
            case "status":
                return [status, issue["status"]]
            case "statuscategory":
                return [
                    category,
                    {"new": "To Do", "indeterminate": "In Progress"}.get(category, "Done"),
                ]
            case "resolution":
                return ["Done"] if category == "done" else []
            case "key" | "issuekey" | "id" | "issue":
                return [issue["key"], issue["id"]]
            case "issuetype" | "type":
                return [issue["issuetype"], ISSUE_TYPES[issue["issuetype"]]]
            case "summary" | "text":
                return [issue["fields"]["summary"]]
            case "created":
                return [issue["created"].replace("T", " ")[:16]]
            case "updated":
                return [issue["updated"].replace("T", " ")[:16]]
            case "reporter":
                return [issue["reporter"]]
            case unknown:
                text = f"Field '{unknown}' does not exist or you do not have permission to view it."
                raise Refused(self.problem(400, text))

    def _issue_view(
        self, issue: Document, fields: list[str], properties: list[str], asked: Asked
    ) -> Document:
        every = self.issue_fields(issue, asked.base_url)
        is_every = "*all" in fields or "*navigable" in fields
        shown = every if is_every else {n: every[n] for n in fields if n in every}
        view: Document = {
            "expand": "renderedFields,names,schema,operations,editmeta,changelog",
            "id": issue["id"],
            "self": f"{asked.base_url}{ISSUE}/{issue['id']}",
            "key": issue["key"],
        }
        if fields == ["id"]:
            return {"id": issue["id"]}
        view["fields"] = shown
        wanted = [name for name in properties if name]
        if wanted:
            held = issue["properties"]
            view["properties"] = {n: v for n, v in held.items() if n in wanted or "*all" in wanted}
        return view

    # Comments ----------------------------------------------------------------------------------

    @route("GET", ONE + "/comment", operation="getComments", needs=("BROWSE_PROJECTS",))
    def comments(self, asked: Asked) -> Answer:
        """List the comments of an issue, oldest first unless asked otherwise."""
        issue = self._issue(asked)
        found = self.store.rows("comments", lambda row: row["issue"] == issue["id"])
        rows = list(found.values())
        if asked.query.get("orderBy") == "-created":
            rows.reverse()
        start = int(asked.query.get("startAt", "0"))
        size = self.page(int(asked.query.get("maxResults", "50")), largest=5000)
        page = {
            "startAt": start,
            "maxResults": size,
            "total": len(rows),
            "comments": [self.comment_view(r, asked.base_url) for r in rows[start : start + size]],
        }
        return Answer(200, page)

    @route("POST", ONE + "/comment", operation="addComment", needs=("ADD_COMMENTS",))
    def add_comment(self, asked: Asked) -> Answer:
        """Add a comment: every request adds one."""
        issue, wanted = self._issue(asked), asked.json()
        if not _is_document(wanted.get("body")):
            raise Refused(self.problem(400, comment="Comment body is not valid!"))
        properties = self._properties(wanted.get("properties") or [])
        mark = next(iter(properties.values()), plain_text(wanted["body"]))
        asked.concerns(
            f"comment/{issue['key']}/{_mark(mark)}", marker=_mark(mark) if properties else ""
        )
        identity = str(self.store.number("comment", start=20_001))
        comment = {
            "id": identity,
            "issue": issue["id"],
            "key": issue["key"],
            "author": asked.credential.subject,
            "body": wanted["body"],
            "properties": properties,
            "created": self.moment(),
        }
        self.store.put("comments", identity, comment)
        return Answer(201, self.comment_view(comment, asked.base_url))

    # Transitions -------------------------------------------------------------------------------

    @route("GET", ONE + "/transitions", operation="getTransitions", needs=("BROWSE_PROJECTS",))
    def transitions(self, asked: Asked) -> Answer:
        """List the transitions there are; none for who may not use them."""
        self._issue(asked)
        may = "TRANSITION_ISSUES" in asked.credential.scopes
        views = [
            {
                "id": identity,
                "name": name,
                "to": self.status_view(status, asked.base_url),
                "hasScreen": False,
                "isGlobal": True,
                "isInitial": False,
                "isAvailable": True,
                "isConditional": False,
                "looped": False,
            }
            for identity, (name, status) in TRANSITIONS.items()
        ]
        return Answer(200, {"expand": "transitions", "transitions": views if may else []})

    @route("POST", ONE + "/transitions", operation="doTransition", needs=("TRANSITION_ISSUES",))
    def transition(self, asked: Asked) -> Answer:
        """Move an issue; to where it is already changes nothing."""
        issue, wanted = self._issue(asked), asked.json()
        identity = str((wanted.get("transition") or {}).get("id") or "")
        if not identity:
            raise Refused(self.problem(400, "Missing 'transition' identifier"))
        if identity not in TRANSITIONS:
            text = f"Transition id '{identity}' is not valid for this issue."
            raise Refused(self.problem(400, text))
        asked.concerns(f"issue/{issue['key']}")
        status = TRANSITIONS[identity][1]
        if status != issue["status"]:
            moved = {"status": status, "updated": self.moment()}
            self.store.put("issues", issue["id"], {**issue, **moved})
        return Answer(204)

    # Links and properties ----------------------------------------------------------------------

    @route("GET", ONE + "/remotelink", operation="getRemoteIssueLinks", needs=("BROWSE_PROJECTS",))
    def remote_links(self, asked: Asked) -> Answer:
        """List the links of an issue, or give the one with a global id."""
        issue, wanted = self._issue(asked), asked.query.get("globalId")
        rows = self.store.rows("remote_links", lambda row: row["issue"] == issue["id"])
        views = [self._link_view(issue, row, asked.base_url) for row in rows.values()]
        if wanted is None:
            return Answer(200, views)
        for view in views:
            if view["globalId"] == wanted:
                return Answer(200, view)
        raise Refused(self.problem(404, f"No remote link found for globalId '{wanted}'."))

    def _link_view(self, issue: Document, row: Document, base_url: str) -> Document:
        return {
            "id": row["id"],
            "self": f"{base_url}{ISSUE}/{issue['key']}/remotelink/{row['id']}",
            "globalId": row["globalId"],
            "object": row["object"],
        }

    @route(
        "POST",
        ONE + "/remotelink",
        operation="createOrUpdateRemoteIssueLink",
        needs=("LINK_ISSUES",),
    )
    def link(self, asked: Asked) -> Answer:
        """Link an issue to a page elsewhere; the global id makes it repeatable."""
        issue, wanted = self._issue(asked), asked.json()
        target = wanted.get("object") or {}
        if not target.get("url") or not target.get("title"):
            raise Refused(self.problem(400, object="url and title are required"))
        mark = wanted.get("globalId") or ""
        asked.concerns(f"link/{issue['key']}/{mark or target['url']}", marker=mark)
        earlier = self.store.first(
            "remote_links",
            lambda row: bool(mark) and row["issue"] == issue["id"] and row["globalId"] == mark,
        )
        identity = earlier["id"] if earlier else self.store.number("link", start=30_001)
        row = {"id": identity, "issue": issue["id"], "globalId": mark, "object": target}
        self.store.put("remote_links", str(identity), row)
        url = f"{asked.base_url}{ISSUE}/{issue['key']}/remotelink/{identity}"
        return Answer(200 if earlier else 201, {"id": identity, "self": url})

    @route(
        "GET", ONE + "/properties/{name}", operation="getIssueProperty", needs=("BROWSE_PROJECTS",)
    )
    def issue_property(self, asked: Asked) -> Answer:
        """Read one entity property."""
        issue, name = self._issue(asked), asked.params["name"]
        if name not in issue["properties"]:
            raise Refused(self.problem(404, f"The property '{name}' does not exist."))
        return Answer(200, {"key": name, "value": issue["properties"][name]})

    @route("GET", "/rest/api/3/project/{key}", operation="getProject", needs=("BROWSE_PROJECTS",))
    def project(self, asked: Asked) -> Answer:
        """Show a project."""
        row = self._project(asked)
        view = {
            "self": f"{asked.base_url}/rest/api/3/project/{row['id']}",
            "id": row["id"],
            "key": row["key"],
            "name": row["name"],
            "projectTypeKey": "software",
        }
        return Answer(200, view)

    @route(
        "GET",
        ISSUE + "/createmeta/{key}/issuetypes",
        operation="getCreateIssueMetaIssueTypes",
        needs=("CREATE_ISSUES",),
    )
    def creatable_types(self, asked: Asked) -> Answer:
        """List the issue types of a project."""
        self._project(asked)
        views = [
            {
                "self": f"{asked.base_url}/rest/api/3/issuetype/{identity}",
                "id": identity,
                "name": name,
                "description": "",
                "subtask": False,
            }
            for identity, name in ISSUE_TYPES.items()
        ]
        page = {"issueTypes": views, "maxResults": 50, "startAt": 0, "total": len(views)}
        return Answer(200, page)

    @route(
        "GET",
        ISSUE + "/createmeta/{key}/issuetypes/{type}",
        operation="getCreateIssueMetaIssueTypeId",
        needs=("CREATE_ISSUES",),
    )
    def creatable_fields(self, asked: Asked) -> Answer:
        """List the fields of an issue type, and which an issue must have."""
        self._project(asked)
        named = {"summary": "Summary", "issuetype": "Issue Type", "project": "Project"}
        needed = {**named, **self.required}
        names = {**{each: each.capitalize() for each in sorted(SETTABLE)}, **needed}
        views = [
            {
                "fieldId": identity,
                "key": identity,
                "name": name,
                "required": identity in needed,
                "hasDefaultValue": False,
                "operations": ["set"],
                "schema": {"type": "string"},
            }
            for identity, name in names.items()
        ]
        start = int(asked.query.get("startAt", "0"))
        size = self.page(int(asked.query.get("maxResults", "50")), largest=200)
        page = {"fields": views[start : start + size], "maxResults": size, "startAt": start}
        return Answer(200, {**page, "total": len(views)})

    def _project(self, asked: Asked) -> Document:
        wanted = asked.params["key"]
        found = self.store.first("projects", lambda row: wanted in (row["key"], row["id"]))
        if found is None:
            raise Refused(self.problem(404, f"No project could be found with key '{wanted}'."))
        return found

    def _issue(self, asked: Asked) -> Document:
        wanted = asked.params["key"]
        found = self.store.first("issues", lambda r: wanted.upper() in (r["key"], r["id"]))
        if found is None:
            text = "Issue does not exist or you do not have permission to see it."
            raise Refused(self.problem(404, text))
        return found


def _is_document(value: object) -> bool:
    """Say whether a value has the outer form of an Atlassian document."""
    if not isinstance(value, dict):
        return False
    return (
        value.get("type") == "doc"
        and value.get("version") == 1
        and isinstance(value.get("content"), list)
    )


def _labels(present: list[str], change: Document) -> list[str]:
    if "set" in change:
        return list(change["set"])
    rest = [label for label in present if label not in (change.get("add"), change.get("remove"))]
    return [*rest, change["add"]] if "add" in change else rest


def _mark(value: object) -> str:
    """Give a mark as text: the value itself, or the first value inside an object."""
    if isinstance(value, dict):
        return str(next(iter(value.values()), ""))
    return str(value)
