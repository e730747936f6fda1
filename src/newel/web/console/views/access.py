"""A person's access by system: from the ledger, and from what is still being done there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from newel.base.ids import reference
from newel.people.facts import OpenFact
from newel.people.words import system_name
from newel.store.database import Row
from newel.web.console import copy
from newel.web.console.views.acts import Opened, opened
from newel.web.console.views.model import Chip, View, chip
from newel.web.console.views.titles import Titled

__all__ = ["AccessRow", "access_rows", "leaf_of"]


class GrantView(View):
    """One entitlement that a person holds or held. record: where it is written."""

    entitlement: str
    title: str
    level: str | None
    state: str
    since: datetime | None
    until: datetime | None
    record: str


class AccessRow(View):
    """One system of a person. held: what is granted there, in words; who: by whom and how."""

    system: str
    title: str
    letters: str
    held: str
    chip: Chip
    at: datetime | None
    who: str
    run: str
    record: str
    grants: tuple[GrantView, ...]


def access_rows(
    grants: Sequence[Row],
    acts_of: Mapping[UUID, Sequence[Row]],
    names: Mapping[str, str],
    titled_of: Callable[[UUID], Titled],
) -> tuple[AccessRow, ...]:
    """Make the rows of a person's access, by system.

    grants: rows of `ledger.of_person`. acts_of: open acts by run. names: of people, by reference.
    """
    grants_in: dict[str, list[Row]] = defaultdict(list)
    for row in grants:
        grants_in[row["system"]].append(row)
    acts_in: dict[str, list[tuple[UUID, Opened]]] = defaultdict(list)
    for run, rows in acts_of.items():
        for each in opened(rows):
            if each[0].kind == "step" and each[0].system is not None:
                acts_in[each[0].system].append((run, each))
    found = [
        _row(system, grants_in[system], acts_in[system], names, titled_of)
        for system in {*grants_in, *acts_in}
    ]
    return tuple(sorted(found, key=lambda row: (row.title, row.system)))


def _row(
    system: str,
    grants: Sequence[Row],
    acts: Sequence[tuple[UUID, Opened]],
    names: Mapping[str, str],
    titled_of: Callable[[UUID], Titled],
) -> AccessRow:
    facts = [act for _, (act, _) in acts]
    titles = [row["system_title"] for row in grants] + [act.system_title for act in facts]
    title = system_name(system, next(filter(None, titles), None))
    held = [_entitlement(row) for row in grants if row["state"] in {"active", "prepared"}]
    state = _state([row["state"] for row in _standing(grants)], facts)
    current = next(iter(_standing(grants)), None)
    run = acts[0][0] if acts else _run(grants[0] if current is None else current)
    waiting = facts[0] if facts else None
    dates = [_since(row) for row in grants]
    return AccessRow(
        system=system,
        title=title,
        letters=_letters(title),
        held=", ".join(held) or _wanted(acts, titled_of),
        chip=chip(state),
        at=waiting.since if waiting is not None else max(dates, default=None),
        who=copy.access_who(waiting, _who(current, names)),
        run=f"/runs/{reference('run', run)}",
        record="" if current is None else _record(current),
        grants=tuple(_grant(row) for row in grants),
    )


def _state(states: Sequence[str], acts: Sequence[OpenFact]) -> str:
    if any(act.state == "parked" for act in acts):
        return "parked"
    if any(act.is_retrying for act in acts):
        return "retrying"
    if acts:
        return "partly" if "active" in states else "granting"
    current = [state for state in states if state not in {"revoked", "suspended"}]
    if not current:
        return "revoked" if "revoked" in states else "suspended"
    if set(current) == {"active"}:
        return "granted"
    if "active" in current:
        return "partly"
    return {"planned": "planned", "approved": "planned"}.get(current[0], current[0])


def _wanted(acts: Sequence[tuple[UUID, Opened]], titled_of: Callable[[UUID], Titled]) -> str:
    return ", ".join(titled_of(run)(act.key, None, None) for run, (act, _) in acts)


def _entitlement(row: Row) -> str:
    title = row["entitlement_title"] or row["entitlement"].partition(":")[2]
    text = title.replace("/", " ").replace("_", " ")
    return f"{text} ({row['level']})" if row["level"] else text


def _letters(title: str) -> str:
    capitals = [letter for letter in title if letter.isupper()]
    return "".join(capitals[:2]) if len(capitals) > 1 else title[:2].capitalize()


def _standing(grants: Sequence[Row]) -> list[Row]:
    """The last interval of each entitlement, as the rows are ordered."""
    return list({row["entitlement"]: row for row in grants}.values())


def _run(row: Row) -> UUID:
    """The run that ended a grant, else the one that made it."""
    run: UUID = row["ended_run"] or row["made_run"]
    return run


def _since(row: Row) -> datetime:
    """When a grant came to be as it is."""
    moment: datetime = (
        row["removed_at"] or row["valid_to"] or row["valid_from"] or row["recorded_at"]
    )
    return moment


def leaf_of(row: Row) -> Mapping[str, Any]:  # Any: the values JSON can hold
    """Read the leaf of the event that ended a grant, else of the one that made it."""
    entry: bytes | None = row["ended_entry"] or row["made_entry"]
    leaf: Mapping[str, Any] = {} if entry is None else orjson.loads(entry)
    return leaf


def _who(row: Row | None, names: Mapping[str, str]) -> str:
    """Who gave what stands, or took it away."""
    leaf = {} if row is None else leaf_of(row)
    return copy.actor_name(leaf["actor"], names) if leaf else ""


def _record(row: Row) -> str:
    """Where it is written: the event that ended the grant, else the one that made it."""
    leaf: bytes | None = row["ended_leaf"] or row["made_leaf"]
    seq = row["made_seq"] if row["ended_leaf"] is None else row["ended_seq"]
    return "" if leaf is None else f"#{seq} · {leaf.hex()[:8]}"


def _grant(row: Row) -> GrantView:
    return GrantView(
        entitlement=row["entitlement"],
        title=_entitlement(row),
        level=row["level"],
        state=row["state"],
        since=row["valid_from"],
        until=row["valid_to"],
        record=_record(row),
    )
