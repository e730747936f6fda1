"""Lengths of time as a handbook says them: `days(2)`, `minutes(10)`, `business_days(3)`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

__all__ = ["BusinessDays", "business_days", "days", "hours", "minutes", "seconds"]


@dataclass(frozen=True, slots=True)
class BusinessDays:
    """A number of working days; which days work is decided where a calendar is known."""

    count: int

    def __post_init__(self) -> None:
        """Refuse a count that is no whole number of at least one."""
        if type(self.count) is not int or self.count < 1:
            message = f"business_days takes a whole number of at least 1, not {self.count!r}."
            raise ValueError(message)

    def __str__(self) -> str:
        return f"{self.count} {'working day' if self.count == 1 else 'working days'}"


def seconds(count: float) -> timedelta:
    """Say a length of time in seconds."""
    return timedelta(seconds=count)


def minutes(count: float) -> timedelta:
    """Say a length of time in minutes."""
    return timedelta(minutes=count)


def hours(count: float) -> timedelta:
    """Say a length of time in hours."""
    return timedelta(hours=count)


def days(count: float) -> timedelta:
    """Say a length of time in days of 24 hours."""
    return timedelta(days=count)


def business_days(count: int) -> BusinessDays:
    """Say a length of time in working days of the company's calendar; at least one."""
    return BusinessDays(count)
