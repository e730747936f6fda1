"""Who holds what: the access of one person, as the ledger has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from newel.cli.output import columns, moment, say, say_json
from newel.cli.parameters import AsJson
from newel.cli.reading import not_one

if TYPE_CHECKING:
    from newel.store.database import Row

__all__ = ["access"]


def access(
    whom: Annotated[str, Parameter(name="PERSON", help="Name, work address, or reference.")],
    /,
    *,
    as_json: AsJson = False,
) -> int:
    """List what a person holds and has held; ends with 3 if several fit, with 4 if nobody."""
    from newel.base.ids import reference
    from newel.cli.deployment import carried_out, found_here, local_zone
    from newel.people.finding import best, found
    from newel.store import ledger

    async def read() -> int:
        async with found_here() as deployment:
            hits = best(await found(deployment.database, whom))
            if len(hits) != 1:
                return not_one(whom, hits)
            rows = await ledger.of_person(deployment.database, hits[0].person.ref)
        if as_json:
            person = reference("per", hits[0].person.ref)
            say_json({"person": person, "access": [_grant(row) for row in rows]})
        elif not rows:
            say(f"No access of {hits[0].person.name} is on record.")
        else:
            zone = local_zone()
            lines = [
                (
                    row["entitlement"],
                    row["level"] or "-",
                    row["state"],
                    "unknown" if row["since_unknown"] else moment(row["valid_from"], zone),
                    moment(row["valid_to"], zone),
                    row["route"] or "-",
                )
                for row in rows
            ]
            say(columns(("ENTITLEMENT", "LEVEL", "STATE", "SINCE", "UNTIL", "ROUTE"), lines))
        return 0

    return carried_out(read())


def _grant(row: Row) -> dict[str, object]:
    from newel.base.ids import reference

    return {
        "grant": reference("grt", row["id"]),
        "entitlement": row["entitlement"],
        "level": row["level"],
        "state": row["state"],
        "since": row["valid_from"],
        "until": row["valid_to"],
        "removed_at": row["removed_at"],
        "since_unknown": row["since_unknown"],
        "continues": None if row["continues"] is None else reference("grt", row["continues"]),
        "route": row["route"],
        "run": reference("run", row["made_run"]),
        "ended_by": None if row["ended_run"] is None else reference("run", row["ended_run"]),
    }
