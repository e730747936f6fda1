"""A grant's life: what an outcome makes of what is held, and what never follows."""

from __future__ import annotations

import dataclasses
from uuid import UUID

import pytest

from newel.domain.grants import FOLLOWING, Held, Turn, turn

HELD = Held(id=UUID(int=1), state="active", level="member")


def held(state, level="member"):
    """A grant in a state."""
    return dataclasses.replace(HELD, state=state, level=level)


@pytest.mark.parametrize(
    ("before", "access", "expected"),
    [
        (None, "active", Turn(begins="active")),
        (None, "prepared", Turn(begins="prepared")),
        (None, "revoked", Turn(begins="revoked", is_found=True)),
        (None, "suspended", Turn(begins="suspended", is_found=True)),
        ("planned", "active", Turn(becomes="active")),
        ("prepared", "active", Turn(becomes="active")),
        ("prepared", "prepared", Turn()),
        ("prepared", "suspended", Turn()),
        ("prepared", "revoked", Turn(becomes="revoked")),
        ("active", "active", Turn()),
        ("active", "prepared", Turn(becomes="revoked", begins="prepared")),
        ("active", "suspended", Turn(becomes="suspended")),
        ("active", "revoked", Turn(becomes="revoked")),
        ("suspended", "suspended", Turn()),
        ("suspended", "revoked", Turn(becomes="revoked")),
        ("suspended", "active", Turn(begins="active", continues=True)),
    ],
)
def test_an_outcome_turns_what_is_held(before, access, expected):
    """What was held is moved forward, ended, or followed by an interval of its own."""
    assert turn(None if before is None else held(before), access) == expected


def test_another_level_closes_one_interval_and_opens_the_next():
    """A change of rank is two grants; no level, or the same, changes nothing."""
    changed = Turn(becomes="revoked", begins="active")
    assert turn(HELD, "active", level="maintainer") == changed
    assert turn(HELD, "active", level="member") == turn(HELD, "active") == Turn()


def test_nothing_that_was_found_absent_is_written_down():
    """What newel never gave and what was not there leaves no grant."""
    assert turn(None, "revoked", is_changed=False) == Turn()


def test_nothing_follows_an_end():
    """What is revoked, refused or waived is never taken up again."""
    assert {state for state, after in FOLLOWING.items() if not after} == {
        "revoked", "refused", "waived",
    }  # fmt: skip
