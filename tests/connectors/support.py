"""What tests of connectors share: attempts as the engine makes them, and a clock that jumps."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2

from newel.base.clock import FakeClock
from newel.domain.people import Person
from newel.domain.values import AttemptInfo, Effect, Observed
from newel.flow.context import ATTEMPT, Attempting
from newel.simulators.clock import SimulatedClock
from newel.simulators.core import Simulator
from newel.testing.transport import SimulatorTransport
from tests.simulators.contract import FILES, UNCOVERED, judge

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
JANE = Person(name="Jane Doe", email="jane.doe@acme.example", ref="per_jane", hr_key="4711")
OTHER_JANE = Person(name="Jane Doe", email="jane.doe@acme.example", ref="per_other", hr_key="4712")


@dataclass
class Time:
    """One time for connector and simulators: it stands, and a pause moves it."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(START))
    world: SimulatedClock = field(default_factory=lambda: SimulatedClock(standing_at=START))
    pauses: list[float] = field(default_factory=list)

    async def pause(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self.pauses.append(seconds)
        self.move(timedelta(seconds=seconds))

    def move(self, by: timedelta) -> None:
        """Let time pass for connector and simulators alike."""
        self.clock.move(by)
        self.world.advance(by)


@contextmanager
def attempt(
    time: Time, *, intended: datetime | None = None, follows_doubt: bool = False
) -> Iterator[Observed]:
    """Stand inside an attempt; gives what the code in it reports."""
    observed = Observed()
    now = time.clock.now()
    info = AttemptInfo(
        run=UUID(int=1),
        key="test",
        number=1,
        round=1,
        idempotency_key="0" * 32,
        intended_at=intended or now,
        deadline=now + timedelta(seconds=20),
        follows_doubt=follows_doubt,
        began_at=now,
    )
    token = ATTEMPT.set(Attempting(info=info, observed=observed))
    try:
        yield observed
    finally:
        ATTEMPT.reset(token)


def effect_of(observed: Observed) -> Effect:
    """Give the reported effect, which there must be."""
    assert observed.effect is not None
    return observed.effect


async def raised(awaitable: Awaitable[Any], kind: type[BaseException]) -> Any:
    """Await something that must raise, and give the exception."""
    try:
        await awaitable
    except kind as wrong:
        return wrong
    message = f"{kind.__name__} was not raised"
    raise AssertionError(message)


def agreed(simulator: Simulator) -> SimulatorTransport:
    """Reach a simulator in process; each exchange must agree with the vendor's specification.

    Left out are answers that a fault has made, and what no specification covers: token
    endpoints, Google's licences, Slack's SCIM, Salesforce. Gusto's file is not ours to copy: it
    counts where it is.
    """
    system = simulator.system
    file = FILES.get(system)
    if file is None or not file.exists():
        return SimulatorTransport(simulator)

    def observe(request: httpx2.Request, response: httpx2.Response) -> None:
        last = simulator.calls()[-1]
        if last.fault or simulator.faults.rules():
            return
        if last.operation in UNCOVERED.get(system, set()):
            return
        if request.url.path.startswith(("/token", "/scim/", "/apps/licensing/")):
            return
        judge(system, request, response, last.operation)

    return SimulatorTransport(simulator, observer=observe)
