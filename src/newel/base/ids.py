"""Names of things: time-ordered ids, opaque references, idempotency keys.

In the database an id is a `uuid`. In leaves, files, log lines and addresses the same 128 bits are
written as a prefix and 26 lower-case Crockford base32 digits, so that a reader sees what it names
(`run_01j9zk7q3m8t5v2x4y6a8b0c1d`). The digits are the number itself, most significant first, as
in a ULID; so references of time-ordered ids sort by time.

Sources: RFC 9562 §5.7 and §6.2 (UUIDv7, monotonic within one millisecond); Crockford's base32,
https://www.crockford.com/base32.html; our own audit document §3.2.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from time import time_ns
from typing import Final
from uuid import UUID

from newel.base.clock import Clock, SystemClock

__all__ = ["PREFIXES", "Ids", "idempotency_key", "parse_reference", "reference", "uuid7"]

PREFIXES: Final = frozenset({"per", "sub", "run", "tsk", "inc", "grt", "acc", "tkt"})
"""What a reference can name: person, other subject, run, task, incident, grant, account, ticket."""

_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(first + second for first in _DIGITS for second in _DIGITS)
_TO_INT_DIGITS: Final = str.maketrans(_DIGITS, "0123456789abcdefghijklmnopqrstuv")
_REFERENCE: Final = re.compile(rf"([a-z]{{3}})_([0-7][{_DIGITS}]{{25}})")

_RANDOM_BYTES: Final = 16
_HIGH_MASK: Final = (1 << 12) - 1
_LOW_MASK: Final = (1 << 62) - 1
_STEP_MASK: Final = (1 << 40) - 1
_VARIANT: Final = 0b10 << 62


def uuid7(now_ms: int, random: bytes) -> UUID:
    """Build a time-ordered id from Unix milliseconds and ten random bytes.

    Six of the eighty random bits are not used: a UUIDv7 holds 74. Pure.
    """
    chance = int.from_bytes(random[:10], "big")
    return UUID(int=_laid_out(now_ms, (chance >> 62) & _HIGH_MASK, chance & _LOW_MASK))


def _laid_out(now_ms: int, high: int, low: int) -> int:
    """Place 48 bits of time, version, 12 random bits, variant and 62 random bits in one number."""
    return (now_ms << 80) | ((0x7000 | high) << 64) | _VARIANT | low


class Ids:
    """Makes ids that are unique everywhere and rise within this process.

    Chance is drawn once for each millisecond. Within it, and when the clock steps back, the random
    part is raised by a step of 40 random bits (RFC 9562 §6.2, method 2), so an id made later is
    greater. Not shared between threads; a forked child must make its own.
    """

    __slots__ = ("_entropy", "_high", "_last_ms", "_low", "_now_ms", "_prefix", "_step")

    def __init__(
        self, clock: Clock | None = None, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        """Take time from `clock` and chance from `entropy(how_many_bytes)`."""
        self._now_ms = _milliseconds(clock or SystemClock())
        self._entropy = entropy
        self._last_ms = -1
        self._high = self._low = self._step = 0
        self._prefix = ""

    def _advance(self) -> None:
        """Go on to the next id: its parts stand in `_last_ms`, `_high` and `_low`."""
        now_ms = self._now_ms()
        if now_ms > self._last_ms:
            self._draw(now_ms)
            return
        self._low += self._step
        if self._low > _LOW_MASK:
            self._draw(self._last_ms + 1)

    def _draw(self, now_ms: int) -> None:
        chance = int.from_bytes(self._entropy(_RANDOM_BYTES), "big")
        self._last_ms = now_ms
        self._high = chance >> 116
        # The top bit stays clear, so that about two million ids fit into one millisecond.
        self._low = (chance >> 40) & (_LOW_MASK >> 1)
        self._step = (chance & _STEP_MASK) | 1
        time = f"{now_ms:012x}"
        self._prefix = f"{time[:8]}-{time[8:]}-7{self._high:03x}-"

    def new(self) -> UUID:
        """Make a time-ordered id: of a task, an incident, a grant, a ticket, an account."""
        self._advance()
        return UUID(int=_laid_out(self._last_ms, self._high, self._low))

    def run_id(self) -> UUID:
        """Make the id of a run; time-ordered, so that a month of runs is a range."""
        return self.new()

    def person_id(self) -> UUID:
        """Make the id of a person: random only, it must not tell when they came."""
        return UUID(bytes=self._entropy(16), version=4)

    def event_id(self) -> str:
        """Make the id of an audit event in the form leaves have: lower-case with hyphens."""
        self._advance()
        digits = f"{_VARIANT | self._low:x}"
        return f"{self._prefix}{digits[:4]}-{digits[4:]}"


def _milliseconds(clock: Clock) -> Callable[[], int]:
    """Read Unix milliseconds from a clock; the system's without a datetime in between."""
    if type(clock) is SystemClock:
        return lambda: time_ns() // 1_000_000
    return lambda: int(clock.now().timestamp() * 1000)


def reference(prefix: str, name: UUID) -> str:
    """Write an id as a reference: prefix, underscore, 26 Crockford digits."""
    number = name.int
    pairs = _PAIRS
    high = number >> 70
    middle = (number >> 40) & 0x3FFFFFFF
    low = number & 0xFFFFFFFFFF
    return (
        f"{prefix}_{pairs[high >> 50]}{pairs[high >> 40 & 1023]}{pairs[high >> 30 & 1023]}"
        f"{pairs[high >> 20 & 1023]}{pairs[high >> 10 & 1023]}{pairs[high & 1023]}"
        f"{pairs[middle >> 20]}{pairs[middle >> 10 & 1023]}{pairs[middle & 1023]}"
        f"{pairs[low >> 30]}{pairs[low >> 20 & 1023]}{pairs[low >> 10 & 1023]}{pairs[low & 1023]}"
    )


def parse_reference(text: str) -> tuple[str, UUID]:
    """Read a reference back into its prefix and id.

    errors: ValueError, if it is not exactly what `reference` writes for a known prefix.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None or match[1] not in PREFIXES:
        message = f"{text!r} is no reference: a known prefix, an underscore and 26 digits."
        raise ValueError(message)
    return match[1], UUID(int=int(match[2].translate(_TO_INT_DIGITS), 32))


def idempotency_key(run: UUID, key: str) -> str:
    """Name one act of one run for the outside: the same in every attempt, 32 hex digits."""
    return hashlib.sha256(run.bytes + key.encode()).hexdigest()[:32]
