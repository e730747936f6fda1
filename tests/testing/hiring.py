"""A process whose journals are exported: persons, a branch by a word, items, a decision, a loop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from newel import Person, Rejected, approval, days, now, parallel, process, step, team, timer


class Job(Enum):
    """What somebody is hired for."""

    ENGINEER = "engineer"
    CLERK = "clerk"


@dataclass(frozen=True)
class Hire:
    """Somebody new; office: decides by a word, site: by one that stands in no source."""

    person: Person
    job: Job
    salary: int
    starts_at: datetime
    groups: tuple[str, ...]
    office: str = "north"
    site: str = ""


@dataclass(frozen=True)
class Account:
    """What was made."""

    login: str
    mail: str


@step(in_doubt="repeat")
async def account(name: str, email: str) -> Account:
    """Make an account."""
    return Account(name.split(maxsplit=1)[0].lower(), email)


@step(in_doubt="repeat")
async def member(login: str, group: str) -> None:
    """Make somebody a member."""


@step(in_doubt="repeat")
async def laptop(login: str, model: str) -> str:
    """Order a laptop."""
    return f"{model} for {login}"


@process(subject=lambda hire: hire.person, owner="it")
async def hiring(hire: Hire) -> str:
    """Ask, make, order, wait."""
    decision = await approval("boss-agrees", by=team("hr"), within=days(5))
    if not decision.approved:
        raise Rejected(decision)
    made = await account(hire.person.name, hire.person.email)
    await parallel(*[member[group](made.login, group) for group in hire.groups])
    if hire.office == "north" and hire.job is Job.ENGINEER and now() < hire.starts_at:
        await laptop(made.login, "heavy")
    if hire.site == "HQ7".lower():
        await laptop["second"](made.login, "light")
    await timer("first-day", at=hire.starts_at)
    return made.mail
