"""The vendors' specifications as judges of simulators' requests and answers."""

from __future__ import annotations

import json
import os
import tomllib
import warnings
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

HERE = Path(__file__).parents[1] / "contract" / "specs"
# Read before any fixture hides the developer's settings.
ELSEWHERE = Path(os.environ.get("NEWEL_SPECS") or Path(__file__).parents[3] / "shared" / "specs")
FILES = {
    "github": HERE / "github.openapi.json",
    "jira": HERE / "jira.openapi.json",
    "google": HERE / "google-directory.openapi.json",
    "google-datatransfer": HERE / "google-datatransfer.openapi.json",
    "slack": HERE / "slack-web.openapi3.json",
    "bamboohr": HERE / "bamboohr.openapi.json",
    "asana": HERE / "asana.openapi.json",
    "gusto": ELSEWHERE / "gusto.openapi.json",
}
# Operations that no copied specification has, each with the document that the stand-in follows.
UNCOVERED = {
    "google": {"token"},  # RFC 7523
    "jira": {
        "searchRemoved",  # Atlassian's change notice CHANGE-2046
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
def _loaded(system: str) -> tuple[OpenAPI, str]:
    document = json.loads(FILES[system].read_text(encoding="utf-8"))
    server = document["servers"][0]
    known = {name: each["default"] for name, each in server.get("variables", {}).items()}
    address = urlsplit(server["url"].format_map(known))
    # Only the host: a base path is part of the path that was asked for.
    return OpenAPI.from_dict(document), f"{address.scheme}://{address.netloc}"


def operations(system: str) -> set[str]:
    """Give the operation ids of a vendor's specification."""
    document = json.loads(FILES[system].read_text(encoding="utf-8"))
    return {
        operation["operationId"]
        for path in document["paths"].values()
        for method, operation in path.items()
        if method in {"get", "put", "post", "patch", "delete"}
    }


def need(system: str) -> None:
    """Skip the test, saying why, where a specification that may not be copied is absent."""
    if not FILES[system].exists():
        pytest.skip(f"the specification of {system} is not in {FILES[system].parent}")


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
    specification, host = _loaded(system)
    asked = MockRequest(
        host,
        request.method,
        request.url.path,
        args=dict(request.url.params),
        headers=dict(request.headers),
        data=request.content,
        content_type=request.headers.get("content-type", "").partition(";")[0],
    )
    answered = MockResponse(
        # Jira writes zones without a colon, in the document's own examples too.
        response.content.replace(b'+0000"', b'+00:00"'),
        response.status_code,
        headers=dict(response.headers),
        content_type=response.headers.get("content-type", "").partition(";")[0],
    )
    with warnings.catch_warnings():
        # Asana's document says which parameters may be empty, in a way that is no longer used.
        warnings.filterwarnings("ignore", "Use of allowEmptyValue", DeprecationWarning)
        specification.validate_request(asked)
    # Jira's document declares a body for some 204; HTTP allows none.
    is_known = (system, operation, response.status_code) in undocumented()
    if response.status_code != 204 and not is_known:
        specification.validate_response(asked, answered)
