"""Log lines, kept elsewhere, held against the journal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson

if TYPE_CHECKING:
    from newel.engine.reconciling import Reconciled

__all__ = ["reconcile"]


def reconcile(
    *,
    logs: Annotated[Path, Parameter(help="Log lines of newel, as they were kept; - reads them.")],
    as_json: AsJson = False,
) -> int:
    """Compare log lines that were kept elsewhere with the events of the same time.

    Ends with 0 if none is missing, with 1 if a line has no event (somebody took it out, or the
    database is an older one), with 2 if an event has no line.
    """
    from newel.base.errors import NotFound
    from newel.cli.deployment import carried_out, found_here
    from newel.engine.reconciling import reconciled
    from newel.store.export import snapshot

    if str(logs) != "-" and not logs.is_file():
        raise NotFound(kind="file of log lines", reference=str(logs))

    async def compared() -> Reconciled:
        async with found_here() as deployment, snapshot(deployment.database) as seen:
            if str(logs) == "-":
                return await reconciled(seen.connection, sys.stdin.buffer)
            with logs.open("rb") as file:
                return await reconciled(seen.connection, file)

    done = carried_out(compared())
    if as_json:
        say_json(
            {
                "lines": done.lines,
                "events": done.events,
                "lines_without_event": done.without_event,
                "events_without_line": done.without_line,
                "lost_events": done.lost_events,
                "lost_lines": done.lost_lines,
            }
        )
        return done.code
    say(f"{done.lines} lines of events were compared with {done.events} events of their time.")
    for told, named, many in (
        ("lines have no event", done.without_event, done.lost_events),
        ("events have no line", done.without_line, done.lost_lines),
    ):
        if many:
            say(f"{many} {told}: {', '.join(named)}")
    return done.code
