"""Log lines: one JSON object a line, made so that personal data and secrets cannot get in.

There are two ways in. Lines about state are made by `transition_line` from a committed audit event,
so that the log can be compared with it; they hold references only. Everything else goes through
structlog: what happened is a short fact that is declared with the fields it may carry,

    LEASE_LOST = declare("lease lost", "worker", "epoch")
    logger().warning(LEASE_LOST, worker="w_3", epoch=4)

and a field that is not declared is dropped, its name told under `dropped`. Then values are redacted
by name and by pattern and bounded in length (`redaction`). Of an exception only its class and its
place are told: its text may quote anything.
Source: our own audit document §16, style document §9.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, BinaryIO, Final, Protocol, cast

import orjson
import structlog

from newel.base.clock import Clock, SystemClock
from newel.base.redaction import redacted, redacted_text

__all__ = ["Lines", "Logger", "Service", "configure", "declare", "logger", "transition_line"]

_ALWAYS_ALLOWED: Final = frozenset(
    {"attempt", "facts", "key", "process", "round", "run", "server", "span_id", "subject", "system"}
    | {"trace_id", "worker"}
)
_DECLARED: Final[dict[str, frozenset[str]]] = {}
_DEEPEST_FRAMES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Which program writes: stands in every line."""

    service: str
    version: str
    server: str
    written: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        named = {"service": self.service, "version": self.version, "server": self.server}
        object.__setattr__(self, "written", named)


class Lines(Protocol):
    """What lines can be written to."""

    def write(self, data: bytes, /) -> object:
        """Write whole lines, each with its end."""
        ...

    def flush(self) -> object:
        """Let what was written be on its way."""
        ...


class Logger(Protocol):
    """What a module needs of a logger; fields are checked against the declaration."""

    def bind(self, **fields: object) -> Logger:
        """Give a logger whose lines carry these fields, too."""
        ...

    def debug(self, event: str, **fields: object) -> object:
        """Tell what helps while building."""
        ...

    def info(self, event: str, **fields: object) -> object:
        """Tell what happened."""
        ...

    def warning(self, event: str, **fields: object) -> object:
        """Tell what somebody may have to look at."""
        ...

    def error(self, event: str, **fields: object) -> object:
        """Tell what somebody has to look at; `exc_info=True` adds class and place."""
        ...


def declare(event: str, *fields: str) -> str:
    """Declare a fact and the fields its lines may carry, and give it back.

    Fields of the run (`run`, `key`, `worker` …) need no declaration. Declared twice, it may carry
    both sets.
    """
    _DECLARED[event] = _DECLARED.get(event, frozenset()) | set(fields)
    return event


def logger(**fields: object) -> Logger:
    """Give the logger, with fields that all its lines carry."""
    return cast("Logger", structlog.get_logger(**fields))


def configure(
    service: Service,
    *,
    stream: Lines | None = None,
    level: int = logging.INFO,
    clock: Clock | None = None,
) -> None:
    """Set up structlog for this program; lines go to standard output or to `stream`."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _Render(service, clock or SystemClock()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", stream or sys.stdout.buffer)),
        cache_logger_on_first_use=False,
    )


class _Render:
    """The last and only processor: allow, redact, bound, write."""

    __slots__ = ("_clock", "_service")

    def __init__(self, service: Service, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    def __call__(
        self,
        _: object,
        method: str,
        fields: MutableMapping[str, Any],  # Any: what callers gave
    ) -> bytes:
        event = str(fields.pop("event", ""))
        raised = _raised(fields.pop("exc_info", None))
        line: dict[str, object] = {
            "ts": _moment(self._clock.now()),
            "level": method,
            "event": event if event in _DECLARED else redacted_text(event),
            **self._service.written,
        }
        allowed = _ALWAYS_ALLOWED | _DECLARED.get(event, frozenset())
        line |= {name: redacted(name, fields[name]) for name in fields if name in allowed}
        dropped = sorted(redacted_text(name) for name in fields if name not in allowed)
        if dropped:
            line["dropped"] = dropped
        if raised is not None:
            line["raised"] = raised
        return orjson.dumps(line)


def transition_line(
    service: Service,
    *,
    event: str,
    occurred_at: str,
    id: str,  # noqa: A002  # the field's name in every leaf
    stream: str,
    seq: int,
    leaf_hash: bytes,
    run: str | None = None,
    process: str | None = None,
    key: str | None = None,
    attempt: int | None = None,
    round: int | None = None,  # noqa: A002  # the house's word
    subject: str | None = None,
    system: str | None = None,
    trace_id: str | None = None,
    confidential: bool = False,
    place: tuple[int, int] | None = None,
) -> bytes:
    """Write the line of one committed audit event, line end included.

    event: its type. run, subject: references. confidential: the line tells ids only.
    place: log epoch and leaf index, once it is sealed.
    Values are references and names from code, so nothing is redacted but what looks like a mail
    address; this stands on the path of every commit.
    """
    audit: dict[str, object] = {
        "id": id,
        "stream": stream,
        "seq": seq,
        "leaf_hash": leaf_hash.hex(),
    }
    if place is not None:
        audit["log_epoch"], audit["leaf_index"] = place
    line: dict[str, object] = {
        "ts": occurred_at,
        "level": "info",
        "event": event,
        **service.written,
        "run": run,
        "audit": audit,
    }
    if not confidential:
        line["subject"] = subject
        line["system"] = system
        if process is not None:
            line["process"] = process
        if key is not None:
            line["key"] = key if "@" not in key else redacted_text(key)
    if attempt is not None:
        line["attempt"] = attempt
        line["round"] = round
    if trace_id is not None:
        line["trace_id"] = trace_id
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _moment(now: datetime) -> str:
    return f"{now.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z"


def _raised(given: object) -> dict[str, object] | None:
    """Tell class and place of an exception, never its text."""
    if given is True:
        given = sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1]
    if isinstance(given, tuple):
        given = given[1]
    if not isinstance(given, BaseException):
        return None
    return {"class": type(given).__name__, "at": list(_frames(given.__traceback__))}


def _frames(traceback: TracebackType | None) -> Iterable[str]:
    """Name the innermost frames, outermost first: `module:line function`."""
    places: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = traceback.tb_frame.f_globals.get("__name__", "?")
        places.append(f"{module}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return places[-_DEEPEST_FRAMES:]
