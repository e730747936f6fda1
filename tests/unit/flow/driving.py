"""Driving a body in memory: acts rest until the test gives them an outcome."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from newel.base.errors import Cancelled
from newel.domain.values import RunInfo
from newel.engine.body import Body, Decided
from newel.engine.branches import CancelledBy, Ready
from newel.engine.outcomes import is_declared
from newel.flow.act import Act
from newel.flow.process import Process

RUN = UUID("01990a3c-5b1e-7c40-8f2a-6d1e0b7c9a11")
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
DRIVEN: list[Body] = []
"""The bodies of the test that runs; they are let go of when it is over."""


class Driving:
    """One body; `answered` are the outcomes it was given, by key, in order."""

    def __init__(self, process: Process[..., Any], *args: object, **journal: Ready) -> None:
        """Start the body; outcomes that the journal already holds are given at once."""
        self.acts: dict[str, Act[object]] = {}
        self.reached_keys: list[str] = []
        self.answered: dict[str, tuple[int, Ready]] = {
            key: (number, ready) for number, (key, ready) in enumerate(journal.items(), 1)
        }
        info = RunInfo(
            id="run_x", process=process.name, subject=None, started_at=START, started_by="svc_test"
        )
        arguments = dict(zip(process.signature.parameters, args, strict=False))
        self.decided: dict[str, Decided] = {}
        self.in_flight: set[str] = set()
        self._declared = process.raises
        self._seq = len(self.answered)
        self.body = Body(process, arguments, run=RUN, info=info, recorder=self)
        DRIVEN.append(self.body)

    @classmethod
    def again(cls, process: Process[..., Any], earlier: Driving, *args: object) -> Driving:
        """Replay: a new body with all outcomes of an earlier one."""
        replay = cls(process, *args)
        replay.answered = dict(earlier.answered)
        replay._seq = replay.body.driven.seen = earlier._seq
        replay.body.driven.is_live = False
        replay.decided = dict(earlier.decided)
        replay.start()
        return replay

    def start(self) -> Driving:
        """Run until everything rests."""
        self.body.start()
        return self

    def reached(self, key: str, act: Act[Any]) -> tuple[int, Ready] | None:
        """Answer from what was given."""
        self.reached_keys.append(key)
        self.acts[key] = act
        return self.answered.get(key)

    def cancelled_at(self, key: str) -> tuple[int, Ready] | None:
        """Answer from what was withdrawn."""
        return self.answered.get(key)

    def withdraw(self, key: str, act: Act[Any], by: CancelledBy) -> tuple[int, datetime] | None:
        """Close what does not run."""
        if key in self.in_flight:
            return None
        seq, at = self._next()
        self.answered[key] = (seq, Ready(None, Cancelled(by=by), at))
        return seq, at

    def decide(self, key: str, kind: str, verb: str, keys: tuple[str, ...]) -> Decided | None:
        """Keep a decision, or give the one that was kept."""
        known = self.decided.get(key)
        if known is None:
            seq, at = self._next()
            known = self.decided[key] = Decided(seq, at, verb)
        return known

    def known_as(self, key: str, former: tuple[str, ...]) -> str:
        """No key is known by another name here."""
        return key

    def released(self, key: str) -> None:
        """Locks of all runs are not played here."""

    def is_declared(self, error: BaseException) -> bool:
        """As the process says."""
        return is_declared(error, self._declared)

    def _next(self) -> tuple[int, datetime]:
        self._seq += 1
        return self._seq, START + timedelta(seconds=self._seq)

    def give(self, key: str, value: object = None, error: BaseException | None = None) -> None:
        """Record an outcome one second after the last, and hand it to the body."""
        seq, at = self._next()
        ready = Ready(value, error, at)
        self.answered[key] = (seq, ready)
        self.in_flight.discard(key)
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
