"""Which systems a run is about, and which of them are ready.

Counted are the systems in which the run has made (for a leaver: ended) a grant, those of its open
acts, and those in which its plan will still give access, so that the whole does not grow on the
way. A system is ready when all its grants of this run are active and nothing is open or to come
there: an invitation that is not accepted is not ready.
Source: product document, §11.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from newel.people.facts import GrantFact, OpenFact, RunFact, SystemState
from newel.people.words import system_name

__all__ = ["SystemStanding", "standings"]

_NOT_COUNTED: Final = frozenset({"waived", "refused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStanding:
    """One system of a run: its state, since when, and the ticket that is open for it."""

    system: str
    title: str
    state: SystemState
    since: datetime | None = None
    ticket: str | None = None
    ticket_url: str | None = None


def standings(run: RunFact, grants: Sequence[GrantFact]) -> tuple[SystemStanding, ...]:
    """Say how each system of a run stands, by its title."""
    acts_in: dict[str, list[OpenFact]] = defaultdict(list)
    for act in run.acts:
        if act.kind == "step" and act.system is not None:
            acts_in[act.system].append(act)
    grants_in: dict[str, list[GrantFact]] = defaultdict(list)
    for grant in grants:
        if _belongs(grant, run):
            grants_in[grant.system].append(grant)
    ahead = {} if run.ahead is None or run.kind == "leaver" else run.ahead.systems
    found = [
        _standing(run, system, acts_in[system], grants_in[system], ahead.get(system))
        for system in {*acts_in, *grants_in, *ahead}
    ]
    return tuple(sorted(found, key=lambda each: (each.title, each.system)))


def _belongs(grant: GrantFact, run: RunFact) -> bool:
    if grant.state in _NOT_COUNTED:
        return False
    if run.kind == "leaver":
        return grant.ended_run == run.id or grant.state in {"active", "prepared"}
    return grant.made_run == run.id


def _standing(
    run: RunFact,
    system: str,
    acts: Sequence[OpenFact],
    grants: Sequence[GrantFact],
    planned: str | None,
) -> SystemStanding:
    titles = [act.system_title for act in acts] + [grant.system_title for grant in grants]
    titles.append(planned)
    state = _state(run, acts, grants)
    if planned is not None and not acts:
        state = "pending" if grants else "planned"
    ticketed = next((act for act in acts if act.ticket), None)
    moments = [act.parked_at or act.since for act in acts] or [
        grant.since for grant in grants if grant.since is not None
    ]
    return SystemStanding(
        system=system,
        title=system_name(system, next(filter(None, titles), None)),
        state=state,
        since=min(moments, default=None),
        ticket=None if ticketed is None else ticketed.ticket,
        ticket_url=None if ticketed is None else ticketed.ticket_url,
    )


def _state(run: RunFact, acts: Sequence[OpenFact], grants: Sequence[GrantFact]) -> SystemState:
    if any(act.state == "parked" for act in acts):
        return "parked"
    if any(act.is_retrying for act in acts):
        return "retrying"
    if acts:
        return "running"
    states = {grant.state for grant in grants}
    if run.kind == "leaver":
        return "removed" if states <= {"suspended", "revoked"} else "pending"
    if states == {"active"}:
        return "ready"
    return "removed" if states <= {"suspended", "revoked"} else "pending"
