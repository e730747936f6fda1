"""GitHub's issues with labels and comments: the tracker of teams that work there.

Creating an issue is not repeatable: every request makes one. Views that can lag: `github.issues`.
Comments are not in the copied specification; they answer as https://docs.github.com/rest/issues
says. Who may not push sees their labels dropped in silence, which is why writing needs `issues`.
"""

from __future__ import annotations

from . import github_views as views
from .clock import stamp
from .github_manners import GitHubManners
from .wire import Answer, Asked, Document, Refused, route

ISSUES = "/repos/{owner}/{repo}/issues"
ISSUE = ISSUES + "/{number}"
READ = "issues:read|issues:write"
WRITE = "issues:write"
STATES = {"open", "closed"}
REASONS = {"completed", "not_planned", "duplicate", "reopened", None}


class GitHubIssues(GitHubManners):
    """The routes about issues."""

    @route("GET", ISSUES, operation="issues/list-for-repo", needs=(READ,))
    def issues(self, asked: Asked) -> Answer:
        """List issues, open ones unless asked otherwise, that carry all wanted labels."""
        repository = self.the_repository(asked)["full_name"]
        state = asked.query.get("state", "open")
        labels = {each for each in asked.query.get("labels", "").split(",") if each}
        lag = self.lag("github.issues")
        found = self.store.rows("issues", lambda row: row["repository"] == repository, lag=lag)
        rows = [
            row
            for row in found.values()
            if state in ("all", row["state"]) and labels <= set(row["labels"])
        ]
        if asked.query.get("direction", "desc") == "desc":
            rows.reverse()
        return self.listed(asked, [self._issue_view(row, asked.base_url) for row in rows])

    @route("POST", ISSUES, operation="issues/create", needs=(WRITE,))
    def create_issue(self, asked: Asked) -> Answer:
        """Open an issue: every request opens one."""
        repository, wanted = self.the_repository(asked), asked.json()
        title, labels = wanted.get("title"), self._labels(wanted)
        asked.concerns(f"issue/{labels[-1] if labels else title}")
        if not isinstance(title, str) or not title.strip():
            raise Refused(self.invalid("title", "missing_field", resource="Issue"))
        number = self.store.number(f"issue of {repository['full_name']}")
        now = stamp(self.clock.now())
        row = {
            "id": self.store.number("issue", start=310_000_001),
            "number": number,
            "repository": repository["full_name"],
            "title": title,
            "body": wanted.get("body"),
            "labels": labels,
            "state": "open",
            "reason": None,
            "author": asked.credential.subject or "acme-owner",
            "created_at": now,
            "updated_at": now,
            "closed_at": None,
        }
        self.store.put("issues", f"{repository['full_name']}/{number}", row)
        return Answer(201, self._issue_view(row, asked.base_url))

    @route("GET", ISSUE, operation="issues/get", needs=(READ,))
    def issue(self, asked: Asked) -> Answer:
        """Show an issue."""
        return Answer(200, self._issue_view(self._issue(asked), asked.base_url))

    @route("PATCH", ISSUE, operation="issues/update", needs=(WRITE,))
    def edit_issue(self, asked: Asked) -> Answer:
        """Change an issue, close it, open it again."""
        row, wanted = self._issue(asked), asked.json()
        asked.concerns(f"issue/{row['repository']}/{row['number']}")
        if wanted.get("state", "open") not in STATES:
            raise Refused(self.invalid("state", "invalid", resource="Issue"))
        if wanted.get("state_reason") not in REASONS:
            raise Refused(self.invalid("state_reason", "invalid", resource="Issue"))
        told: Document = {n: wanted[n] for n in ("title", "body", "state") if n in wanted}
        changed = {**row, **told}
        if "labels" in wanted:
            changed["labels"] = self._labels(wanted)
        if changed["state"] != row["state"]:
            is_closed = changed["state"] == "closed"
            changed["reason"] = wanted.get("state_reason", "completed") if is_closed else "reopened"
            changed["closed_at"] = stamp(self.clock.now()) if is_closed else None
        if changed != row:
            changed["updated_at"] = stamp(self.clock.now())
            self.store.put("issues", f"{row['repository']}/{row['number']}", changed)
        return Answer(200, self._issue_view(changed, asked.base_url))

    @route("GET", ISSUE + "/comments", operation="issues/list-comments", needs=(READ,))
    def issue_comments(self, asked: Asked) -> Answer:
        """List the comments of an issue, oldest first."""
        row = self._issue(asked)
        found = self.store.rows("issue_comments", lambda each: each["issue"] == row["id"])
        shown = [self._comment_view(row, each, asked.base_url) for each in found.values()]
        return self.listed(asked, shown)

    @route("POST", ISSUE + "/comments", operation="issues/create-comment", needs=(WRITE,))
    def add_issue_comment(self, asked: Asked) -> Answer:
        """Add a comment: every request adds one."""
        row, text = self._issue(asked), asked.json().get("body")
        if not isinstance(text, str) or not text.strip():
            raise Refused(self.invalid("body", "missing_field", resource="IssueComment"))
        asked.concerns(f"comment/{row['number']}/{text.strip().splitlines()[-1]}")
        comment = {
            "id": self.store.number("issue comment", start=910_000_001),
            "issue": row["id"],
            "body": text,
            "author": asked.credential.subject or "acme-owner",
            "created_at": stamp(self.clock.now()),
        }
        self.store.put("issue_comments", str(comment["id"]), comment)
        return Answer(201, self._comment_view(row, comment, asked.base_url))

    def tickets(self) -> list[Document]:
        """List all issues: key, title, body, state, labels, comments."""
        comments = self.store.rows("issue_comments").values()
        return [
            {
                "key": f"{row['repository']}#{row['number']}",
                "summary": row["title"],
                "body": row["body"] or "",
                "status": "Done" if row["state"] == "closed" else "To Do",
                "labels": row["labels"],
                "comments": [each["body"] for each in comments if each["issue"] == row["id"]],
            }
            for row in self.store.rows("issues").values()
        ]

    def _issue(self, asked: Asked) -> Document:
        repository = self.the_repository(asked)["full_name"]
        found = self.store.find("issues", f"{repository}/{asked.params['number']}")
        if found is None:
            raise Refused(self.error("404", asked=asked))
        return found

    def _labels(self, wanted: Document) -> list[str]:
        given = wanted.get("labels") or []
        if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
            raise Refused(self.invalid("labels", "invalid", resource="Issue"))
        if any(len(each) > views.LONGEST_LABEL for each in given):
            raise Refused(self.invalid("labels", "invalid", resource="Label"))
        return list(given)

    def _issue_view(self, row: Document, base_url: str) -> Document:
        comments = self.store.count("issue_comments", lambda each: each["issue"] == row["id"])
        author = self.simple_user(row["author"], base_url)
        return views.issue(row, author, comments=comments, base_url=base_url)

    def _comment_view(self, row: Document, comment: Document, base_url: str) -> Document:
        author = self.simple_user(comment["author"], base_url)
        return views.issue_comment(row, comment, author, base_url)
