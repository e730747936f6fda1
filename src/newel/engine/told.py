"""Telling the log of a committed event: one JSON line each, after the commit, never before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Final

from newel.base.ids import reference
from newel.base.log import Service, logger, transition_line
from newel.base.version import VERSION
from newel.domain.change import Change, EventRow, Said
from newel.engine.runner import Runner

Write = Callable[[bytes], object]


class Teller:
    """Writes the line of each committed event to one place."""

    def __init__(self, service: Service, write: Write | None = None) -> None:
        """Take the name of the program; `write` is given whole lines, default: standard output."""
        self._service = service
        self._write: Write = write or _to_stdout
        self._lines: list[bytes] = []

    def tell(self, change: Change, process: str | None = None) -> None:
        """Make the lines of what a Change and those together with it have written.

        process: of the run that it moves. `flush` writes the lines of a whole batch at once.
        """
        self._add(change.events, process)
        for other in change.together:
            self._add(other.events, None)

    def _add(self, events: list[EventRow], process: str | None) -> None:
        self._lines += [
            transition_line(
                self._service,
                event=event.type,
                occurred_at=event.instant,
                id=event.id,
                stream=event.stream,
                seq=event.seq,
                leaf_hash=event.leaf_hash,
                run=event.stream[4:] if event.stream.startswith("run/") else None,
                process=process,
                key=event.key,
                attempt=event.attempt,
                round=event.round,
                subject=event.subject,
                system=event.system,
            )
            for event in events
        ]

    def flush(self) -> None:
        """Write what was told."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._write(b"".join(lines))


def say(run: Runner, lines: Iterable[Said]) -> None:
    """Write log lines of a body, each with its run and the key of the outcome it follows."""
    for key, event, fields in lines:
        logger().info(
            event,
            run=reference("run", run.id),
            process=run.process.name,
            subject=run.subject,
            key=key or None,
            facts=fields,
        )


def service(name: str, server: str) -> Service:
    """Name this program for its log lines."""
    return Service(service=name, version=VERSION, server=server)


def _to_stdout(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()


SILENT: Final[Write] = len
"""For tests and tools whose standard output is for something else."""
