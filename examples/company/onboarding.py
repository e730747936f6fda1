"""Onboarding: everything a new colleague needs, ready on the first day."""

from __future__ import annotations

from dataclasses import dataclass

from newel import Overdue, Rejected, approval, days, minutes, parallel, process, team, timer

from company.people import Job, NewHire
from company.systems import github, google, jira, payroll, salesforce, slack


@dataclass(frozen=True)
class Onboarded:
    """What onboarding leaves behind: the work address and the employee in payroll."""

    email: str
    payroll_id: str


@process(owner="hr")
async def onboarding(hire: NewHire) -> Onboarded:
    """From signed contract to first day."""
    await google.reserve_address(hire)
    await confirmed(hire)

    account = await google.ensure_account(hire, suspended=True)
    _, _, employee, _ = await parallel(
        slack.ensure_account(hire),
        jira.ensure_account(hire),
        payroll.ensure_employee(hire),
        job_access(hire),
    )

    await timer("first-day", at=hire.starts_at)
    await google.activate(hire)
    await slack.say("#general", f"Welcome {hire.name}!")
    return Onboarded(account.email, employee.id)


async def confirmed(hire: NewHire) -> None:
    """The manager answers within two days, or HR decides."""
    try:
        decision = await approval("manager-confirms", by=hire.manager, within=days(2))
    except Overdue:
        decision = await approval("hr-confirms", by=team("hr"))
    if not decision.approved:
        raise Rejected(decision)


async def job_access(hire: NewHire) -> None:
    """The one place where jobs differ; every branch meets again in `onboarding`."""
    match hire.job:
        case Job.ENGINEER:
            await github.ensure_member(hire, hire.github_username)
            while not await github.accepted(hire, hire.github_username):
                await timer("invitation-poll", after=minutes(5))
            await parallel(
                github.join_team[hire.team](hire, hire.github_username, hire.team),
                *[
                    github.grant[each](hire, hire.github_username, each)
                    for each in hire.repositories
                ],
            )
        case Job.SALES:
            seller = await salesforce.ensure_account(hire)
            await salesforce.assign_permission_set["console"](seller, "Sales_Console")
        case Job.OFFICE:
            pass
