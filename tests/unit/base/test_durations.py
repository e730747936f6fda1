from datetime import timedelta

import pytest

from newel.base.durations import BusinessDays, business_days, days, hours, minutes, seconds


def test_lengths_of_time_are_plain_timedeltas():
    """Each word gives the length it says, fractions included."""
    assert (days(2), hours(1.5), minutes(10), seconds(20)) == (
        timedelta(days=2),
        timedelta(minutes=90),
        timedelta(minutes=10),
        timedelta(seconds=20),
    )


def test_business_days_are_counted_not_measured():
    """Working days stay a count until a calendar is known."""
    assert business_days(3) == BusinessDays(3)


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "3"])
def test_business_days_are_whole_and_at_least_one(count):
    """Anything but a whole number of at least one is refused."""
    with pytest.raises(ValueError, match="whole number of at least 1"):
        business_days(count)
