"""A lock that all runs share, held across replays, without a database."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from newel.domain.people import Person
from newel.engine.children import Relatives
from newel.engine.runner import Loaded
from newel.flow.groups import group
from newel.flow.locks import lock
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.races import n_of
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

    def why(self) -> str:
        """Why the run was parked last."""
        payload = next(each for each in reversed(self.events) if each["type"] == "run.parked")
        return str(orjson.loads(self.sealer.open(payload["payload"]))["why"])


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


def test_a_fault_in_one_of_several_branches_keeps_the_lock_and_parks_the_run_at_once():
    """The join would show the fault in days: others wait for the lock, so a person is told now."""

    async def half_done() -> None:
        async with printer["only"]:
            raise KeyError("bug")

    @process(subject=None, owner="it")
    async def body() -> None:
        await parallel(half_done(), timer("pause", after=timedelta(days=30)))

    store = Sharing(body, Host())
    for _ in range(3):
        drive(store)
        assert store.acts["printer[only]"].state in {"open", "held"}
    assert store.acts["printer[only]"].state == "held"
    assert (store.state, store.reason) == ("parked", "bug")


@pytest.mark.parametrize("where", ["in the branch", "after the join", "in a race", "in a group"])
def test_a_fault_that_the_body_has_handled_keeps_nothing(where):
    """Whoever catches it has decided: the lock is given back where the body goes on."""

    async def half_done() -> None:
        async with printer["only"]:
            raise KeyError("bug")

    async def handled() -> None:
        try:
            await half_done()
        except KeyError:
            await timer("mend", after=timedelta(days=1))

    @process(subject=None, owner="it")
    async def body() -> None:
        match where:
            case "in the branch":
                await parallel(handled(), timer("pause", after=timedelta(days=30)))
                return
            case "after the join":
                try:
                    await parallel(half_done(), timer("short", after=timedelta(seconds=0)))
                except* KeyError:
                    pass
            case "in a race":
                some = await n_of("some", 1, half_done(), timer("one", after=timedelta(seconds=0)))
                assert len(some.failed) == 1
            case _:
                async with group("several") as several:
                    several.add(half_done())
                    try:
                        await several.join()
                    except* KeyError:
                        pass
        await timer("pause", after=timedelta(days=30))

    store = Sharing(body, Host())
    for _ in range(4):
        drive(store)
        assert store.wake_at is not None, "its other branches go on"
    assert "printer[only]" not in store.acts
    assert "pause" in store.acts
    assert store.state == "waiting"


def test_a_lock_inside_the_run_is_kept_by_a_fault_too():
    """No other branch enters while the state is half done; what parks the run is the fault."""
    desk = lock("desk")

    async def half_done() -> None:
        async with desk["first"]:
            await timer("dry", after=timedelta(hours=1))
            raise KeyError("bug")

    async def other() -> None:
        async with desk["second"]:
            await timer("never", after=timedelta(hours=1))

    @process(subject=None, owner="it")
    async def body() -> None:
        await parallel(half_done(), other())

    store = Sharing(body, Host())
    drive(store)
    store.host.clock += timedelta(hours=2)
    for _ in range(2):
        drive(store)
    assert (store.state, store.reason) == ("parked", "bug")
    assert "KeyError" in store.why()
    assert "never" not in store.acts


def test_the_acts_of_a_finally_do_not_run_beside_each_other_either():
    """A fault passes by a `parallel` in a `finally` as it passes by a single act."""

    @process(subject=None, owner="it")
    async def body() -> None:
        try:
            raise KeyError("bug")
        finally:
            await parallel(
                timer("one", after=timedelta(hours=1)), timer("two", after=timedelta(hours=1))
            )

    store = Sharing(body, Host())
    drive(store)
    assert (store.state, store.acts) == ("parked", {})


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
