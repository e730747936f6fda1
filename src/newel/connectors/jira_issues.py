"""Issues of a Jira site: created once, found again by their mark, and commented on.

The mark of an issue is a label, which can be searched, and a property, which tells two issues with
one label apart. A comment's is a property and the last line of its text.
Source: connectors document, §13.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from newel.connectors.ensure import ensured
from newel.connectors.jira_contract import (
    ADD_COMMENT,
    API,
    BROWSE_PROJECTS,
    COMMENT_PAGES,
    COMMENTS,
    CREATE_ISSUE,
    CREATED,
    HITS,
    ISSUE_WRITES,
    PERMISSIONS,
    SEARCH,
    CommentPage,
    FieldValue,
    IssuePage,
    labelled,
)
from newel.connectors.jira_document import document_of, text_of
from newel.connectors.jira_site import JiraSite
from newel.connectors.looking import report
from newel.connectors.operation import operation
from newel.connectors.paging import pages, place_after
from newel.domain.values import Effect
from newel.flow.context import ATTEMPT

__all__ = ["Issue", "JiraIssues"]

_SEARCH_SETTLES: Final = (0, 20, 60)
_MARK: Final = "newel.key"
_COMMENT_MARK: Final = "newel.comment"


@dataclass(frozen=True, kw_only=True)
class Issue:
    """An issue: its key as people read it, and where they can read it."""

    system: str
    id: str
    key: str
    url: str


class JiraIssues(JiraSite):
    """The site's issues."""

    @operation(
        idempotency="marker",
        undo="none: an issue is closed, not unmade",
        reversible="no",
        bucket=API,
        needs=("BROWSE_PROJECTS", "CREATE_ISSUES"),
        spec=(CREATE_ISSUE.operation,),
        reads=(PERMISSIONS.operation, SEARCH.operation),
        settle=_SEARCH_SETTLES,
        title="Create a Jira issue",
    )
    async def create_issue(
        self,
        project: str,
        title: str,
        text: str,
        *,
        issue_type: str = "Task",
        fields: dict[str, FieldValue] | None = None,
    ) -> Issue:
        """Create one issue for this act, found again by its mark after a lost answer.

        fields: what the project asks for beside title and text, by the ids of its fields, as
        Jira's interface takes it: `{"components": [{"name": "Access"}]}`.
        """
        mark = _mark_of(project, title)
        reached = await ensured(
            look=lambda: self.search(project, mark, _MARK, mark),
            ours=lambda _: "marker",
            create=lambda: self._create_issue(project, title, text, issue_type, mark, fields or {}),
            settling=self.settling(*_SEARCH_SETTLES),
            what="issue",
        )
        report(
            Effect(
                changed=reached.changed,
                external_id=reached.value.id,
                account=reached.value.key,
                evidence=reached.evidence,
            )
        )
        return reached.value

    @operation(
        idempotency="marker",
        undo="none: a comment has been read and mailed",
        reversible="no",
        sends_email="person",
        bucket=API,
        needs=("BROWSE_PROJECTS", "ADD_COMMENTS"),
        spec=(ADD_COMMENT.operation,),
        reads=(COMMENTS.operation,),
        title="Comment on the Jira issue",
    )
    async def comment(self, issue: str, text: str) -> Issue:
        """Add one comment for this act to an issue, by its key."""
        changed = await self.comment_once(issue, _mark_of(issue, text), text)
        return self._told(issue, changed=changed, evidence="added" if changed else "marker")

    # By their mark -----------------------------------------------------------------------------

    async def search(self, project: str, label: str, mark: str, value: str) -> Issue | None:
        """Find the oldest issue with a label whose property `mark` has this value, or is unset."""
        found = await self.marked(project, label, mark, value)
        return found[0] if found else None

    async def marked(self, project: str, label: str, mark: str, value: str) -> list[Issue]:
        """Find all issues with a label and a property `mark` of this value, the oldest first."""
        await self.prove(BROWSE_PROJECTS)
        query = {
            "jql": f'project = "{project}" AND labels = "{label}" ORDER BY created ASC',
            "fields": "labels",
            "properties": mark,
            "maxResults": "50",
        }

        async def read(token: str) -> tuple[IssuePage, str | None]:
            asked = {**query, "nextPageToken": token} if token else query
            page = HITS.read(await self.http.call(SEARCH, query=asked))
            return page, page.next_page

        mine = [
            hit
            async for page in pages(SEARCH.operation, read, "")
            for hit in page.issues
            if (hit.properties or {}).get(mark, value) == value
        ]
        return [self.issue(hit.id, hit.key) for hit in sorted(mine, key=lambda hit: int(hit.id))]

    async def create(self, project: str, fields: dict[str, object], mark: str, value: str) -> Issue:
        """Create an issue that carries its mark from the first moment."""
        body = {
            "fields": {"project": {"key": project}, **fields},
            "properties": [{"key": mark, "value": value}],
        }
        made = CREATED.read(await self.http.call(CREATE_ISSUE, body=body))
        return self.issue(made.id, made.key)

    def issue(self, number: str, key: str) -> Issue:
        """Give an issue with the address people open it at."""
        return Issue(system=self.name, id=number, key=key, url=f"{self.site_url}/browse/{key}")

    async def comment_once(self, key: str, mark: str, text: str) -> bool:
        """Add a comment to an issue unless one with this mark is there; says whether it was added.

        The mark is a property and the last line, because a list of comments does not promise
        properties. A comment notifies everybody who watches the issue.
        """
        last_line = f"newel comment {mark}"
        if await self._has_comment(key, last_line):
            return False
        body = {
            "body": document_of(f"{text}\n\n{last_line}"),
            "properties": [{"key": _COMMENT_MARK, "value": mark}],
        }
        await self.http.call(ADD_COMMENT, {"issue": key}, body=body, bucket=writes_of(key))
        return True

    # Requests ----------------------------------------------------------------------------------

    async def _create_issue(
        self,
        project: str,
        title: str,
        text: str,
        issue_type: str,
        mark: str,
        more: Mapping[str, FieldValue],
    ) -> Issue:
        fields: dict[str, object] = {
            **more,
            "issuetype": {"name": issue_type},
            "summary": title,
            "description": document_of(text),
            "labels": labelled(more, "newel", mark),
        }
        return await self.create(project, fields, _MARK, mark)

    async def _has_comment(self, key: str, last_line: str) -> bool:
        async def read(seen: int) -> tuple[CommentPage, int | None]:
            query = {"startAt": str(seen), "maxResults": "100", "orderBy": "-created"}
            answer = await self.http.call(COMMENTS, {"issue": key}, query=query)
            page = COMMENT_PAGES.read(answer)
            return page, place_after(seen, len(page.comments), page.total)

        async for page in pages(COMMENTS.operation, read, 0):
            if any(_last_line(comment.body) == last_line for comment in page.comments):
                return True
        return False

    def _told(self, key: str, *, changed: bool, evidence: str) -> Issue:
        report(Effect(changed=changed, account=key, evidence=evidence))
        return self.issue("", key)


def writes_of(key: str) -> str:
    """Name the budget of one issue: Jira limits how often the same one is written."""
    return f"{ISSUE_WRITES}:{key}"


def _last_line(body: object) -> str:
    lines = text_of(body).strip().split("\n")
    return lines[-1].strip()


def _mark_of(project: str, title: str) -> str:
    """Give the label of this act: the same for every attempt of it."""
    attempting = ATTEMPT.get()
    seed = attempting.info.idempotency_key if attempting else f"{project}\0{title}"
    return f"newel-{hashlib.sha256(seed.encode()).hexdigest()[:16]}"
