"""Policy files: which logs are believed, which witnesses have to have seen a checkpoint.

Only what a person has pinned counts: a key that comes with the thing it is to vouch for proves
nothing. A policy names logs and witnesses by their keys, puts witnesses into groups, and says which
group makes a quorum.
Source: https://c2sp.org/tlog-policy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from newel.audit.checkpoint import Checkpoint, opened
from newel.audit.note import COSIGNATURE, ED25519, Note, VerifierKey, verified
from newel.base.errors import CheckpointInvalid

__all__ = ["Policy", "policy_text"]

_ALLOWED: Final = re.compile(rb"[\t\n\x20-\x7e\x80-\xff]*")
_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class _Group:
    """Names of which at least `needed` have to have witnessed."""

    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a verifier believes; quorum: the name of a witness or group, or `none`."""

    logs: tuple[VerifierKey, ...]
    witnesses: dict[str, VerifierKey]
    groups: dict[str, _Group]
    quorum: str

    @classmethod
    def parsed(cls, text: bytes) -> Policy:
        """Read a policy file; errors: CheckpointInvalid, with the line."""
        if _ALLOWED.fullmatch(text) is None:
            raise CheckpointInvalid(origin="a policy", what="it holds control characters.")
        reading = _Reading()
        # Names are opaque octets; Latin-1 gives each octet one character and back.
        for at, line in enumerate(text.decode("latin-1").split("\n"), 1):
            words = re.split(r"[ \t]+", line.strip(" \t"))
            if words == [""] or words[0].startswith("#"):
                continue
            reading.take(at, words)
        if reading.quorum is None:
            raise CheckpointInvalid(origin="a policy", what="it has no quorum line.")
        return cls(tuple(reading.logs), reading.witnesses, reading.groups, reading.quorum)

    def keys_of(self, origin: str) -> list[VerifierKey]:
        """Name the keys that are believed for a log."""
        return [key for key in self.logs if key.name == origin]

    def opened(self, note: Note) -> Checkpoint:
        """Read a checkpoint that a believed log has signed and a quorum has seen.

        errors: CheckpointInvalid.
        """
        checkpoint = opened(note, self.logs)
        if not self.is_quorate(note):
            raise CheckpointInvalid(
                origin=checkpoint.origin,
                what=f"the witnesses that {self.quorum} asks for have not cosigned it.",
            )
        return checkpoint

    def is_quorate(self, note: Note) -> bool:
        """Tell whether enough witnesses have cosigned; errors: CheckpointInvalid, if one lied."""
        seen = verified(note, self.witnesses.values())
        return self.quorum == _NONE or self._has_witnessed(self.quorum, seen)

    def _has_witnessed(self, name: str, seen: Iterable[VerifierKey]) -> bool:
        if name in self.witnesses:
            return self.witnesses[name] in seen
        group = self.groups[name]
        found = sum(self._has_witnessed(member, seen) for member in group.members)
        return found >= group.needed


@dataclass(slots=True)
class _Reading:
    """What the lines of a policy have said so far."""

    logs: list[VerifierKey] = field(default_factory=list)
    witnesses: dict[str, VerifierKey] = field(default_factory=dict)
    groups: dict[str, _Group] = field(default_factory=dict)
    quorum: str | None = None
    members: set[str] = field(default_factory=set)

    def take(self, at: int, words: list[str]) -> None:
        """Read one line."""
        kind, *rest = words
        readers: dict[str, Callable[[int, list[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._quorum,
        }
        if kind not in readers:
            raise _wrong(at, f"there is no line {kind}")
        readers[kind](at, rest)

    def _log(self, at: int, words: list[str]) -> None:
        if len(words) not in {1, 2}:
            raise _wrong(at, "a log has a key, and maybe an address")
        key = _key(at, words[0], ED25519)
        if any(key.public == other.public for other in self.logs):
            raise _wrong(at, "this key has a log already")
        self.logs.append(key)

    def _witness(self, at: int, words: list[str]) -> None:
        if len(words) not in {2, 3}:
            raise _wrong(at, "a witness has a name and a key, and maybe an address")
        self._check_new(at, words[0])
        key = _key(at, words[1], COSIGNATURE)
        if any(key.public == other.public for other in self.witnesses.values()):
            raise _wrong(at, "this key has a witness already")
        self.witnesses[words[0]] = key

    def _group(self, at: int, words: list[str]) -> None:
        if len(words) < 3:
            raise _wrong(at, "a group has a name, a number and members")
        name, threshold, *members = words
        self._check_new(at, name)
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise _wrong(at, f"{member} is not defined above")
            if member in self.members:
                raise _wrong(at, f"{member} is a member already")
            self.members.add(member)
        self.groups[name] = _Group(_threshold(at, threshold, len(members)), tuple(members))

    def _quorum(self, at: int, words: list[str]) -> None:
        if len(words) != 1 or self.quorum is not None:
            raise _wrong(at, "there is one quorum, with one name")
        name = words[0]
        if name != _NONE and name not in self.witnesses and name not in self.groups:
            raise _wrong(at, f"{name} is not defined above")
        self.quorum = name

    def _check_new(self, at: int, name: str) -> None:
        if name == _NONE or name in self.witnesses or name in self.groups:
            raise _wrong(at, f"the name {name} is taken")


def policy_text(logs: Iterable[VerifierKey]) -> str:
    """Write a policy that believes these logs and asks for no witness."""
    return "".join(f"log {key}\n" for key in logs) + "quorum none\n"


def _key(at: int, vkey: str, algorithm: int) -> VerifierKey:
    try:
        key = VerifierKey.parsed(vkey)
    except CheckpointInvalid as cause:
        raise _wrong(at, cause.what.removesuffix(".")) from cause
    if key.algorithm != algorithm:
        raise _wrong(at, "this kind of key is for something else")
    return key


def _threshold(at: int, text: str, members: int) -> int:
    if text in {"any", "all"}:
        return 1 if text == "any" else members
    if re.fullmatch(r"[1-9]\d*", text, re.ASCII) is None or int(text) > members:
        raise _wrong(at, f"{text} of {members} cannot be asked for")
    return int(text)


def _wrong(at: int, what: str) -> CheckpointInvalid:
    return CheckpointInvalid(origin="a policy", what=f"line {at}: {what}.")
