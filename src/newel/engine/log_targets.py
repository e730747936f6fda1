"""Where log lines go: standard output, a file, a syslog server, a collector of OpenTelemetry.

    stdout                        whoever runs the program collects them
    file:PATH                     appended; opened for each batch, so that it can be rotated
    syslog:tcp://HOST:PORT        RFC 5424, frames counted (RFC 6587); `tls://` as RFC 5425
    syslog:udp://HOST:PORT        one datagram a line: lossy, and cut where it is too long
    otlp:https://HOST/v1/logs     OTLP over HTTP, in JSON

A server that does not answer holds up nobody: its lines wait in memory, up to a bound, for a
thread of their own; beyond it the oldest are dropped and counted. A line lost so is a copy lost,
nothing else: `newel audit ship` sends those of events again, from the log. So is one that a server
has read and refused: it would be refused for ever, and everything would wait behind it.
Source: our own audit document §16; RFC 5424, RFC 5425, RFC 6587 §3.4.1; OTLP specification 1.7.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import orjson

from newel.base.errors import InvalidInput, StoreError
from newel.engine.collectors import Collector, Otlp, Refused, Syslog

__all__ = ["Lines", "collector_of", "lines_to"]

_WAITING: Final = 20_000
"""Lines that wait for one server at most."""
_AT_ONCE: Final = 500
_PAUSES_S: Final = (0.2, 1.0, 5.0, 15.0)
_FAREWELL_S: Final = 5.0


class _Target(Protocol):
    def write(self, lines: Sequence[bytes]) -> None: ...

    def close(self) -> None: ...


def lines_to(places: Sequence[str], base: Path, server: str) -> Lines:
    """Give the places that lines go to; base: what relative paths begin at; server: this host.

    Raises InvalidInput.
    """
    return Lines([_target_of(each, base, server) for each in places])


def collector_of(text: str, server: str) -> Collector | None:
    """Read a server for lines as the setting names it; None for what is no server.

    Raises InvalidInput.
    """
    kind, _, url = text.partition(":")
    match kind:
        case "syslog":
            return Syslog.at(url, server)
        case "otlp":
            if not url.startswith(("http://", "https://")):
                raise InvalidInput({"logs": "otlp: an address of HTTP is needed"})
            return Otlp(url, server)
        case _:
            return None


def _target_of(text: str, base: Path, server: str) -> _Target:
    collector = collector_of(text, server)
    if collector is not None:
        return _Waiting(collector)
    kind, _, rest = text.partition(":")
    if text == "stdout":
        return _Stdout()
    if kind == "file" and rest:
        return _File(base / rest)
    raise InvalidInput({"logs": f"{kind!r} is none of stdout, file, syslog, otlp"})


class Lines:
    """All places together, as one that bytes are written to: whole lines, each with its end."""

    def __init__(self, targets: Sequence[_Target]) -> None:
        self._targets = targets

    def write(self, data: bytes) -> int:
        """Write lines to every place; raises what standard output or a file raises."""
        lines = data.splitlines(keepends=True)
        for each in self._targets:
            each.write(lines)
        return len(data)

    def flush(self) -> None:
        """Do nothing: what is written is on its way."""

    def close(self) -> None:
        """Give what waits a few seconds to leave, and end."""
        for each in self._targets:
            each.close()


class _Stdout:
    def write(self, lines: Sequence[bytes]) -> None:
        sys.stdout.buffer.write(b"".join(lines))
        sys.stdout.buffer.flush()

    def close(self) -> None:
        """Leave it open: it is not ours."""


class _File:
    """A file that only grows; two programs may write to it, a batch stays together."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, lines: Sequence[bytes]) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, b"".join(lines))
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Nothing is open."""


class _Waiting:
    """Lines for a server, and the thread that brings them there."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._lines: deque[bytes] = deque()
        self._lost = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._bring, name="newel-log-lines", daemon=True)
        self._thread.start()

    def write(self, lines: Sequence[bytes]) -> None:
        with self._changed:
            self._lines.extend(lines)
            while len(self._lines) > _WAITING:
                self._lines.popleft()
                self._lost += 1
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(_FAREWELL_S)

    def _bring(self) -> None:
        missed = 0
        while batch := self._next():
            # A batch that does not arrive comes back: what was lost before it is told with it.
            lost = self._lost
            told = [_told_lost(batch[0], lost)] if lost else []
            try:
                self._collector.send([*told, *batch])
                missed = 0
            except Refused as refused:  # they would hold up all that comes after them
                with self._changed:
                    many = refused.many
                    self._lost += len(batch) if many is None else many - lost
                continue
            except (OSError, StoreError):
                if self._is_closed:
                    break
                self._back(batch)
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._is_closed, _PAUSES_S[min(missed, len(_PAUSES_S) - 1)]
                    )
                missed += 1
                continue
            with self._changed:
                self._lost -= lost
        with contextlib.suppress(OSError):
            self._collector.close()

    def _next(self) -> list[bytes]:
        """Wait for lines; empty when no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._is_closed)
            return [self._lines.popleft() for _ in range(min(len(self._lines), _AT_ONCE))]

    def _back(self, batch: Sequence[bytes]) -> None:
        """Put lines back that did not arrive, before those that came since."""
        with self._changed:
            self._lines.extendleft(reversed(batch))


def _told_lost(first: bytes, many: int) -> bytes:
    """Say in a line of its own how many were dropped before this one."""
    whose = {name: orjson.loads(first).get(name) for name in ("service", "version", "server", "ts")}
    return orjson.dumps({"level": "warning", "event": "log lines lost", "lines": many, **whose})
