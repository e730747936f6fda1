"""One seed: a company's busy minute on a bad network, and then a quiet day to its end.

In the storm workers are killed and frozen, connections are lost before and after commits, answers
come late, systems go down, and people start, decide, send, retry and cancel as they please. Then
the storm ends, what needs people gets them, and everything must come to its end: each effect
once, each run finished, every invariant kept after every commit.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

from newel.audit.leaf import Actor
from newel.base.clock import DEPLOYMENT
from newel.base.errors import NewelError, RequestError, StoreError
from newel.engine.attempts import Begun, attempt
from newel.engine.finished import Finished
from newel.engine.rehearsal import rehearsed
from newel.engine.worker import Worker
from newel.flow.reading import name_of
from newel.store.database import LOST
from newel.testing.loop import Place, VirtualLoop
from newel.testing.memory import Server, Transaction
from newel.testing.memory.tables import Row
from newel.testing.simulation import tales
from newel.testing.simulation.deployment import deployed, engine_of
from newel.testing.simulation.invariants import FINAL, Broken, Watch, chained, ended
from newel.testing.simulation.network import Network
from newel.testing.simulation.outside import Outside, Tracker
from newel.testing.simulation.weather import Weather
from newel.testing.stage import StageClock

__all__ = ["Report", "Simulation", "play"]

_MONDAY: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
_STORM: Final = 9.0
_QUIET: Final = 120
_HIRE: Final = Actor(type="service", id="svc_hr", via="api")
_MARY: Final = Actor(type="service", id="svc_ops", via="api")


@dataclass(slots=True)
class Report:
    """How a seed went. trace: a digest-like text of the journal, equal for the same seed."""

    seed: int
    broken: list[str]
    runs: int = 0
    commits: int = 0
    kills: int = 0
    freezes: int = 0
    trace: str = ""
    told: str = ""


@dataclass(slots=True)
class _Staff:
    place: Place
    worker: Worker
    life: asyncio.Task[None]
    frozen_until: float | None = None


@dataclass(slots=True)
class _Order:
    """A start that somebody wants: the same until it is answered."""

    key: str
    plan: Any  # Any: JSON of a tree
    run: UUID | None = None
    sent: set[str] = field(default_factory=set)


class Simulation:
    """See the module; `run` plays the whole of it."""

    def __init__(self, seed: int, *, is_wide: bool = False) -> None:
        """Draw the weather and what is to be done; is_wide: with all that a body can say."""
        self.seed = seed
        self.chance = Random(seed)  # noqa: S311 - a seed's chance, no secret
        self.take(Weather.drawn(self.chance))
        self.loop = VirtualLoop(self.chance)
        self.clock = StageClock(self.loop, _MONDAY)
        self.server = Server(clock=self.clock.now, entropy=self.chance.randbytes)
        self.watch = Watch(self.server)
        self.network = Network(self.loop, self.chance, lambda: self.weather)
        self.outside = Outside(self.loop, self.chance, lambda: self.weather)
        self.tracker = Tracker()
        self.database = deployed(self)
        self.engine = engine_of(self)
        # Where people ask in a program without workers, nobody is poked: polling alone finds it.
        self.counter = self.engine if seed % 2 else engine_of(self)
        self.staff: list[_Staff] = []
        self.kills = self.freezes = 0
        self.sights: defaultdict[tuple[str, str], set[object]] = defaultdict(set)
        self.orders = [
            _Order(f"order-{number}", _written(tales.drawn(self.chance, leaves=6, is_wide=is_wide)))
            for number in range(self.chance.choice([1, 2, 3]))
        ]

    def take(self, weather: Weather) -> None:
        """Play in another weather than the seed has drawn."""
        self.weather = weather

    def run(self) -> Report:
        """Play, and judge; what breaks stands in the report."""
        before = DEPLOYMENT.source, DEPLOYMENT.offset
        DEPLOYMENT.source, DEPLOYMENT.offset = self.clock, timedelta(0)
        outside, sight = tales.OUTSIDE.set(self.outside), tales.SIGHT.set(self._saw)
        broken: list[str] = []
        try:
            self._play()
        except (Broken, NewelError, AssertionError) as error:
            broken.append(f"{type(error).__name__}: {error}")
        finally:
            tales.OUTSIDE.reset(outside)
            tales.SIGHT.reset(sight)
            report = self._report([*self.watch.broken, *broken])
            self.loop.run(self.database.close())
            self.loop.close_down()
            DEPLOYMENT.source, DEPLOYMENT.offset = before
        return report

    def _play(self) -> None:
        for _ in range(self.weather.workers):
            self._hire()
        self._storm()
        self._calm_down()
        self._live_on()
        self._judge()

    # --- the storm --------------------------------------------------------------------------

    def _storm(self) -> None:
        chores = [
            self._client(),
            self._client(),
            self._people(),
            self._often(self.weather.kill, self._kill),
            self._often(self.weather.freeze, self._freeze),
            self._often(0.7, self._wake),
            self._often(self.weather.leap, self._leap),
            self._often(self.weather.outage, self._turn_outage),
        ]
        tasks = [self.loop.begin_at(None, chore) for chore in chores]
        self.loop.drive(self._is_over, deadline=_STORM)
        for task in tasks:
            task.cancel()
        self.loop.drive(lambda: all(task.done() for task in tasks))
        self._check()

    def _is_over(self) -> bool:
        """Whether nothing is left to be disturbed."""
        if self.watch.broken:
            return True
        if self.loop.turns % 16 or any(order.run is None for order in self.orders):
            return False
        return all(row["state"] in FINAL for row in self.server.tables["run"].rows.values())

    async def _often(self, seconds: float, act: Callable[[], None]) -> None:
        while seconds:
            await asyncio.sleep(self.chance.expovariate(1 / seconds))
            act()

    def _hire(self) -> None:
        place = Place(f"worker {len(self.staff) + 1}")
        worker = self.engine.new_worker()
        worker.attempt = lambda begun: self._attempted(place, begun)
        life = self.loop.begin_at(place, worker.run(), name=place.name)
        self.staff.append(_Staff(place, worker, life))

    def _awake(self) -> list[_Staff]:
        return [each for each in self.staff if each.place.is_alive and not each.life.done()]

    def _kill(self) -> None:
        awake = self._awake()
        if not awake:
            return
        each = self.chance.choice(awake)
        each.place.is_alive = False
        self.kills += 1
        self.network.cut([c for c in self.database.connections if c.place is each.place])
        self._hire()

    def _freeze(self) -> None:
        awake = [each for each in self._awake() if not self.outside.looking[each.place]]
        if len(awake) > 1:
            each = self.chance.choice(awake)
            each.place.is_alive = False
            each.frozen_until = self.loop.time() + self.chance.choice([0.5, 3.0, 6.0])
            self.freezes += 1

    def _wake(self) -> None:
        """Sleepers whose time has come wake, and know nothing of it."""
        for each in self.staff:
            if each.frozen_until is not None and each.frozen_until <= self.loop.time():
                each.frozen_until = None
                self.loop.thaw(each.place)

    def _leap(self) -> None:
        """Somebody moves the clock of the deployment: to what is due next, or by some minutes."""
        moments = [row["wake_at"] for row in self._rows("run") if row["wake_at"] is not None]
        now = self.server.now()
        later = [moment for moment in moments if moment > now]
        span = timedelta(minutes=self.chance.choice([1, 10, 45]))
        if later and self.chance.random() < 0.7:
            span = min(later) - now
        self._move(span)

    def _move(self, span: timedelta) -> None:
        row = self.server.deployment
        transaction = Transaction(self.server)
        transaction.update("deployment", True, clock_offset=row["clock_offset"] + span)
        self.server.commit(transaction)

    def _turn_outage(self) -> None:
        self.outside.is_down = not self.outside.is_down

    # --- people and programs outside ----------------------------------------------------------

    async def _client(self) -> None:
        """A program that starts runs and sends messages, and asks again until it is answered."""
        while True:
            waiting = [order for order in self.orders if order.run is None]
            await asyncio.sleep(self.chance.random() * (0.5 if waiting else 2))
            if waiting:
                await self._start(self.chance.choice(waiting))
            else:
                await self._news()

    async def _start(self, order: _Order) -> None:
        started = await _asked(
            self.counter.start("tale", order.plan, actor=_HIRE, idempotency_key=order.key)
        )
        if started is not None:
            if order.run not in {None, started.run}:
                raise Broken(f"{order.key} has made two runs")
            order.run = started.run

    async def _news(self) -> None:
        """Send what some run waits for, or will: now and then twice, now and then too early."""
        waits = [act["match"] for act in self._rows("open_act") if act["kind"] == "event"]
        match = self.chance.choice([*waits, f"b.{self.chance.randrange(3)}"])
        await _asked(self._sent(match, str(self.chance.randrange(30))))

    async def _sent(self, match: str, event_id: str) -> object:
        return await self.counter.send(
            tales.NEWS,
            event_id,
            match=match,
            source="news",
            event_id=f"{match}/{event_id}",
            actor=_HIRE,
        )

    async def _people(self) -> None:
        """Somebody decides what is open, somebody interferes."""
        while True:
            await asyncio.sleep(self.chance.random())
            tasks = [task for task in self._rows("task") if task["state"] == "open"]
            if tasks and self.chance.random() < 0.6:
                task = self.chance.choice(tasks)
                for _ in range(self.chance.choice([1, 1, 2])):
                    await _asked(self._decided(task))
            if self.chance.random() < self.weather.rude:
                await self._interfere()

    async def _decided(self, task: Row) -> None:
        who = await self.counter.actor(
            self.chance.choice(["a@example.test", "b@example.test"]), via="api"
        )
        is_yes = self.chance.random() < 0.8
        await self.counter.decide(task["id"], approved=is_yes, actor=who, comment="so it is")

    async def _interfere(self) -> None:
        acts = self._rows("open_act")
        if not acts:
            return
        act = self.chance.choice(acts)
        run, key, why = act["run_id"], act["key"], "in the way"
        verbs: list[Callable[[], Awaitable[object]]] = [
            lambda: self.counter.retry(run, key, actor=_MARY),
            lambda: self.counter.retry(run, actor=_MARY),
            lambda: self.counter.skip(run, key, actor=_MARY, reason=why),
            lambda: self.counter.complete_by_hand(
                run, key, "by hand", evidence="seen", actor=_MARY, reason=why
            ),
            lambda: self.counter.cancel(run, actor=_MARY, reason=why),
        ]
        weights = [4, 4, 2, 2, 1]
        await _asked(self.chance.choices(verbs, weights)[0]())

    # --- attempts ---------------------------------------------------------------------------

    async def _attempted(self, place: Place, begun: Begun) -> Finished:
        self.watch.called(begun.run, begun.key, begun.attempt)
        try:
            return await attempt(begun)
        except asyncio.CancelledError:
            if place.is_alive and not self.loop.is_closing:
                self.watch.broken.append(f"I7: {begun.key} was cut off in its call")
            raise

    def _saw(self, run: str, place: str, sight: object) -> None:
        """Note what a body saw; a pass whose worker died may have seen what was never committed."""
        self.sights[run, place].add(sight)

    # --- the end ----------------------------------------------------------------------------

    def _calm_down(self) -> None:
        """The storm is over: the network is sound, sleepers wake, nobody dies any more."""
        self.network.is_rough = self.outside.is_rough = False
        self.outside.is_down = False
        for each in self.staff:
            if each.frozen_until is not None:
                each.frozen_until = None
                self.loop.thaw(each.place)
        if not self._awake():
            self._hire()

    def _live_on(self) -> None:
        for order in self.orders:
            if order.run is None:
                self.loop.run(self._start(order))
        for _ in range(_QUIET):
            self._settle()
            if all(row["state"] in FINAL for row in self._rows("run")):
                return
            if not self._help():
                raise Broken(f"stuck:\n{self.told()}")
        raise Broken(f"it goes on and on:\n{self.told()}")

    def _settle(self, tries: int = 20) -> None:
        """Drive until nobody works and nothing is due."""
        for each in self.staff:
            each.worker.poke()
        if not self.loop.drive(self._is_calm, deadline=self.loop.time() + 120):
            raise Broken(f"never rests:\n{self.told()}")
        before = self.server.changes
        self.loop.drive(lambda: False, deadline=self.loop.time() + 1.1)
        self._check()
        if self.server.changes != before and tries:
            self._settle(tries - 1)

    def _is_calm(self) -> bool:
        if not self.loop.is_idle:
            return False
        now = self.server.now()
        return all(
            row["worker_id"] is None and (row["wake_at"] is None or row["wake_at"] > now)
            for row in self._rows("run")
        ) and all(row["state"] not in {"healing", "healed"} for row in self._rows("incident"))

    def _help(self) -> bool:
        """Do what some run waits for; False if there is nothing that anybody could do."""
        for task in self._rows("task"):
            if task["state"] == "open":
                self.loop.run(_asked(self._decided(task)))
                return True
        for act in self._rows("open_act"):
            if act["kind"] == "event" and act["event"] == tales.NEWS.name:
                if self._is_kept(act["match"]):
                    continue
                fresh = f"last-{self.server.changes}"
                self.loop.run(_asked(self._sent(act["match"], fresh)))
                return True
        for row in self._rows("run"):
            if row["state"] == "parked":
                self.loop.run(_asked(self.counter.retry(row["id"], actor=_MARY)))
                return True
        moments = [row["wake_at"] for row in self._rows("run") if row["wake_at"] is not None]
        moments += [
            row["probe_at"] for row in self._rows("incident") if row["probe_at"] is not None
        ]
        if moments:
            self._move(max(min(moments) - self.server.now(), timedelta(0)))
        return bool(moments)

    def _is_kept(self, match: str) -> bool:
        """Whether a message that an open wait wants lies there: it should have been handed over."""
        return any(row["match"] == match and row["taken_by"] is None for row in self._rows("inbox"))

    def _judge(self) -> None:
        self.watch.broken += chained(self.server)
        self.watch.broken += ended(self.server)
        for each in self._awake():
            if not each.worker.is_idle:
                self.watch.broken.append(f"I9: {each.place.name} still holds runs")
        for incident in set(self.tracker.incidents):
            if self.tracker.incidents.count(incident) > 1:
                self.watch.broken.append(f"I8: {incident} has two tickets in the tracker")
        self._count_effects()
        for run in self._rows("run"):
            if run["process"] == tales.tale.name:
                self._replay(run)

    def _replay(self, run: Row) -> None:
        """I10: what the journal shows a body is what the run has seen when it went there."""
        seen: list[tuple[str, str, object]] = []
        sight = tales.SIGHT.set(lambda *what: seen.append(what))
        try:
            self.loop.run(self._rehearsed(run["id"]))
        finally:
            tales.SIGHT.reset(sight)
        for name, place, what in seen:
            if what not in self.sights[name, place]:
                before = self.sights[name, place]
                self.watch.broken.append(f"I10: {place} of {name} is {what}, and was {before}")

    async def _rehearsed(self, run: UUID) -> None:
        async with self.database.transaction() as connection:
            await rehearsed(connection, run, self.engine.processes, self.engine.vault)

    def _count_effects(self) -> None:
        """Each effect once; of a step that says it is harmless twice, at least once."""
        made = {
            (row["stream_id"], row["key"])
            for row in self._rows("event")
            if row["type"] == "step.succeeded" and name_of(row["key"]) in {"work", "repeated"}
        }
        for run, key in sorted(made, key=str):
            place = unquote(key[key.index("[") + 1 : key.rindex("]")])
            count = self.outside.effects[f"{run}/{place}"]
            if count == 0 or (count > 1 and name_of(key) == "work"):
                self.watch.broken.append(f"{key} has had its effect {count} times")

    def _check(self) -> None:
        if self.watch.broken:
            raise Broken(self.watch.broken[0])
        for each in list(self.staff):
            if each.worker.failure is not None:
                raise Broken(f"{each.place.name} has ended: {each.worker.failure!r}")
            if each.life.done() and each.place.is_alive:
                if isinstance(each.life.exception(), LOST) and not each.worker.registered.is_set():
                    each.place.is_alive = False  # it never began; whoever started it does so again
                    self._hire()
                    continue
                raise Broken(f"{each.place.name} has ended: {each.life.exception()!r}")
        if self.loop.faults:
            fault = self.loop.faults[0]
            raise Broken(f"nobody has caught {fault.get('exception')!r}: {fault.get('message')}")

    # --- telling ----------------------------------------------------------------------------

    def _rows(self, table: str) -> list[Row]:
        return list(self.server.tables[table].rows.values())

    def _report(self, broken: list[str]) -> Report:
        trace = "".join(row["entry"].decode() for row in self._rows("event"))
        return Report(
            self.seed,
            list(dict.fromkeys(broken)),
            runs=len(self._rows("run")),
            commits=self.watch.commits,
            kills=self.kills,
            freezes=self.freezes,
            trace=trace,
            told=self.told() if broken else "",
        )

    def told(self) -> str:
        """The weather and what there is, for a person."""
        lines = [str(self.weather), f"second {self.loop.time():.3f}, {self.server.now()}"]
        for run in self._rows("run"):
            lines.append(
                f"{run['process']} {run['id']} is {run['state']}, owner {run['worker_id']}, due "
                f"{run['wake_at']}, parked {run['parked_reason']}, cancelling {run['cancelling']}"
            )
            lines += [
                f"  {act['key']}: {act['kind']} {act['state']} next {act['next_at']} due "
                f"{act['due_at']} match {act['match']} {act['detail'] or ''}"
                for act in self._rows("open_act")
                if act["run_id"] == run["id"]
            ]
        return "\n".join(lines)


async def _asked(work: Awaitable[Any]) -> Any:  # Any: whatever the request answers
    """Make a request as a program does that expects refusals and lost connections."""
    try:
        return await work
    except (RequestError, StoreError, *LOST):
        return None


def _written(node: tales.Node) -> Any:  # Any: JSON
    return {"kind": node.kind, "parts": [_written(part) for part in node.parts]}


def play(seed: int, *, is_wide: bool = False) -> Report:
    """Play one seed; is_wide: see `tales.drawn`."""
    return Simulation(seed, is_wide=is_wide).run()
