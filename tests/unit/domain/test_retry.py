"""The schedule of rounds and bursts against the tables of the product document, §5.2 and §5.4."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from newel.base.errors import DefinitionError
from newel.domain.retry import (
    Again,
    Exhausted,
    Retry,
    after_failure,
    after_not_ready,
    after_throttle,
    begun,
    next_round,
    not_before,
    once,
    patient,
    standard,
    time_left,
    urgent,
)

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def clock(text: str) -> timedelta:
    """Read `58:00` or `23:58:00` as a time since the first attempt."""
    parts = [int(part) for part in text.split(":")]
    hours, minutes, seconds = [0] * (3 - len(parts)) + parts
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


@dataclass
class Played:
    """What a step did: when its attempts started, when rounds failed, how it came out."""

    starts: list[timedelta] = field(default_factory=list)
    ends: list[timedelta] = field(default_factory=list)
    failed: list[timedelta] = field(default_factory=list)
    has_succeeded: bool = False


def played(
    policy: Retry,
    *,
    is_down: Callable[[timedelta], bool],
    lasts: Callable[[int], timedelta] = lambda _: timedelta(0),
    seed: str = "run/key",
) -> Played:
    """Play a step against a system that is down at some moments, without probes."""
    told, progress, at = Played(), begun(START), START
    while True:
        told.starts.append(at - START)
        ended = at + min(lasts(len(told.starts)), time_left(progress, policy, at, 20 * SECOND))
        told.ends.append(ended - START)
        if not is_down(at - START):
            told.has_succeeded = True
            return told
        following = after_failure(progress, policy, ended, seed=seed)
        if isinstance(following, Exhausted):
            told.failed.append(ended - START)
            return told
        if following.round_failed:
            told.failed.append(ended - START)
        at, progress = following.at, following.progress


def outage(length: timedelta) -> Callable[[timedelta], bool]:
    """A system that is down from the first attempt on, for so long."""
    return lambda at: at < length


def always(_: timedelta) -> bool:
    """A system that never answers."""
    return True


PROFILES = {
    "standard": (standard, "0:00 11:36 58:00", 7, 120),
    "urgent": (urgent, "0:00 0:50 4:10", 6, 50),
    "patient": (patient, "0:00 4:47:36 23:58:00", 7, 120),
}


@pytest.mark.parametrize("name", PROFILES)
def test_rounds_begin_where_the_table_says(name):
    """Round starts, tail and attempts of a profile are those of the product document, §5.2."""
    policy, starts, attempts, tail = PROFILES[name]
    assert [policy.round_offset(number) for number in (1, 2, 3)] == [
        clock(each) for each in starts.split()
    ]
    assert policy.tail == tail * SECOND
    offsets = [0, 1, 3, 7, 15, 31, 63][:attempts]
    assert policy.burst_offsets() == tuple(second * SECOND for second in offsets)


def test_probes_come_at_most_once_a_minute_and_every_quarter_of_one_where_it_is_urgent():
    """The gaps between probes are those of the table."""
    assert [each.probe for each in (standard, urgent, patient)] == [
        60 * SECOND,
        15 * SECOND,
        60 * SECOND,
    ]
    assert [each.is_urgent for each in (standard, urgent, patient, once)] == [
        False,
        True,
        False,
        False,
    ]


def test_once_is_one_attempt():
    """The profile for irreversible acts has one round of one attempt."""
    told = played(once, is_down=always)
    assert (told.starts, len(told.failed)) == ([timedelta(0)], 1)


@pytest.mark.parametrize("seed", ["a", "b", "run/step", "x" * 40])
def test_jitter_stays_within_its_bounds(seed):
    """A round starts at most tail/8 late, and one factor of 0.9 to 1.1 stretches its burst."""
    told = played(standard, is_down=always, seed=seed)
    rounds = [told.starts[index : index + 7] for index in (0, 7, 14)]
    planned = [clock("0:00"), clock("11:36"), clock("58:00")]
    late = [each[0] - plan for each, plan in zip(rounds, planned, strict=True)]
    assert late[0] == timedelta(0)
    assert all(timedelta(0) <= each < 15 * SECOND for each in late)
    for each in rounds:
        gaps = [(then - now) / SECOND for now, then in pairwise(each)]
        factor = gaps[0]
        assert 0.9 <= factor <= 1.1
        assert gaps == pytest.approx([factor * 2**power for power in range(6)], abs=1e-4)


def test_jitter_is_a_hash_and_not_chance():
    """Any worker computes the same plan for the same step, and another for another step."""
    one = played(standard, is_down=always, seed="run/one")
    assert one == played(standard, is_down=always, seed="run/one")
    assert one.starts != played(standard, is_down=always, seed="run/two").starts


def test_a_new_series_has_its_own_jitter():
    """An operator's retry starts a fresh clock with a plan of its own."""
    first = after_failure(begun(START), standard, START, seed="s")
    second = after_failure(begun(START, series=2), standard, START, seed="s")
    assert first.at != second.at  # type: ignore[union-attr]  # both are Again


@pytest.mark.parametrize(
    ("length", "failed"),
    [
        ("0:01", 0),
        ("0:05", 0),
        ("0:40", 0),
        ("1:15", 1),
        ("11:35", 1),
        ("12:00", 1),
        ("13:15", 2),
        ("57:00", 2),
        ("58:30", 2),
    ],
)
@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_rounds_fail_by_the_length_of_an_outage(length, failed, seed):
    """An outage fails so many rounds as the table of §5.4 says, and the step then succeeds."""
    told = played(standard, is_down=outage(clock(length)), seed=seed)
    assert (len(told.failed), told.has_succeeded) == (failed, True)


def test_a_blip_is_over_with_the_second_attempt():
    """A second's outage is carried on by the second attempt, five seconds' by the fourth."""
    blip = played(standard, is_down=outage(clock("0:01") * 0.85))
    assert len(blip.starts) == 2
    assert len(played(standard, is_down=outage(clock("0:05"))).starts) == 4
    assert len(played(standard, is_down=outage(clock("0:40"))).starts) == 7


@given(st.text(max_size=20))
def test_the_third_round_fails_within_the_hour(seed):
    """With failures at once the ticket opens between 58:56 and 59:25, whatever the jitter."""
    told = played(standard, is_down=outage(clock("59:30")), seed=seed)
    assert len(told.failed) == 3
    assert clock("58:56") <= told.failed[-1] <= clock("59:25")
    # An outage that ends within 58:55 opens no ticket.
    assert played(standard, is_down=outage(clock("58:55")), seed=seed).has_succeeded


@given(st.text(max_size=20))
def test_the_urgent_ticket_opens_between_4_37_and_4_51(seed):
    """Cutting access escalates within five minutes."""
    told = played(urgent, is_down=always, seed=seed)
    assert len(told.failed) == 3
    assert clock("4:37") <= told.failed[-1] <= clock("4:51")
    assert told.failed[0] <= 35 * SECOND


profiles = st.builds(
    lambda rounds, minutes, ratio, burst: (rounds, timedelta(minutes=minutes), ratio, burst),
    st.integers(1, 5),
    st.integers(1, 2000),
    st.integers(1, 6),
    st.booleans(),
)


def fitting(facts: tuple[int, timedelta, int, bool]) -> Retry:
    """The profile of these facts; examples that are refused are left out."""
    rounds, within, ratio, burst = facts
    try:
        return Retry(rounds=rounds, within=within, ratio=ratio, burst=burst)
    except DefinitionError:
        assume(False)
        raise


@settings(max_examples=300)
@given(profiles, st.text(max_size=8))
def test_an_endless_outage_fails_exactly_the_rounds_of_its_profile(facts, seed):
    """Whatever the profile and the jitter: all rounds fail, and no round is counted twice."""
    policy = fitting(facts)
    told = played(policy, is_down=always, seed=seed)
    assert len(told.failed) == policy.rounds
    assert not told.has_succeeded
    assert told.failed[-1] <= policy.within


@settings(max_examples=300)
@given(profiles, st.lists(st.floats(0, 20), min_size=1, max_size=40), st.text(max_size=8))
def test_slow_failures_never_leave_the_window(facts, seconds, seed):
    """Attempts never overlap, none starts after W - tail/8, and the last ends within W."""
    policy = fitting(facts)
    told = played(
        policy,
        is_down=always,
        lasts=lambda number: seconds[number % len(seconds)] * SECOND,
        seed=seed,
    )
    latest = policy.within - policy.tail / 8
    assert told.starts == sorted(told.starts)
    for ended, started in zip(told.ends, told.starts[1:], strict=False):
        assert started >= ended
    assert max(told.starts) <= latest
    assert max(told.ends) <= policy.within
    assert len(told.failed) <= policy.rounds


@given(st.lists(st.floats(0, 20), min_size=1, max_size=30), st.text(max_size=8))
def test_slow_failures_of_the_standard_profile_still_fail_three_rounds(seconds, seed):
    """With the time-out of 20 seconds an endless outage leaves exactly three failed rounds."""
    told = played(
        standard,
        is_down=always,
        lasts=lambda number: seconds[number % len(seconds)] * SECOND,
        seed=seed,
    )
    assert len(told.failed) == 3
    assert told.ends[-1] <= timedelta(hours=1)


def test_an_attempt_that_outlasts_the_next_is_followed_a_second_later():
    """If an attempt ends after the next was due, the next starts one second after it."""
    told = played(standard, is_down=always, lasts=lambda _: 20 * SECOND)
    assert told.starts[:6] == [each * 21 * SECOND for each in range(6)]
    assert told.starts[6] >= clock("11:36")


@pytest.mark.parametrize(
    "facts",
    [
        {"rounds": 5, "ratio": 4, "within": timedelta(minutes=10)},
        {"rounds": 0},
        {"rounds": 2, "ratio": 0},
        {"within": timedelta(0)},
        {"within": -timedelta(hours=1)},
    ],
)
def test_a_profile_that_does_not_fit_is_refused(facts):
    """F706: rounds that do not fit into their window are refused where they are written."""
    with pytest.raises(DefinitionError, match="does not fit") as refused:
        Retry(**facts)
    assert refused.value.code == "F706"
    assert refused.value.fix


@given(profiles)
def test_rounds_of_an_accepted_profile_do_not_touch(facts):
    """The second round of a profile that fits begins after the first one's tail."""
    policy = fitting(facts)
    starts = [policy.round_offset(number) for number in range(1, policy.rounds + 1)]
    assert starts == sorted(starts)
    assert starts[-1] == (policy.within - policy.tail if policy.rounds > 1 else timedelta(0))
    assert policy.rounds == 1 or starts[1] >= policy.tail


class TestThrottled:
    """Answers that ask for fewer calls fail neither attempt nor round."""

    def test_a_stated_reset_is_waited_for(self):
        """The next attempt comes when the system said, in the same round and slot."""
        reset = START + timedelta(minutes=7)
        again = after_throttle(begun(START), standard, START, reset_at=reset)
        assert isinstance(again, Again)
        assert (again.at, again.round_failed) == (reset, False)
        assert (again.progress.round, again.progress.slot) == (1, 0)

    def test_without_a_reset_the_pause_doubles_to_ten_minutes(self):
        """Half a minute first, then twice as long each time, at most ten minutes."""
        progress, now, pauses = begun(START), START, []
        while isinstance(again := after_throttle(progress, standard, now, reset_at=None), Again):
            pauses.append((again.at - now) / SECOND)
            progress, now = again.progress, again.at
        assert pauses[:6] == [30, 60, 120, 240, 480, 600]
        assert set(pauses[6:]) == {600}
        assert now - START >= timedelta(hours=1)

    def test_a_reset_in_the_past_is_no_reset(self):
        """A moment that is over is taken as not stated."""
        again = after_throttle(begun(START), standard, START, reset_at=START - SECOND)
        assert isinstance(again, Again)
        assert again.at == START + 30 * SECOND

    def test_a_failure_after_the_pause_starts_the_burst_there(self):
        """The burst of the round is measured from the end of the pause."""
        reset = START + timedelta(minutes=5)
        waited = after_throttle(begun(START), standard, START, reset_at=reset)
        assert isinstance(waited, Again)
        again = after_failure(waited.progress, standard, waited.at, seed="s")
        assert isinstance(again, Again)
        assert 0.9 * SECOND <= again.at - reset <= 1.1 * SECOND
        assert not again.round_failed


def test_a_stated_moment_puts_the_attempt_off_as_far_as_the_window_goes():
    """Within the window the moment holds; beyond it, the last start of the window does."""
    following = after_failure(begun(START), standard, START, seed="a")
    assert isinstance(following, Again)
    assert not_before(following, standard, None) == following
    assert not_before(following, standard, START) == following
    for asked, held in ((timedelta(minutes=5), timedelta(minutes=5)), (timedelta(hours=3), None)):
        found = not_before(following, standard, START + asked)
        assert isinstance(found, Again)
        assert found.at - START == (held or standard.within - standard.tail / 8)
    third = next_round(replace(begun(START), round=2), standard, START, seed="a")
    assert isinstance(third, Again)
    moved = not_before(third, standard, third.at + SECOND)
    assert isinstance(moved, Again)
    assert moved.progress.round_began_at == moved.at == third.at + SECOND


def test_a_withheld_round_counts_like_a_failed_one():
    """Without any attempt, rounds pass at their moments until they are used up."""
    progress, moments = begun(START), []
    now = START
    while isinstance(again := next_round(progress, standard, now, seed="s"), Again):
        assert again.round_failed
        moments.append(again.at - START)
        progress, now = again.progress, again.at
    assert len(moments) == 2
    assert clock("11:36") <= moments[0] < clock("11:51")
    assert clock("58:00") <= moments[1] < clock("58:15")


def test_a_time_out_is_cut_at_the_end_of_the_window():
    """An attempt at 59:50 has ten seconds; one long before has its own time-out."""
    progress = begun(START)
    late = START + clock("59:50")
    assert time_left(progress, standard, late, 20 * SECOND) == 10 * SECOND
    assert time_left(progress, standard, START, 20 * SECOND) == 20 * SECOND


def test_an_attempt_that_was_asked_for_after_the_window_has_its_whole_time_out():
    """What a probe or a stated reset brings on two hours later is not cut to nothing."""
    late = START + timedelta(hours=2)
    assert time_left(begun(START), standard, late, 20 * SECOND) == 20 * SECOND


class TestNotReady:
    """What was just made and cannot be seen yet is looked for at its operation's settle times."""

    def looks(self, policy: Retry, settle: tuple[int, ...] = ()) -> tuple[list[float], int]:
        """Play a step whose object never shows: when it looks, and how many rounds fail."""
        progress, now, looks, failed = begun(START), START, [0.0], 0
        while True:
            times = [each * SECOND for each in settle]
            following = after_not_ready(progress, policy, now, seed="s", settle=times)
            if isinstance(following, Exhausted):
                return looks, failed + 1
            failed += following.round_failed
            progress, now = following.progress, following.at
            looks.append((now - START) / SECOND)

    def test_the_settle_times_take_the_place_of_the_first_round(self):
        """At the declared times, at most five minutes; then rounds two and three, three in all."""
        looks, failed = self.looks(standard, (5, 30, 120, 400))
        assert looks[:4] == [0, 5, 30, 120]
        assert clock("11:36").total_seconds() <= looks[4] < clock("11:51").total_seconds()
        assert (len(looks), failed) == (4 + 7 + 7, 3)
        assert looks[-1] <= clock("60:00").total_seconds()

    def test_without_settle_times_the_pauses_double(self):
        """After 5, 15, 35, 75 and 155 seconds."""
        looks, failed = self.looks(standard)
        assert looks[:6] == [0, 5, 15, 35, 75, 155]
        assert (looks[6] >= clock("11:36").total_seconds(), failed) == (True, 3)

    def test_the_window_ends_where_the_second_round_begins(self):
        """Where it is urgent, what settles is not waited for past the second round's start."""
        looks, failed = self.looks(urgent)
        assert looks[:4] == [0, 5, 15, 35]
        assert clock("0:50").total_seconds() <= looks[4] <= clock("0:57").total_seconds()
        assert failed == 3
        assert looks[-1] <= clock("5:00").total_seconds()


@pytest.mark.parametrize(
    ("rounds", "minutes", "ratio", "nearest"),
    [
        (5, 10, 4, (5, 1)),
        (4, 10, 4, (4, 1)),
        (4, 25, 5, (4, 2)),
        (9, 30, 6, (9, 1)),
        (40, 60, 2, (30, 1)),
    ],
)
def test_f706_prints_the_nearest_profile_as_a_table_of_its_times(rounds, minutes, ratio, nearest):
    """The window is kept, then the rounds, then the ratio; each round with its attempts."""
    within = timedelta(minutes=minutes)
    with pytest.raises(DefinitionError) as refused:
        Retry(rounds=rounds, within=within, ratio=ratio)
    fitting_one = Retry(rounds=nearest[0], within=within, ratio=nearest[1])
    assert refused.value.fix == f"the nearest profile that does:\n{fitting_one.table()}"


def test_the_table_of_a_profile_says_when_everything_happens():
    """What the operator's page shows of `standard`."""
    assert standard.table() == (
        "Retry(rounds=3, within=1:00:00, ratio=4)\n"
        "  round 1 at 0:00, attempts after 0 1 3 7 15 31 63 s\n"
        "  round 2 at 11:36, attempts after 0 1 3 7 15 31 63 s\n"
        "  round 3 at 58:00, attempts after 0 1 3 7 15 31 63 s\n"
        "  a person is told at 1:00:00 at the latest"
    )


@pytest.mark.parametrize(
    ("policy", "gap"),
    [(standard, "11:36"), (urgent, "0:50"), (patient, "4:47:36")],
)
def test_the_gap_between_rounds_grows_fourfold(policy, gap):
    """The first gap is the table's; the second is four times as long, with jitter 3.8 or more."""
    first, second, third = (policy.round_offset(number) for number in (1, 2, 3))
    assert second - first == clock(gap)
    assert (third - second) / (second - first) == pytest.approx(4)
    latest = second + policy.tail / 8  # with all the jitter there is
    assert (third - latest) / latest >= (3.4 if policy is urgent else 3.8)
    assert third == policy.within - policy.tail


EARLY = timedelta(milliseconds=1)


@pytest.mark.parametrize("seed", ["a", "run/b", "c"])
@pytest.mark.parametrize("number", [2, 3])
def test_the_boundaries_of_an_outage_lie_at_the_attempts(seed, number):
    """An outage that ends just before a round's last attempt costs no round, just after it one."""
    told = played(standard, is_down=always, seed=seed)
    last = told.starts[7 * number - 1]
    before = played(standard, is_down=outage(last), seed=seed)
    after = played(standard, is_down=outage(last + EARLY), seed=seed)
    assert (len(before.failed), before.has_succeeded) == (number - 1, True)
    assert (len(after.failed), after.has_succeeded) == (number, number < 3)


@settings(max_examples=200)
@given(profiles, st.text(max_size=8), st.integers(0, 20))
def test_a_plan_is_the_same_after_a_restart(facts, seed, cut):
    """Whoever goes on from the stored progress computes the same moments."""
    policy = fitting(facts)
    whole = played(policy, is_down=always, seed=seed).starts
    progress, at, starts = begun(START), START, [timedelta(0)]
    for turn in range(len(whole) - 1):
        if turn == cut:  # what a database keeps: plain values
            progress = replace(progress, began_at=datetime.fromisoformat(str(progress.began_at)))
        following = after_failure(progress, policy, at, seed=seed)
        assert isinstance(following, Again)
        assert following.at > at
        progress, at = following.progress, following.at
        starts.append(at - START)
    assert starts == whole
