"""Moments, keys and names in the words of the sentence."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from newel.people.words import (
    clipped,
    day,
    due,
    in_words,
    joined,
    process_title,
    since,
    system_name,
    team_name,
    zone_name,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 9, 13, 29, tzinfo=UTC)


def at(text):
    """A moment of Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("moment", "coming", "gone"),
    [
        ("2026-03-09 17:00", "today 17:00", "17:00"),
        ("2026-03-10 09:00", "tomorrow 09:00", "Tue 10 Mar"),
        ("2026-03-13 09:00", "Fri 09:00", "Fri 13 Mar"),
        ("2026-03-15 09:00", "Sun 09:00", "Sun 15 Mar"),
        ("2026-03-16 09:00", "Mon 16 Mar", "Mon 16 Mar"),
        ("2026-03-06 09:00", "Fri 6 Mar", "Fri"),
        ("2026-03-02 09:00", "Mon 2 Mar", "Mon 2 Mar"),
        ("2025-12-31 09:00", "Wed 31 Dec 2025", "Wed 31 Dec 2025"),
        ("2027-01-04 09:00", "Mon 4 Jan 2027", "Mon 4 Jan 2027"),
    ],
)
def test_near_moments_are_said_as_people_say_them(moment, coming, gone):
    """Today, tomorrow and the day of the week within six days; else the date."""
    assert (due(at(moment), BERLIN, NOW), since(at(moment), BERLIN, NOW)) == (coming, gone)


def test_a_day_is_a_day_of_the_zone():
    """23:30 UTC is the next day in Berlin."""
    assert day(datetime(2026, 3, 9, 23, 30, tzinfo=UTC), BERLIN, NOW) == "Tue 10 Mar"
    assert day(date(2026, 3, 9), BERLIN, NOW) == "Mon 9 Mar"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("manager-confirms", "manager confirms"),
        ("github.ensure_member", "ensure member"),
        ("ready/github.grant[acme-example%2Fapi]", "grant acme-example/api"),
        ("invitation-poll#12", "invitation poll"),
    ],
)
def test_keys_are_said_in_words(key, words):
    """Sections, systems and counters are left out, the item stays."""
    assert in_words(key) == words


def test_names_are_written_as_people_write_them():
    """Teams, systems, zones and processes have their written forms."""
    assert [team_name("it"), team_name("hr"), team_name("finance")] == ["IT", "HR", "finance"]
    assert [system_name("github", None), system_name("badge-printer", None)] == [
        "GitHub",
        "Badge printer",
    ]
    assert [zone_name(ZoneInfo("America/New_York")), zone_name(UTC)] == ["New York", "UTC"]
    assert process_title("role-change", "A very long sentence that is no title at all") == (
        "Role change"
    )
    assert process_title("onboarding", "Employee onboarding") == "Employee onboarding"


def test_lists_and_long_texts_stay_readable():
    """Names are joined with commas and one `and`; what is too long ends in an ellipsis."""
    assert [joined([]), joined(["A"]), joined(["A", "B"]), joined(["A", "B", "C"])] == [
        "",
        "A",
        "A and B",
        "A, B and C",
    ]
    assert (clipped("a  b\nc", 9), clipped("abcdefghij", 5)) == ("a b c", "abcd…")
