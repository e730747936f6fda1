"""What a connector knows of its plan and token: declared, proved by `check()`, kept with its time.

One cache for each credential: the connector is one. The engine keeps what was found in the
database beside it, so that a worker that starts knows what another has found (`recall`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from newel.base.clock import Clock
from newel.connectors.capability import Capabilities, Chosen, Proof, Route, chosen, stated
from newel.connectors.looking import way
from newel.connectors.operation import Declared

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
    def known(self) -> Capabilities:
        """What plan and token can do, as far as that is known now; asks nobody."""
        return stated(self.declared_capabilities(), self._proofs, self.title)

    async def capabilities(self, *, younger: timedelta = _FRESH) -> Capabilities:
        """Find out what plan and token can do; asks the system unless that was done lately.

        younger: how old an answer may be. Raises what `check()` raises.
        """
        at = self.known.checked_at
        if self.declared_capabilities() and (at is None or self.clock.now() - at > younger):
            self.learn(await self.check())
        return self.known

    def learn(self, check: Check) -> tuple[Proof, ...]:
        """Take in what a check has proved; gives what is known of each capability now."""
        if check.capabilities is not None:
            now = self.clock.now()
            for name, why_not in self.declared_capabilities().items():
                before = self._proofs.get(name)
                is_there = not why_not and name in check.capabilities
                proved_at = now if is_there else None if before is None else before.proved_at
                self._proofs[name] = Proof(name=name, checked_at=now, proved_at=proved_at)
        return tuple(self._proofs.values())

    def recall(self, proofs: Iterable[Proof]) -> None:
        """Take in what others have found of this credential, where that is newer."""
        for each in proofs:
            before = self._proofs.get(each.name)
            if before is None or before.checked_at < each.checked_at:
                self._proofs[each.name] = each

    def choose(self, facts: Declared) -> Chosen:
        """Choose the way of an operation by what is known now."""
        return chosen(facts.ways, facts.by_hand, self.known)

    @property
    def way(self) -> Route | None:
        """The way that the operation that is running goes; None for one without a choice."""
        return way()
