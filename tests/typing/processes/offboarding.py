"""Offboarding: access ends at the agreed minute; called off in time, all of it comes back."""

from __future__ import annotations

from dataclasses import dataclass

from newel import (
    Overdue,
    Rejected,
    approval,
    compensation,
    days,
    form,
    manager_of,
    parallel,
    process,
    team,
    timer,
    urgent,
)
from tests.typing.processes.people import Leaver
from tests.typing.processes.systems import github, google, payroll


@dataclass(frozen=True)
class Heir:
    """Who gets the files."""

    email: str


@process(owner="hr", retry=urgent)
async def offboarding(leaver: Leaver) -> None:
    """Cut access everywhere at once, hand the files over, close the payroll."""
    decision = await approval("hr-confirms", by=team("hr"))
    if not decision.approved:
        raise Rejected(decision)

    await timer("access-ends", at=leaver.leaves_at)
    teams = await github.teams_of(leaver.email)

    async with compensation() as undo:
        undo(google.restore, leaver.email)
        undo(github.join_teams, leaver.email, teams)
        await parallel(
            google.suspend(leaver.email),
            github.leave_teams(leaver.email),
        )
        await google.transfer_files(leaver.email, to=await heir_of(leaver))

    await payroll.close(leaver.email)


async def heir_of(leaver: Leaver) -> str:
    """The manager names who gets the files, or gets them after five days."""
    try:
        heir = await form("files-go-to", Heir, by=manager_of(leaver), within=days(5))
    except Overdue:
        return "files@example.test" if leaver.manager is None else leaver.manager.email
    return heir.email
