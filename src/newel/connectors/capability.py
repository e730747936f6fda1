"""What a system can do for this plan and token, and which way an operation therefore goes.

    declared           what the plan has and the token is meant for, as the connector is told
    proved             what `check()` has found of it, with the moment

    declared, proved or not yet looked at  -> there     the way is taken
    declared, never proved                 -> absent    the next way is taken: configuration
    declared, proved once, now missing     -> lost      the way is taken all the same, and fails
    not declared                           -> absent    as above

What is lost is not stepped around: that would hide a broken credential. Whoever gives a plan up
says so in the connector's declaration. An operation lists its ways in order; behind the last one
may stand work by hand, after which newel looks for itself. Pure; the choice is recorded with the
attempt. Source: connectors document, §7; product document, §3.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

__all__ = [
    "BY_HAND",
    "ByHand",
    "Capabilities",
    "Capability",
    "CapabilityState",
    "Chosen",
    "Proof",
    "Route",
    "Way",
    "chosen",
    "stated",
]

Route = Literal["scim", "admin_api", "invitation", "by_hand"]
CapabilityState = Literal["there", "lost", "absent"]
BY_HAND: Final = "by_hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to do an operation. capability: what it needs; empty if it can always be gone."""

    path: Route
    capability: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """How a person does an operation that no program can do. Names nobody: the task shows whom.

    title: imperative, lower case, at most 60 characters. how: sentences, one for each thing to
    do; `{name}` stands for an argument of the operation. is_seen: whether newel can see that it
    is done; where it cannot, the person's word is believed.
    """

    title: str
    how: tuple[str, ...]
    is_seen: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What checks have found of one capability.

    checked_at: when it was looked at last. proved_at: when it was last seen to be there, or None.
    """

    name: str
    checked_at: datetime
    proved_at: datetime | None

    @property
    def is_there(self) -> bool:
        """Whether the latest check has proved it."""
        return self.proved_at == self.checked_at

    def merged(self, other: Proof | None) -> Proof:
        """Put together what two have found: the latest look, and the latest proof of either."""
        if other is None:
            return self
        proofs = [each.proved_at for each in (self, other) if each.proved_at is not None]
        return Proof(
            name=self.name,
            checked_at=max(self.checked_at, other.checked_at),
            proved_at=max(proofs, default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What a system can or cannot do. why: a clause that says why it cannot; else empty."""

    name: str
    state: CapabilityState
    why: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """All that is known of one credential. checked_at: None while nobody has looked."""

    found: tuple[Capability, ...] = ()
    checked_at: datetime | None = None

    def of(self, name: str) -> Capability:
        """Give one by name; what nobody declares is absent."""
        for each in self.found:
            if each.name == name:
                return each
        return Capability(name=name, state="absent", why=f"{name} is not declared")

    def allows(self, name: str) -> bool:
        """Say whether a way that needs it is taken; what needs nothing always is."""
        return name == "" or self.of(name).state != "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The way that was chosen; None where there is none. why: why the ways before it are closed."""

    path: Route | None
    why: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Say in one sentence why it is not done by an earlier way; empty if there was none."""
        if not self.why:
            return ""
        text = ", and ".join(self.why)
        return f"{text[0].upper()}{text[1:]}."


def stated(declared: Mapping[str, str], proofs: Mapping[str, Proof], title: str) -> Capabilities:
    """Put together what is declared and what checks have found.

    declared: names with a clause that says why the plan has it not, or nothing. title: the
    system's own name.
    """
    found: list[Capability] = []
    for name, why_not in declared.items():
        proof = proofs.get(name)
        if why_not:
            found.append(Capability(name=name, state="absent", why=why_not))
        elif proof is None or proof.is_there:
            found.append(Capability(name=name, state="there"))
        else:
            state: CapabilityState = "absent" if proof.proved_at is None else "lost"
            why = f"{title} is said to have {name}, and its check does not find it"
            found.append(Capability(name=name, state=state, why=why))
    moments = [proofs[name].checked_at for name in declared if name in proofs]
    return Capabilities(tuple(found), max(moments, default=None))


def chosen(ways: Sequence[Way], by_hand: ByHand | None, known: Capabilities) -> Chosen:
    """Choose the first way that is open; by hand behind all of them, where that is declared."""
    why: list[str] = []
    for way in ways:
        if known.allows(way.capability):
            return Chosen(path=way.path, why=tuple(why))
        why.append(known.of(way.capability).why)
    return Chosen(path=None if by_hand is None else BY_HAND, why=tuple(why))
