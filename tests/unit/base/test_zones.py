"""The machine's zone keeps its rules: a moment in July is not told by the clock of January."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from newel.base.errors import InvalidInput
from newel.base.zones import local_zone, zone_named


def test_the_zone_of_the_machine_knows_summer_and_winter(monkeypatch):
    """With TZ set to a name, each moment has the offset of its own season."""
    monkeypatch.setenv("TZ", ":Europe/Berlin")
    zone = local_zone()
    offsets = [
        datetime(2026, month, 1, tzinfo=UTC).astimezone(zone).utcoffset() for month in (1, 7)
    ]
    assert (offsets, str(zone)) == ([timedelta(hours=1), timedelta(hours=2)], "Europe/Berlin")


@pytest.mark.parametrize("text", ["CET-1CEST", "/etc/passwd", "../x"])
def test_a_zone_without_a_name_is_what_holds_today(monkeypatch, text):
    """A bare rule is no name: the offset of now is taken, and nothing fails."""
    monkeypatch.setenv("TZ", text)
    assert datetime.now(local_zone()).utcoffset() is not None
    with pytest.raises(InvalidInput, match="zone: is no time zone"):
        zone_named(text)
