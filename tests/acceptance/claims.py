"""Expense: small ones pass, large ones need two pairs of eyes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from newel import (
    Event,
    Overdue,
    Person,
    approval,
    days,
    form,
    parallel,
    process,
    step,
    team,
)


@dataclass(frozen=True)
class Claim:
    """What somebody has spent for the company; the amount in euro."""

    employee: Person
    amount: Decimal
    reason: str


@dataclass(frozen=True)
class Receipt:
    """What proves it: where the receipt lies, and the number that the bank will name."""

    url: str
    number: str


@dataclass(frozen=True)
class Payment:
    """What the bank says of a payment."""

    reference: str


payment_settled = Event("payment-settled", Payment)


@step(in_doubt="repeat")
async def say(text: str) -> None:
    """Say something in the channel of finance; here nobody listens."""


@process(owner="finance")
async def expense(claim: Claim) -> Literal["paid", "declined", "withdrawn"]:
    """A claim is approved, proved by a receipt, and settled."""
    if not await approved(claim):
        await say(f"Declined: {claim.reason}.")
        return "declined"
    try:
        receipt = await form("receipt", Receipt, by=claim.employee, within=days(30))
    except Overdue:
        return "withdrawn"
    await payment_settled.wait(match=receipt.number)
    return "paid"


async def approved(claim: Claim) -> bool:
    """Under 500 passes; up to 5,000 the manager decides; above, finance as well."""
    boss = claim.employee.manager or team("finance")
    if claim.amount < 500:
        return True
    if claim.amount <= 5_000:
        return (await approval("manager-approves", by=boss, remind=days(2))).approved
    manager, finance = await parallel(
        approval("manager-approves-large", by=boss, four_eyes="claim"),
        approval("finance-approves-large", by=team("finance"), four_eyes="claim"),
    )
    return manager.approved and finance.approved
