"""Any body, any order of completion, a death anywhere: one story (engine document, I10)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newel.base.errors import Overdue, Transient
from newel.domain.people import Person
from newel.domain.values import Absent, Found
from newel.engine import steps
from newel.engine.finished import Finished
from newel.flow.act import StepAct
from newel.flow.ambient import new_id, now
from newel.flow.compensation import compensation
from newel.flow.groups import Group, group
from newel.flow.locks import lock
from newel.flow.milestones import milestone
from newel.flow.parallel import parallel
from newel.flow.process import Process, process
from newel.flow.races import first_of, n_of
from newel.flow.regions import section
from newel.flow.scopes import scope
from newel.flow.step import step
from newel.flow.waits import approval, timer
from tests.conformance.memory import MARY, Host, Store, Worker, replayed

# Whole lives of runs are large examples; what they do is fixed by the seed.
MANY = settings(suppress_health_check=list(HealthCheck))
BOSS = Person(name="Mary", email="mary@example.com", ref=MARY)


class NoDesk(Exception):
    """An answer that a step declares; its constructor takes keywords only."""

    def __init__(self, *, floor: str) -> None:
        self.floor = floor
        super().__init__(f"no desk on floor {floor}")


class NoDeskToday(NoDesk):
    """A subclass of what was declared."""


async def _look(place: str) -> Found[str] | Absent:
    return Absent()  # the world below answers instead


@step(verify=_look, raises=NoDesk)
async def work(place: str) -> str:
    """An effect in the world."""
    return place


# --- bodies -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    """A part of a body: `kind` says what it does, `parts` what stands inside."""

    kind: str
    parts: tuple[Node, ...] = ()


leaves = st.sampled_from(["work", "work", "answer", "flaky", "timer", "approval", "deadline"])
nodes = st.recursive(
    leaves.map(Node),
    lambda inner: st.builds(
        Node,
        st.sampled_from(["sequence", "parallel", "parallel", "section", "loop", "finally"]),
        st.lists(inner, min_size=1, max_size=3).map(tuple),
    ),
    max_leaves=7,
)


wide_leaves = st.sampled_from(
    ["work", "work", "flaky", "timer", "approval", "deadline", "clear", "reach", "ask", "fails"]
)
wide = st.recursive(
    wide_leaves.map(Node),
    lambda inner: st.builds(
        Node,
        st.sampled_from(
            (
                *("sequence", "parallel", "first", "first", "some"),
                *("group", "scope", "lock", "undo", "finally", "loop"),
            )
        ),
        st.lists(inner, min_size=1, max_size=3).map(tuple),
    ),
    max_leaves=8,
)

region = scope("region")
desk = lock("desk")
open_now = milestone("open-now")


class Story:
    """What a body saw at each place; a replay that sees something else is a fault.

    What a pass saw and could not commit before it died is no part of the story.
    """

    def __init__(self) -> None:
        self.seen: dict[str, object] = {}

    def note(self, place: str, value: object) -> str:
        """Keep what was seen."""
        self.seen[place] = (repr(value), now(), new_id("sight"))
        return repr(value)

    def compared(self, store: Store) -> None:
        """Replay what is committed, and compare it with what was seen before."""
        earlier, self.seen = self.seen, {}
        replayed(store)
        assert {place: earlier.get(place, sight) for place, sight in self.seen.items()} == self.seen


def body_of(node: Node, story: Story) -> Process[[], str]:
    """A process that does what a tree says."""

    async def play(node: Node, at: str) -> str:
        match node.kind:
            case "work" | "flaky" | "fails":
                return story.note(at, await work[at](at))
            case "answer":
                try:
                    await work[at](at)
                except NoDesk as answer:
                    return story.note(at, (str(answer), answer.floor, type(answer).__name__))
                return "no answer"
            case "timer":
                await timer(f"pause[{at}]", after=timedelta(hours=5))
                return story.note(at, None)
            case "approval":
                decision = await approval(f"yes[{at}]", by=BOSS)
                return story.note(at, decision.approved)
            case "deadline":
                try:
                    await approval(f"late[{at}]", by=BOSS, within=timedelta(hours=3))
                except Overdue as late:
                    story.note(at, (late.key, late.due))
                return "late"
            case "parallel":
                found = await parallel(
                    *[play(part, f"{at}.{number}") for number, part in enumerate(node.parts)]
                )
                return str(found)
            case "section":
                with section(at):
                    return await all_of(node, at)
            case "loop":
                return str([await all_of(node, f"{at}/{turn}") for turn in range(2)])
            case "finally":
                try:
                    return await all_of(node, at)
                finally:
                    await work[f"{at}.last"](f"{at}.last")
            case "first":
                won = await first_of(
                    f"race[{at}]",
                    losers="finish" if len(at) % 3 == 0 else "cancel",
                    formerly=(),
                    **{
                        f"b{number}": play(part, f"{at}.{number}")
                        for number, part in enumerate(node.parts)
                    },
                )
                return story.note(at, (won.name, won.value))
            case "some":
                need = (len(node.parts) + 1) // 2
                try:
                    some = await n_of(
                        f"some[{at}]",
                        need,
                        *[play(part, f"{at}.{number}") for number, part in enumerate(node.parts)],
                        losers="finish" if len(at) % 3 == 0 else "cancel",
                    )
                except ExceptionGroup as failed:
                    return story.note(at, len(failed.exceptions))
                if len(at) % 2:
                    await some.rest()
                return story.note(at, some.values)
            case "group":
                return await grown(node, at)
            case "scope":
                done = "cut"
                async with region:
                    done = await all_of(node, at)
                return story.note(f"{at}.cut", (region.cancelled, done))
            case "clear":
                with section(at):
                    await region.cancel()
                return story.note(at, "cleared")
            case "reach" | "ask":
                with section(at):
                    if node.kind == "ask":
                        return story.note(at, await open_now.holds("open-now"))
                    await open_now.reach()
                    await open_now.leave()
                    await open_now.reach()
                return story.note(at, await open_now.reached(f"reached[{at}]"))
            case "lock" if "~" not in at:
                async with desk[at]:
                    return await all_of(node, f"{at}~")
            case "undo":
                async with compensation() as undo:
                    for number, _ in enumerate(node.parts):
                        undo(work[f"{at}.{number}.undo"], f"{at}.{number}.undo")
                    return await all_of(node, at)
            case _:
                return await all_of(node, at)

    async def grown(node: Node, at: str) -> str:
        async with group(f"group[{at}]", str) as members:
            for number, part in enumerate(node.parts):
                if number == 2:
                    members.add(adding(members, part, f"{at}.{number}"))
                    continue
                members.add(play(part, f"{at}.{number}"))
                if number == 0:
                    story.note(f"{at}.first", await work[f"{at}.first"](f"{at}.first"))
            match len(at) % 4:
                case 0:
                    await members.complete()
                case 1:
                    await members.cancel()
                case 2:
                    story.note(f"{at}.one", await members.join(need=1))
            return story.note(at, await members.join())

    async def adding(members: Group[str], part: Node, at: str) -> str:
        await work[f"{at}.adds"](f"{at}.adds")
        members.add(play(part, at))
        return "added"

    async def all_of(node: Node, at: str) -> str:
        return str([await play(part, f"{at}.{number}") for number, part in enumerate(node.parts)])

    @process(subject=None, owner="it", raises=NoDesk)
    async def story_told() -> str:
        return await play(node, "b")

    return story_told


def kinds_of(node: Node, at: str = "b") -> dict[str, str]:
    """The kind of the leaf at each place."""
    if not node.parts:
        return {at: node.kind}
    turns = ["/0", "/1"] if node.kind == "loop" else [""]
    if node.kind == "lock" and "~" not in at:
        turns = ["~"]
    return {
        place: kind
        for turn in turns
        for number, part in enumerate(node.parts)
        for place, kind in kinds_of(part, f"{at}{turn}.{number}").items()
    }


# --- the world, and chance --------------------------------------------------------------------


class World:
    """Effects, failures and deaths, as a seed says."""

    def __init__(self, node: Node, seed: int, *, deaths: int) -> None:
        self.random = Random(seed)
        self.deaths = deaths
        self.kinds = kinds_of(node)
        self.effects: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.story = Story()
        self.store = Store(body_of(node, self.story), Host())
        self.wants_cancel = False

    def play(self) -> Store:
        """Run to the end."""
        for _ in range(3_000):
            if self.store.state in {"completed", "failed", "cancelled"}:
                self.story.compared(self.store)
                return self.store
            assert self.store.state != "parked", self.store.events[-1]
            self._move_on()
            self.story.compared(self.store)
            self._drive(Worker(self.store))
        raise AssertionError("it does not end")

    def _move_on(self) -> None:
        """A resting run is woken: by a person, or by its next moment."""
        asked = [
            act for key, act in self.store.acts.items() if key.split("/")[-1].startswith("yes[")
        ]
        due = [
            moment
            for act in self.store.acts.values()
            if (moment := act.next_at or act.due_at) is not None
        ]
        if asked and (not due or self.random.random() < 0.5):
            act = self.random.choice(asked)
            self.store.decide(act.key, approved=len(act.key) % 2 == 0)
        elif due and all(act.state != "attempting" for act in self.store.acts.values()):
            self.store.host.clock = max(self.store.host.clock, min(due) + timedelta(seconds=1))

    def _drive(self, worker: Worker) -> None:
        while True:
            if self._may_die() and self.random.random() < 0.15:
                self._die(worker)
                return
            if worker.queue and (not worker.attempts or self.random.random() < 0.7):
                worker.commit()
            elif worker.attempts:
                key = worker.attempts.pop(self.random.randrange(len(worker.attempts)))
                self._finish(worker, key)
            elif worker.rests:
                worker.runner.dismiss()
                return

    def _may_die(self) -> bool:
        """A third death in one attempt would park the step, as it should."""
        crashes = max((act.trouble.crashes for act in self.store.acts.values()), default=0)
        return self.deaths > 0 and crashes < 2

    def _die(self, worker: Worker) -> None:
        """The worker dies; any call in flight may have had its effect already."""
        self.deaths -= 1
        for key in worker.attempts:
            if self.random.random() < 0.5:
                self._effect(worker, key)
        worker.die()

    def _effect(self, worker: Worker, key: str) -> None:
        act = worker.runner.acts[key]
        assert isinstance(act, StepAct)
        place = str(act.args[0])
        if not self._fails(place) and not self.effects[place]:
            self.effects[place] += 1

    def _fails(self, place: str) -> bool:
        return self.kinds.get(place) == "flaky" and self.calls[place] < 2

    def _finish(self, worker: Worker, key: str) -> None:
        run = worker.runner
        act, opened = run.acts[key], run.open[key]
        assert isinstance(act, StepAct)
        place = str(act.args[0])
        done = Finished(
            key=key,
            attempt=opened.attempt,
            began_at=opened.intended_at or run.host.now(),
            duration=timedelta(milliseconds=3),
        )
        if opened.trouble.doubt is not None and self.effects[place]:
            done.adopted = True
        elif self._fails(place):
            self.calls[place] += 1
            done.error = Transient("503")
        else:
            self.effects[place] += 1
        if done.error is None:
            if self.kinds.get(place) in {"answer", "fails"}:
                done.error = NoDeskToday(floor=place)
            else:
                done.text, done.value = act.step.result.round_trip(place.upper())
        steps.finish(run, done, None, {})
        worker.take(run.settle())


def result_of(store: Store) -> object:
    """What the run came to: its state, its result, and the outcome of each key."""
    last = store.events[-1]
    payload: Any = None if last["payload"] is None else store.sealer.open(last["payload"])
    return store.state, payload, store.outcomes()


@settings(MANY, max_examples=60)
@given(nodes, st.integers(0, 2**32), st.integers(1, 12))
def test_any_body_comes_to_the_same_end_whatever_dies(node, seed, deaths):
    """The same result, keys and outcomes as a life without deaths, and every effect once."""
    calm = World(node, 0, deaths=0)
    stormy = World(node, seed, deaths=deaths)
    assert result_of(calm.play()) == result_of(stormy.play())
    assert set(calm.effects) == set(stormy.effects)
    assert set(stormy.effects.values()) <= {1}


@settings(MANY, max_examples=150)
@given(wide, st.integers(0, 2**32), st.integers(0, 8))
def test_what_a_body_decides_is_decided_the_same_way_in_every_replay(node, seed, deaths):
    """Races, groups, scopes, locks, milestones and promises tell one story; each effect once."""
    world = World(node, seed, deaths=deaths)
    store = world.play()
    assert store.acts == {}
    assert store.state in {"completed", "failed"}
    assert set(world.effects.values()) <= {1}
    worker = Worker(store)
    assert worker.runner.has_ended
    assert worker.attempts == []


@settings(MANY, max_examples=60)
@given(nodes, st.integers(0, 2**32), st.integers(0, 8))
def test_a_whole_replay_of_an_ended_run_does_nothing(node, seed, deaths):
    """Loaded once more, an ended run reaches its end from the journal alone, act for act.

    Nor does loading it on its way move a wait that nobody moved.
    """
    world = World(node, seed, deaths=deaths)
    store = world.play()
    assert "run.rescheduled" not in {event["type"] for event in store.events}
    before = list(store.acts), len(store.events)
    worker = Worker(store)
    assert worker.runner.has_ended
    assert worker.attempts == []
    assert set(worker.runner.acts) == set(store.outcomes())
    assert (list(store.acts), len(store.events)) == before


class Cancelling(World):
    """A world in which an operator cancels the run at some moment."""

    def _drive(self, worker: Worker) -> None:
        super()._drive(worker)
        if not self.store.cancelling and self.store.state not in {"completed", "failed"}:
            self.store.cancel()


@settings(MANY, max_examples=60)
@given(nodes, st.integers(0, 2**32), st.integers(0, 6))
def test_a_cancelled_run_ends_and_does_what_stands_in_its_finallys(node, seed, deaths):
    """No act begins after the request but those of a `finally`, and nothing is left open."""
    world = Cancelling(node, seed, deaths=deaths)
    store = world.play()
    assert store.acts == {}
    kinds = [event["type"] for event in store.events]
    if store.state == "completed":
        assert "step.cancelled" not in kinds
    else:
        assert store.state == "cancelled"
        asked = kinds.index("run.cancel_requested")
        first_attempts = {
            event["key"]
            for event in store.events[asked:]
            if event["type"] == "step.started" and _attempt(event) == 1
        }
        assert all(".last" in key for key in first_attempts)
        opened = {event["key"] for event in store.events[asked:] if event["type"] == "wait.opened"}
        assert opened == set()


def _attempt(event: dict[str, Any]) -> int:
    number: int = orjson.loads(event["entry"])["step"]["attempt"]
    return number


@settings(MANY, max_examples=100)
@given(wide, st.integers(0, 2**32), st.integers(0, 6))
def test_cancelling_reaches_every_branch_of_every_word(node, seed, deaths):
    """Whatever stands open when an operator cancels, the run ends and leaves nothing open."""
    world = Cancelling(node, seed, deaths=deaths)
    store = world.play()
    assert store.acts == {}
    assert store.state in {"completed", "failed", "cancelled"}
    assert set(world.effects.values()) <= {1}
