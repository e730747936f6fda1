"""The SCIM standard as a judge, by a program that others wrote: the models of scim2-models.

Every body is read as what it has to be at its place: a user or group sent to be created or
replaced, a patch, a page, an error, what a server says of itself. What is read and written again
must have the same fields in the same types, as these models are lenient with "yes" for true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import httpx2
import orjson
from scim2_models import (
    BaseModel,
    Context,
    EnterpriseUser,
    Error,
    Group,
    ListResponse,
    PatchOp,
    ResourceType,
    Schema,
    SearchRequest,
    ServiceProviderConfig,
    User,
)

__all__ = ["is_scim", "judge_answer", "judge_request"]

ROOT: Final = "/scim/v2/"
MEDIA_TYPES: Final = ("application/scim+json", "application/json")

_Model = type[BaseModel]
_User: TypeAlias = User[EnterpriseUser]
_PATCHES: Final[Mapping[str, _Model]] = {"Users": PatchOp[_User], "Groups": PatchOp[Group]}
_RESOURCES: Final[Mapping[str, _Model]] = {
    "Users": _User,
    "Groups": Group,
    "Schemas": Schema,
    "ResourceTypes": ResourceType,
    "ServiceProviderConfig": ServiceProviderConfig,
}
_PAGES: Final[Mapping[str, _Model]] = {
    "": ListResponse[_User | Group],
    "Users": ListResponse[_User],
    "Groups": ListResponse[Group],
    "Schemas": ListResponse[Schema],
    "ResourceTypes": ListResponse[ResourceType],
}
_ASKED: Final = {
    "POST": Context.RESOURCE_CREATION_REQUEST,
    "PUT": Context.RESOURCE_REPLACEMENT_REQUEST,
    "PATCH": Context.RESOURCE_PATCH_REQUEST,
}
_ANSWERED: Final = {
    "GET": Context.RESOURCE_QUERY_RESPONSE,
    "POST": Context.RESOURCE_CREATION_RESPONSE,
    "PUT": Context.RESOURCE_REPLACEMENT_RESPONSE,
    "PATCH": Context.RESOURCE_PATCH_RESPONSE,
}
_WITHOUT_BODY: Final = (204, 304)
_FIRST_REFUSAL: Final = 400


def is_scim(request: httpx2.Request) -> bool:
    """Whether a request is one of SCIM: newel's stand-ins, like Slack, serve it at one root."""
    return request.url.path.startswith(ROOT)


def judge_request(request: httpx2.Request) -> None:
    """Raise if what is sent is not what the standard has at this place."""
    place, is_search = _place(request)
    if request.method not in _ASKED:
        assert request.content == b"", f"{request.method} has a body"
    elif is_search:
        _read(SearchRequest, request, Context.SEARCH_REQUEST)
    else:
        kinds = _PATCHES if request.method == "PATCH" else _RESOURCES
        _read(kinds[place], request, _ASKED[request.method])


def judge_answer(request: httpx2.Request, response: httpx2.Response) -> None:
    """Raise if what is answered is not what the standard has for this request."""
    place, is_search = _place(request)
    if response.status_code in _WITHOUT_BODY:
        assert response.content == b"", f"{response.status_code} has a body"
    elif response.status_code >= _FIRST_REFUSAL:
        error = _read(Error, response, None)
        assert error["status"] == str(response.status_code), "the error states another status"
    elif is_search:
        _read(_PAGES[place], response, Context.SEARCH_RESPONSE)
    elif request.method == "GET" and request.url.path == f"{ROOT}{place}" and place in _PAGES:
        _read(_PAGES[place], response, Context.RESOURCE_QUERY_RESPONSE)
    else:
        shown = _read(_RESOURCES[place], response, _ANSWERED[request.method])
        _judge_headers(request, response, shown)


def _judge_headers(
    request: httpx2.Request, response: httpx2.Response, shown: dict[str, Any]
) -> None:
    """Hold place and version in the headers to those in the body (RFC 7644, §3.3 and §3.14)."""
    assert (response.status_code == 201) is (request.method == "POST"), response.status_code
    meta = shown.get("meta") or {}
    if request.method == "POST":
        assert response.headers["location"] == meta["location"]
    if "version" in meta or "etag" in response.headers:
        assert response.headers.get("etag") == meta.get("version")


def _place(request: httpx2.Request) -> tuple[str, bool]:
    """Give the endpoint, `Users` say, and whether a search in the body is asked for."""
    first, _, rest = request.url.path.removeprefix(ROOT).partition("/")
    if first == ".search":
        return "", True
    return first, rest == ".search"


def _read(
    kind: _Model, message: httpx2.Request | httpx2.Response, context: Context | None
) -> dict[str, Any]:
    """Read a body as a kind, and give it as it came; raises what the models raise."""
    stated = message.headers.get("content-type", "").partition(";")[0]
    assert stated in MEDIA_TYPES, f"SCIM is not sent as {stated}"
    came: dict[str, Any] = orjson.loads(message.content)
    kind.model_validate(came, scim_ctx=context)
    # What is read-only may be sent back to replace something, and is left out of what is read.
    written = dict(_types(kind.model_validate(came).model_dump(), ""))
    retyped = {name: told for name, told in _types(came, "") if written.get(name) != told}
    assert not retyped, f"of another type than {kind.__name__} has, or not of it: {retyped}"
    return came


def _types(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Give every leaf with its JSON type; names without regard to case, as SCIM compares them."""
    inner: list[tuple[str, object]] = []
    if isinstance(value, Mapping):
        inner = [(str(name).lower(), each) for name, each in value.items()]
    elif isinstance(value, list):
        inner = [(str(number), each) for number, each in enumerate(value)]
    for name, each in inner:
        yield from _types(each, f"{path}/{name}")
    if not isinstance(value, Mapping | list) and value is not None:
        yield path, type(value).__name__
