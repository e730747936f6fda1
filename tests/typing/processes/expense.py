"""Expense: small ones pass, large ones need two pairs of eyes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from newel import Event, Overdue, Person, approval, days, form, manager_of, parallel, process, team
from tests.typing.processes.systems import jira, slack


@dataclass(frozen=True)
class Claim:  # noqa: D101 - its fields say it
    employee: Person
    amount: Decimal  # euro


@dataclass(frozen=True)
class Receipt:  # noqa: D101 - its fields say it
    url: str


@dataclass(frozen=True)
class Payment:  # noqa: D101 - its fields say it
    reference: str


payment_settled = Event("payment-settled", Payment)


@process(owner="finance")
async def expense(claim: Claim) -> Literal["paid", "declined", "withdrawn"]:
    """A claim is approved, proved by a receipt, ordered for payment and settled."""
    if not await approved(claim):
        await slack.say["no"](claim.employee.email, "Declined.")
        return "declined"
    try:
        receipt = await form("receipt", Receipt, by=claim.employee, within=days(30))
    except Overdue:
        return "withdrawn"
    issue = await jira.create_issue("FIN", f"Pay {claim.amount} EUR", receipt.url)
    await slack.say["approved"](claim.employee.email, f"Approved, see {issue.key}.")
    await payment_settled.wait(match=issue.key)
    return "paid"


async def approved(claim: Claim) -> bool:
    """Under 500 passes; up to 5,000 the manager decides; above, finance as well."""
    if claim.amount < 500:
        return True
    boss = manager_of(claim.employee)
    if claim.amount <= 5_000:
        return (await approval("manager-approves", by=boss, remind=days(2))).approved
    manager, finance = await parallel(
        approval("manager-approves-large", by=boss, four_eyes="claim"),
        approval("finance-approves-large", by=team("finance"), four_eyes="claim"),
    )
    return manager.approved and finance.approved
