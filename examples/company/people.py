"""The company's people: what its processes must know of a new colleague."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from newel import Person


class Job(Enum):
    """What somebody is hired for; it decides which systems they get."""

    ENGINEER = "engineer"
    SALES = "sales"
    OFFICE = "office"


@dataclass(frozen=True, kw_only=True)
class NewHire(Person):
    """Somebody who has signed; starts_at and ends_at are aware, ends_at only if it is agreed.

    Repositories are named `owner/name`. The GitHub user name is the person's own word.
    """

    manager: Person = field()
    job: Job
    team: str
    starts_at: datetime
    ends_at: datetime | None = None
    repositories: tuple[str, ...] = ()
    github_username: str = ""

    def __post_init__(self) -> None:
        """Refuse what would only fail on the way: `field: why`, read by whoever starts the run."""
        if not self.name.strip():
            raise ValueError("name: is empty")
        if "@" not in self.email:
            raise ValueError("email: is missing, or is no address")
        if self.ends_at is not None and self.ends_at <= self.starts_at:
            raise ValueError("ends_at: is not after starts_at")
        if self.job is Job.ENGINEER and not self.github_username:
            raise ValueError("github_username: an engineer needs one")
        if self.manager.email.lower() == self.email.lower():
            raise ValueError("manager: nobody confirms their own hire")
