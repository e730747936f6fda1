"""Log lines of sealed events, appended to a file that lies elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson

__all__ = ["ship"]


def ship(
    path: Annotated[Path, Parameter(help="File of log lines; it is made if need be.")],
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Append the lines of all sealed events that a file has not yet; it goes on where it ends."""
    from newel.cli.deployment import carried_out, found_here
    from newel.engine.shipping import shipped
    from newel.engine.told import service

    there = path.absolute()

    async def written() -> int:
        async with found_here() as deployment:
            return await shipped(deployment.database, there, service("newel", "ship"))

    many = carried_out(written())
    if as_json:
        return say_json({"file": str(there), "lines": many})
    return say(f"{many} lines were appended to {there}.")
