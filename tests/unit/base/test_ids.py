from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel.base.clock import FakeClock
from newel.base.ids import PREFIXES, Ids, idempotency_key, parse_reference, reference, uuid7

START = datetime(2026, 1, 5, 7, tzinfo=UTC)


class Chance:
    """Entropy that counts: each draw is the next number."""

    def __init__(self, first=0):
        self.drawn = first

    def __call__(self, how_many):
        """Draw the next number."""
        self.drawn += 1
        return self.drawn.to_bytes(how_many, "big")


def highest(how_many):
    """Draw the largest number there is."""
    return b"\xff" * how_many


def test_an_id_of_time_and_chance():
    """A UUIDv7 holds its milliseconds, its version and variant, and 74 random bits."""
    made = uuid7(0x0123456789AB, b"\xff" * 10)
    assert str(made) == "01234567-89ab-7fff-bfff-ffffffffffff"
    assert (made.version, made.variant) == (7, RFC_4122)


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_every_id_of_time_and_chance_is_a_uuid7(now_ms, random):
    """Whatever the time and the chance, version, variant and milliseconds are where they belong."""
    made = uuid7(now_ms, random)
    assert (made.version, made.variant, made.int >> 80) == (7, RFC_4122, now_ms)


def test_ids_rise_within_a_millisecond():
    """Ids made while the clock stands still are distinct and rise, whichever form they have."""
    ids = Ids(FakeClock(START), Chance())
    made = [str(ids.new()), ids.event_id(), str(ids.run_id()), ids.event_id()]
    assert made == sorted(set(made))


def test_ids_rise_when_the_clock_steps_back():
    """An id made after the clock was set back is still greater than the one before."""

    class Erring:
        def __init__(self):
            self.moments = iter([START, START - timedelta(hours=1)])

        def now(self):
            return next(self.moments)

        def monotonic(self):
            return 0.0

    ids = Ids(Erring(), Chance())
    first, second = ids.new(), ids.new()
    assert first < second
    assert first.int >> 80 == second.int >> 80


def test_ids_go_on_when_a_millisecond_is_full():
    """When the random part would run over, the next millisecond is borrowed."""
    ids = Ids(FakeClock(START), highest)
    made = [ids.new()]
    while made[-1].int >> 80 == made[0].int >> 80:
        ids._low += 2**61
        made.append(ids.new())
    assert made == sorted(set(made))
    assert (made[-1].int >> 80) - (made[0].int >> 80) == 1


def test_an_event_id_is_a_lower_case_uuid7():
    """The text form has hyphens and lower-case digits, and time and version are in it."""
    made = Ids(FakeClock(START), Chance()).event_id()
    assert made == str(UUID(made))
    assert UUID(made).version == 7
    assert UUID(made).int >> 80 == int(START.timestamp() * 1000)


def test_ids_follow_the_host_by_default():
    """Without a clock and entropy of its own, ids are of now and all different."""
    ids = Ids()
    made = [ids.event_id() for _ in range(1_000)]
    assert made == sorted(set(made))


def test_a_person_id_tells_no_time():
    """A person's id is random only (version 4)."""
    made = Ids(FakeClock(START), Chance()).person_id()
    assert (made.version, made.variant) == (4, RFC_4122)


@given(st.sampled_from(sorted(PREFIXES)), st.uuids())
def test_a_reference_is_read_back(prefix, name):
    """Writing and reading a reference is the identity; it has a prefix and 26 digits."""
    written = reference(prefix, name)
    assert parse_reference(written) == (prefix, name)
    assert len(written) == len(prefix) + 27


@pytest.mark.parametrize(
    ("number", "digits"),
    [
        (0, "0" * 26),
        (31, "0" * 25 + "z"),
        (2**128 - 1, "7" + "z" * 25),
        # the bytes of a ULID, https://github.com/ulid/spec: 01ARZ3NDEKTSV4RRFFQ69G5FAV
        (0x01563E3AB5D3D6764C61EFB99302BD5B, "01arz3ndektsv4rrffq69g5fav"),
    ],
)
def test_a_reference_is_the_number_in_crockford_digits(number, digits):
    """Known numbers are written as everybody else writes them."""
    assert reference("run", UUID(int=number)) == f"run_{digits}"


@given(st.uuids(), st.uuids())
def test_references_sort_as_their_ids(one, other):
    """The order of references is the order of ids."""
    assert (reference("run", one) < reference("run", other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "run_",
        "run_01J9ZK7Q3M8T5V2X4Y6A8B0C1D",  # upper case
        "run_01j9zk7q3m8t5v2x4y6a8b0c1",  # too short
        "run_01j9zk7q3m8t5v2x4y6a8b0c1d0",  # too long
        "run_81j9zk7q3m8t5v2x4y6a8b0c1d",  # more than 128 bits
        "run_0ij9zk7q3m8t5v2x4y6a8b0c1d",  # no Crockford digit
        "run_0_j9zk7q3m8t5v2x4y6a8b0c1d",  # int() would take it
        "key_01j9zk7q3m8t5v2x4y6a8b0c1d",  # no prefix of ours
        "run-01j9zk7q3m8t5v2x4y6a8b0c1d",
        "run_01j9zk7q3m8t5v2x4y6a8b0c1d\n",
    ],
)
def test_what_is_no_reference_is_refused(text):
    """Only what `reference` writes is read."""
    with pytest.raises(ValueError, match="is no reference"):
        parse_reference(text)


def test_the_idempotency_key_belongs_to_run_and_key():
    """It is the same in every attempt, and different for another run or another key."""
    run, other = UUID(int=1), UUID(int=2)
    assert idempotency_key(run, "pay") == "f9cda5ffa078bb8574dcb55007616208"
    assert idempotency_key(run, "pay") == idempotency_key(run, "pay")
    assert len({idempotency_key(r, k) for r in (run, other) for k in ("pay", "pay#2")}) == 4
