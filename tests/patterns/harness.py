# ruff: noqa: D102 - what a driver does is said once, in the protocol
"""What is checked of every pattern (patterns document, §3).

a: its statement holds on the plain run, in memory and on PostgreSQL. b: in many orders in which
branches are resumed, the same keys come to the same outcomes. c: killed at every boundary, the run
comes to the same end and each effect is made once. d: it is read without a finding, and what is
drawn is the committed text. e: the trace of the plain run is a path of the drawing, and a damaged
one is not. f: at every point of it the plan is true. g: it is a flowchart that parses, and its
BPMN makes the same acts in another engine (`foreseeing`; what other readers say of both is asked
once for all, in `tests/contract/test_readers.py`).

A pattern is a request and a `play`, which leads the run with verbs and asserts the statement on
the way; it knows the run only through `Driver`, so the same play is used for all three.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import orjson
import pytest

from newel import Event, Process, Request
from newel.audit.leaf import Actor
from newel.drawing.drawing import drawing_of
from newel.drawing.mermaid import flowchart
from newel.testing import Crash, every_crash, interleavings, running
from newel.testing.running import Run
from tests.engine.house import House
from tests.patterns.company import book
from tests.unit.drawing.flowcharts import parse

ORDERS = int(os.environ.get("ORDERS", "20"))
"""How many orders each case is played in; `make patterns` plays 200."""
IS_WHOLE = ORDERS >= 200
CRASHES = 40
"""Of a case with more boundaries than this every second one is tried, or every third;
`make patterns` tries them all."""

MISTAKEN = {"careless"}
"""A process that a pattern plays to show what goes wrong: it is warned of (F303)."""

OPERATOR = Actor(type="service", id="svc_test", via="api")


class Driver(Protocol):
    """A run as a play sees it; every verb returns when the deployment rests again."""

    async def decide(self, key: str, *, approved: bool = True) -> None:
        """Decide an approval."""

    async def send(
        self, event: Event[Any], payload: object, *, match: str | None = None, id_: str = ""
    ) -> str:
        """Send a message to this run; answers with its fate."""

    async def cancel(self) -> None:
        """Cancel the run."""

    async def retry(self, key: str) -> None:
        """Try a parked or waiting step again."""

    async def passes(self, span: timedelta) -> None:
        """Let time pass."""

    async def waiting(self) -> set[str]:
        """Keys of open waits."""

    async def open(self) -> set[str]:
        """Keys of everything that is open."""

    async def state(self) -> str:
        """The run's state."""

    async def result(self) -> Any:
        """What the run has come to."""

    async def trace(self) -> list[tuple[str, str | None]]:
        """Type and key of the run's events, in order."""

    async def leaves(self) -> list[dict[str, Any]]:
        """The leaves of the run's events, in order."""

    async def children(self, process: str) -> Sequence[Driver]:
        """The runs of another process."""


Play = Callable[[Driver], Awaitable[None]]


@dataclass(frozen=True)
class Pattern:
    """One case of a pattern.

    down: keys of steps whose system does not answer until the play says so. until: steps that are
    in the air until another effect is made. is_free: the world decides who is first, so orders may
    differ.
    """

    name: str
    request: Request[Any]
    play: Play
    processes: tuple[Process[..., Any], ...] = ()
    down: tuple[str, ...] = ()
    until: tuple[tuple[str, str], ...] = ()
    is_free: bool = False

    def begin(self) -> None:
        """Make the world as the case wants it."""
        book.clear()
        book.down.update(self.down)
        book.until.update(self.until)

    def __str__(self) -> str:
        return self.name


def checks(*patterns: Pattern) -> tuple[Any, Any, Any, Any]:
    """The four tests of a pattern's file; the first three run every case."""
    every = pytest.mark.parametrize("pattern", patterns, ids=str)

    @every
    async def test_on_postgresql(build: Any, pattern: Pattern) -> None:
        """The statement holds on a real database, and in memory, where all plans are true."""
        from tests.patterns.foreseeing import Foreseeing

        pattern.begin()
        async with in_memory(pattern) as driver:
            foreseeing = Foreseeing(driver.run)
            await pattern.play(foreseeing)
            foreseeing.judge()
        pattern.begin()
        async with on_postgresql(build, pattern) as driver:
            await pattern.play(driver)

    @every
    async def test_in_any_order(pattern: Pattern) -> None:
        """Whatever is resumed first, the same keys come to the same outcomes."""
        stories = set()
        for order in interleavings(ORDERS):
            pattern.begin()
            async with in_memory(pattern, order=order) as driver:
                await pattern.play(driver)
                if not pattern.is_free:
                    stories.add(told(driver.run))
        assert len(stories) <= 1, "\n".join(map(str, sorted(map(sorted, stories))[:2]))

    @every
    async def test_with_a_crash_anywhere(pattern: Pattern) -> None:
        """Killed at every boundary it comes to the same end, and each effect is made once."""
        ends = []

        async def play(crash: Crash) -> None:
            pattern.begin()
            async with in_memory(pattern, crash=crash) as driver:
                await pattern.play(driver)
                assert set(book.effects.values()) <= {1}, f"{book.effects} with {crash}"
                if not pattern.is_free:
                    ends.append((await driver.state(), sorted(book.done())))

        every = await every_crash(play)
        for crash in every if IS_WHOLE else every[:: max(len(every) // CRASHES, 1)]:
            await play(crash)
        assert all(end == ends[0] for end in ends)

    def test_as_it_is_drawn(golden_drawing: Any) -> None:
        """Nothing is to be said about it, and what is drawn is the committed text."""
        for process in _processes(patterns):
            if process.name not in MISTAKEN:
                assert drawing_of(process).findings == ()
            golden_drawing(process)
            parse(flowchart(drawing_of(process).graph))

    return test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn


def _processes(patterns: Sequence[Pattern]) -> list[Process[..., Any]]:
    every = [process for each in patterns for process in (each.request.process, *each.processes)]
    return list({each.name: each for each in every}.values())


def told(run: Run[Any]) -> frozenset[tuple[str, str, str, str]]:
    """Key, kind, fingerprint and value of all outcomes of a run."""
    found: set[Any] = set()
    fingerprints: dict[str | None, str] = {}
    for row in run.events():
        leaf = orjson.loads(row["entry"])
        data = leaf["data"]
        if row["type"] == "step.started":
            fingerprints[row["key"]] = data["input_fp"]
        elif row["type"] in _OUTCOMES:
            value = b"" if row["payload"] is None else run._opened(row["payload"])
            if row["type"] == "act.recorded":
                value = orjson.dumps([data["kind"], data["verb"], sorted(data.get("keys") or ())])
            if row["type"] == "task.decided":
                value = data["decision"].encode()
            found.add((row["key"], row["type"], bool(fingerprints.get(row["key"])), value))
    return frozenset(found)


_OUTCOMES = {
    "step.succeeded", "step.failed", "step.cancelled", "wait.closed", "task.decided",
    "act.recorded",
}  # fmt: skip


# --- in memory --------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def in_memory(pattern: Pattern, **more: Any) -> AsyncIterator[InMemory]:
    """Run a pattern in memory."""
    async with running(pattern.request, processes=pattern.processes, **more) as run:
        yield InMemory(run)


class InMemory:
    """A run of `newel.testing` as a driver."""

    def __init__(self, run: Run[Any]) -> None:
        self.run = run

    async def decide(self, key: str, *, approved: bool = True) -> None:
        await self.run.decide(key, approved=approved)

    async def send(
        self, event: Event[Any], payload: object, *, match: str | None = None, id_: str = ""
    ) -> str:
        sent = await self.run.send(event, payload, match=match, event_id=id_ or None)
        return sent.fate

    async def cancel(self) -> None:
        await self.run.cancel()

    async def retry(self, key: str) -> None:
        await self.run.retry(key)

    async def passes(self, span: timedelta) -> None:
        self.run.clock.advance(span)

    async def waiting(self) -> set[str]:
        return self.run.waiting()

    async def open(self) -> set[str]:
        return {act["key"] for act in self.run.acts()}

    async def state(self) -> str:
        return self.run.state

    async def result(self) -> Any:
        return await self.run.result()

    async def trace(self) -> list[tuple[str, str | None]]:
        return self.run.trace()

    async def leaves(self) -> list[dict[str, Any]]:
        return self.run.audit()

    async def children(self, process: str) -> list[InMemory]:
        return [InMemory(run) for run in self.run.runs(process)]


# --- on PostgreSQL ----------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def on_postgresql(build: Any, pattern: Pattern) -> AsyncIterator[OnPostgreSQL]:
    """Run a pattern on a real database, with a worker."""
    processes = {each.name: each for each in (pattern.request.process, *pattern.processes)}
    async with build(list(processes.values())) as house, house.worker():
        process, bound = pattern.request.process, pattern.request
        arguments = process.signature.bind(*bound.args, **bound.kwargs)
        arguments.apply_defaults()
        document = orjson.loads(process.dumped(arguments.arguments))
        if len(document) == 1:
            document = next(iter(document.values()))
        run = await house.start(process.name, document)
        driver = OnPostgreSQL(house, run, process)
        await driver.calm()
        yield driver


_BUSY = """
    select (select count(*) from newel.run where worker_id is not null
            or (wake_at is not null and wake_at <= newel.now()))
         + (select count(*) from newel.inbox i
            join newel.open_act a on a.kind = 'event' and a.event = i.name
             and a.match is not distinct from i.match
             and (i.to_run is null or i.to_run = a.run_id)
            where i.taken_by is null and not i.is_lost)
"""
"""Runs that are driven or due, and messages on their way to a wait that is open."""


class OnPostgreSQL:
    """A run of a house as a driver."""

    def __init__(self, house: House, run: UUID, process: Process[..., Any]) -> None:
        self.house = house
        self.id = run
        self.process = process

    async def calm(self) -> None:
        """Wait until nobody works on anything and nothing is due."""

        async def is_calm() -> bool:
            busy: int = await self.house.database.fetchval(_BUSY)
            return busy == 0

        self.house.poke()
        await self.house.until(is_calm)

    async def decide(self, key: str, *, approved: bool = True) -> None:
        row = await self.house.database.fetchrow(
            "select * from newel.task where run_id = $1 and key = $2 and state = 'open'",
            self.id,
            key,
        )
        assert row is not None, f"nobody is asked {key}: {await self.house.told()}"
        person = await self.house.engine.actor(f"{row['id'].hex}@example.test", via="test")
        comment = "" if approved else "no"
        await self.house.engine.decide(row["id"], approved=approved, actor=person, comment=comment)
        await self.calm()

    async def send(
        self, event: Event[Any], payload: object, *, match: str | None = None, id_: str = ""
    ) -> str:
        number = await self.house.database.fetchval("select count(*) from newel.inbox")
        sent = await self.house.engine.send(
            event,
            payload,
            match=match,
            to=None if match is not None else self.id,
            source="test",
            event_id=id_ or f"m{number}",
            actor=OPERATOR,
        )
        await self.calm()
        return sent.fate

    async def cancel(self) -> None:
        await self.house.engine.cancel(self.id, actor=OPERATOR, reason="in a test")
        await self.calm()

    async def retry(self, key: str) -> None:
        await self.house.engine.retry(self.id, key, actor=OPERATOR)
        await self.calm()

    async def passes(self, span: timedelta) -> None:
        until = await self.house.now() + span
        while True:
            due = await self.house.database.fetchval("select min(wake_at) from newel.run")
            now = await self.house.now()
            if due is None or due >= until or due <= now:
                break
            await self.house.move(due - now + timedelta(milliseconds=1))
            await self.calm()
        await self.house.move(max(until - await self.house.now(), timedelta(0)))
        await self.calm()

    async def waiting(self) -> set[str]:
        acts = await self.house.acts(self.id)
        return {key for key, act in acts.items() if act["kind"] != "step"}

    async def open(self) -> set[str]:
        return set(await self.house.acts(self.id))

    async def state(self) -> str:
        return str((await self.house.row(self.id))["state"])

    async def result(self) -> Any:
        row = await self.house.database.fetchrow(
            "select payload from newel.event where stream_id = $1 and type = 'run.completed'",
            self.id,
        )
        assert row is not None, await self.house.told()
        sealer = self.house.engine.vault.sealer(self.id, None, None, None)
        return self.process.result.load(sealer.open(row["payload"]))

    async def trace(self) -> list[tuple[str, str | None]]:
        return await self.house.events(self.id)

    async def leaves(self) -> list[dict[str, Any]]:
        return await self.house.leaves(self.id)

    async def children(self, process: str) -> list[OnPostgreSQL]:
        rows = await self.house.database.fetch(
            "select id from newel.run where process = $1 order by started_at, id", process
        )
        definition = self.house.engine.processes[process]
        return [OnPostgreSQL(self.house, row["id"], definition) for row in rows]
