"""Evidence for an auditor: one file for a period, with what proves it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from newel.cli.event_exporting import FromDay, ToDay, period_of
from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson, NamedActor, Reason

if TYPE_CHECKING:
    from newel.engine.evidence import Written

__all__ = ["evidence"]

evidence: Final = App(name="evidence", help="Evidence for an auditor.")

_SEED_BYTES: Final = 16
_FOR_AN_AUDITOR: Final = "evidence for an auditor"


@evidence.command
def export(
    path: Annotated[Path, Parameter(help="File to make: a zip.")],
    /,
    *,
    since: FromDay,
    until: ToDay,
    sample: Annotated[int, Parameter(help="Draw so many of each population.")] = 0,
    seed: Annotated[str, Parameter(help="What to draw by; the auditor may say it.")] = "",
    as_of: Annotated[
        int | None, Parameter(help="Size of the log, of a checkpoint; default: the newest.")
    ] = None,
    reason: Reason = "",
    actor: NamedActor = "",
    as_json: AsJson = False,
) -> None:
    """Write who was given what, by whose decision, in a period, with the log that proves it.

    The same period of the same log is the same bytes, but for the receipt.
    """
    from newel.base.settings import load_settings
    from newel.cli.deployment import carried_out, found_engine, key_holder
    from newel.engine.evidence import Package, Sampling
    from newel.engine.exporting import Exports

    there, period = path.absolute(), period_of(since, until)
    sampling = Sampling(sample, seed or secrets.token_hex(_SEED_BYTES)) if sample > 0 else None
    wanted = Package(period, sampling, as_of)

    async def written() -> Written:
        holder = key_holder(load_settings())
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            exports = Exports(engine.database, engine.vault)
            why = reason or _FOR_AN_AUDITOR
            return await exports.evidence(there, wanted, holder, actor=acting, reason=why)

    done = carried_out(written())
    if as_json:
        return say_json(
            {
                "file": str(path),
                "rows": done.rows,
                "size": done.size,
                "manifest_sha256": done.manifest_sha256,
            }
        )
    return say(
        f"{sum(done.rows.values())} rows from the first {done.size} entries of the log are in "
        f"{path} (manifest {done.manifest_sha256})."
    )
