"""What a request is and what an answer means: routes, answers, failure classes; pure.

Every connector has one function `judged(answer) -> StepError | None`. It looks at the vendor's
code first, then at headers, then at the status; what it does not know itself it leaves to
`judged_by_status`. Messages are made from our own words, the vendor's code and, redacted, the
vendor's sentence: what leaves here may be stored and shown.
Source: connectors document, §5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, TypedDict

import orjson

from newel.base.errors import (
    AuthFailed,
    ContractDrift,
    Forbidden,
    Invalid,
    NotReady,
    OutcomeUnknown,
    StepError,
    Throttled,
    Transient,
)

__all__ = [
    "Answer",
    "Known",
    "Route",
    "Wait",
    "facts_of",
    "judged_by_status",
    "retry_after",
    "sanitised",
    "unanswered",
]

LONGEST_WAIT: Final = timedelta(hours=24)
_LONGEST_S: Final = int(LONGEST_WAIT.total_seconds())
_DIGITS: Final = 9
_LONGEST_MESSAGE: Final = 200
_LAST_WORD: Final = re.compile(r"\S{1,60}$")
_PERSONAL: Final = (
    (re.compile(r"[\w.+'-]+@[\w-]+(\.[\w-]+)+"), "<address>"),
    (re.compile(r"[A-Za-z0-9_\-.=/+]{32,}"), "<long text>"),
    (re.compile(r"\b\d[\d -]{6,}\d\b"), "<number>"),
    (re.compile(r"""(["'])(?:(?!\1).){1,120}\1"""), "<text>"),
)


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of a vendor, as its specification names it.

    path: a template; it is what gets recorded, because a path can hold addresses.
    host: which of the connector's addresses it lives at; "" is the first.
    reads: a request that changes nothing although its method could.
    repeatable: sent twice with the same content it leaves the same state, so a fault of the
    server (5xx) is met by sending it again. bucket: the rate budget it draws on. pace: another
    one, which it shares with requests of other buckets.
    """

    operation: str
    method: str
    path: str
    bucket: str = ""
    host: str = ""
    reads: bool = False
    repeatable: bool = False
    pace: str = ""

    @property
    def is_mutating(self) -> bool:
        """Say whether the request can change the other system."""
        return not self.reads and self.method not in {"GET", "HEAD"}


class Answer:
    """What a system answered; the body is read once, as JSON, when somebody asks for it.

    headers: names in lower case.
    """

    __slots__ = ("_document", "_is_read", "body", "headers", "route", "status")

    def __init__(
        self, route: Route, status: int, headers: Mapping[str, str], body: bytes = b""
    ) -> None:
        self.route = route
        self.status = status
        self.headers = headers
        self.body = body
        self._document: Any = None  # Any: JSON
        self._is_read = False

    @property
    def document(self) -> Any:  # Any: JSON of a vendor; judged with care, field by field
        """The body as JSON; None where it is empty or no JSON."""
        if not self._is_read:
            self._is_read = True
            try:
                self._document = orjson.loads(self.body) if self.body else None
            except orjson.JSONDecodeError:
                self._document = None
        return self._document

    @property
    def fields(self) -> Mapping[str, Any]:  # Any: as above
        """The body as a JSON object; empty where it is none, as of a refusal without a word."""
        return self.document if isinstance(self.document, dict) else {}

    @property
    def is_page(self) -> bool:
        """Say whether it is a web page where JSON was due, as in a maintenance window."""
        return self.headers.get("content-type", "").startswith("text/html")

    def __repr__(self) -> str:
        return f"<Answer {self.status} to {self.route.operation}>"


def sanitised(text: object) -> str:
    """Redact a vendor's sentence: addresses, quoted values, numbers and long tokens go."""
    if not isinstance(text, str):
        return ""
    for pattern, instead in _PERSONAL:
        text = pattern.sub(instead, text)
    if len(text) <= _LONGEST_MESSAGE:
        return text
    # Cut between words: half a name would be known to nobody who takes names out.
    return f"{_LAST_WORD.sub('', text[:_LONGEST_MESSAGE])}…"


class Known(TypedDict):
    """The facts of every failed call; the request id is added where the call is made."""

    status: int
    code: str | None
    operation: str


class Wait(TypedDict, total=False):
    """When to come back, as a moment or as a length; empty if the answer does not say."""

    retry_at: datetime
    retry_after: timedelta


def facts_of(answer: Answer, code: str | None = None) -> Known:
    """Give the facts every failed call has."""
    return Known(status=answer.status, code=code, operation=answer.route.operation)


def retry_after(answer: Answer) -> Wait:
    """Read Retry-After, as seconds or as an HTTP date; 0 to 24 hours; empty if absent.

    Source: RFC 9110, section 10.2.3.
    """
    stated = answer.headers.get("retry-after", "").strip()
    if not stated:
        return Wait()
    if stated.isascii() and stated.isdigit():
        # Digits without end are no number that Python reads, or that a duration holds.
        seconds = int(stated) if len(stated) <= _DIGITS else _LONGEST_S
        return Wait(retry_after=timedelta(seconds=min(seconds, _LONGEST_S)))
    try:
        moment = parsedate_to_datetime(stated)
    except (ValueError, OverflowError):
        return Wait()
    return Wait(retry_at=_aware(moment))


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def unanswered(
    route: Route, why: str, *, status: int | None = None, code: str | None = None
) -> StepError:
    """Class a fault after which nobody knows what a mutating request did."""
    if route.is_mutating:
        return OutcomeUnknown(
            f"{why}; it may have happened", status=status, code=code, operation=route.operation
        )
    return Transient(why, status=status, code=code, operation=route.operation)


def judged_by_status(
    answer: Answer, *, code: str | None = None, said: str = ""
) -> StepError | None:
    """Class an answer by its status alone; None is a success.

    code, said: the vendor's code and its redacted sentence, for the message. Pure.
    """
    status, route = answer.status, answer.route
    facts = facts_of(answer, code)
    told = f": {said}" if said else ""
    if status < HTTPStatus.MULTIPLE_CHOICES:
        if answer.is_page:
            why = "The system sent a web page instead of its answer"
            return unanswered(route, why, status=status, code=code)
        return None
    match status:
        case 401:
            return AuthFailed(f"The system refuses the credential{told}", **facts)
        case 403:
            return Forbidden(f"The credential may not do this{told}", **facts)
        case 404 if "{" in route.path:
            return NotReady(f"The system does not know it (yet){told}", **facts)
        case 408:
            return _server_fault(answer, facts, told)
        case 429:
            wait = retry_after(answer)
            return Throttled(f"The system asks for fewer calls{told}", **facts, **wait)
        case 404 | 405 | 410 | 501:
            return ContractDrift(
                f"The route is gone{told}",
                expected=f"{route.method} {route.path}",
                seen=f"status {status}",
                **facts,
            )
        case _ if status < HTTPStatus.BAD_REQUEST:
            return ContractDrift(
                "The system answers with a redirection where none is agreed",
                expected="status 2xx",
                seen=f"status {status}",
                **facts,
            )
        case _ if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return Invalid(f"The system refuses the data{told}", **facts)
        case _:
            return _server_fault(answer, facts, told)


def _server_fault(answer: Answer, facts: Known, told: str) -> StepError:
    """Class a fault of the server: repeated where that is harmless, else looked into."""
    why = f"The system answered {answer.status}{told}"
    if answer.route.is_mutating and not answer.route.repeatable:
        return unanswered(answer.route, why, status=answer.status, code=facts["code"])
    return Transient(why, **facts)
