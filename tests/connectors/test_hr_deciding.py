"""Every cell of the table by which HR's records become runs, and that nothing follows twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel.connectors.hr import Employee
from newel.connectors.hr_deciding import Known, Verdict, decided, first_day

LATE = timedelta(days=30)
TODAY, FEB, MAR = date(2026, 1, 5), date(2026, 2, 2), date(2026, 3, 2)
YEAR_AGO, NEW_YEAR = date(2025, 1, 1), date(2026, 1, 1)

NOTHING = Known()
BEFORE = Known(starts_on=FEB, position=b"a", name=b"n", onboarding="open")
AFTER = replace(BEFORE, starts_on=NEW_YEAR)
ACTIVE = replace(BEFORE, starts_on=YEAR_AGO, onboarding="over")
THERE_BEFORE_NEWEL = replace(ACTIVE, onboarding="none")
LEAVING = replace(ACTIVE, ends_on=FEB, offboarding="open")
GONE = replace(ACTIVE, ends_on=NEW_YEAR, offboarding="over")
BOTH = replace(BEFORE, ends_on=MAR, offboarding="open")
HELD = Known(ends_on=MAR, hold="open")
HELD_LONG = replace(HELD, hold="over")


def record(starts_on: date | None, ends_on: date | None = None) -> Employee:
    """A record with its dates."""
    return Employee(
        id="7", number="4711", given_name="J", family_name="D", starts_on=starts_on, ends_on=ends_on
    )


def verdicts(
    known: Known, employee: Employee | None, position: bytes = b"a", name: bytes = b"n"
) -> tuple[Verdict, ...]:
    """What follows from a record today."""
    return decided(known, employee, position, name, today=TODAY, late=LATE)


@pytest.mark.parametrize(
    ("known", "employee", "expected"),
    [
        # hired
        (NOTHING, record(FEB), ("start onboarding",)),
        (NOTHING, record(TODAY), ("start onboarding",)),
        (NOTHING, record(FEB, MAR), ("start onboarding", "start offboarding")),
        (NOTHING, record(None), ()),
        (NOTHING, None, ()),
        (NOTHING, record(date(2020, 1, 1)), ()),
        (NOTHING, record(NEW_YEAR, TODAY), ()),
        (BEFORE, record(FEB), ()),
        (AFTER, record(NEW_YEAR), ()),
        (ACTIVE, record(YEAR_AGO), ()),
        (LEAVING, record(YEAR_AGO, FEB), ()),
        # the first day was moved
        (BEFORE, record(MAR), ("amend onboarding",)),
        (AFTER, record(FEB), ("ask: the first day was moved",)),
        (ACTIVE, record(MAR), ("ask: the first day was moved",)),
        (THERE_BEFORE_NEWEL, record(NEW_YEAR), ("ask: the first day was moved",)),
        (LEAVING, record(NEW_YEAR, FEB), ()),
        # taken back, or nobody came
        (BEFORE, None, ("cancel onboarding",)),
        (BEFORE, record(None), ("cancel onboarding",)),
        (BEFORE, record(FEB, FEB), ("cancel onboarding",)),
        (BOTH, None, ("cancel onboarding", "cancel offboarding")),
        (AFTER, None, ("confirm: cancel onboarding",)),
        (AFTER, record(NEW_YEAR, NEW_YEAR), ("confirm: cancel onboarding",)),
        (ACTIVE, None, ("ask: the employment was taken back",)),
        (THERE_BEFORE_NEWEL, None, ("ask: the employment was taken back",)),
        (LEAVING, None, ()),
        (GONE, None, ()),
        # a last day
        (NOTHING, record(None, MAR), ("hold the last day",)),
        (NOTHING, record(None, TODAY), ("hold the last day",)),
        (HELD, record(None, MAR), ()),
        (HELD_LONG, record(None, MAR), ("ask: there is a last day and no first day",)),
        (replace(HELD, hold="none"), record(None, MAR), ()),
        (HELD, record(FEB, MAR), ("start onboarding", "start offboarding")),
        (NOTHING, record(FEB, TODAY), ()),
        (NOTHING, record(date(2020, 1, 1), MAR), ("start offboarding",)),
        (NOTHING, record(date(2020, 1, 1), NEW_YEAR), ("confirm: start offboarding",)),
        (NOTHING, record(date(2020, 1, 1), date(2021, 1, 1)), ()),
        (BEFORE, record(FEB, MAR), ("start offboarding",)),
        (BEFORE, record(FEB, TODAY), ("cancel onboarding",)),
        (AFTER, record(NEW_YEAR, MAR), ("start offboarding",)),
        (AFTER, record(NEW_YEAR, TODAY), ("pause onboarding", "confirm: start offboarding")),
        (ACTIVE, record(YEAR_AGO, MAR), ("start offboarding",)),
        (ACTIVE, record(YEAR_AGO, TODAY), ("confirm: start offboarding",)),
        (LEAVING, record(YEAR_AGO, MAR), ("amend offboarding",)),
        (LEAVING, record(YEAR_AGO, TODAY), ("amend offboarding",)),
        (GONE, record(YEAR_AGO, MAR), ("ask: the last day was moved",)),
        # no last day any more
        (LEAVING, record(YEAR_AGO), ("cancel offboarding",)),
        (GONE, record(YEAR_AGO), ()),
        # hired again
        (GONE, record(FEB), ("new employment", "start onboarding")),
        (GONE, record(FEB, NEW_YEAR), ("new employment", "start onboarding")),
        (GONE, record(FEB, MAR), ("new employment", "start onboarding", "start offboarding")),
        (LEAVING, record(MAR), ("wait for the former employment",)),
        (BOTH, record(date(2026, 4, 1), MAR), ("cancel onboarding", "cancel offboarding")),
    ],
)  # fmt: skip
def test_what_follows_from_dates(known: Known, employee: Employee | None, expected):
    """R33: each cell whose row is a date: what is known, what HR says, what is done."""
    assert verdicts(known, employee) == expected


@pytest.mark.parametrize(
    ("known", "other_position", "other_name"),
    [
        (BEFORE, ("amend onboarding",), ("amend onboarding",)),
        (AFTER, ("start change",), ("amend onboarding", "rename accounts")),
        (ACTIVE, ("start change",), ("rename accounts",)),
        (THERE_BEFORE_NEWEL, ("start change",), ("rename accounts",)),
        (LEAVING, ("amend offboarding",), ()),
        (GONE, (), ()),
    ],
)
def test_what_follows_from_another_position_or_name(known: Known, other_position, other_name):
    """R33: each cell of the rows position and name."""
    as_known = record(known.starts_on, known.ends_on)
    assert verdicts(known, as_known, position=b"b") == other_position
    assert verdicts(known, as_known, name=b"m") == other_name


def settled(known: Known, employee: Employee | None, followed: tuple[Verdict, ...]) -> Known:
    """What is known when all that follows has been done, and confirmed."""
    if "wait for the former employment" in followed:
        return known
    onboarding, offboarding = known.onboarding, known.offboarding
    if "new employment" in followed:
        onboarding = offboarding = "none"
    if "start onboarding" in followed:
        onboarding = "open"
    if "cancel onboarding" in followed:
        onboarding = "none"
    if "confirm: cancel onboarding" in followed:
        onboarding = "over"
    if {"start offboarding", "confirm: start offboarding"} & set(followed):
        offboarding = "open"
    if "cancel offboarding" in followed:
        offboarding = "none"
    is_onboarded = onboarding != "none"
    return Known(
        starts_on=first_day(known, employee, is_onboarded=is_onboarded, today=TODAY, late=LATE),
        ends_on=None if employee is None else employee.ends_on,
        position=b"a",
        name=b"n",
        onboarding=onboarding,
        offboarding=offboarding,
        hold="open" if "hold the last day" in followed else "none",
    )


DAYS = st.sampled_from([YEAR_AGO, date(2025, 12, 20), NEW_YEAR, TODAY, FEB, MAR])
RECORDS = st.none() | st.builds(record, st.none() | DAYS, st.none() | DAYS)


@given(st.lists(RECORDS, min_size=1, max_size=5))
def test_the_same_record_again_asks_for_nothing(said):
    """Whatever HR has said, in any order: once it is done, its last word asks for no more."""
    known = NOTHING
    for each in said:
        followed = verdicts(known, each)
        known = settled(known, each, followed)
    assert verdicts(known, said[-1]) in ((), ("wait for the former employment",))


SOON = st.sampled_from([FEB, MAR, date(2026, 4, 1)])


@given(SOON, st.none() | SOON, SOON, st.permutations(["starts", "ends", "moved"]))
def test_whoever_leaves_before_they_come_gets_nothing(starts_on, ends_on, moved, order):
    """Hire, last day and another first day, in any order: only who will come is onboarded."""
    first: date | None = None
    last: date | None = None
    known = NOTHING
    for each in order:
        if each == "ends":
            last = ends_on
        else:
            first = starts_on if each == "starts" else moved
        known = settled(known, record(first, last), verdicts(known, record(first, last)))
    assert first is not None
    will_come = last is None or last > first
    assert known.onboarding == ("open" if will_come else "none")
    assert known.offboarding == ("open" if will_come and last is not None else "none")
