from __future__ import annotations

from datetime import timedelta

import pytest

from newel.base.errors import Throttled
from newel.connectors.gate import Bucket, LimitHeaders, MemoryGate
from tests.connectors.support import START, Time, raised


@pytest.fixture
def gate(time: Time) -> MemoryGate:
    """One bucket of two at once and one a second, one of ten at once."""
    return MemoryGate(
        (Bucket(name="slow", rate=1, capacity=2), Bucket(name="wide", rate=10, capacity=10)),
        clock=time.clock,
        pause=time.pause,
    )


async def test_a_bucket_lets_pass_its_capacity_and_then_its_rate(gate: MemoryGate, time: Time):
    """Two pass at once, the following ones a second apart."""
    for _ in range(5):
        await gate.admit("slow")
    assert time.pauses == [1, 1, 1]


async def test_a_long_wait_is_handed_back(gate: MemoryGate, time: Time):
    """Whoever would wait longer than five seconds is sent away with the moment, taking nothing."""
    await gate.admit("slow", cost=2)
    held = await raised(gate.admit("slow", cost=6), Throttled)
    assert held.retry_at == START + timedelta(seconds=6)
    assert held.bucket == "slow"
    await gate.admit("slow")
    assert time.pauses == [1]


async def test_tokens_come_back_with_time_up_to_the_capacity(gate: MemoryGate, time: Time):
    """After a rest the capacity is there again, and no more than that."""
    for _ in range(2):
        await gate.admit("slow")
    time.move(timedelta(minutes=5))
    for _ in range(3):
        await gate.admit("slow")
    assert time.pauses == [1]


async def test_a_fifth_is_kept_for_what_is_urgent(gate: MemoryGate, time: Time):
    """Eight of ten go to anybody, the last two at once only to the urgent lane."""
    for _ in range(8):
        await gate.admit("wide")
    await gate.admit("wide", lane="urgent")
    await gate.admit("wide", lane="urgent")
    assert time.pauses == []
    await gate.admit("wide")
    assert len(time.pauses) == 1


async def test_items_of_a_bucket_have_budgets_of_their_own(gate: MemoryGate, time: Time):
    """`slow:a` and `slow:b` do not wait for each other."""
    for item in ("slow:a", "slow:b"):
        await gate.admit(item)
        await gate.admit(item)
    assert time.pauses == []


async def test_a_block_holds_until_its_moment(gate: MemoryGate, time: Time):
    """A blocked bucket lets nothing pass before; a shorter block does not undo a longer one."""
    await gate.block("slow", START + timedelta(seconds=30))
    await gate.block("slow", START + timedelta(seconds=10))
    held = await raised(gate.admit("slow"), Throttled)
    assert held.retry_at == START + timedelta(seconds=30)
    time.move(timedelta(seconds=28))
    await gate.admit("slow")
    assert time.pauses == [2]


async def test_a_bucket_without_a_budget_can_be_blocked(gate: MemoryGate):
    """A stated wait counts for any name, budget or not."""
    await gate.admit("unknown")
    await gate.block("unknown", START + timedelta(seconds=30))
    await raised(gate.admit("unknown"), Throttled)


async def test_answers_lower_tokens_and_never_raise_them(gate: MemoryGate, time: Time):
    """What an answer says is left counts if it is less than our own count."""
    await gate.admit("slow")
    await gate.observe("slow", LimitHeaders(remaining=5000))
    await gate.admit("slow")
    assert time.pauses == []
    await gate.admit("slow")
    assert time.pauses == [1]
    time.move(timedelta(seconds=10))
    await gate.observe("slow", LimitHeaders(remaining=0, reset_at=START + timedelta(minutes=2)))
    held = await raised(gate.admit("slow"), Throttled)
    assert held.retry_at == START + timedelta(minutes=2)


async def test_near_its_limit_a_system_is_asked_half_as_fast(gate: MemoryGate, time: Time):
    """While the system says that the limit is near, each request counts twice."""
    for _ in range(4):
        await gate.admit("slow")
        await gate.observe("slow", LimitHeaders(is_near=True))
    assert time.pauses == [1, 2, 2]
