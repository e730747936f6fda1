"""Versions of a process written as text, and one run that lives through them.

The journal is that of the conformance tests: production's runner, keys and judgements over rows in
a list. A version is a module of its own, made from its source, as a deployment would load it.
"""

from __future__ import annotations

import linecache
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from textwrap import dedent
from typing import Any

import orjson

from newel.audit.leaf import ProcessVersion
from newel.domain.acts import OpenAct
from newel.engine import steps
from newel.engine.steps import Finished
from newel.flow.act import StepAct
from newel.flow.process import Process
from tests.conformance.memory import Host, Store, Worker

HEAD = """
from __future__ import annotations
from dataclasses import dataclass
from datetime import UTC, datetime
from newel import (Event, Overdue, Person, Rejected, approval, days, now, parallel, process, section,
                   step, team, this_run, timer)
"""
_numbers = count(1)


def module(text: str, **given: Any) -> dict[str, Any]:
    """Load a version of a module from its source; `given` are names it takes from elsewhere."""
    name = f"version_{next(_numbers)}"
    source = HEAD + dedent(text)
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"__name__": "company", **given}
    exec(compile(source, file, "exec"), namespace)
    return namespace


def the_process(namespace: dict[str, Any]) -> Process[..., Any]:
    """Give the last process that a module declares."""
    return [each for each in namespace.values() if isinstance(each, Process)][-1]


@dataclass
class World:
    """What the steps of all versions do to the world: counted by key."""

    effects: Counter[str] = field(default_factory=Counter)


class Life:
    """One run that is driven by one version of its code after the other."""

    def __init__(self, text: str, arguments: dict[str, object] | None = None, **given: Any) -> None:
        """Start the run under a first version."""
        self.world = World()
        self.host = Host()
        self.given = given
        self.version = 1
        process = the_process(module(text, **given))
        self.store = Store(process, self.host, arguments)
        self.registered = {process.definition_sha256: 1}
        self.runner: Any = None

    def deploy(self, text: str) -> Life:
        """Let the next version of the code have the run."""
        process = the_process(module(text, **self.given))
        sha = process.definition_sha256
        self.registered.setdefault(sha, len(self.registered) + 1)
        self.store.process = process
        self.store.current = ProcessVersion(
            name=process.name, version=self.registered[sha], definition_sha256=sha
        )
        return self

    def go(self, *, until: str | None = None) -> Life:
        """Drive the run until it rests, or until an attempt of `until` is about to be made."""
        if self.store.state in {"completed", "failed", "cancelled"}:
            return self
        worker = Worker(self.store)
        self.runner = worker.runner
        while worker.queue:
            worker.commit()
            while worker.attempts:
                key = worker.attempts.pop(0)
                if key == until:
                    worker.die()
                    return self
                worker.take(_ended(worker, key, self.world))
        worker.runner.dismiss()
        return self

    def until(self, key: str) -> Life:
        """Drive the run to a step, which it does not begin: its worker dies before."""
        self.go(until=key)
        act = self.store.acts.get(key)
        if act is not None and act.state == "attempting":
            act.state, act.next_at = "retrying", self.host.now()
        return self

    def decide(self, key: str, *, approved: bool = True) -> Life:
        """A person answers, and the run goes on."""
        self.store.decide(key, approved=approved)
        return self.go()

    def wait(self, span: timedelta) -> Life:
        """Time passes, and the run goes on."""
        self.host.clock += span
        return self.go()

    @property
    def state(self) -> str:
        """The state of the run."""
        return self.store.state

    @property
    def why(self) -> str:
        """The sentence with which the run is parked."""
        for event in reversed(self.store.events):
            if event["type"] in {"run.parked", "run.drifted"} and event["payload"] is not None:
                return str(orjson.loads(self.store.sealer.open(event["payload"])).get("why", ""))
        return ""

    @property
    def reason(self) -> str | None:
        """The word for why the run is parked."""
        return self.store.reason

    @property
    def open(self) -> set[str]:
        """Keys of what is open."""
        return set(self.store.acts)

    def done(self) -> set[str]:
        """Keys that have an outcome."""
        return set(self.store.outcomes())

    def act(self, key: str) -> OpenAct:
        """What is open at a key."""
        return self.store.acts[key]

    def events(self, *types: str) -> list[dict[str, Any]]:
        """The leaves of these types."""
        return [
            orjson.loads(event["entry"])
            for event in self.store.events
            if not types or event["type"] in types
        ]


def _ended(worker: Worker, key: str, world: World) -> Any:
    """Call the step's code, as an attempt does, and hand its end to the run."""
    runner = worker.runner
    act = runner.acts[key]
    assert isinstance(act, StepAct)
    opened = runner.open[key]
    world.effects[key] += 1
    done = Finished(
        key=key, attempt=opened.attempt, began_at=opened.intended_at, duration=timedelta(0)
    )
    coroutine: Any = act.step.called(*act.args, **act.kwargs)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        done.text, done.value = act.step.result.round_trip(stop.value)
    except Exception as error:
        done.error = error
    steps.finish(runner, done, None)
    return runner.settle()
