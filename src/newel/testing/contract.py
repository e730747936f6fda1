"""What every connector is held to, as checks that its tests call.

    async def test_an_account_is_made_once(desks: Desks, contract: Contract[...]) -> None:
        await contract.once(desks.ensure_account, JANE)

A check plays an operation against a simulator as the engine would: inside an attempt, in doubt
after a lost answer, a second time. What does not hold is an AssertionError that says what was
asked of the system. `docs/writing-a-connector.md` goes through them one by one.
Source: connectors document, §4, §5 and §23.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from newel.base.errors import Forbidden, OutcomeUnknown, OwnershipConflict, StepError, Transient
from newel.connectors.answers import Route
from newel.connectors.base import Connector, Outside
from newel.connectors.declaring import declared
from newel.connectors.preview import Preview, previewed
from newel.domain.people import Person
from newel.domain.values import Effect, Found
from newel.flow.step import Step
from newel.simulators.core import Simulator
from newel.simulators.faults import Effect as Fault
from newel.simulators.faults import LoseResponse, RemoveScope, ResetBefore
from newel.testing.attempts import Time, attempt, effect_of, raised
from newel.testing.saas import known_secrets
from newel.testing.specification import judge_of
from newel.testing.transport import Observer, SimulatorTransport

__all__ = ["Contract", "contract_with", "routes_agree"]

S = TypeVar("S", bound=Simulator)
R = TypeVar("R")

Operation = Step[..., R]


class Contract(Generic[S]):
    """One simulator on a time of its own, and the checks of a connector that speaks to it."""

    def __init__(self, simulator: S, time: Time, *, observer: Observer | None = None) -> None:
        """Hold them; `contract_with` makes one.

        observer: sees every request and its answer.
        """
        self.simulator = simulator
        self.time = time
        self._observer = observer

    @property
    def outside(self) -> Outside:
        """What the connector is made with, so that it speaks to the simulator in its time."""
        return Outside(
            transport=SimulatorTransport(self.simulator, observer=self._observer),
            clock=self.time.clock,
            pause=self.time.pause,
        )

    # Acting ------------------------------------------------------------------------------------

    async def done(self, operation: Operation[R], *args: Any) -> tuple[R, Effect]:  # Any: its own
        """Carry an operation out in an attempt; gives its result and the effect it reports."""
        with attempt(self.time) as observed:
            result = await operation.called(*args)
        return result, effect_of(observed)

    async def once(self, operation: Operation[R], *args: Any) -> R:  # Any: as above
        """Hold an operation to changing something the first time and nothing the second.

        The second result is the first, and no request of it could have changed anything.
        """
        first, effect = await self.done(operation, *args)
        assert effect.changed, f"{operation.name} changed nothing: {self._asked()}"
        before = len(self.simulator.mutations())
        second, effect = await self.done(operation, *args)
        assert not effect.changed, f"{operation.name} changed something again: {effect}"
        sent = self.simulator.mutations()[before:]
        assert sent == [], f"{operation.name} asked for a change again: {sent}"
        assert second == first, f"{operation.name} gave {first}, and then {second}"
        assert self.simulator.book.doubled() == {}
        return second

    # Looking -----------------------------------------------------------------------------------

    async def previewed(self, operation: Operation[Any], *args: Any) -> Preview:  # Any: as above
        """Give what an operation would do, having seen that asking for it changes nothing."""
        before = len(self.simulator.mutations())
        found = await previewed(operation, *args)
        sent = self.simulator.mutations()[before:]
        assert sent == [], f"looking at {operation.name} asked for a change: {sent}"
        return found

    async def conflicts(self, operation: Operation[Any], *args: Any) -> OwnershipConflict:
        """Hold an operation to leaving somebody else's things alone, and give the conflict."""
        before = len(self.simulator.mutations())
        conflict = await raised(operation.called(*args), OwnershipConflict)
        sent = self.simulator.mutations()[before:]
        assert sent == [], f"{operation.name} asked for a change of somebody else's: {sent}"
        return conflict

    # Failing -----------------------------------------------------------------------------------

    async def survives_lost_calls(self, operation: Operation[Any], *args: Any) -> None:
        """Hold an operation to one effect however a call of it is lost.

        Each request that changes something is lost once on its way and once on its way back, and
        what follows is what the engine does: `verify`, and the operation again where that finds
        nothing. The system is left as one undisturbed call leaves it.
        """
        fresh, before = self.simulator.snapshot(), len(self.simulator.mutations())
        await self.done(operation, *args)
        sent = self.simulator.mutations()[before:]
        changing = [call.operation for call in sent if call.committed]
        wanted = self.simulator.store.snapshot()["tables"]
        assert changing, f"{operation.name} asked for no change that could be lost"
        for lost in dict.fromkeys(changing):
            for effect in (LoseResponse(), ResetBefore()):
                self.simulator.load(fresh)
                await self._redone(operation, args, lost, effect)
                what = f"{operation.name}, {type(effect).__name__} at {lost}: {self._asked()}"
                assert self.simulator.book.doubled() == {}, what
                assert self.simulator.store.snapshot()["tables"] == wanted, what

    async def _redone(
        self, operation: Operation[Any], args: tuple[Any, ...], lost: str, effect: Fault
    ) -> None:
        self.simulator.fail(lost, effect, times=1)
        intended = self.time.clock.now()
        with attempt(self.time):
            doubt = await raised(operation.called(*args), StepError)
        what = f"{operation.name} calls a lost call {type(doubt).__name__}"
        assert isinstance(doubt, OutcomeUnknown | Transient), what
        assert operation.verify is not None, f"{operation.name} cannot verify"
        with attempt(self.time, intended=intended):
            if isinstance(await operation.verify(*args), Found):
                return
        with attempt(self.time, intended=intended, follows_doubt=True):
            await operation.called(*args)

    async def needs_its_scopes(self, operation: Operation[Any], *args: Any) -> None:
        """Hold an operation to needing each scope that it declares, and to naming it if refused."""
        fresh = self.simulator.snapshot()
        for need in declared(operation).needs:
            self.simulator.load(fresh)
            for scope in need.split("|"):
                self.simulator.fail("*", RemoveScope(scope))
            refused = await raised(operation.called(*args), Forbidden)
            named = set((refused.missing or "").replace(",", "|").replace(" ", "").split("|"))
            what = f"without {need}, {operation.name} says that {refused.missing} is missing"
            assert named & set(need.split("|")), what
        self.simulator.load(fresh)

    async def fails_as(
        self,
        kind: type[StepError],
        operation: Operation[Any],
        *args: Any,
        fault: Fault,
        at: str = "*",
    ) -> StepError:
        """Hold an operation to the class of a failure, and its sentence to naming nobody.

        fault: what happens. at: the vendor's operation it happens to, or `*`.
        """
        self.simulator.fail(at, fault)
        failed = await raised(operation.called(*args), StepError)
        what = f"{operation.name} fails as {type(failed).__name__}, not {kind.__name__}: {failed}"
        assert type(failed) is kind, what
        people = [each for each in args if isinstance(each, Person)]
        told = [word for each in people for word in (each.name, each.email) if word in str(failed)]
        assert told == [], f"the sentence names a person: {failed}"
        return failed

    def _asked(self) -> str:
        return ", ".join(f"{c.operation} {c.did} {c.natural_key}" for c in self.simulator.calls())


@contextmanager
def contract_with(
    kind: Callable[..., S],
    connector: type[Connector] | None = None,
    *,
    observer: Observer | None = None,
    **options: Any,
) -> Iterator[Contract[S]]:  # Any: the simulator's own options
    """Make a simulator with short pages on a standing clock, its secrets in the environment.

    connector: which one is held to the document that it names, and the simulator with it. observer:
    instead of that, sees every request and its answer.
    """
    time = Time()
    made = kind(seed=7, clock=time.world, sleep=time.pause, page_size=3, **options)
    if observer is None and connector is not None:
        observer = judge_of(connector, made)
    with known_secrets(made.credentials()):
        yield Contract(made, time, observer=observer)


def routes_agree(
    connector: type[Connector],
    routes: Iterable[Route],
    simulator: type[Simulator],
    *,
    base: str = "",
) -> None:
    """Hold a connector to routes that its simulator has, and its operations to those routes.

    base: what stands before a path in the simulator, and in the connector's address.
    """
    called = list(routes)
    answered = {
        (route.operation, method, route.template.count("/"), route.mutating)
        for route in simulator.routes
        for method in route.methods
    }
    for route in called:
        depth = (base + route.path).count("/")
        wanted = (route.operation, route.method, depth, route.is_mutating)
        assert wanted in answered, f"the simulator has no {route.method} {route.path}"
    facts = [declared(step) for step in connector.operations().values()]
    known = {name for each in facts for name in (*each.spec, *each.reads)}
    unknown = known - {route.operation for route in called}
    assert unknown == set(), f"declared, and no route: {unknown}"
    changing = {route.operation for route in called if route.is_mutating}
    silent = changing - {name for each in facts for name in each.spec}
    assert silent == set(), f"changing, and in no `spec`: {silent}"
    wrong = changing & {name for each in facts for name in each.reads}
    assert wrong == set(), f"changing, and in `reads`: {wrong}"
