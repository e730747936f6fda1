"""Limits that all workers share: never exceeded, nobody passed over, cheap where there is room."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from newel.base.clock import DEPLOYMENT, FakeClock, SystemClock
from newel.base.errors import Throttled
from newel.connectors.gate import Bucket, LimitHeaders
from newel.engine.gates import SharedGate
from newel.engine.guarding import Guard
from newel.store import gates
from newel.store.database import Database

FAST = Bucket(name="sim.fast", rate=100, capacity=10)
SLOW = Bucket(name="sim.slow", rate=1, capacity=2)
SHARED = Bucket(name="sim.shared", rate=10, capacity=10)


@pytest.fixture
async def database(database_url):
    """Give a database whose clock the test may move."""
    opened = await Database.open(database_url)
    await opened.execute("update newel.deployment set kind = 'test'")
    yield opened
    await opened.close()


def gate_of(database, bucket, **more) -> SharedGate:
    """A worker's gate over one bucket."""
    clock = more.pop("clock", SystemClock())
    return SharedGate(database, "sim:1", [bucket], clock=clock, **more)


async def test_four_workers_together_never_exceed_the_budget(database):
    """In whatever span: no more pass than the bucket holds and what has dripped in meanwhile."""
    passed: list[tuple[float, int]] = []

    async def work(number: int, gate: SharedGate) -> None:
        for _ in range(30):
            await gate.admit(FAST.name)
            passed.append((time.monotonic(), number))

    gates = [gate_of(database, FAST) for _ in range(4)]
    began = time.monotonic()
    await asyncio.gather(*(work(number, gate) for number, gate in enumerate(gates)))
    # A moment may be noted late, never early: so spans are measured from the very beginning, and
    # the budget for urgent requests, a fifth, is left alone.
    passed.sort()
    for count, (moment, _) in enumerate(passed, 1):
        assert count <= FAST.capacity + FAST.rate * (moment - began) + 1
    assert {number for _, number in passed} == {0, 1, 2, 3}
    assert sum(gate.statements for gate in gates) <= 120


async def test_a_full_bucket_costs_one_statement_for_ten_requests(database):
    """A worker takes several tokens at once and spends them without asking again."""
    roomy = Bucket(name="sim.roomy", rate=1000, capacity=1000)
    gate = gate_of(database, roomy, clock=FakeClock(DEPLOYMENT.now()))
    for _ in range(100):
        await gate.admit(roomy.name)
    assert gate.statements == 10


async def test_what_would_wait_too_long_is_refused_with_turns_of_its_own(database):
    """Twenty ask of a bucket of one a second: each refused one has a later moment than the last."""
    gates = [gate_of(database, SLOW, pause=_nothing) for _ in range(2)]
    moments = []
    for number in range(20):
        try:
            await gates[number % 2].admit(SLOW.name)
        except Throttled as refused:
            moments.append((refused.retry_after or timedelta(0)).total_seconds())
    assert len(moments) >= 12
    later = [then - now for now, then in pairwise(moments)]
    assert min(later) > 0.5
    assert moments[-1] <= 22


async def test_a_block_of_one_worker_holds_for_all(database):
    """Retry-After met by one worker: the others are refused until then, and pass afterwards."""
    one, other = (gate_of(database, SHARED, pause=_nothing) for _ in range(2))
    now = await database.fetchval("select newel.now()")
    await one.block(SHARED.name, now + timedelta(seconds=30))
    with pytest.raises(Throttled) as refused:
        await other.admit(SHARED.name)
    assert refused.value.retry_after is not None
    assert 25 <= refused.value.retry_after.total_seconds() <= 31
    await database.execute("update newel.deployment set clock_offset = interval '32 seconds'")
    await other.admit(SHARED.name)


async def test_a_bucket_without_a_budget_is_held_back_by_a_block_alone(database):
    """What no document limits passes freely, until the system itself says stop."""
    gate = gate_of(database, SHARED, pause=_nothing)
    for _ in range(50):
        await gate.admit("sim.unknown")
    now = await database.fetchval("select newel.now()")
    await gate.block("sim.unknown", now + timedelta(minutes=1))
    with pytest.raises(Throttled):
        await gate.admit("sim.unknown")


async def test_what_the_system_says_is_left_lowers_the_tokens_and_nothing_raises_them(database):
    """Nought remaining until a reset stops everybody; many remaining change nothing."""
    one, other = (gate_of(database, SHARED, pause=_nothing) for _ in range(2))
    await one.admit(SHARED.name)
    await one.observe(SHARED.name, LimitHeaders(remaining=4_000))
    level = await database.fetchval("select tokens from newel.gate")
    assert level < SHARED.capacity
    await one.observe(SHARED.name, LimitHeaders(remaining=1))
    assert await database.fetchval("select tokens from newel.gate") <= 1
    now = await database.fetchval("select newel.now()")
    reset = LimitHeaders(remaining=0, reset_at=now + timedelta(minutes=5))
    await one.observe(SHARED.name, reset)
    with pytest.raises(Throttled):
        await other.admit(SHARED.name)


async def test_near_its_limit_a_system_is_asked_half_as_fast_by_all(database):
    """What the system says to one worker costs all of them: each such request counts twice."""
    few = Bucket(name="sim.few", rate=0.001, capacity=4)
    for gate in (gate_of(database, few, pause=_nothing) for _ in range(2)):
        await gate.admit(few.name)
        await gate.observe(few.name, LimitHeaders(is_near=True))
    assert await database.fetchval("select tokens from newel.gate") < 1


async def test_near_its_limit_a_worker_spends_what_it_holds_twice_as_fast(database):
    """Tokens that are at hand already are halved in the same way, without a statement."""
    gate = gate_of(database, FAST, pause=_nothing, clock=FakeClock(datetime.now(UTC)))
    await gate.admit(FAST.name)
    for _ in range(3):
        await gate.observe(FAST.name, LimitHeaders(is_near=True))
        await gate.admit(FAST.name)
    assert gate.statements == 1
    await gate.observe(FAST.name, LimitHeaders(is_near=True))
    await gate.admit(FAST.name)
    assert gate.statements == 2


async def test_a_fifth_is_kept_for_what_cuts_access(database):
    """The ordinary lane finds the bucket empty while the urgent one still passes at once."""
    waits: list[float] = []

    async def noted(seconds: float) -> None:
        waits.append(seconds)

    clock = FakeClock(DEPLOYMENT.now())
    slow = Bucket(name="sim.ten", rate=0.1, capacity=10)
    gate = gate_of(database, slow, clock=clock, pause=noted)
    for _ in range(8):
        await gate.admit(slow.name)
    with pytest.raises(Throttled):
        await gate.admit(slow.name)
    await gate.admit(slow.name, lane="urgent")
    await gate.admit(slow.name, lane="urgent")
    assert waits == []


async def test_a_database_that_is_away_refuses_without_a_failure(database):
    """Without the levels nothing is sent, and nothing counts: it is asked again in seconds."""
    gate = gate_of(database, SHARED)
    await database.close()
    with pytest.raises(Throttled):
        await gate.admit(SHARED.name)


async def test_a_removal_that_nobody_can_count_is_put_off(database):
    """Nothing was sent: it is no lost answer, of which somebody would be asked."""
    someone = gates.Removal(
        credential="directory:1",
        whose=bytes(16),
        run=uuid.uuid4(),
        is_alone=False,
        is_released=False,
    )
    await database.close()
    with pytest.raises(Throttled):
        await Guard(database, 10).ask(someone)


async def _nothing(_: float) -> None:
    """Wait no time at all."""


async def test_no_two_workers_count_past_each_other(database):
    """C29: of thirty people at once ten lose access, whoever asks; an hour later ten more may."""
    run = uuid.uuid4()

    async def ask(number: int, *, credential: str = "directory:1", **how: bool) -> bool:
        removal = gates.Removal(
            credential=credential,
            whose=number.to_bytes(16),
            run=run if number < 100 else uuid.uuid4(),
            is_alone=how.get("is_alone", False),
            is_released=how.get("is_released", False),
        )
        return await gates.admit_removal(database, removal, most=10, window=timedelta(hours=1))

    found = await asyncio.gather(*(ask(number) for number in range(30)))
    assert sum(found) == 10
    counted = [number for number, admitted in enumerate(found) if admitted]
    held = [number for number, admitted in enumerate(found) if not admitted]
    assert all([await ask(number) for number in counted])  # once, however much they lose
    assert not await ask(held[0]) and await ask(held[0], is_released=True)
    assert await ask(held[1], credential="wiki:1")
    assert not await ask(held[1], is_alone=True)  # this run alone has taken from ten
    assert await ask(100, is_alone=True)
    await database.execute(
        "update newel.removal set removed_at = removed_at - interval '1 hour' where whose = $1",
        counted[0].to_bytes(16),
    )
    assert not await ask(held[2])  # twelve were counted, one of them is an hour ago
    await database.execute("update newel.removal set removed_at = removed_at - interval '1 hour'")
    assert await ask(held[2])
    await gates.forget_removals(database, window=timedelta(hours=1))
    assert await database.fetchval("select count(*) from newel.removal") == 1
