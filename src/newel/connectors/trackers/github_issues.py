"""Tickets as GitHub issues.

Mark: the labels `newel` and `newel-<8 hex>`, and the description's last line, which tells two
incidents with one label apart. GitHub drops labels in silence where the credential may not push,
so the mark in the answer is looked at: an issue that cannot be found again is told at once.
Source: connectors document, §13 "Tickets", §20.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from newel.base.errors import Forbidden
from newel.connectors.answers import Route
from newel.connectors.contract import Shape
from newel.connectors.github import GitHub
from newel.connectors.github_contract import READ, WRITE
from newel.connectors.trackers.base import Ticket, TicketRef, label_of
from newel.connectors.trackers.issues import IssueTracker, body_of

__all__ = ["GitHubIssues", "github_issues"]

_ISSUES: Final = "/repos/{owner}/{repo}/issues"
_ISSUE: Final = f"{_ISSUES}/{{number}}"
LIST: Final = Route("issues/list-for-repo", "GET", _ISSUES, READ)
CREATE: Final = Route("issues/create", "POST", _ISSUES, WRITE)
GET: Final = Route("issues/get", "GET", _ISSUE, READ)
UPDATE: Final = Route("issues/update", "PATCH", _ISSUE, WRITE, repeatable=True)
COMMENTS: Final = Route("issues/list-comments", "GET", f"{_ISSUE}/comments", READ)
COMMENT: Final = Route("issues/create-comment", "POST", f"{_ISSUE}/comments", WRITE)


@dataclass(frozen=True)
class _Label:
    name: str


@dataclass(frozen=True)
class _Issue:
    number: int
    html_url: str
    state: str
    labels: tuple[_Label, ...]
    body: str | None = None


@dataclass(frozen=True)
class _Comment:
    body: str


_ONE: Final = Shape(_Issue)
_LISTS: Final = Shape(tuple[_Issue, ...])
_COMMENTS: Final = Shape(tuple[_Comment, ...])


class GitHubIssues(IssueTracker):
    """The issues of one repository."""

    def __init__(self, *, repository: str, github: GitHub) -> None:
        """Make it for a repository, `owner/name` or the name of one of the organization."""
        owner, _, name = repository.rpartition("/")
        self._place = {"owner": owner or github.org, "repo": name}
        self.channel = f"{github.name}:{name}"
        self.credential = github.credential
        self.hosts = github.hosts
        self.system = github.name
        self._github = github

    async def _marked(self, incident: str) -> list[TicketRef]:
        found = self._github.listed(
            LIST, _LISTS, self._place, labels=label_of(incident), state="all", direction="asc"
        )
        mark = _mark(incident)
        return [self._ref(issue) async for issue in found if _parts(issue.body)[1] in {mark, ""}]

    async def _open(self, ticket: Ticket) -> TicketRef:
        label = label_of(ticket.incident)
        body = {
            "title": ticket.title,
            "body": f"{body_of(ticket)}\n\n{_mark(ticket.incident)}",
            "labels": ["newel", label],
        }
        made = _ONE.read(await self._github.http.call(CREATE, self._place, body=body))
        if label not in {each.name for each in made.labels}:
            raise Forbidden(
                "GitHub has dropped the labels of an issue, by which it would be found again.",
                missing="issues:write",
                operation=CREATE.operation,
            )
        return self._ref(made)

    async def _text(self, ref: TicketRef) -> str:
        return _parts((await self._issue(ref)).body)[0]

    async def _rewrite(self, ref: TicketRef, text: str) -> None:
        mark = _parts((await self._issue(ref)).body)[1]
        body = {"body": f"{text}\n\n{mark}" if mark else text}
        await self._github.http.call(UPDATE, self._path(ref), body=body)

    async def _comments(self, ref: TicketRef) -> list[str]:
        found = self._github.listed(COMMENTS, _COMMENTS, self._path(ref))
        return [each.body async for each in found]

    async def _say(self, ref: TicketRef, text: str) -> None:
        await self._github.http.call(COMMENT, self._path(ref), body={"body": text})

    async def _is_open(self, ref: TicketRef) -> bool:
        return (await self._issue(ref)).state == "open"

    async def _switch(self, ref: TicketRef, *, is_open: bool) -> None:
        body = {"state": "open"} if is_open else {"state": "closed", "state_reason": "completed"}
        await self._github.http.call(UPDATE, self._path(ref), body=body)

    async def _issue(self, ref: TicketRef) -> _Issue:
        return _ONE.read(await self._github.http.call(GET, self._path(ref)))

    def _path(self, ref: TicketRef) -> dict[str, object]:
        return {**self._place, "number": ref.key.rpartition("#")[2]}

    def _ref(self, issue: _Issue) -> TicketRef:
        key = f"{self._place['repo']}#{issue.number}"
        return TicketRef(channel=self.channel, key=key, url=issue.html_url)


def github_issues(repository: str, *, github: GitHub) -> GitHubIssues:
    """Send tickets to a repository: `tickets = [github_issues("operations", github=github)]`."""
    return GitHubIssues(repository=repository, github=github)


def _mark(incident: str) -> str:
    return f"newel incident {incident}"


def _parts(body: str | None) -> tuple[str, str]:
    """Split a description into its text and the mark below it, which a person may have removed."""
    text, _, last = (body or "").rstrip().rpartition("\n")
    if last.startswith("newel incident "):
        return text.rstrip(), last.strip()
    return body or "", ""
