from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from newel.base.clock import FakeClock, SystemClock

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def test_the_host_clock_is_aware_and_rises():
    """The system's clock gives UTC, and its monotonic seconds never run backwards."""
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


def test_a_fake_clock_stands_still_until_it_is_moved():
    """Both its readings move together, by what it was moved by."""
    clock = FakeClock(START)
    assert (clock.now(), clock.monotonic()) == (START, 0.0)
    assert clock.move(timedelta(minutes=60)) == START + timedelta(hours=1)
    assert clock.move_to(START + timedelta(days=1)) == START + timedelta(days=1)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(days=1), 86_400.0)


def test_a_fake_clock_gives_utc():
    """A moment of another zone is the same moment in UTC."""
    clock = FakeClock(datetime(2026, 1, 5, 10, tzinfo=ZoneInfo("Europe/Berlin")))
    assert clock.now() == START
    assert clock.now().tzinfo is UTC


def test_a_fake_clock_never_runs_backwards():
    """Moving back is refused."""
    with pytest.raises(ValueError, match="only moves forwards"):
        FakeClock(START).move(timedelta(seconds=-1))


def test_a_fake_clock_needs_an_aware_moment():
    """A moment without a zone is refused."""
    with pytest.raises(ValueError, match="aware"):
        FakeClock(START.replace(tzinfo=None))
