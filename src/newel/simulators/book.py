"""The book of calls: what was asked of a system, by whom, and what it really did.

The book is written by the simulator alone. A test or a demo that wants to know whether something
happened twice asks here, not in newel's own records.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from dataclasses import asdict, dataclass

from .wire import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request in the book.

    status: what was answered; None where the connection was cut without a byte.
    committed: whether the request changed the world.
    did: created, changed, removed, or nothing.
    natural_key: the thing it was about, in the simulator's spelling; empty where none is known.
    effect_key: the mark the caller put into it (idempotency key, marker, property), if any.
    fault: the id of the fault rule that struck, if any.
    """

    sequence: int
    time: str
    operation: str
    method: str
    path: str
    credential: str
    status: int | None
    mutating: bool
    committed: bool
    did: str
    natural_key: str
    effect_key: str
    fault: str


class CallBook:
    """Every call in order; number 1 is the first."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._next = 1

    def next_sequence(self) -> int:
        """Give the number of the request that has just arrived."""
        sequence, self._next = self._next, self._next + 1
        return sequence

    def add(self, call: Call) -> None:
        """Enter a call; answers may leave in another order than requests came."""
        self._calls.append(call)

    def calls(
        self,
        operation: str = "*",
        *,
        mutating: bool | None = None,
        committed: bool | None = None,
        since: int = 0,
    ) -> list[Call]:
        """List calls after number `since` whose operation fits the pattern, as they arrived."""
        return sorted(
            (
                call
                for call in self._calls
                if call.sequence > since
                and fnmatch.fnmatchcase(call.operation, operation)
                and mutating in (None, call.mutating)
                and committed in (None, call.committed)
            ),
            key=lambda call: call.sequence,
        )

    def counts(self) -> dict[str, int]:
        """Count the calls of each operation, in the order of its first call."""
        return dict(Counter(call.operation for call in self.calls()))

    def doubled(self) -> dict[str, int]:
        """Give each natural key that was created too often, with how often too often.

        Once is right, and once more for every time it was removed in between.
        """
        created: Counter[str] = Counter()
        removed: Counter[str] = Counter()
        for call in self.calls(committed=True):
            if call.natural_key and call.did == "created":
                created[call.natural_key] += 1
            elif call.natural_key and call.did == "removed":
                removed[call.natural_key] += 1
        excess = {key: count - removed[key] - 1 for key, count in created.items()}
        return {key: count for key, count in excess.items() if count > 0}

    def assert_exactly_once(self, natural_key: str) -> Call:
        """Give the one call that created this thing; raises AssertionError with all calls."""
        about = [call for call in self.calls() if call.natural_key == natural_key]
        created = [call for call in about if call.did == "created"]
        if len(created) != 1:
            lines = "\n".join(f"  {call}" for call in about) or "  (no call was about it)"
            message = f"{natural_key!r} was created {len(created)} times, not once:\n{lines}"
            raise AssertionError(message)
        return created[0]

    def clear(self) -> None:
        """Forget all calls and start at 1 again."""
        self.__init__()  # type: ignore[misc]  # the empty book is defined once

    def snapshot(self) -> Document:
        """Give the book as one JSON document."""
        return {"next": self._next, "calls": [asdict(call) for call in self._calls]}

    def load(self, snapshot: Document) -> None:
        """Replace the book by a snapshot."""
        self._next = snapshot["next"]
        self._calls = [Call(**call) for call in snapshot["calls"]]
