"""What is believed of vendors and not confirmed: facts that only a tenant can prove.

Code relies on them behind settings, tests and the look for drift; the stand-ins behave as they
say. Some show in answers to questions that only read; of the others a person is asked. What was
found stands in the project, not here: it holds for that tenant.
Source: connectors document, §8, §11 to §20, §24.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from newel.connectors.answers import Answer

__all__ = ["FACTS", "Fact", "Holds", "known_as", "seen_in_headers"]

Holds = Literal["yes", "no", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact, as a sentence that holds or does not.

    headers: that an answer carries one of these shows it. by_check: that `check()` can read what it
    asks for shows it. With neither a person is asked.
    """

    name: str
    text: str
    headers: tuple[str, ...] = ()
    by_check: bool = False


def _told(name: str, text: str) -> Fact:
    return Fact(name=name, text=text)


def _carried(name: str, text: str, *headers: str) -> Fact:
    return Fact(name=name, text=text, headers=headers)


FACTS: Final[Mapping[str, tuple[Fact, ...]]] = {
    "asana": (
        _told("find-by-external", "A task is found by its external id as soon as it is made."),
        _told("one-per-external", "A second task with the same external id is refused."),
        _carried("request-id", "Answers carry `X-Request-Id`.", "x-request-id"),
    ),
    "atlassian": (
        _told("suspension-listed", "The list of users shows a suspension at once."),
        _told("all-directories", "`-` stands for all directories."),
        _carried("request-id", "Answers carry `Atl-Traceid`.", "atl-traceid"),
    ),
    "bamboohr": (
        _told("signature", "Webhooks are signed in the headers that newel reads."),
        _told("error-header", "Refusals say why in `X-BambooHR-Error-Message`."),
        _told("throttled-503", "Too many requests are answered 503, not 429."),
        _carried("request-id", "Answers carry `X-Request-Id`.", "x-request-id"),
    ),
    "github": (
        _told("app-lifetime", "An App's statement may last ten minutes."),
        _told("private-forks", "Who is removed loses their private forks."),
        _told("invitations-used-up", "When a day's invitations are used up, a 422 says so."),
        _told("direct-collaborators", "Direct collaborators leave out what members may anyway."),
        _told("managed-names", "Names of managed people end in the enterprise's short code."),
        _told("managed-refusal", "Nobody else can be put into an organization of managed people."),
    ),
    "google": (
        _told("token-errors", "Tokens are refused as `invalid_grant` or `unauthorized_client`."),
        _told("undelete-window", "A deletion can be undone for 20 days."),
        _told("address-reserved", "A deleted account's address stays reserved for minutes."),
        _told("suspended-billed", "The licence of who is suspended is still billed."),
        _told("licence-words", "A sentence tells used-up licences from one held already."),
        _carried("request-id", "Answers carry `X-Goog-Request-Id`.", "x-goog-request-id"),
    ),
    "gusto": (
        _told("refresh-once", "A refresh token serves once."),
        _carried(
            "limit-headers",
            "Answers carry `X-RateLimit-Remaining`.",
            "x-ratelimit-remaining",
        ),
        _carried("page-headers", "Lists carry `X-Total-Pages`.", "x-total-pages"),
        _carried("request-id", "Answers carry `X-Request-Id`.", "x-request-id"),
    ),
    "jira": (
        _told("comment-properties", "The list of comments can show their properties."),
        _carried(
            "request-id", "Answers carry `Atl-Traceid` or `X-ARequestId`.", "atl-traceid",
            "x-arequestid",
        ),
    ),
    "linear": (_told("id-exists", "A sentence says that an issue's id exists already."),),
    "salesforce": (
        _told("assertion-lifetime", "An assertion may be valid for three minutes."),
        _told("names-worldwide", "A user name is unique over all organizations."),
        _told("marker-field", "`FederationIdentifier` can be written and searched as our mark."),
        _told("licence-code", "A used-up licence is refused as `LICENSE_LIMIT_EXCEEDED`."),
        Fact(
            name="permissions-read",
            text="Limits, and permissions by `UserPermissionAccess`, can be read.",
            by_check=True,
        ),
        _carried("request-id", "Answers carry `X-Request-Id`.", "x-request-id"),
    ),
    "servicenow": (
        _told("correlation-id", "The role `itil` may write `correlation_id` and search by it."),
        _told("seen-at-once", "An incident is in the list as soon as it is made."),
        _told("refusals", "Refusals say so in the sentences that the example reads."),
    ),
    "slack": (
        _carried("oauth-scopes", "Answers carry `X-OAuth-Scopes`.", "x-oauth-scopes"),
        _told("common-errors", "All methods share the list of errors that newel knows."),
        _told("deactivated-by-email", "`users.lookupByEmail` does not show deactivated people."),
        _told("invited-by-email", "It shows who is invited only when they have accepted."),
        _told("signature", "Requests are signed as `v0`, with a time within five minutes."),
        _told("plan-told", "`team.info` tells the plan."),
        _carried("request-id", "Answers carry `X-Slack-Req-Id`.", "x-slack-req-id"),
    ),
}  # fmt: skip


def known_as(kind: type) -> str | None:
    """Say whose facts a connector is about, by its class or one that it extends."""
    names = (each.__name__.lower() for each in kind.__mro__)
    return next((name for name in names if name in FACTS), None)


def seen_in_headers(fact: Fact, answers: Sequence[Answer]) -> tuple[Holds, str]:
    """Say whether answers carry what a fact speaks of, and what of it was seen; no values."""
    counts = {
        name: carried
        for name in fact.headers
        if (carried := sum(name in answer.headers for answer in answers))
    }
    if not answers:
        return "open", "no answer came"
    if not counts:
        return "no", f"on none of {len(answers)} answers"
    seen = (f"{name} on {count} of {len(answers)} answers" for name, count in counts.items())
    return "yes", ", ".join(seen)
