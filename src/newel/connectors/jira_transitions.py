"""Transitions of Jira's issues: which status one is in, and which ways lead out of it.

What statuses and ways there are is each project's own affair; that some of them end the work is
the same in all.
Source: connectors document, §13.
"""

from __future__ import annotations

from newel.base.errors import Forbidden, Invalid
from newel.connectors.jira_contract import (
    API,
    ISSUE,
    ISSUES,
    MOVE,
    TRANSITIONS,
    WAYS,
    Status,
    Transition,
)
from newel.connectors.jira_issues import Issue, JiraIssues, writes_of
from newel.connectors.operation import operation

__all__ = ["JiraTransitions"]


class JiraTransitions(JiraIssues):
    """The ways of the site's issues."""

    @operation(
        natural_key="issue/{issue}",
        idempotency="natural",
        undo="none: which way leads back is the workflow's",
        reversible="with_loss",
        bucket=API,
        needs=("BROWSE_PROJECTS", "TRANSITION_ISSUES"),
        spec=(MOVE.operation,),
        reads=(ISSUE.operation, TRANSITIONS.operation),
        title="Move the Jira issue",
    )
    async def transition(self, issue: str, to: str) -> Issue:
        """Move an issue by the name of a transition or of the status it leads to.

        `done` leads to any status that ends the work. Raises Invalid naming the ways there are.
        """
        wanted = to.lower()
        status = await self.status_of(issue)
        if wanted in {status.name.lower(), status.category.key}:
            return self._told(issue, changed=False, evidence="its status")
        ways = await self.ways_from(issue)
        if not ways:
            # Jira shows no way to who may take none.
            raise Forbidden(
                "The account may not move this issue: it needs the permission TRANSITION_ISSUES.",
                missing="TRANSITION_ISSUES",
                operation=TRANSITIONS.operation,
            )
        chosen = next((way for way in ways if wanted in _names_of(way)), None)
        if chosen is None:
            there_are = ", ".join(way.name for way in ways)
            raise Invalid(
                f"No transition of the issue leads to `{to}`; there are: {there_are}.",
                fields={"to": "is no transition of the issue"},
            )
        await self.move(issue, chosen)
        return self._told(issue, changed=True, evidence="moved")

    async def status_of(self, key: str) -> Status:
        """Give the status of an issue."""
        answer = await self.http.call(ISSUE, {"issue": key}, query={"fields": "status"})
        return ISSUES.read(answer).fields.status

    async def ways_from(self, key: str) -> tuple[Transition, ...]:
        """Give the transitions that this account may take from the issue's status."""
        return WAYS.read(await self.http.call(TRANSITIONS, {"issue": key})).transitions

    async def move(self, key: str, way: Transition) -> None:
        """Take a transition."""
        body = {"transition": {"id": way.id}}
        await self.http.call(MOVE, {"issue": key}, body=body, bucket=writes_of(key))


def _names_of(way: Transition) -> set[str]:
    return {way.name.lower(), way.to.name.lower(), way.to.category.key}
