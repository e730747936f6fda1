"""The vendors' specifications as judges of simulators' requests and answers."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import httpx2

from newel.testing.specification import Specification

HERE = Path(__file__).parents[1] / "contract" / "specs"
FILES = {
    "github": HERE / "github.openapi.json",
    "jira": HERE / "jira.openapi.json",
    "google": HERE / "google-directory.openapi.json",
    "google-datatransfer": HERE / "google-datatransfer.openapi.json",
    "slack": HERE / "slack-web.openapi3.json",
    "bamboohr": HERE / "bamboohr.openapi.json",
    "asana": HERE / "asana.openapi.json",
    "gusto": HERE / "gusto.openapi.json",
}
# Operations that no specification here has, each with the document that the stand-in follows.
UNCOVERED = {
    "google": {"token"},  # RFC 7523
    "jira": {
        "searchRemoved",  # Atlassian's change notice CHANGE-2046
        # developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-application-roles
        "getAllApplicationRoles",
        "getAllUsers",  # developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-users
        "getOrgById",  # developer.atlassian.com/cloud/admin/organization, as the next four
        "getDirectoryUsers",
        "suspendUser",
        "restoreUser",
        "getManagedProfile",  # developer.atlassian.com/cloud/admin/user-management, and the rest
        "disableUser",
        "enableUser",
    },
    "github": {
        "issues/list-comments",  # docs.github.com/rest/issues/comments
        "issues/create-comment",  # docs.github.com/rest/issues/comments
        "repos/list-collaborators",  # docs.github.com/rest/collaborators/collaborators
    },
    "gusto": set[str](),
    "asana": {
        "getUser",  # developers.asana.com/reference/getuser
        "getStoriesForTask",  # developers.asana.com/reference/getstoriesfortask
    },
}


@cache
def specification(system: str) -> Specification:
    """Give a vendor's specification, read once."""
    return Specification(FILES[system])


def operations(system: str) -> set[str]:
    """Give the operation ids of a vendor's specification."""
    return specification(system).operations()


@cache
def undocumented() -> frozenset[tuple[str, str, int]]:
    """Give the answers that vendors are known to give besides: system, operation, status."""
    entries = tomllib.loads((HERE.parent / "undocumented.toml").read_text(encoding="utf-8"))
    return frozenset((e["system"], e["operation"], e["status"]) for e in entries["answer"])


def judge(
    system: str, request: httpx2.Request, response: httpx2.Response, operation: str = ""
) -> None:
    """Raise if request or answer disagree with the vendor's specification.

    operation: its id, where it is known; answers listed in `undocumented.toml` pass then.
    """
    if request.url.path.startswith("/admin/datatransfer/"):
        system = "google-datatransfer"
    document = specification(system)
    document.judge_request(request)
    # Jira's document declares a body for some 204; HTTP allows none.
    is_known = (system, operation, response.status_code) in undocumented()
    if response.status_code != 204 and not is_known:
        document.judge_answer(request, response)
