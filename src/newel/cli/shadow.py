"""What a run would have done in systems that are in shadow."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from newel.cli.output import columns, say, say_json
from newel.cli.parameters import AsJson, Run
from newel.cli.references import run_named

if TYPE_CHECKING:
    from newel.engine.shadow import Would

__all__ = ["shadow"]


def shadow(run: Run, /, *, as_json: AsJson = False) -> None:
    """List what a run would have asked of systems in shadow; nothing of it was sent."""
    from newel.base.settings import load_settings
    from newel.cli.deployment import carried_out, found_here
    from newel.cli.project import load_project
    from newel.engine.shadow import would_have

    async def read() -> tuple[Would, ...]:
        project = load_project(load_settings())
        async with found_here() as deployment:
            return await would_have(deployment.database, project.connectors, run_named(run))

    found = carried_out(read())
    if as_json:
        return say_json({"would": [asdict(each) for each in found]})
    if not found:
        return say("No step of it was in shadow.")
    heads = ("STEP", "WOULD HAVE ASKED FOR", "MAILS")
    rows = [(each.key, each.call or "nothing", each.mails) for each in found]
    return say(columns(heads, rows))
