"""The company's people and the records that its processes are about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from newel import Person


class Job(Enum):
    """What somebody was hired for."""

    ENGINEER = "engineer"
    SALES = "sales"
    OFFICE = "office"


@dataclass(frozen=True, kw_only=True)
class NewHire(Person):
    """Somebody who begins."""

    job: Job
    team: str
    starts_at: datetime
    repositories: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Leaver(Person):
    """Somebody who goes."""

    leaves_at: datetime


@dataclass(frozen=True)
class Account:
    """An account of a colleague."""

    email: str


@dataclass(frozen=True)
class Issue:
    """An issue in the tracker."""

    key: str
