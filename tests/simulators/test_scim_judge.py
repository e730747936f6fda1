"""The judge of SCIM refuses what the standard does not have, and not what it has."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.simulators.scim_judge import judge_answer, judge_request

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
MESSAGES = "urn:ietf:params:scim:api:messages:2.0:"
PLACE = "https://scim.example/scim/v2/Users"
JANES = f"{PLACE}/1"
JANE: dict[str, Any] = {
    "schemas": [CORE],
    "id": "1",
    "userName": "jane",
    "active": True,
    "meta": {"resourceType": "User", "location": JANES, "created": "2026-01-05T09:00:00Z"},
}
NEW: dict[str, Any] = {"schemas": [CORE], "userName": "jane"}
ERROR: dict[str, Any] = {"schemas": [MESSAGES + "Error"], "status": "404"}


def patch(**step: Any) -> dict[str, Any]:
    """Make a patch of one step."""
    return {"schemas": [MESSAGES + "PatchOp"], "Operations": [step]}


def page(*users: dict[str, Any], total: int) -> dict[str, Any]:
    """Make a page of users."""
    schemas = [MESSAGES + "ListResponse"]
    return {"schemas": schemas, "totalResults": total, "Resources": list(users)}


def asked(method: str, address: str, body: dict[str, Any] | None = None) -> httpx2.Request:
    """Make a request in SCIM's media type."""
    headers = {"content-type": "application/scim+json"} if body is not None else {}
    return httpx2.Request(method, address, json=body, headers=headers)


def answered(status: int, body: object, **headers: str) -> httpx2.Response:
    """Make an answer in SCIM's media type."""
    return httpx2.Response(
        status, json=body, headers={"content-type": "application/scim+json", **headers}
    )


@pytest.mark.parametrize(
    ("good", "wrong"),
    [
        (asked("POST", PLACE, NEW), asked("POST", PLACE, {"schemas": [CORE]})),
        (asked("PUT", JANES, JANE), asked("PUT", JANES, {**NEW, "active": "yes"})),
        (asked("PUT", JANES, NEW), asked("PUT", JANES, {**NEW, "nickname": 3})),
        (asked("POST", PLACE, NEW), asked("POST", PLACE, {**NEW, "badge": "3"})),
        (
            asked("PATCH", JANES, patch(op="replace", path="active", value=False)),
            asked("PATCH", JANES, patch(op="replace", path="enabled", value=False)),
        ),
        (
            asked("PATCH", JANES, patch(op="add", value={"title": "Dr"})),
            asked("PATCH", JANES, patch(op="set", value={"title": "Dr"})),
        ),
        (asked("DELETE", JANES), asked("DELETE", JANES, NEW)),
        (asked("POST", PLACE, NEW), httpx2.Request("POST", PLACE, data=NEW)),
    ],
)
def test_a_request_is_what_the_standard_has(good: httpx2.Request, wrong: httpx2.Request) -> None:
    """Required and known fields, in their types; known steps of patches; the media type."""
    judge_request(good)
    with pytest.raises((ValueError, AssertionError)):
        judge_request(wrong)


READ, MADE, LISTED = asked("GET", JANES), asked("POST", PLACE, NEW), asked("GET", PLACE)


@pytest.mark.parametrize(
    ("request_", "good", "wrong"),
    [
        (READ, answered(200, JANE), answered(200, {**JANE, "id": None})),
        (READ, answered(200, JANE), answered(200, {**JANE, "active": "true"})),
        (READ, answered(200, JANE), answered(200, {**JANE, "deactivated": False})),
        (READ, answered(200, JANE), answered(200, JANE, etag='W/"1"')),
        (READ, answered(404, ERROR), answered(400, ERROR)),
        (READ, answered(404, ERROR), answered(404, {**ERROR, "status": 404})),
        (READ, answered(404, ERROR), answered(404, {"error": "not found"})),
        (LISTED, answered(200, page(JANE, total=1)), answered(200, [JANE])),
        (LISTED, answered(200, page(total=0)), answered(200, page(NEW, total=1))),
        (MADE, answered(201, JANE, location=JANES), answered(200, JANE)),
        (MADE, answered(201, JANE, location=JANES), answered(201, JANE, location=PLACE)),
        (MADE, httpx2.Response(204), httpx2.Response(204, content=b"{}")),
    ],
)
def test_an_answer_is_what_the_standard_has(
    request_: httpx2.Request, good: httpx2.Response, wrong: httpx2.Response
) -> None:
    """Fields that are always there, in their types; pages, errors, and what headers repeat."""
    judge_answer(request_, good)
    with pytest.raises((ValueError, AssertionError)):
        judge_answer(request_, wrong)
