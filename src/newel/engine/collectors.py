"""Servers that take log lines: syslog, and OpenTelemetry's protocol over HTTP.

Every line travels whole, as the JSON it is, so that what a server keeps can be held against the
log (`newel audit reconcile`); what a server can search for stands beside it.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx2
import orjson

from newel.base.errors import InvalidInput, StoreError
from newel.connectors.trust import public_authorities

__all__ = ["Collector", "Otlp", "Refused", "Syslog"]

_TIMEOUT_S: Final = 10.0
_DATAGRAM: Final = 60_000
_LOCAL_0: Final = 16
_SEVERITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_NUMBERS: Final = {"debug": 5, "info": 9, "warning": 13, "error": 17}
"""Of OpenTelemetry's logs data model."""
_TOLD: Final = ("run", "process", "key", "attempt", "round", "subject", "system")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_STRANGE: Final = re.compile(r"[^!-~]")
_PORTS: Final = {"tcp": 601, "tls": 6514, "udp": 514}

_REFUSALS: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)

Line = Mapping[str, Any]  # Any: JSON


class Refused(StoreError):
    """A server has read lines and will not take them, however often they come.

    many: how many of them; None for all.
    """

    many: int | None = None


class Collector(Protocol):
    """A server for lines."""

    def send(self, lines: Sequence[bytes]) -> None:
        """Bring lines there; blocks. Raises OSError or StoreError if it does not take them."""
        ...

    def close(self) -> None:
        """End what is open."""
        ...


class Syslog:
    """A server of syslog; TCP has no receipts, so what breaks a connection may lose a line."""

    def __init__(self, way: str, host: str, port: int, server: str) -> None:
        self._way, self._host, self._port, self._server = way, host, port, server
        self._socket: socket.socket | None = None

    @classmethod
    def at(cls, url: str, server: str) -> Syslog:
        """Read an address `tcp://host:port`; server: this host. Raises InvalidInput."""
        parts = urlsplit(url)
        try:
            port = parts.port or _PORTS[parts.scheme]
        except (KeyError, ValueError):
            port = 0
        if not port or not parts.hostname:
            raise InvalidInput({"logs": "syslog: tcp://HOST:PORT, tls:// or udp:// is needed"})
        return cls(parts.scheme, parts.hostname, port, server)

    def send(self, lines: Sequence[bytes]) -> None:
        """Send a message for each line."""
        messages = [self._message(line.rstrip(b"\n")) for line in lines]
        if self._way == "udp":
            with socket.socket(_family(self._host), socket.SOCK_DGRAM) as datagrams:
                for each in messages:
                    datagrams.sendto(each[:_DATAGRAM], (self._host, self._port))
            return
        opened = self._opened()
        try:
            opened.sendall(b"".join(b"%d %s" % (len(each), each) for each in messages))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _opened(self) -> socket.socket:
        """Give a connection; one that the server has ended is not written to any more."""
        if self._socket is not None and select.select([self._socket], [], [], 0)[0]:
            self.close()
        if self._socket is None:
            made = socket.create_connection((self._host, self._port), _TIMEOUT_S)
            if self._way == "tls":
                made = ssl.create_default_context().wrap_socket(made, server_hostname=self._host)
            self._socket = made
        return self._socket

    def _message(self, line: bytes) -> bytes:
        said = _read(line)
        priority = _LOCAL_0 * 8 + _SEVERITIES.get(str(said.get("level")), 6)
        name = _word(f"newel-{said.get('service', '')}", 48)
        kind = "audit" if "audit" in said else "line"
        moment = _word(str(said.get("ts", "-")), 32)
        head = f"<{priority}>1 {moment} {_word(self._server, 255)} {name} - {kind} - "
        return head.encode("ascii", "replace") + line


class Otlp:
    """A collector that speaks OTLP over HTTP; what it rejects counts as not taken."""

    def __init__(self, url: str, server: str) -> None:
        self._url, self._server = url, server
        self._client: httpx2.Client | None = None

    def send(self, lines: Sequence[bytes]) -> None:
        """Send all lines in one request."""
        client = self._client or httpx2.Client(
            verify=public_authorities(), timeout=_TIMEOUT_S, trust_env=False
        )
        self._client = client
        body = orjson.dumps({"resourceLogs": self._resources(lines)})
        try:
            answer = client.post(
                self._url, content=body, headers={"Content-Type": "application/json"}
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as fault:
            raise StoreError(f"The collector does not answer ({type(fault).__name__}).") from fault
        if not answer.is_success:
            kind = Refused if answer.status_code in _REFUSALS else StoreError
            raise kind(f"The collector answers {answer.status_code}.")
        if many := _rejected(answer.content):
            refused = Refused("The collector has rejected some lines.")
            refused.many = many
            raise refused

    def close(self) -> None:
        """End the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _resources(self, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        """Order lines by the program that wrote them."""
        programs: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for each in lines:
            line = each.rstrip(b"\n")
            said = _read(line)
            whose = str(said.get("service", "")), str(said.get("version", ""))
            programs.setdefault(whose, []).append(_record(line, said))
        return [
            {
                "resource": {
                    "attributes": _attributes(
                        {
                            "service.namespace": "newel",
                            "service.name": name,
                            "service.version": version,
                            "host.name": self._server,
                        }
                    )
                },
                "scopeLogs": [{"scope": {"name": "newel"}, "logRecords": records}],
            }
            for (name, version), records in programs.items()
        ]


def _rejected(answer: bytes) -> int:
    """Say how many lines a collector rejects; none where its answer is in no form that says so."""
    try:
        return int((_read(answer).get("partialSuccess") or {}).get("rejectedLogRecords") or 0)
    except (AttributeError, TypeError, ValueError):
        return 0


def _record(line: bytes, said: Line) -> dict[str, Any]:
    audit = said.get("audit", {})
    told = {f"newel.{name}": said[name] for name in _TOLD if said.get(name) is not None}
    told |= {f"newel.audit.{name}": value for name, value in audit.items()}
    nanos = _nanoseconds(said)
    record: dict[str, Any] = {
        "timeUnixNano": str(nanos),
        "observedTimeUnixNano": str(nanos),
        "severityNumber": _NUMBERS.get(str(said.get("level")), 9),
        "severityText": str(said.get("level", "info")).upper(),
        "eventName": str(said.get("event", "")),
        "body": {"stringValue": line.decode("utf-8", "replace")},
        "attributes": _attributes(told),
    }
    if said.get("trace_id"):
        record["traceId"] = said["trace_id"]
    return record


def _attributes(told: Mapping[str, object]) -> list[dict[str, object]]:
    return [{"key": name, "value": _value(value)} for name, value in told.items()]


def _value(value: object) -> dict[str, object]:
    # A 64-bit number is text in JSON made from protocol buffers.
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": str(value)}


def _read(line: bytes) -> dict[str, Any]:
    """Read a line of JSON; what is none has no fields."""
    try:
        found = orjson.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _nanoseconds(said: Line) -> int:
    """Give the moment of a line since 1970; nought, "unknown", where it tells none."""
    try:
        return (datetime.fromisoformat(str(said.get("ts"))) - _EPOCH) // _MICROSECOND * 1000
    except (ValueError, TypeError):
        return 0


def _word(text: str, length: int) -> str:
    """Write a field of a syslog header: printable ASCII without blanks, never empty."""
    return _STRANGE.sub("-", text)[:length] or "-"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
