"""Replaying a run without effect: what its body asks for now, and what it would ask for.

A verb that needs to know more of an act than its row says (the type of a result, the schema of a
form, where in the code it is called) finds it where the worker would: at the act that the body
comes to. The body is pure, so replaying it beside its worker does nothing; what the replay would
write is thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from uuid import UUID, uuid4

from newel.audit.leaf import Actor
from newel.base.errors import NotFound
from newel.base.ids import reference
from newel.domain.retry import Retry, standard
from newel.engine import drifting
from newel.engine.addresses import Addresses
from newel.engine.body import Decided
from newel.engine.branches import Ready
from newel.engine.history import Recorded
from newel.engine.loading import load
from newel.engine.runner import Circuit, Limits, Loaded, Runner
from newel.engine.vault import Vault
from newel.flow.act import Act
from newel.flow.process import Process
from newel.store.database import Connection

__all__ = ["Nowhere", "Rehearsal", "rehearsed"]


class Nowhere:
    """The host of a replay: it has a clock, and nothing that it makes is ever written."""

    worker = 0
    epoch = 0
    actor = Actor(type="system", id="newel")
    retry: Retry = standard
    limits = Limits()
    addresses = Addresses()
    is_leaving = False

    def __init__(self, at: datetime) -> None:
        """Let it be this moment."""
        self._at = at

    def now(self) -> datetime:
        """The moment of the replay."""
        return self._at

    def event_id(self) -> str:
        """An id that nobody will see."""
        return f"evt_{uuid4()}"

    def new_uuid(self) -> UUID:
        """As above."""
        return uuid4()

    def circuit(self, credential: str | None) -> Circuit | None:
        """No incident is open here."""
        del credential
        return None

    def answered(self, credential: str | None) -> None:
        """Nothing is held back here."""
        del credential

    @property
    def places(self) -> Self:
        """Places at systems: as many as are wanted."""
        return self

    def has_to_queue(self, run: UUID, system: str | None) -> bool:
        """Nobody waits for a turn."""
        del run, system
        return False

    def is_called(self, run: UUID, system: str | None) -> bool:
        """As above."""
        del run, system
        return True

    def is_limited(self, system: str | None) -> bool:
        """Nobody counts attempts."""
        del system
        return False


class Rehearsal(Runner):
    """A run as its body stands now.

    changed: finished acts whose input is not what it was. met: outcomes as the body was given them,
    by key. decided: what acts of the body's own have decided: verb, and for whom. arrived: acts
    without an outcome that the body has come to.
    """

    def __init__(self, loaded: Loaded, *, passes_changes: bool) -> None:
        """Prepare; passes_changes: go on beyond finished acts whose input has changed."""
        super().__init__(loaded, Nowhere(loaded.as_of), self._notes, self._is_changed)
        self.arrived: set[str] = set()
        self._passes_changes = passes_changes
        self.changed: dict[str, Act[Any]] = {}  # Any: each act has its own result
        self.met: dict[str, Ready] = {}
        self.decided: dict[str, tuple[str, tuple[str, ...]]] = {}

    def _notes(self, _: Runner, key: str, act: Act[Any]) -> None:  # Any: as above
        del act
        self.arrived.add(key)

    def _ready(self, key: str, act: Act[Any], recorded: Recorded) -> Ready:
        self.met[key] = found = super()._ready(key, act, recorded)
        return found

    def decide(self, key: str, kind: str, verb: str, keys: tuple[str, ...]) -> Decided | None:
        """Say what the journal holds, and keep it: a plan needs to know who has won."""
        found = super().decide(key, kind, verb, keys)
        if found is not None:
            self.decided[key] = found.verb, keys
        return found

    def _is_changed(self, _: Runner, key: str, act: Act[Any], recorded: Recorded) -> bool:
        if not drifting.is_changed(self, key, act, recorded):
            return False
        self.changed[key] = act
        return not self._passes_changes


async def rehearsed(
    connection: Connection,
    run: UUID,
    processes: Mapping[str, Process[..., Any]],  # Any: each has its own result
    vault: Vault,
    *,
    arguments: bytes | None = None,
) -> Rehearsal:
    """Replay a run as this code would, with its own input or with another.

    arguments: another input, as JSON by name; then finished acts that it changes are passed.
    Raises NotFound where this code has no such process.
    """
    loaded = await load(connection, [run], processes, vault)
    if not loaded:
        raise NotFound(kind="process of the current code for", reference=reference("run", run))
    if arguments is not None:
        loaded[0].history.arguments = arguments
    rehearsal = Rehearsal(loaded[0], passes_changes=arguments is not None)
    try:
        rehearsal.begin()
    finally:
        rehearsal.dismiss()
    return rehearsal
