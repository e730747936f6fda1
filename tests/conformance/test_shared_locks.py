"""A lock that all runs share, held across replays, without a database."""

from __future__ import annotations

from datetime import timedelta

from newel.engine.children import Relatives
from newel.engine.runner import Loaded
from newel.flow.locks import lock
from newel.flow.process import process
from newel.flow.waits import timer
from tests.conformance.memory import Host, Store, Worker

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
