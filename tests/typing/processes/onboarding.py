"""Onboarding: everything a new colleague needs, ready on the first day."""

from __future__ import annotations

from dataclasses import dataclass

from newel import Overdue, Rejected, approval, days, manager_of, parallel, process, team, timer
from tests.typing.processes.people import Account, Job, NewHire
from tests.typing.processes.systems import github, google, jira, payroll, salesforce, slack


@dataclass(frozen=True)
class Onboarded:
    """What a new colleague has."""

    email: str
    payroll_id: str


@process(owner="hr")
async def onboarding(hire: NewHire) -> Onboarded:
    """From signed contract to first day."""
    await confirmed(hire)

    account = await google.create_user(hire)
    _, _, payroll_id, _ = await parallel(
        slack.invite(account),
        jira.add_user(account),
        payroll.enrol(hire),
        job_access(hire, account),
    )

    await timer("first-day", at=hire.starts_at)
    await slack.say("#general", f"Welcome {hire.name}!")
    return Onboarded(account.email, payroll_id)


async def confirmed(hire: NewHire) -> None:
    """The manager answers within two days, or HR decides."""
    try:
        decision = await approval("manager-confirms", by=manager_of(hire), within=days(2))
    except Overdue:
        decision = await approval("hr-confirms", by=team("hr"))
    if not decision.approved:
        raise Rejected(decision)


async def job_access(hire: NewHire, account: Account) -> None:
    """The one place where jobs differ; every branch meets again in `onboarding`."""
    match hire.job:
        case Job.ENGINEER:
            await github.add_to_team(account, hire.team)
            for repository in hire.repositories:
                await github.grant[repository](account, repository)
        case Job.SALES:
            await salesforce.create_user(account)
        case Job.OFFICE:
            pass
