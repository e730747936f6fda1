"""What a connector knows of its plan and token: declared, proved by `check()`, kept with its time.

One cache for each credential: the connector is one. The engine keeps what was found in the
database beside it, so that a worker that starts knows what another has found (`recall`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from newel.base.clock import Clock
from newel.connectors.capability import Capabilities, Chosen, Proof, Route, chosen, stated
from newel.connectors.declaring import Declared, declared
from newel.connectors.looking import way
from newel.flow.step import Step

__all__ = ["Capable", "Check"]

_FRESH: Final = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Check:
    """What `check()` found: whether the credential works, and what it may do.

    have, missing: scopes or permissions by the vendor's names. capabilities: those that it proved;
    None where it could not look. notes: sentences for a person.
    """

    ok: bool
    identity: str = ""
    have: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    capabilities: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    quota: str = ""
    notes: tuple[str, ...] = ()


class Capable:
    """The half of a connector that knows what can be done. title: the system's own name."""

    title: str
    clock: Clock

    def __init__(self) -> None:
        """Know nothing yet but what is declared."""
        self._proofs: dict[str, Proof] = {}

    async def check(self) -> Check:
        """Prove credential and permissions by reading; changes nothing."""
        raise NotImplementedError

    def declared_capabilities(self) -> Mapping[str, str]:
        """Name what it may be able to do, each with why its plan or token has it not, or nothing.

        A clause in lower case where its first word allows it: "Slack's plan pro has no SCIM".
        """
        return {}

    @property
    def known_capabilities(self) -> Capabilities:
        """What plan and token can do, as far as that is known now; asks nobody."""
        return stated(self.declared_capabilities(), self._proofs, self.title)

    async def capabilities(self, *, younger: timedelta = _FRESH) -> Capabilities:
        """Find out what plan and token can do; asks the system unless that was done lately.

        younger: how old an answer may be. Raises what `check()` raises.
        """
        at = self.known_capabilities.checked_at
        if self.declared_capabilities() and (at is None or self.clock.now() - at > younger):
            self.learn(await self.check())
        return self.known_capabilities

    def learn(self, check: Check) -> None:
        """Take in what a check has proved."""
        if check.capabilities is None:
            return
        now = self.clock.now()
        for name, why_not in self.declared_capabilities().items():
            is_there = not why_not and name in check.capabilities
            proof = Proof(name=name, checked_at=now, proved_at=now if is_there else None)
            self.recall([proof])

    def recall(self, proofs: Iterable[Proof]) -> None:
        """Take in what others have found of this credential."""
        for each in proofs:
            self._proofs[each.name] = each.merged(self._proofs.get(each.name))

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """What checks have found, to be kept for others."""
        return tuple(self._proofs.values())

    def choose(self, facts: Declared) -> Chosen:
        """Choose the way of an operation by what is known now."""
        return chosen(facts.ways, facts.by_hand, self.known_capabilities)

    def way_of(self, operation: Step[..., Any]) -> Chosen:  # Any: each has its own signature
        """Say which way one of its operations would go now."""
        return declared(operation).chosen_by(self)

    @property
    def way(self) -> Route | None:
        """The way that the operation that is running goes; None for one without a choice."""
        return way()
