"""Evidence for an auditor: one file for a period, with what proves it."""

from __future__ import annotations

import csv
import secrets
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from newel.cli.event_exporting import FromDay, ToDay, period_of
from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson, NamedActor, Reason

if TYPE_CHECKING:
    from newel.engine.evidence import Listed, Written

__all__ = ["evidence"]

evidence: Final = App(name="evidence", help="Evidence for an auditor.")

_COLUMNS: Final = ("employee_id", "start_date", "end_date")
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
    roster: Annotated[
        Path | None,
        Parameter(
            help="List of HR, CSV: employee_id, start_date, end_date; compared with the log."
        ),
    ] = None,
    sla_hours: Annotated[
        int, Parameter(help="Within how many hours the access of a leaver has to end.")
    ] = 24,
    with_names: Annotated[
        bool, Parameter(negative="", help="Say in a file of its own who the references are.")
    ] = False,
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
    listed = None if roster is None else _listed(roster)
    wanted = Package(period, sampling, as_of, listed, sla_hours, with_names)

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
                "warnings": list(done.warnings),
            }
        )
    told = (
        f"{sum(done.rows.values())} rows from the first {done.size} entries of the log are in "
        f"{path} (manifest {done.manifest_sha256})."
    )
    return say("\n".join([told, *(f"Read first: {each}" for each in done.warnings)]))


def _listed(path: Path) -> list[Listed]:
    """Read a list of HR; raises InvalidInput where it is none."""
    from newel.base.errors import InvalidInput
    from newel.engine.evidence import Listed

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as why:
        raise InvalidInput({"roster": f"{path} cannot be read: {why}"}) from None
    wrong = [number for number, each in enumerate(lines, 1) if not _is_line(each)]
    if wrong or not lines:
        told = f"line {wrong[0] + 1} of" if wrong else "no line in"
        needed = "employee_id, start_date and end_date (YYYY-MM-DD) are needed"
        raise InvalidInput({"roster": f"{told} {path}: {needed}"})
    return [Listed(*(each[name].strip() for name in _COLUMNS)) for each in lines]


def _is_line(line: dict[str, str]) -> bool:
    if any(line.get(name) is None for name in _COLUMNS) or not line["employee_id"].strip():
        return False
    try:
        days = [line[name].strip() for name in _COLUMNS[1:]]
        return all(not day or date.fromisoformat(day).isoformat() == day for day in days)
    except ValueError:
        return False
