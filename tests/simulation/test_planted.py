"""Known mistakes, planted one at a time: the simulation finds each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from newel.engine import steps, waiting
from newel.engine.runner import Runner
from newel.engine.worker import Worker
from newel.testing.memory import named
from newel.testing.memory.statements import changes
from newel.testing.simulation import play

ENOUGH = 400
"""Within so many seeds every planted mistake must be found."""

Plant = Callable[[pytest.MonkeyPatch], None]


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """A worker of a stale epoch may write."""

    def unfenced(at: Any, worker: int | None, epoch: int | None) -> None:
        at.worker, at.epoch = worker, epoch

    def anybody(at: Any, worker: Any, epoch: Any, runs: list[Any]) -> Any:
        return locked(at, None, None, runs)

    locked = changes._locked
    patch.setattr(changes, "_fence", unfenced)
    patch.setattr(changes, "_locked", anybody)


def call_before_intent(patch: pytest.MonkeyPatch) -> None:
    """Attempts begin when their Change is submitted, not when it is durable."""
    settled = Worker._settled

    def early(self: Worker, run: Any, decided: Any) -> None:
        settled(self, run, decided)
        for key in decided.starting:
            self._attempt(run, key)

    patch.setattr(Worker, "_settled", early)


def wakeup_lost(patch: pytest.MonkeyPatch) -> None:
    """Whoever takes over lets go of the runs and makes none of them due."""

    def forgotten(at: Any, worker: int) -> int:
        for row in list(at.rows("run")):
            if row["worker_id"] == worker and at.lock_free("run", row["id"]):
                at.update("run", row["id"], worker_id=None, worker_epoch=None, wake_at=None)
        return 0

    _answering(patch, "workers.let_go", forgotten)


def event_missing(patch: pytest.MonkeyPatch) -> None:
    """A batch leaves an event out now and then."""
    record = changes._record

    def most(at: Any, events: list[Any], refused: Any) -> None:
        record(at, [event for event in events if event[2] != "wait.opened"], refused)

    patch.setattr(changes, "_record", most)


def refusals_ignored(patch: pytest.MonkeyPatch) -> None:
    """The write door says of no run that it was refused."""
    original = changes.commit_batch

    def silent(at: Any, *values: Any) -> list[Any]:
        original(at, *values)
        return []

    _answering(patch, "changes.commit_batch", silent)


def blind_repetition(patch: pytest.MonkeyPatch) -> None:
    """In doubt a step is repeated without a look."""
    patch.setattr(steps, "doubt_policy", lambda _: "repeat")


def early_timer(patch: pytest.MonkeyPatch) -> None:
    """Waits are judged by a clock that is ahead."""
    arrive = waiting.arrive

    def ahead(run: Any, key: str, act: Any) -> None:
        kept, run.as_of = run.as_of, run.as_of + timedelta(hours=4)
        try:
            arrive(run, key, act)
        finally:
            run.as_of = kept

    patch.setattr(waiting, "arrive", ahead)


def time_of_the_replay(patch: pytest.MonkeyPatch) -> None:
    """A body that is replayed sees the time of the replay, not that of the outcome."""
    ready = Runner._ready

    def late(self: Runner, key: str, act: Any, recorded: Any) -> Any:
        return replace(ready(self, key, act, recorded), at=self.as_of)

    patch.setattr(Runner, "_ready", late)


def _answering(patch: pytest.MonkeyPatch, name: str, function: Any) -> None:
    """Let another function answer a statement, until the test ends."""
    patch.setattr(named, "_BY_TEXT", {})
    patch.setitem(named._FUNCTIONS, name, function)


RARE: dict[Plant, int] = {no_fence: 270}
"""What one seed in a hundred finds is looked for near the first that does."""


@pytest.mark.parametrize(
    "plant",
    [
        no_fence,
        call_before_intent,
        wakeup_lost,
        event_missing,
        refusals_ignored,
        blind_repetition,
        early_timer,
        time_of_the_replay,
    ],
    ids=lambda plant: plant.__name__,
)
def test_a_planted_mistake_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch):
    """A simulation that does not find what was planted could not be trusted with the rest."""
    plant(monkeypatch)
    first = RARE.get(plant, 0)
    for seed in range(first, first + ENOUGH):
        if play(seed).broken:
            return
    raise AssertionError(f"{plant.__name__} was not found within {ENOUGH} seeds")
