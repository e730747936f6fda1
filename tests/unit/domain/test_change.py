"""The Change: facts become leaves, each chained to the one before, or nothing is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, leaf_hash
from newel.base.errors import LogInconsistent
from newel.base.ids import reference
from newel.domain.change import Change, Entries, Head

RUN = UUID("01990a3c-5b1e-7c40-8f2a-6d1e0b7c9a11")
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
NEWEL = Actor(type="system", id="newel")


def new_ids():
    """Ids of events, one after another."""
    numbers = count(1)
    return lambda: f"01990a3c-5b1e-7c40-8f2a-{next(numbers):012x}"


def empty_head() -> Head:
    """The head of a run's stream before its first event."""
    stream = f"run/{reference('run', RUN)}"
    return Head(id=RUN, stream=stream, seq=0, hash=b"", last_at=None)


def waits(entries: Entries, *moments: datetime) -> None:
    """Add one fact for each moment."""
    for number, at in enumerate(moments):
        entries.add(facts.WaitOpened(kind="timer"), at=at, actor=NEWEL, key=f"pause{number}")


def test_events_are_chained_and_numbered_from_the_head():
    """Each leaf names its place and the hash of the leaf before; the head moves along."""
    head = empty_head()
    entries = Entries(head, new_ids())
    waits(entries, START, START, START)
    rows = entries.sealed("waiting")
    leaves = [orjson.loads(row.entry) for row in rows]
    assert [row.seq for row in rows] == [leaf["seq"] for leaf in leaves] == [1, 2, 3]
    assert leaves[0]["prev"] == ""
    for before, leaf in zip(rows, leaves[1:], strict=False):
        assert leaf["prev"] == leaf_hash(before.entry).hex() == before.leaf_hash.hex()
    assert (head.seq, head.hash) == (3, rows[-1].leaf_hash)
    assert ["run_state" in leaf for leaf in leaves] == [False, False, True]


def test_a_second_batch_goes_on_where_the_first_ended():
    """Sealing twice gives one unbroken stream."""
    entries = Entries(empty_head(), new_ids())
    waits(entries, START)
    first = entries.sealed()
    waits(entries, START)
    second = entries.sealed()
    assert orjson.loads(second[0].entry)["prev"] == first[0].leaf_hash.hex()
    assert second[0].seq == 2


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=12))
def test_times_never_run_backwards_within_a_stream(offsets):
    """A clock that jumps back is overruled by the event before."""
    head = empty_head()
    head.last_at = START
    entries = Entries(head, new_ids())
    waits(entries, *(START + timedelta(milliseconds=each) for each in offsets))
    rows = entries.sealed()
    times = [row.occurred_at for row in rows]
    assert times == sorted(times)
    assert times[0] >= START
    assert head.last_at == times[-1]
    assert [orjson.loads(row.entry)["occurred_at"] for row in rows] == [
        f"{each:%Y-%m-%dT%H:%M:%S.%f}Z" for each in times
    ]


def test_adding_tells_the_place_that_a_fact_will_have():
    """The place is known before sealing, for rows that refer to it."""
    head = empty_head()
    head.seq, head.hash = 7, bytes(32)
    entries = Entries(head, new_ids())
    places = [
        entries.add(facts.WaitOpened(kind="timer"), at=START, actor=NEWEL, key="a")
        for _ in range(2)
    ]
    assert places == [8, 9]
    assert [row.seq for row in entries.sealed()] == places


def test_a_change_without_an_event_cannot_be_sealed():
    """No state without its audit event."""
    change = Change(run=RUN, from_seq=0)
    with pytest.raises(LogInconsistent):
        change.seal(Entries(empty_head(), new_ids()), run_state="waiting")


def test_a_sealed_change_knows_where_it_leads():
    """Its place, hash and moment are those of its last event."""
    entries = Entries(empty_head(), new_ids())
    waits(entries, START, START + timedelta(seconds=1))
    change = Change(run=RUN, from_seq=0).seal(entries, run_state="waiting")
    assert (change.to_seq, change.last_at) == (2, START + timedelta(seconds=1))
    assert change.head == change.events[-1].leaf_hash
    assert not change.is_rare
    assert not change.is_solo


def test_a_change_that_writes_a_shared_stream_travels_alone():
    """Facts beside, streams and other runs' Changes make it solo; rare rows make it rare."""
    change = Change(run=RUN, from_seq=0)
    change.also("task", {"id": "1"})
    change.also("task", {"id": "2"})
    assert change.is_rare
    assert change.rest == {"task": [{"id": "1"}, {"id": "2"}]}
    assert Change(run=RUN, from_seq=0, together=[change]).is_solo
    assert Change(run=RUN, from_seq=0, streams=[(0, empty_head())]).is_solo


def test_what_is_closed_before_it_was_written_is_taken_back():
    """The row of one act goes, those of others stay; a table without rows is not written."""
    change = Change(run=RUN, from_seq=0)
    change.also("open_act", {"key": "a"})
    change.also("open_act", {"key": "b"})
    change.forget("open_act", "a")
    assert change.rest == {"open_act": [{"key": "b"}]}
    change.forget("open_act", "b")
    change.forget("task", "b")
    assert change.rest == {}


def test_an_id_is_made_before_what_is_sealed_to_it():
    """A personal field is sealed to its event's id, and the event then takes that id."""
    entries = Entries(empty_head(), new_ids())
    event_id = entries.new_id()
    fact = facts.WaitOpened(kind="timer")
    entries.add(fact, at=START, actor=NEWEL, key="a", id_=event_id)
    assert entries.latest == START
    assert entries.sealed()[0].id == event_id
