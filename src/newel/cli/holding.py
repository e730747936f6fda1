"""Who holds what: the access of one person, or of everybody on a day, as the ledger has it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from newel.base.errors import InvalidInput
from newel.cli.event_exporting import FromDay, ToDay, period_of
from newel.cli.output import columns, moment, say, say_json
from newel.cli.parameters import AsJson
from newel.cli.reading import not_one

if TYPE_CHECKING:
    from datetime import tzinfo

    from newel.cli.deployment import Deployment
    from newel.people.finding import Candidate
    from newel.people.holdings import Asked, Decision, Holding
    from newel.store.database import Row

__all__ = ["access", "revocations"]

_PAGE: Final = 1000


def access(
    whom: Annotated[
        str, Parameter(name="PERSON", help="Name, work address, or reference; else everybody.")
    ] = "",
    /,
    *,
    on: Annotated[str, Parameter(help="Who had what on this day: 2026-03-03; or today.")] = "",
    system: Annotated[str | None, Parameter(help="Only in this system: github.")] = None,
    entitlement: Annotated[
        str | None, Parameter(help="Only this entitlement: github:account.")
    ] = None,
    by: Annotated[
        str, Parameter(help="Only what this allowed: approval, policy, break_glass, adopted, …")
    ] = "",
    zone: Annotated[
        str, Parameter(help="Zone of the day: Europe/Berlin. Default: this machine's.")
    ] = "",
    as_json: AsJson = False,
) -> int:
    """List what a person holds and has held; or, with --on, who had what on a day, and why.

    Ends with 3 if several people fit, with 4 if nobody does.
    """
    from newel.base.zones import local_zone, zone_named
    from newel.cli.deployment import carried_out, found_here
    from newel.people.finding import best, found
    from newel.people.holdings import Asked

    where = zone_named(zone) if zone else local_zone()

    async def read() -> int:
        async with found_here() as deployment:
            person = None
            if whom:
                hits = best(await found(deployment.database, whom))
                if len(hits) != 1:
                    return not_one(whom, hits)
                person = hits[0].person
            if person is not None and not (on or system or entitlement or by):
                return await _of_person(deployment, person, where, as_json=as_json)
            ref = None if person is None else person.ref
            asked = Asked(person=ref, system=system, entitlement=entitlement)
            return await _on_day(deployment, on, where, asked, by=by, as_json=as_json)

    return carried_out(read())


async def _of_person(
    deployment: Deployment, person: Candidate, zone: tzinfo, *, as_json: bool
) -> int:
    from newel.base.ids import reference
    from newel.store import ledger

    rows = await ledger.of_person(deployment.database, person.ref)
    if as_json:
        named = reference("per", person.ref)
        say_json({"person": named, "access": [_grant(row) for row in rows]})
    elif not rows:
        say(f"No access of {person.name} is on record.")
    else:
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


async def _on_day(
    deployment: Deployment, on: str, zone: tzinfo, asked: Asked, *, by: str, as_json: bool
) -> int:
    """Say who had what on a day: all pages of the answer; by: only what this kind allowed."""
    from newel.base.ids import parse_reference
    from newel.people.holdings import day_of, had_on

    now = deployment.purpose.as_of
    day = day_of(_day(on) if on else now.astimezone(zone).date(), now, zone)
    access: list[Holding] = []
    after = None
    while True:
        page = await had_on(deployment.database, day, asked, after=after, how_many=_PAGE)
        access += [each for each in page.access if not by or _kind(each) == by]
        if page.after is None:
            break
        after = parse_reference(page.after)[1]
    if as_json:
        told = {"day": day.day, "begin": day.begin, "until": day.until, "access": access}
        say_json(told)
    elif not access:
        say(f"No access of {day.day} ({zone}) is on record.")
    else:
        say(f"{day.day} ({zone})")
        lines = [_line(each, zone) for each in access]
        say(columns(("ENTITLEMENT", "LEVEL", "PERSON", "SINCE", "UNTIL", "DECISION", "RUN"), lines))
    return 0


def _kind(holding: Holding) -> str:
    return "unknown" if holding.decision is None else holding.decision.kind


def revocations(
    *,
    since: FromDay,
    until: ToDay,
    system: Annotated[str | None, Parameter(help="Only in this system: github.")] = None,
    cause: Annotated[
        str, Parameter(help="Why it ended: leaver, mover, cancel, drift, …; all for any.")
    ] = "leaver",
    as_json: AsJson = False,
) -> None:
    """Say how long it took until people had lost their access, the slowest first.

    From the moment at which a run came to it until the system had confirmed the last end.
    """
    from newel.base.zones import local_zone
    from newel.cli.deployment import carried_out, found_here
    from newel.people.holdings import Ended, ended_between

    begin, end = period_of(since, until)

    async def read() -> list[Ended]:
        async with found_here() as deployment:
            why = None if cause == "all" else cause
            return await ended_between(deployment.database, begin, end, system=system, cause=why)

    found = carried_out(read())
    if as_json:
        return say_json({"from": begin, "until": end, "ended": found})
    if not found:
        return say("No access ended for that cause in that time.")
    zone = local_zone()
    lines = [
        (
            each.name,
            each.system,
            str(each.grants),
            moment(each.due_at, zone),
            moment(each.ended_at, zone),
            f"{each.seconds // 3600}:{each.seconds // 60 % 60:02}:{each.seconds % 60:02}",
            each.proof.run,
        )
        for each in found
    ]
    heads = ("PERSON", "SYSTEM", "GRANTS", "DUE", "ENDED", "TOOK", "RUN")
    return say(columns(heads, lines))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput({"on": "is no day; write 2026-03-03"}) from None


def _line(holding: Holding, zone: tzinfo) -> tuple[str, ...]:
    since = moment(holding.since, zone) if holding.since is not None else "unknown"
    return (
        holding.entitlement,
        holding.level or "-",
        holding.name,
        since if holding.is_certain else "unknown, perhaps later",
        moment(holding.until, zone),
        _decision(holding.decision),
        "-" if holding.proof is None else holding.proof.run,
    )


def _decision(decision: Decision | None) -> str:
    """Say by whose decision: who agreed, or what else allowed it."""
    if decision is None:
        return "unknown"
    if decision.kind == "approval":
        return f"approved by {decision.name or decision.approver}"
    return f"{decision.kind} {decision.policy}" if decision.policy else decision.kind


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
