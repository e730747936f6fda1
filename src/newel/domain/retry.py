"""Rounds and bursts: when a failed step is tried again, or that a person has to look.

The founding promise has two halves: retry for up to 60 minutes, and escalate after three
failed tries. Both hold when the counted unit is a *round*: a short exponential burst of
attempts. A profile is four numbers (window, rounds, ratio, burst); the rest is arithmetic
(product document, §5.2), worked out here and nowhere else. Jitter is a hash of who is
retrying, so any worker computes the same plan after any crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final

from newel.base.errors import DefinitionError

_LONGEST_TAIL: Final = timedelta(seconds=120)
_JITTER: Final = 0.1
_LATE_START: Final = timedelta(seconds=1)
_FIRST_THROTTLE: Final = timedelta(seconds=30)
_LONGEST_THROTTLE: Final = timedelta(minutes=10)
_LONGEST_SETTLE: Final = timedelta(minutes=5)
_FIRST_SETTLE: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A retry profile: `rounds` bursts of attempts inside the window `within`.

    ratio: how much longer each gap between rounds is than the one before.
    burst: whether a round is a burst (True) or a single attempt (False).
    probe: the gap between two probes of the system while an incident is open.
    """

    rounds: int = 3
    within: timedelta = timedelta(hours=1)
    ratio: int = 4
    burst: bool = True
    probe: timedelta = timedelta(seconds=60)
    is_urgent: bool = False

    def __post_init__(self) -> None:
        """Refuse a profile whose rounds do not fit into its window."""
        if self.rounds < 1 or self.ratio < 1 or self.within <= timedelta(0):
            raise DefinitionError(
                f"retry= does not fit: {self.rounds} rounds of ratio {self.ratio} within "
                f"{self.within}.",
                fix="at least 1 round, a ratio of at least 1, a window above 0.",
                code="F706",
            )
        if not self._fits(self.rounds, self.ratio):
            raise DefinitionError(
                f"retry= does not fit: {self.rounds} rounds of ratio {self.ratio} do not fit in "
                f"{self.within}; the second would begin after {self.round_offset(2)}, inside the "
                "first.",
                fix=f"the nearest profile that does:\n{self._nearest().table()}",
                code="F706",
            )

    def _fits(self, rounds: int, ratio: int) -> bool:
        """Whether the second of so many rounds begins after the first one's tail."""
        steps = sum(ratio**power for power in range(rounds - 1))
        return rounds == 1 or (self.within - self.tail) / steps >= self.tail

    def _nearest(self) -> Retry:
        """The profile that keeps most of what was asked: the window, the rounds, then the ratio.

        There always is one: two rounds fit into any window.
        """
        return next(
            replace(self, rounds=rounds, ratio=ratio)
            for rounds in range(self.rounds, 0, -1)
            for ratio in range(self.ratio, 0, -1)
            if self._fits(rounds, ratio)
        )

    def table(self) -> str:
        """The times of the profile for people: when each round begins, when its attempts start."""
        lines = [f"Retry(rounds={self.rounds}, within={self.within}, ratio={self.ratio})"]
        offsets = self.burst_offsets()
        for number in range(1, self.rounds + 1):
            start = self.round_offset(number)
            attempts = " ".join(f"{offset / timedelta(seconds=1):g}" for offset in offsets)
            lines.append(f"  round {number} at {_shown(start)}, attempts after {attempts} s")
        return "\n".join([*lines, f"  a person is told at {_shown(self.within)} at the latest"])

    @property
    def tail(self) -> timedelta:
        """The time kept for the last round."""
        return min(_LONGEST_TAIL, self.within / 6)

    def round_offset(self, number: int) -> timedelta:
        """When round `number` (from 1) begins, from the first attempt on, without jitter."""
        if number == 1:
            return timedelta(0)
        last = self.within - self.tail
        if self.ratio == 1:
            return last * (number - 1) / (self.rounds - 1)
        passed, all_of_it = self.ratio ** (number - 1) - 1, self.ratio ** (self.rounds - 1) - 1
        share: float = passed / all_of_it
        return last * share

    def burst_offsets(self) -> tuple[timedelta, ...]:
        """When the attempts of a round start, from the round's start on, without jitter."""
        offsets = [timedelta(0)]
        gap = timedelta(seconds=1)
        while self.burst and (offsets[-1] + gap) * (1 + _JITTER) <= self.tail * 7 / 8:
            offsets.append(offsets[-1] + gap)
            gap *= 2
        return tuple(offsets)


standard: Final = Retry()
urgent: Final = Retry(within=timedelta(minutes=5), probe=timedelta(seconds=15), is_urgent=True)
patient: Final = Retry(within=timedelta(hours=24))
once: Final = Retry(rounds=1, burst=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a step has come with its retries; stored with its open act.

    series: counts the fresh starts that operators asked for, from 1.
    round, slot: the current round from 1, and the attempt inside it from 0.
    began_at: the first attempt of the series; round_began_at: of the current round.
    throttled: consecutive answers that only asked to wait.
    """

    series: int
    round: int
    slot: int
    began_at: datetime
    round_began_at: datetime
    throttled: int = 0


def begun(now: datetime, *, series: int = 1) -> Progress:
    """The progress of a step whose first attempt starts now."""
    return Progress(series=series, round=1, slot=0, began_at=now, round_began_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The step is tried again at `at`; `round_failed` says that a counted round has ended."""

    at: datetime
    progress: Progress
    round_failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhausted:
    """The last round has failed: a person has to look."""

    progress: Progress


def after_failure(
    progress: Progress, policy: Retry, now: datetime, *, seed: str
) -> Again | Exhausted:
    """Say when a step that failed at `now` is tried again, or that its rounds are used up.

    seed: names the step (run and key), so that steps drift apart and plans are reproducible.
    Again.at - progress.began_at never exceeds policy.within. Pure.
    Source: product document, §5.2.
    """
    slot = progress.slot + 1
    offsets = policy.burst_offsets()
    if slot < len(offsets):
        factor = 1 - _JITTER + 2 * _JITTER * _chance(seed, progress.series, progress.round, "burst")
        due = progress.round_began_at + offsets[slot] * factor
        at = due if due > now else now + _LATE_START
        if at - progress.round_began_at <= policy.tail * 7 / 8 and _may_start(progress, policy, at):
            return Again(
                at=at, progress=replace(progress, slot=slot, throttled=0), round_failed=False
            )
    return next_round(progress, policy, now, seed=seed)


def after_not_ready(
    progress: Progress,
    policy: Retry,
    now: datetime,
    *,
    seed: str,
    settle: Sequence[timedelta] = (),
) -> Again | Exhausted:
    """Say when to look again for what was just made and cannot be seen yet.

    settle: when the operation expects it to be visible, from the first attempt on; without any,
    after 5, 15, 35, 75 and 155 s. This window, at most 5 minutes and never beyond the second
    round's start, takes the place of round 1; what is still not ready then goes on in rounds.
    Source: product document, §5.1.
    """
    if progress.round > 1:
        return after_failure(progress, policy, now, seed=seed)
    longest = _LONGEST_SETTLE
    if policy.rounds > 1:
        longest = min(longest, policy.round_offset(2))
    elapsed = now - progress.round_began_at
    for offset in settle or _settling():
        # A look that was due while the last one was still being made is left out.
        if elapsed < offset <= longest and _may_start(progress, policy, progress.began_at + offset):
            waited = replace(progress, slot=progress.slot + 1, throttled=0)
            return Again(at=progress.round_began_at + offset, progress=waited, round_failed=False)
    return next_round(progress, policy, now, seed=seed)


def _settling() -> tuple[timedelta, ...]:
    return tuple(_FIRST_SETTLE * (2**turn - 1) for turn in range(1, 6))


def next_round(progress: Progress, policy: Retry, now: datetime, *, seed: str) -> Again | Exhausted:
    """Say when the round after the current one begins; the current one counts as failed."""
    number = progress.round + 1
    if number > policy.rounds:
        return Exhausted(progress=progress)
    jitter = policy.tail / 8 * _chance(seed, progress.series, number, "start")
    at = max(progress.began_at + policy.round_offset(number) + jitter, now + _LATE_START)
    if not _may_start(progress, policy, at):
        return Exhausted(progress=progress)
    following = replace(progress, round=number, slot=0, round_began_at=at, throttled=0)
    return Again(at=at, progress=following, round_failed=True)


def after_throttle(
    progress: Progress, policy: Retry, now: datetime, *, reset_at: datetime | None
) -> Again | Exhausted:
    """Say when a step that was told to wait is tried again; this fails no attempt and no round.

    reset_at: the moment that the system named, or None: then 30 s, doubling to 10 minutes.
    Nothing but such answers for the whole window ends like a last failed round.
    """
    pause = min(_FIRST_THROTTLE * 2**progress.throttled, _LONGEST_THROTTLE)
    at = reset_at if reset_at is not None and reset_at > now else now + pause
    if now - progress.began_at >= policy.within:
        return Exhausted(progress=progress)
    waited = replace(
        progress, throttled=progress.throttled + 1, round_began_at=max(at, progress.round_began_at)
    )
    return Again(at=at, progress=waited, round_failed=False)


def not_before(
    following: Again | Exhausted, policy: Retry, moment: datetime | None
) -> Again | Exhausted:
    """Put the next attempt off until the moment that the system named, if the window allows.

    A moment beyond the window's last start means that start: how long a person is not asked is
    the schedule's to say, not the system's. Pure.
    """
    if moment is None or isinstance(following, Exhausted) or following.at >= moment:
        return following
    progress = following.progress
    at = max(min(moment, progress.began_at + policy.within - policy.tail / 8), following.at)
    if following.round_failed:
        progress = replace(progress, round_began_at=at)
    return replace(following, at=at, progress=progress)


def time_left(progress: Progress, policy: Retry, now: datetime, timeout: timedelta) -> timedelta:
    """How long an attempt that starts now may take: its time-out, cut at the window's end.

    What a probe or a stated reset brings on after the window is not cut: nothing is left to cut.
    """
    left = progress.began_at + policy.within - now
    return min(timeout, left) if left > timedelta(0) else timeout


def _shown(span: timedelta) -> str:
    minutes, seconds = divmod(span / timedelta(seconds=1), 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{seconds:05.2f}".removesuffix(".00") if seconds % 1 else f"{int(seconds):02d}"
    return f"{hours}:{minutes:02d}:{shown}" if hours else f"{minutes}:{shown}"


def _may_start(progress: Progress, policy: Retry, at: datetime) -> bool:
    return at - progress.began_at <= policy.within - policy.tail / 8


def _chance(seed: str, series: int, number: int, what: str) -> float:
    digest = blake2b(f"{seed}\n{series}\n{number}\n{what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
