"""Which runs ought to exist, given what HR says of a person now and what was known before. Pure.

The table of the product document, §7.1, where rows are what HR says and columns what is open:

                       nothing open     before the first day   after it           leaving
    hired              start            amend                  (nothing new)      (nothing new)
    another first day                   amend                  ask HR
    another position   start change     amend                  start change       amend
    another name                        amend                  amend, rename      (recorded)
    taken back                          cancel                 confirm, cancel
    a last day         hold 72 hours    start, or cancel       start              amend
    a last day, now    hold 72 hours    cancel                 pause, confirm     amend
    no last day                                                                   cancel
    hired again        start                                                      wait, then start

Nothing depends on the order in which things were said: whatever was said before, the record as it
stands now is compared with what was done. What has been said once asks for nothing again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from newel.connectors.hr import Employee

__all__ = ["Known", "Standing", "Verdict", "decided", "first_day"]

Standing = Literal["none", "open", "over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was known of an employment before.

    starts_on: of somebody for whom an onboarding was started, or who was there before newel.
    position, name: digests of what the person does and is called. onboarding, offboarding: whether
    that run was started, and whether it is open still. hold: whether a last day without a first
    one waits for the first, or has waited long enough.
    """

    starts_on: date | None = None
    ends_on: date | None = None
    position: bytes | None = None
    name: bytes | None = None
    onboarding: Standing = "none"
    offboarding: Standing = "none"
    hold: Standing = "none"


Verdict = Literal[
    "new employment",
    "start onboarding",
    "amend onboarding",
    "cancel onboarding",
    "pause onboarding",
    "confirm: cancel onboarding",
    "start change",
    "start offboarding",
    "amend offboarding",
    "cancel offboarding",
    "confirm: start offboarding",
    "rename accounts",
    "hold the last day",
    "wait for the former employment",
    "ask: the first day was moved",
    "ask: the employment was taken back",
    "ask: the last day was moved",
    "ask: there is a last day and no first day",
]


def decided(
    known: Known,
    employee: Employee | None,
    position: bytes,
    name: bytes = b"",
    *,
    today: date,
    late: timedelta,
) -> tuple[Verdict, ...]:
    """Say what follows from a record; the same record again: nothing.

    employee: None if HR has no such record. late: who began longer ago than this before HR first
    told of them works here already.
    """
    if employee is None or employee.starts_on is None:
        return _nobody(known, None, None if employee is None else employee.ends_on, today)
    starts_on, ends_on = employee.starts_on, employee.ends_on
    if _comes_back(known, starts_on, today):
        if known.offboarding == "open":
            return ("wait for the former employment",)
        # A last day that HR has left standing is that of the former employment.
        again = replace(employee, ends_on=None if ends_on == known.ends_on else ends_on)
        return (
            "new employment",
            *decided(Known(), again, position, name, today=today, late=late),
        )
    if ends_on is not None and ends_on <= starts_on:
        return _nobody(known, starts_on, ends_on, today)
    if known.onboarding == "none" and known.starts_on is None:
        return _hired(known, starts_on, ends_on, today, late)
    found = (
        *_moved(known, starts_on, position, today),
        *_renamed(known, name, today),
        *_ending(known, ends_on, today),
    )
    return tuple(dict.fromkeys(found))


def first_day(
    known: Known, employee: Employee | None, *, is_onboarded: bool, today: date, late: timedelta
) -> date | None:
    """Give the first day to be known from now on; None of who has not come and will not.

    known: what was known before. is_onboarded: whether there is an onboarding now.
    """
    if employee is None or employee.starts_on is None or is_onboarded:
        return None if employee is None else employee.starts_on
    if employee.ends_on is not None and employee.ends_on <= employee.starts_on:
        return None
    if known.starts_on is None:
        return employee.starts_on if employee.starts_on < today - late else None
    return employee.starts_on if known.onboarding == "none" else None


def _comes_back(known: Known, starts_on: date, today: date) -> bool:
    """Whether a first day lies behind the last one of an employment that had begun."""
    if known.starts_on is None or known.ends_on is None or known.starts_on > today:
        return False
    return known.starts_on < known.ends_on < starts_on


def _nobody(
    known: Known, starts_on: date | None, ends_on: date | None, today: date
) -> tuple[Verdict, ...]:
    """Nobody comes, or nobody will have come."""
    if (starts_on, ends_on) == (known.starts_on, known.ends_on):
        is_over = known.hold == "over" and starts_on is None and ends_on is not None
        return ("ask: there is a last day and no first day",) if is_over else ()
    if known.starts_on is None:
        is_new = known.onboarding == "none" and starts_on is None and ends_on is not None
        return ("hold the last day",) if is_new else ()
    if known.starts_on > today:
        if known.onboarding != "open":
            return ()
        if known.offboarding != "open":
            return ("cancel onboarding",)
        return ("cancel onboarding", "cancel offboarding")
    if known.offboarding != "none":
        return ()
    if known.onboarding == "open":
        return ("confirm: cancel onboarding",)
    return ("ask: the employment was taken back",)


def _hired(
    known: Known, starts_on: date, ends_on: date | None, today: date, late: timedelta
) -> tuple[Verdict, ...]:
    ending = _ending(known if known.offboarding != "none" else Known(), ends_on, today)
    if starts_on >= today - late:
        is_over = ends_on is not None and ends_on <= today  # come and gone before anybody told
        return () if is_over else ("start onboarding", *ending)
    is_long_gone = ends_on is not None and ends_on < today - late
    return () if is_long_gone else ending


def _moved(known: Known, starts_on: date, position: bytes, today: date) -> tuple[Verdict, ...]:
    is_moved, is_other = starts_on != known.starts_on, position != known.position
    if known.onboarding == "open" and known.starts_on is not None and today < known.starts_on:
        return ("amend onboarding",) if is_moved or is_other else ()
    if known.offboarding == "open":
        return ("amend offboarding",) if is_other else ()
    if known.offboarding == "over":
        return ()
    found: list[Verdict] = []
    if is_moved:
        found.append("ask: the first day was moved")
    if is_other:
        found.append("start change")
    return tuple(found)


def _renamed(known: Known, name: bytes, today: date) -> tuple[Verdict, ...]:
    if known.name is None or name == known.name or known.offboarding != "none":
        return ()
    if known.onboarding != "open":
        return ("rename accounts",)
    if known.starts_on is not None and today < known.starts_on:
        return ("amend onboarding",)
    return ("amend onboarding", "rename accounts")


def _ending(known: Known, ends_on: date | None, today: date) -> tuple[Verdict, ...]:
    if ends_on == known.ends_on:
        return ()
    if ends_on is None:
        return ("cancel offboarding",) if known.offboarding == "open" else ()
    match known.offboarding:
        case "open":
            return ("amend offboarding",)
        case "over":
            return ("ask: the last day was moved",)
        case "none" if ends_on > today:
            return ("start offboarding",)
        case "none":
            if known.onboarding != "open":
                return ("confirm: start offboarding",)
            return ("pause onboarding", "confirm: start offboarding")
