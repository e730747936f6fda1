"""Log lines of sealed events, brought to where they are kept: a file, or a server for lines."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson

__all__ = ["ship"]


def ship(
    place: Annotated[
        str,
        Parameter(
            help="File of log lines, made if need be; or `syslog:` or `otlp:`, as in `logs`."
        ),
    ],
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Bring the lines of all sealed events to where some are missing; it goes on where it ended."""
    from newel.base.errors import StoreError
    from newel.cli.deployment import carried_out, found_here
    from newel.engine.log_targets import collector_of
    from newel.engine.shipping import shipped, shipped_to
    from newel.engine.told import service

    collector, path = collector_of(place, socket.gethostname()), Path(place).absolute()
    whose = service("newel", "ship")
    # A name and a password before the host are told to nobody, and are in no name of a file.
    server = re.sub("//[^/]*@", "//", place)

    async def written() -> int:
        async with found_here() as deployment:
            if collector is None:
                return await shipped(deployment.database, path, whose)
            name = re.sub(r"[^\w.-]+", "-", server)
            cursor = deployment.settings.log_directory / f"shipped.{name}"
            try:
                return await shipped_to(deployment.database, collector, cursor, whose)
            except OSError as fault:
                why = type(fault).__name__
                raise StoreError(f"{server} does not take lines ({why}).") from fault

    many = carried_out(written())
    there = server if collector is not None else str(path)
    if as_json:
        return say_json({"file": there, "lines": many})
    return say(f"{many} lines were brought to {there}.")
