"""What crosses the wire: the request as asked, the answer, the refusal, and the table of routes.

Handlers are plain synchronous methods from `Asked` to `Answer`: a simulator's whole commit happens
between two awaits, so no two requests ever see half of each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl, unquote

Document: TypeAlias = dict[str, Any]  # Any: a vendor's JSON, whose shape is the vendor's affair


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Who is asking, and what the vendor lets them do.

    label: a name for books and pages, never the secret itself.
    subject: the vendor's id of the account the credential acts for; may be empty.
    """

    label: str
    secret: str
    scopes: frozenset[str]
    subject: str = ""


ANONYMOUS = Credential(label="anonymous", secret="", scopes=frozenset())


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request while it is being answered.

    headers: names in lower case. params: the values of the template's names, decoded.
    query: decoded; values of a name that is given more than once are joined by commas.
    The last three fields are filled by the simulator as it learns them, for the book of calls.
    """

    method: str
    path: str
    base_url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    params: Mapping[str, str] = field(default_factory=dict)
    credential: Credential = ANONYMOUS
    natural_key: str = ""
    marker: str = ""

    def concerns(self, natural_key: str, *, marker: str = "") -> None:
        """Say which thing in the world this request is about, so that doubles can be counted."""
        self.natural_key = natural_key
        self.marker = marker or self.marker

    def json(self) -> Document:
        """Read the body as a JSON object; an empty body is an empty object. Raises Unreadable."""
        if not self.body:
            return {}
        try:
            document = json.loads(self.body)
        except ValueError as wrong:
            raise Unreadable(str(wrong)) from wrong
        if not isinstance(document, dict):
            raise Unreadable("the body must be a JSON object")
        return document

    def form(self) -> dict[str, str]:
        """Read the body as a URL-encoded form. Raises Unreadable."""
        try:
            return dict(parse_qsl(self.body.decode(), keep_blank_values=True))
        except ValueError as wrong:
            raise Unreadable(str(wrong)) from wrong

    @property
    def media_type(self) -> str:
        """The declared type of the body, without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back; body: a JSON value, text where `media_type` says so, None for none."""

    status: int
    body: Any = None  # Any: a vendor's JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"

    def encoded(self) -> bytes:
        """Give the body's bytes."""
        if self.body is None:
            return b""
        if isinstance(self.body, str) and "json" not in self.media_type:
            return self.body.encode()
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()

    def with_headers(self, more: Mapping[str, str]) -> Answer:
        """Add headers; those already there win."""
        return Answer(self.status, self.body, {**more, **self.headers}, self.media_type)


class Refused(Exception):
    """The vendor says no; nothing of the request is committed."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"refused with {answer.status}")
        self.answer = answer


class Unreadable(Exception):
    """The body is not what it says it is; each vendor answers that in its own words."""


Handler: TypeAlias = Callable[[Any, Asked], Answer]  # Any: the simulator the method belongs to


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation of a vendor: where it is, what it needs, what answers it.

    operation: the operation id of the vendor's specification.
    needs: scopes that must all be held; "a|b" means any one of them.
    mutating: whether a committed call changes the world.
    open: whether it is answered without a credential.
    """

    methods: frozenset[str]
    template: str
    operation: str
    needs: tuple[str, ...]
    mutating: bool
    open: bool
    handler: Handler

    def matched(self, path: str) -> dict[str, str] | None:
        """Give the values of the template's names if the raw path fits, else None."""
        wanted, given = self.template.split("/"), path.split("/")
        if len(wanted) != len(given):
            return None
        params: dict[str, str] = {}
        for want, have in zip(wanted, given, strict=True):
            if want.startswith("{"):
                if not have:
                    return None
                params[want.strip("{}")] = unquote(have)
            elif want != unquote(have):
                return None
        return params

    def missing(self, scopes: frozenset[str]) -> tuple[str, ...]:
        """Give the needs which these scopes do not meet."""
        return tuple(need for need in self.needs if not scopes.intersection(need.split("|")))


Method = TypeVar("Method", bound=Callable[..., Answer])


def route(
    methods: str,
    template: str,
    *,
    operation: str,
    needs: tuple[str, ...] = (),
    mutating: bool | None = None,
    open: bool = False,  # noqa: A002 - reads as a statement about the route
) -> Callable[[Method], Method]:
    """Declare the method below as the answer to these HTTP methods at this path template.

    methods: one or more, joined by "|"; unless told, everything but GET counts as mutating.
    """
    names = frozenset(methods.split("|"))

    def declared(handler: Method) -> Method:
        declaration = Route(
            methods=names,
            template=template,
            operation=operation,
            needs=needs,
            mutating="GET" not in names if mutating is None else mutating,
            open=open,
            handler=handler,
        )
        earlier: tuple[Route, ...] = getattr(handler, "declared_routes", ())
        handler.declared_routes = (*earlier, declaration)  # type: ignore[attr-defined]  # read by routes_of
        return handler

    return declared


def routes_of(owner: type) -> tuple[Route, ...]:
    """Collect the declared routes of a class and its ancestors; fixed paths before templates."""
    found = [
        declaration
        for name in dir(owner)
        for declaration in getattr(getattr(owner, name), "declared_routes", ())
    ]
    return tuple(sorted(found, key=lambda each: (each.template.count("{"), each.template)))
