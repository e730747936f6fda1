"""All simulated systems in process, in the place of the real ones, with their faults scripted.

    async def test_an_outage_heals(saas: Saas) -> None:
        saas.github.down(minutes(57))
        async with running(onboarding.request(jane)) as run: ...

While it is open, every connector that a `running` process uses speaks to its simulator, whose
time is the run's. A connector used on its own is wired by hand: `saas.wire(github)`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import httpx2

from newel.base.secrets import SecretRef
from newel.connectors.base import Connector
from newel.connectors.gate import MemoryGate
from newel.connectors.post import Post
from newel.connectors.reveal_link import RevealLink
from newel.simulators import (
    Down,
    DropField,
    Fault,
    LoseResponse,
    Match,
    RemoveScope,
    SimulatedClock,
    Simulator,
    Status,
    Throttle,
    World,
)
from newel.testing.specification import judge_of
from newel.testing.transport import Observer, SimulatorTransport

__all__ = ["Saas", "Scripted", "active", "known_secrets", "opened"]


class Scripted:
    """One simulated system: its own methods, and what goes wrong in it by plan."""

    def __init__(self, simulator: Simulator) -> None:
        """Take the simulator; everything it can do itself can be asked for here."""
        self.simulator = simulator

    def __getattr__(self, name: str) -> Any:  # Any: whatever the simulator has
        return getattr(self.simulator, name)

    def down(self, span: timedelta | None = None) -> None:
        """Answer nobody, for a while or until `heal`."""
        self._script(Down(), ends=span)

    def fail(self, status: int = 503, *, times: int | None = 1, operation: str = "*") -> None:
        """Answer so many calls with a status."""
        self._script(Status(status), times=times, operation=operation)

    def lose_answer(self, operation: str = "*", *, times: int | None = 1) -> None:
        """Do what is asked, and lose the answer."""
        self._script(LoseResponse(), times=times, operation=operation)

    def throttle(
        self, *, retry_after: int = 30, times: int | None = 1, operation: str = "*"
    ) -> None:
        """Ask for fewer calls."""
        self._script(Throttle(retry_after), times=times, operation=operation)

    def drop_field(self, path: str, *, operation: str = "*", times: int | None = 1) -> None:
        """Leave a field out of the answer; path: names and list positions, by dots."""
        self._script(DropField(path), times=times, operation=operation)

    def revoke_scope(self, scope: str) -> None:
        """Take a permission away from the credential, until `heal`."""
        self._script(RemoveScope(scope))

    def heal(self) -> None:
        """End all faults."""
        self.simulator.heal()

    def _script(
        self,
        effect: Any,  # Any: one of the simulators' effects
        *,
        times: int | None = None,
        operation: str = "*",
        ends: timedelta | None = None,
    ) -> None:
        now = self.simulator.clock.now()
        book = self.simulator.faults
        book.add(
            Fault(
                id=book.fresh_id(),
                effect=effect,
                match=Match(operation=operation),
                times=times,
                ends=None if ends is None else now + ends,
            )
        )


class _Mailbox(Post):
    """Keeps what would have been sent."""

    def __init__(self, mails: list[EmailMessage], *, sender: str, host: str) -> None:
        """Take the list that mails are put into."""
        super().__init__(sender=sender, host=host)
        self._mails = mails

    async def send(self, message: EmailMessage) -> None:
        """Keep a message."""
        self._mails.append(message)


class Saas:
    """The systems of the demo company: `saas.github`, `saas.google` and so on; `add` adds more.

    mails: what connectors have written to people: links to first passwords. disagreements: where a
    connector of the company's own, or its stand-in, was not as the document says that it names.
    """

    def __init__(self) -> None:
        """Make them all."""
        self._now: Callable[[], datetime] | None = None
        self.world = World(clock=SimulatedClock(source=self._time))
        self._wired: list[tuple[Connector, Any, Any]] = []  # Any: transport and gate before
        self._links: list[tuple[Connector, RevealLink]] = []
        self._added: dict[str, Simulator] = {}
        self.mails: list[EmailMessage] = []
        self.disagreements: list[AssertionError] = []
        for name, simulator in self.world.simulators.items():
            setattr(self, name, Scripted(simulator))

    def __getattr__(self, name: str) -> Scripted:
        raise AttributeError(f"there is no simulated system {name!r}")

    def _time(self) -> datetime:
        return datetime.now(UTC) if self._now is None else self._now()

    def follow(self, now: Callable[[], datetime] | None) -> None:
        """Go by a run's time from now on; None: by the host's. What was planned is moved along."""
        before = self._time()
        self._now = now
        moved = self._time() - before
        for simulator in self.simulators.values():
            for fault in simulator.faults.rules():
                if fault.ends is not None:
                    simulator.faults.add(replace(fault, ends=fault.ends + moved))

    def add(self, kind: type[Simulator], **options: Any) -> Scripted:  # Any: its own
        """Add a system that the demo company has not: one of newel's, or one of your own.

        Its secrets stand in the environment from now on, until the end of the test. One that was
        added before is given as it is.
        """
        if kind.system in self._added:
            return Scripted(self._added[kind.system])
        world = self.world
        made = kind(seed=world.seed, clock=world.clock, **options)
        self._added[made.system] = made
        world.add(made)
        secrets = made.credentials()
        os.environ.update(secrets)
        _known(secrets)
        scripted = Scripted(made)
        setattr(self, made.system, scripted)
        return scripted

    @property
    def simulators(self) -> dict[str, Simulator]:
        """All systems by name, those that were added included."""
        return self.world.simulators | self._added

    def wire(self, *connectors: Connector) -> None:
        """Let connectors speak to their simulators until the end of the test."""
        for connector in connectors:
            found = self.simulators
            own, behind = type(connector).__name__.lower(), getattr(connector, "access_system", "")
            simulator = found.get(own) or found.get(behind)
            if simulator is None or any(each[0] is connector for each in self._wired):
                continue
            http = connector.http
            self._wired.append((connector, http.wire.transport, http.gate))
            judge = judge_of(type(connector), simulator)
            observer = None if judge is None else self._noting(judge)
            transport = SimulatorTransport(simulator, observer=observer)
            _connect(connector, transport, self._gate(connector))
            self._keep_mails(connector)

    def _noting(self, judge: Observer) -> Observer:
        """Keep what disagrees with a document: a run takes it for a mistake of the step's."""

        def observe(request: httpx2.Request, response: httpx2.Response) -> None:
            try:
                judge(request, response)
            except AssertionError as found:
                self.disagreements.append(found)
                raise

        return observe

    def _keep_mails(self, connector: Connector) -> None:
        """Let mails with links to first passwords come here."""
        link = getattr(connector, "_deliver", None)
        if isinstance(link, RevealLink):
            post = _Mailbox(self.mails, sender=link.post.sender, host="localhost")
            connector._deliver = replace(link, post=post)  # type: ignore[attr-defined]  # noqa: SLF001 - as above
            self._links.append((connector, link))

    @staticmethod
    def _gate(connector: Connector) -> MemoryGate:
        return MemoryGate(connector.buckets, clock=connector.clock)

    def reset(self) -> None:
        """Make all systems new."""
        self.world.reset()
        for connector, _, _ in self._wired:
            _connect(connector, connector.http.wire.transport, self._gate(connector))

    def close(self) -> None:
        """Give the connectors back as they were."""
        for connector, transport, gate in self._wired:
            _connect(connector, transport, gate)
        for connector, link in self._links:
            connector._deliver = link  # type: ignore[attr-defined]  # noqa: SLF001 - as above
        self._wired.clear()
        self._links.clear()


def _connect(connector: Connector, transport: Any, gate: Any) -> None:  # Any: as they were
    http = connector.http
    http.wire.transport, http.gate = transport, gate
    http.wire.forget()
    http._credential.renew()  # noqa: SLF001 - a token of another world opens nothing here
    connector.forget()


_ACTIVE: list[Saas] = []


def active() -> Saas | None:
    """The systems of the test that is running, if it has any."""
    return _ACTIVE[-1] if _ACTIVE else None


@contextmanager
def opened() -> Iterator[Saas]:
    """Make the systems, with their secrets in the environment; both are gone afterwards."""
    saas = Saas()
    with known_secrets(saas.world.credentials()):
        _ACTIVE.append(saas)
        try:
            yield saas
        finally:
            _ACTIVE.remove(saas)
            saas.close()
    if saas.disagreements:
        raise saas.disagreements[0]


@contextmanager
def known_secrets(secrets: Mapping[str, str]) -> Iterator[None]:
    """Put secrets into the environment while the block runs; what is set inside goes with them."""
    before = dict(os.environ)
    os.environ.update(secrets)
    _known(secrets)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _known(names: Iterable[str]) -> None:
    for name in names:
        SecretRef(f"env:{name}").resolve(fresh=True)
