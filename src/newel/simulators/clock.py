"""The time inside the simulated world, so that two hours of outage cost no one two hours.

Every simulator of one world shares one clock. It runs with the wall clock plus an offset, or stands
still where a test wants byte-equal answers. Expiry of access tokens and invitations, creation dates
and lagging reads all follow it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def wall_clock() -> datetime:
    """Give the machine's time in UTC; the one place in this package that reads it."""
    return datetime.now(UTC)


class SimulatedClock:
    """A clock that follows the wall clock at a distance, or stands still."""

    def __init__(
        self,
        *,
        standing_at: datetime | None = None,
        source: Callable[[], datetime] = wall_clock,
    ) -> None:
        self._source = source
        self._offset = timedelta(0)
        self._standing_at = standing_at

    def now(self) -> datetime:
        """Give the world's present moment, aware, in UTC."""
        return self._standing_at or self._source() + self._offset

    def set(self, moment: datetime) -> None:
        """Make it this moment now; a running clock runs on from there, a standing one stands."""
        if self._standing_at is None:
            self._offset = moment - self._source()
        else:
            self._standing_at = moment

    def advance(self, by: timedelta) -> None:
        """Let this much time pass at once."""
        self.set(self.now() + by)

    def offset(self, by: timedelta) -> None:
        """Run this far ahead of the clock it follows."""
        self.set(self._source() + by)

    def stand(self) -> None:
        """Stop at the present moment."""
        self._standing_at = self.now()

    def run(self) -> None:
        """Go on running from the present moment."""
        moment, self._standing_at = self.now(), None
        self.set(moment)

    def reading(self) -> dict[str, object]:
        """Describe the clock as the admin API shows it."""
        return {
            "now": self.now().isoformat(),
            "offset_s": (self.now() - self._source()).total_seconds(),
            "standing": self._standing_at is not None,
        }


def moment_from(text: str) -> datetime:
    """Read an ISO 8601 moment with a zone; raises ValueError for one without."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"{text!r} has no time zone; write 2026-01-05T09:00:00Z or with an offset"
        raise ValueError(message)
    return moment.astimezone(UTC)


def stamp(moment: datetime) -> str:
    """Write a moment to the second in UTC, as most vendors do: 2026-01-05T09:00:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds(moment: datetime) -> str:
    """Write a moment to the millisecond in UTC: 2026-01-05T09:00:00.000Z."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
