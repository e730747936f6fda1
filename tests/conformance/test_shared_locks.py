"""A lock that all runs share, held across replays, without a database."""

from __future__ import annotations

from datetime import timedelta

from newel.domain.people import Person
from newel.engine.children import Relatives
from newel.engine.runner import Loaded
from newel.flow.locks import lock
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.waits import approval, timer
from tests.conformance.memory import MARY, Host, Store, Worker

BOSS = Person(name="Mary", email="mary@example.com", ref=MARY)
printer = lock("printer", shared=True)


class Sharing(Store):
    """A store that knows who may have a lock: the first who waits, while nobody holds it."""

    def loaded(self) -> Loaded:
        """The run, with the keys whose lock is free."""
        loaded = super().loaded()
        locks = [act for act in self.acts.values() if act.kind == "lock"]
        waiting = [(act.opened_at, act.key) for act in locks if act.state == "open"]
        is_held = any(act.state == "held" for act in locks)
        free = frozenset({min(waiting)[1]} if waiting and not is_held else ())
        loaded.relatives = Relatives({}, free)
        return loaded


def drive(store: Store) -> None:
    """Load the run, commit what it decides, and put it down."""
    worker = Worker(store)
    while worker.queue:
        worker.commit()
    worker.runner.dismiss()


def test_a_replay_gives_back_no_lock_but_the_one_whose_block_it_passes():
    """The run holds the lock in its second block, however often it is loaded there."""

    @process(subject=None, owner="it")
    async def body() -> None:
        async with printer["first"]:
            pass
        async with printer["second"]:
            await timer("pause", after=timedelta(hours=1))

    store = Sharing(body, Host())
    for _ in range(5):
        drive(store)
    assert store.acts["printer[second]"].state == "held"
    store.host.clock += timedelta(hours=2)
    drive(store)
    assert store.state == "completed"
    assert store.acts == {}


def test_a_fault_inside_the_block_keeps_the_lock():
    """The run parks and goes on there with mended code, so nobody else may hold it meanwhile."""

    @process(subject=None, owner="it")
    async def body() -> None:
        async with printer["only"]:
            raise KeyError("bug")

    store = Sharing(body, Host())
    for _ in range(3):
        drive(store)
    assert (store.state, store.reason) == ("parked", "bug")
    assert store.acts["printer[only]"].state == "held"


def test_giving_back_is_written_also_where_nothing_else_follows():
    """Others wait for it, however long this run rests."""

    async def signing() -> None:
        async with printer["only"]:
            await approval("yes", by=BOSS)

    @process(subject=None, owner="it")
    async def body() -> None:
        await parallel(timer("pause", after=timedelta(days=30)), signing())

    store = Sharing(body, Host())
    for _ in range(3):
        drive(store)
    store.decide("yes", approved=True)
    drive(store)
    assert set(store.acts) == {"pause"}
    drive(store)
    assert set(store.acts) == {"pause"}
