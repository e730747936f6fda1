"""A vendor's OpenAPI document as a judge: no request and no answer may disagree with it.

    specification = Specification(Path("specs/desks.openapi.json"))
    with contract_with(DesksSimulator, observer=specification.judge) as contract: ...

So connector and simulator are held to what the vendor says, and not only to each other. It needs
openapi-core, which newel itself does not: install it beside your test tools.
"""

from __future__ import annotations

import json
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from newel.base.errors import DefinitionError

if TYPE_CHECKING:
    from openapi_core import OpenAPI

__all__ = ["Specification"]


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
        try:
            from openapi_core import OpenAPI  # noqa: PLC0415 - only tests with a document need it
        except ImportError as missing:
            raise DefinitionError(
                "A specification is judged by openapi-core, which is not installed.",
                fix="`pip install openapi-core`.",
            ) from missing
        return OpenAPI.from_dict(self._document)

    @cached_property
    def _host(self) -> str:
        """The vendor's own host; a base path is part of the path that was asked for."""
        server = self._document["servers"][0]
        known = {name: each["default"] for name, each in server.get("variables", {}).items()}
        address = urlsplit(server["url"].format_map(known))
        return f"{address.scheme}://{address.netloc}"

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
            self._host,
            request.method,
            request.url.path,
            args=dict(request.url.params),
            headers=dict(request.headers),
            data=request.content,
            content_type=_media_type(request.headers),
        )


def _media_type(headers: httpx2.Headers) -> str:
    return str(headers.get("content-type", "")).partition(";")[0]
