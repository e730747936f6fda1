"""What becomes of a failed attempt: tried again, parked, or asked about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel.base.errors import (
    AuthFailed,
    Bug,
    ContractDrift,
    Forbidden,
    Invalid,
    NoCapacity,
    NotReady,
    OutcomeUnknown,
    OwnershipConflict,
    Throttled,
    Transient,
)
from newel.domain.acts import OpenAct, Trouble
from newel.domain.retry import begun, standard
from newel.domain.transitions import Park, Repeat, after_error, after_unclear

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def after(error, *, trouble=None, at=timedelta(0), in_doubt="verify"):
    """What follows an attempt that was intended at nine and failed after `at`."""
    return after_error(
        trouble or Trouble(),
        error,
        policy=standard,
        began_at=START,
        now=START + at,
        seed="run/key",
        in_doubt=in_doubt,
    )


@pytest.mark.parametrize("error", [Transient("503"), NotReady("not yet")])
def test_what_passes_by_itself_is_tried_again(error):
    """Transient and not-ready failures follow the schedule."""
    following = after(error)
    assert isinstance(following, Repeat)
    assert (following.round_failed, following.trouble.failure_class) == (False, error.failure_class)
    assert following.trouble.progress is not None
    assert following.trouble.progress.began_at == START


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Invalid("x"), "invalid"),
        (Forbidden("x"), "forbidden"),
        (AuthFailed("x"), "auth-failed"),
        (NoCapacity("x"), "no-capacity"),
        (ContractDrift("x"), "contract-drift"),
        (OwnershipConflict("x"), "ownership-conflict"),
        (Bug("x"), "bug"),
    ],
)
def test_what_no_repetition_can_mend_parks_at_once(error, reason):
    """These classes use no round: a person is told at the first failure."""
    following = after(error)
    assert isinstance(following, Park)
    assert (following.reason, following.round_failed, following.rounds_used) == (
        reason,
        False,
        False,
    )
    assert following.trouble.failed_rounds == 0


def test_a_lost_answer_asks_where_the_author_said_ask():
    """Without a way to look, a person decides; no repetition."""
    following = after(OutcomeUnknown("lost"), in_doubt="ask")
    assert isinstance(following, Park)
    assert (following.reason, following.trouble.doubt) == ("unknown", "lost_answer")


@pytest.mark.parametrize("in_doubt", ["verify", "repeat"])
def test_a_lost_answer_is_looked_up_or_repeated_on_the_schedule(in_doubt):
    """The doubt is kept with the moment of the lost call, and rounds count."""
    following = after(OutcomeUnknown("lost"), in_doubt=in_doubt, at=timedelta(seconds=20))
    assert isinstance(following, Repeat)
    assert (following.trouble.doubt, following.trouble.doubted_at) == ("lost_answer", START)


def test_the_third_failed_round_parks():
    """The schedule ends with a park that says so."""
    trouble, now, rounds = Trouble(), timedelta(0), 0
    while True:
        following = after(Transient("503"), trouble=trouble, at=now)
        rounds += following.round_failed
        if isinstance(following, Park):
            break
        trouble, now = following.trouble, following.at - START
    assert (rounds, following.rounds_used, following.trouble.failed_rounds) == (3, True, 3)


@pytest.mark.parametrize("was", ["parked", "retrying"])
@pytest.mark.parametrize("error", [Transient("503"), OutcomeUnknown("lost")])
def test_an_uncounted_attempt_changes_no_count(was, error):
    """What a probe brought about leaves rounds as they were, however it fails."""
    held = START + timedelta(minutes=11)
    progress = replace(begun(START), round=3, slot=6)
    trouble = Trouble(progress=progress, failed_rounds=3, early=was, held_at=held)
    following = after(error, trouble=trouble, at=timedelta(hours=2))
    assert not following.round_failed
    assert following.trouble.failed_rounds == 3
    assert following.trouble.early is None
    assert isinstance(following, Park) == (was == "parked")


@pytest.mark.parametrize("was", ["parked", "retrying"])
def test_an_uncounted_attempt_that_is_throttled_keeps_its_turn(was):
    """It waits for the reset and tries then, uncounted still: nobody has to wake it again."""
    trouble = Trouble(progress=begun(START), failed_rounds=3, early=was)
    reset = START + timedelta(hours=2, minutes=7)
    following = after(Throttled("429", retry_at=reset), trouble=trouble, at=timedelta(hours=2))
    assert isinstance(following, Repeat)
    assert (following.at, following.round_failed, following.trouble.early) == (reset, False, was)
    unstated = after(Throttled("429"), trouble=trouble, at=timedelta(hours=2))
    assert isinstance(unstated, Repeat)
    assert unstated.at == START + timedelta(hours=2, seconds=30)


def test_a_quota_that_comes_back_is_waited_for():
    """With a moment at which it comes back no person is needed; without one, at once."""
    until = START + timedelta(hours=20)
    following = after(NoCapacity("full", until=until), trouble=Trouble(), at=timedelta(0))
    assert isinstance(following, Repeat)
    assert (following.at, following.round_failed) == (until, False)
    assert isinstance(after(NoCapacity("full"), trouble=Trouble(), at=timedelta(0)), Park)


def test_an_uncounted_attempt_that_fails_early_keeps_the_planned_moment():
    """The counted attempt that was due comes when it was due."""
    held = START + timedelta(minutes=11)
    trouble = Trouble(progress=begun(START), failed_rounds=1, early="retrying", held_at=held)
    following = after(Transient("503"), trouble=trouble, at=timedelta(minutes=5))
    assert isinstance(following, Repeat)
    assert following.at == held


def test_an_uncounted_attempt_waits_for_a_stated_reset():
    """Told to wait longer than planned, it waits as it was told."""
    held = START + timedelta(minutes=6)
    trouble = Trouble(progress=begun(START), failed_rounds=1, early="retrying", held_at=held)
    reset = START + timedelta(minutes=30)
    following = after(Throttled("429", retry_at=reset), trouble=trouble, at=timedelta(minutes=5))
    assert isinstance(following, Repeat)
    assert following.at == reset


def test_throttled_fails_neither_attempt_nor_round():
    """The stated reset is waited for, relative or absolute."""
    absolute = after(Throttled("429", retry_at=START + timedelta(minutes=9)))
    relative = after(Throttled("429", retry_after=timedelta(minutes=9)))
    assert isinstance(absolute, Repeat)
    assert isinstance(relative, Repeat)
    assert absolute.at == relative.at == START + timedelta(minutes=9)
    assert (absolute.round_failed, absolute.trouble.failed_rounds) == (False, 0)


def test_an_hour_of_nothing_but_throttling_ends_like_a_third_failed_round():
    """The sixty minutes are used, the rounds are not."""
    trouble, now = Trouble(), timedelta(0)
    while isinstance(following := after(Throttled("429"), trouble=trouble, at=now), Repeat):
        trouble, now = following.trouble, following.at - START
        assert now < timedelta(minutes=75)
    assert (following.reason, following.rounds_used) == ("outage", True)
    assert now >= timedelta(hours=1)


def test_an_unclear_look_is_repeated_three_times_and_then_asked_about():
    """After 5, 20 and 60 seconds a person decides."""
    trouble, pauses = Trouble(doubt="lost_answer"), []
    while isinstance(following := after_unclear(trouble, now=START), Repeat):
        pauses.append((following.at - START).total_seconds())
        trouble = following.trouble
    assert pauses == [5, 20, 60]
    assert isinstance(following, Park)
    assert following.reason == "unknown"


moments = st.datetimes(timezones=st.just(UTC), min_value=datetime(2020, 1, 1))  # noqa: DTZ001  # hypothesis wants naive bounds
troubles = st.builds(
    Trouble,
    progress=st.none() | st.builds(begun, moments, series=st.integers(1, 5)),
    failed_rounds=st.integers(0, 3),
    doubt=st.none() | st.sampled_from(["crash", "timeout", "lost_answer"]),
    doubted_at=st.none() | moments,
    crashes=st.integers(0, 3),
    unclear=st.integers(0, 3),
    early=st.none() | st.sampled_from(["retrying", "parked"]),
    held_at=st.none() | moments,
    failure_class=st.none() | st.just("transient"),
    message=st.none() | st.text(min_size=1, max_size=20),
    status=st.none() | st.integers(400, 599),
    failed_at=st.none() | moments,
)


@given(troubles)
def test_trouble_survives_its_row(trouble):
    """What a step has been through is read back from JSON as it was."""
    assert Trouble.of(orjson.loads(orjson.dumps(trouble.row()))) == trouble


def test_an_untroubled_step_writes_nothing():
    """A step without any trouble has an empty row, and reads back as untroubled."""
    assert Trouble().row() == {}
    assert Trouble.of(None) == Trouble.of({}) == Trouble()


def test_the_row_of_an_open_act_has_its_table_columns():
    """Every field but the trouble is a column, and the trouble is the column `detail`."""
    act = OpenAct(key="a", kind="step", state="parked", opened_at=START)
    run = uuid4()
    row = act.row(run)
    assert row["run_id"] == str(run)
    assert row["detail"] is None
    assert OpenAct.of({**row, "detail": None}) == act
    assert (act.series, act.round) == (1, 1)
    act.trouble.progress = replace(begun(START, series=2), round=3)
    assert (act.series, act.round) == (2, 3)
