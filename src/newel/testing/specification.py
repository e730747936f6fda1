"""A vendor's OpenAPI document as a judge: no request and no answer may disagree with it.

    class Desks(HttpApi):
        spec_file = "desks.openapi.json"

    with contract_with(DesksSimulator, Desks) as contract: ...

So connector and simulator are held to what the vendor says, and not only to each other. It needs
openapi-core, which newel itself does not: `pip install "newel[spec]"`.
"""

from __future__ import annotations

import json
import warnings
from functools import cache, cached_property
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import httpx2

from newel.base.errors import DefinitionError
from newel.connectors.base import Connector
from newel.connectors.generic import HttpApi
from newel.simulators.book import Call
from newel.simulators.core import Simulator
from newel.testing.transport import Observer

if TYPE_CHECKING:
    from openapi_core import OpenAPI

__all__ = ["Specification", "judge_of"]


class Specification:
    """One document; it is read when something is judged by it for the first time."""

    def __init__(self, file: Path) -> None:
        """Take the document in this file, JSON of OpenAPI 3."""
        self.file = file

    @cached_property
    def _document(self) -> Any:  # Any: a vendor's document
        return json.loads(self.file.read_text(encoding="utf-8"))

    @cached_property
    def _rules(self) -> OpenAPI:
        _need_openapi_core()
        from openapi_core import OpenAPI  # noqa: PLC0415 - only tests with a document need it

        return OpenAPI.from_dict(self._document)

    @cached_property
    def _host(self) -> str:
        """The vendor's own host; a base path is part of the path that was asked for.

        A document that names no host, or a path alone, is taken at its word for any.
        """
        servers: list[dict[str, Any]] = self._document.get("servers") or [{"url": "/"}]
        server = servers[0]  # Any: as above
        known = {name: each["default"] for name, each in server.get("variables", {}).items()}
        address = urlsplit(server["url"].format_map(known))
        return f"{address.scheme}://{address.netloc}" if address.netloc else ""

    def operations(self) -> set[str]:
        """Give the ids of all operations."""
        return {
            operation["operationId"]
            for path in self._document["paths"].values()
            for method, operation in path.items()
            if method in {"get", "put", "post", "patch", "delete"}
        }

    def judge(self, request: httpx2.Request, response: httpx2.Response) -> None:
        """Raise what openapi-core raises if request or answer disagree with the document."""
        self.judge_request(request)
        self.judge_answer(request, response)

    def judge_request(self, request: httpx2.Request) -> None:
        """Raise if the document does not allow this request."""
        with warnings.catch_warnings():
            # Asana's document says which parameters may be empty, in a way no longer used.
            warnings.filterwarnings("ignore", "Use of allowEmptyValue", DeprecationWarning)
            self._rules.validate_request(self._asked(request))

    def judge_answer(self, request: httpx2.Request, response: httpx2.Response) -> None:
        """Raise if the document does not know this answer to the request."""
        from openapi_core.testing import MockResponse  # noqa: PLC0415 - see `_rules`

        answered = MockResponse(
            # Jira writes zones without a colon, in the document's own examples too.
            response.content.replace(b'+0000"', b'+00:00"'),
            response.status_code,
            headers=dict(response.headers),
            content_type=_media_type(response.headers),
        )
        self._rules.validate_response(self._asked(request), answered)

    def _asked(self, request: httpx2.Request) -> Any:  # Any: openapi-core's own protocol
        from openapi_core.testing import MockRequest  # noqa: PLC0415 - see `_rules`

        return MockRequest(
            self._host or f"{request.url.scheme}://{request.url.host}",
            request.method,
            request.url.path,
            args=dict(request.url.params),
            headers=dict(request.headers),
            data=request.content,
            content_type=_media_type(request.headers),
        )


def _media_type(headers: httpx2.Headers) -> str:
    return str(headers.get("content-type", "")).partition(";")[0]


def judge_of(connector: type[Connector], simulator: Simulator) -> Observer | None:
    """Give what holds a connector and a stand-in to the document that the connector names.

    None if it names none. Left out are calls to further hosts, and answers that a fault has made or
    that the connector says are not in the document. What disagrees is an AssertionError.
    """
    if not issubclass(connector, HttpApi):
        return None
    file = connector.specification()
    if file is None:
        return None
    _need_openapi_core()
    document, undocumented = _read_once(file), frozenset(connector.undocumented)
    elsewhere = {route.operation for route in connector.routes if route.host}

    def judge(request: httpx2.Request, response: httpx2.Response) -> None:
        from openapi_core.exceptions import OpenAPIError  # noqa: PLC0415 - see `_rules`

        call = _call_of(request, simulator)
        if call.operation in elsewhere:
            return
        side = "the request"
        try:
            document.judge_request(request)
            side = f"the answer {response.status_code}"
            is_known = (call.operation, response.status_code) in undocumented
            if not is_known and not _is_of_a_fault(call, response, simulator):
                document.judge_answer(request, response)
        except OpenAPIError as wrong:
            what = f"{call.operation}: {side} is not as {file.name} has it: {_said(wrong)}"
            raise AssertionError(what) from wrong

    return judge


@cache
def _read_once(file: Path) -> Specification:
    return Specification(file)


def _call_of(request: httpx2.Request, simulator: Simulator) -> Call:
    """Find what the book says of the request that has just been answered."""
    path = unquote(request.url.path)
    asked = [call for call in simulator.calls() if call.method == request.method]
    return next(call for call in reversed(asked) if unquote(call.path) == path)


def _is_of_a_fault(call: Call, response: httpx2.Response, simulator: Simulator) -> bool:
    """Whether a fault has made or bent the answer, or may be why it refuses."""
    is_refusal = response.status_code >= HTTPStatus.BAD_REQUEST
    return bool(call.fault) or (is_refusal and bool(simulator.faults.rules()))


def _said(wrong: Exception) -> str:
    """Give the sentences of openapi-core: its own, and those of the schema that is not kept."""
    inner = wrong.__cause__ or wrong
    places = (
        f"{'/'.join(str(part) for part in each.absolute_path) or 'the whole'}: {each.message}"
        for each in getattr(inner, "schema_errors", ())
    )
    return "; ".join((str(inner) if inner is not wrong else str(wrong), *places))


def _need_openapi_core() -> None:
    if find_spec("openapi_core") is None:
        raise DefinitionError(
            "A specification is judged by openapi-core, which is not installed.",
            fix='`pip install "newel[spec]"`.',
        )
