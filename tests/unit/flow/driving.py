"""Driving a body in memory: acts rest until the test gives them an outcome."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from newel.domain.values import RunInfo
from newel.engine.body import Body, Ready
from newel.flow.act import Act
from newel.flow.process import Process

RUN = UUID("01990a3c-5b1e-7c40-8f2a-6d1e0b7c9a11")
START = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Driving:
    """One body; `answered` are the outcomes it was given, by key, in order."""

    def __init__(self, process: Process[..., Any], *args: object, **journal: Ready) -> None:
        """Start the body; outcomes that the journal already holds are given at once."""
        self.acts: dict[str, Act[object]] = {}
        self.reached: list[str] = []
        self.answered: dict[str, tuple[int, Ready]] = {
            key: (number, ready) for number, (key, ready) in enumerate(journal.items(), 1)
        }
        info = RunInfo(
            id="run_x", process=process.name, subject=None, started_at=START, started_by="svc_test"
        )
        arguments = dict(zip(process.signature.parameters, args, strict=False))
        self.body = Body(process, arguments, run=RUN, info=info, reached=self._reached)

    @classmethod
    def again(cls, process: Process[..., Any], earlier: Driving, *args: object) -> Driving:
        """Replay: a new body with all outcomes of an earlier one."""
        replay = cls(process, *args)
        replay.answered = dict(earlier.answered)
        replay.start()
        return replay

    def start(self) -> Driving:
        """Run until everything rests."""
        self.body.start()
        return self

    def _reached(self, key: str, act: Act[object]) -> tuple[int, Ready] | None:
        self.reached.append(key)
        self.acts[key] = act
        return self.answered.get(key)

    def give(self, key: str, value: object = None, error: BaseException | None = None) -> None:
        """Record an outcome one second after the last, and hand it to the body."""
        seq = len(self.answered) + 1
        ready = Ready(value, error, START + timedelta(seconds=seq))
        self.answered[key] = (seq, ready)
        self.body.driven.is_live = True
        self.body.resume(key, seq, ready)

    @property
    def resting(self) -> list[str]:
        """Keys at which branches rest, in the order they came to them."""
        return list(self.body.resting)

    @property
    def value(self) -> object:
        """What the body returned."""
        assert self.body.has_ended, f"it rests at {self.resting}"
        if self.body.error is not None:
            raise self.body.error
        return self.body.value

    @property
    def error(self) -> BaseException | None:
        """What left the body."""
        assert self.body.has_ended, f"it rests at {self.resting}"
        return self.body.error


def started(process: Process[..., Any], *args: object) -> Driving:
    """Start a body that has no outcomes yet."""
    return Driving(process, *args).start()
