"""Keys: the stable, readable names by which a run finds its acts again.

A key is the identity of a durable act inside its run, for ever and on every version of the
code. Its grammar is fixed (drawing document, §2.1)::

    key  = *( label "/" ) name [ "[" subscript "]" ] [ "#" n ]     n >= 2

The counter `#n` numbers *sequential* repetitions only. Claims of one key from concurrent
branches are refused whatever finished first, so that `#n` depends on program order and never
on timing (drawing document, §2.2).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final
from uuid import UUID

from newel.base.errors import DuplicateKey, NotJournalable

Subscript = str | int | UUID | Enum | tuple[str | int | UUID | Enum, ...]
BranchPath = tuple[tuple[int, int], ...]
"""(fork instance, branch number) pairs from the body down to a branch; `()` is the body."""

MAX_KEY_BYTES: Final = 240
_RESERVED: Final = re.compile(r"[%/\[\]#*\x00-\x1f\x7f]")
_RESERVED_IN_TUPLE: Final = re.compile(r"[%/\[\]#*,\x00-\x1f\x7f]")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,79}(\.[A-Za-z_][A-Za-z0-9_-]{0,79})*")
_INDEXED: Final = re.compile(r"(?P<name>[^\[\]]+)\[(?P<subscript>.+)\]", re.DOTALL)


def encoded(part: Subscript) -> str:
    """Write one label or subscript so that it can stand inside a key.

    A tuple is joined with commas; reserved characters are percent-encoded.
    Raises NotJournalable for a type whose text is not stable (floats above all).
    """
    if isinstance(part, tuple):
        return ",".join(_escaped(_text(piece), _RESERVED_IN_TUPLE) for piece in part)
    return _escaped(_text(part), _RESERVED)


def _text(part: object) -> str:
    match part:
        case bool():
            pass
        case Enum():
            return _text(part.value)
        case str() if part:
            return part
        case int():
            return str(part)
        case UUID():
            return str(part)
        case _:
            pass
    # How a foreign object is written is its author's code, which a reader does not run.
    said = repr(part) if isinstance(part, bool | str | float) else f"A {type(part).__qualname__}"
    raise NotJournalable(
        f"{said} cannot be part of a key: its text may differ after a restart. "
        "Use a non-empty str, an int, a UUID, an Enum member or a tuple of these."
    )


def _escaped(text: str, reserved: re.Pattern[str]) -> str:
    return reserved.sub(lambda found: f"%{ord(found[0]):02X}", text)


def checked_name(name: str) -> str:
    """Return `name` if it fits the grammar of names; raise NotJournalable if not."""
    if _NAME.fullmatch(name) is None or name.startswith("_newel"):
        raise NotJournalable(
            f"{name!r} cannot be a key's name. Use letters, digits, '-', '_' and dots, "
            "beginning with a letter."
        )
    return name


def named(text: str) -> str:
    """Turn the first argument of a wait, `"name"` or `"name[item]"`, into a base key."""
    if (indexed := _INDEXED.fullmatch(text)) is not None:
        return f"{checked_name(indexed['name'])}[{encoded(indexed['subscript'])}]"
    return checked_name(text)


Formerly = str | tuple[str, ...]
"""The key or keys that an act had in earlier code."""


def former(names: Formerly) -> tuple[str, ...]:
    """Give the keys of `formerly=`, one or several, as they stand in the journal.

    A name may have sections before it and an item behind it: `laptop/confirm`, `level[7]`.
    """
    given = (names,) if isinstance(names, str) else names
    return tuple(_former(name) for name in given)


def _former(key: str) -> str:
    sections, slash, name = key.rpartition("/")
    return f"{sections}{slash}{named(name)}"


def former_with_item(names: tuple[str, ...], item: str | None) -> tuple[str, ...]:
    """The keys that one of many had: with its item, and, where there was none, without."""
    if item is None:
        return names
    return (*(f"{name}[{item}]" for name in names if "[" not in name), *names)


def former_with_verb(names: tuple[str, ...], verb: str) -> tuple[str, ...]:
    """The keys that an act of something named had: `team.join`, `ready.reach`."""
    return tuple(f"{name}.{verb}" for name in names)


def base_of(key: str) -> str:
    """A key without its counter."""
    return key.partition("#")[0]


class Claims:
    """Who has claimed which base key, in one run of a body; hands out the counters."""

    __slots__ = ("_claims", "_open_forks", "_order")

    def __init__(self) -> None:
        self._claims: dict[str, tuple[int, BranchPath, int, object]] = {}
        self._open_forks: dict[int, int] = {}
        self._order = 0

    def opened(self, fork: int) -> None:
        """Note that the branches of `fork` now run beside each other."""
        self._open_forks[fork] = self._order

    def joined(self, fork: int) -> None:
        """Note that `fork` has ended: what its branches claimed is no longer concurrent."""
        self._open_forks.pop(fork, None)

    def claim(self, base: str, path: BranchPath, place: object = "") -> str:
        """Give the next key for `base` to the branch at `path`.

        place: where in the author's code, as text or as what says so.
        Raises DuplicateKey, naming both places, if the earlier claim stands in a concurrent branch.
        """
        earlier = self._claims.get(base)
        self._order += 1
        if earlier is None:
            self._claims[base] = (1, path, self._order, place)
            key = base
        else:
            count, claimed_by, order, claimed_at = earlier
            if self._concurrent(claimed_by, path, order):
                places = [str(each) for each in (claimed_at, place) if each != ""]
                raise DuplicateKey(key=base, places=places, code="F302")
            self._claims[base] = (count + 1, path, self._order, place)
            key = f"{base}#{count + 1}"
        if len(key) > MAX_KEY_BYTES // 4 and len(key.encode()) > MAX_KEY_BYTES:
            raise NotJournalable(f"The key {key[:60]!r}… is longer than {MAX_KEY_BYTES} bytes.")
        return key

    def _concurrent(self, earlier: BranchPath, later: BranchPath, order: int) -> bool:
        """Whether the branch of the earlier claim, the `order`-th, runs beside that of the later.

        Besides two branches of one open fork these are a straggler of a race and whoever went on
        without it.
        """
        for (fork, branch), (fork_of_later, branch_of_later) in zip(earlier, later, strict=False):
            if fork != fork_of_later:
                return fork in self._open_forks  # its stragglers go on beside what follows
            if branch != branch_of_later:
                return fork in self._open_forks
        shorter = min(len(earlier), len(later))
        beside = (earlier[shorter:] or later[shorter:])[:1]
        if not beside:
            return False
        opened = self._open_forks.get(beside[0][0])
        return opened is not None and (len(earlier) > len(later) or order > opened)
