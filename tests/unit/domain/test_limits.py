"""Limits: what a process may ask for, and what is refused with its fix."""

from datetime import UTC, datetime, timedelta

import pytest

from newel import business_days, days, process
from newel.base.errors import DefinitionError
from newel.domain.limits import RANKS, Limits, checked_places


async def nothing() -> None:
    """Do nothing."""


def test_priorities_rank_the_most_urgent_first():
    """The order of the rows is the order of the words."""
    assert sorted(RANKS, key=lambda name: RANKS[name]) == ["high", "normal", "low"]


def test_options_of_a_process_are_its_limits():
    """`@process(…)` keeps what it was told."""
    made = process(priority="high", at_most=3, within=days(90), overdue="cancel", subject=None)(
        nothing
    )
    assert made.limits == Limits(priority="high", at_most=3, within=days(90), overdue="cancel")


def test_a_run_is_overdue_when_its_time_is_over():
    """The limit counts from the start; without one there is none."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert Limits(within=days(1)).ends_at(start) == start + timedelta(days=1)
    assert Limits().ends_at(start) is None
    assert Limits(sla=days(1)).due_at(start) == start + timedelta(days=1)
    assert Limits().due_at(start) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"priority": "urgent"}, "`priority='urgent'` is no priority. Fix: `\"high\"`"),
        ({"at_most": 0}, "no run of `nothing` could ever go on"),
        ({"at_most": True}, "no run of `nothing` could ever go on"),
        ({"within": days(0)}, "would be overdue at once, or never"),
        ({"within": business_days(3)}, "Working days are counted by waits"),
        ({"sla": days(0)}, "`sla=datetime.timedelta(0)`: every run of `nothing` would be overdue"),
        ({"within": days(1), "overdue": "explode"}, "says nothing"),
        ({"overdue": "fail"}, "without a limit never happens. Fix: add `within=days(…)`"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused(options, said):
    """The message has its code, the case, and the fix."""
    with pytest.raises(DefinitionError, match="F711") as refused:
        process(subject=None, **options)(nothing)
    assert said in str(refused.value)


def test_a_system_needs_a_place_at_least():
    """A limit by system is a number of calls at once."""
    assert checked_places({"github": 4}) == {"github": 4}
    with pytest.raises(DefinitionError, match=r"F711.*could never be called"):
        checked_places({"github": 0})
