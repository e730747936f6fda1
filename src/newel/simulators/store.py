"""The state of one simulated system: tables of the vendor's own documents, and their past.

A table maps a key to a JSON document, as the vendor would store it. Every change is kept with its
time and the number of the call that made it, which buys three things: a refused request is rolled
back whole, a lagging read sees the table as it was some seconds ago, and tests compare intervals
with the truth.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from .clock import SimulatedClock
from .wire import Document

# What a vendor keeps about logins and open listings is no change of the world: neither history nor
# an effect.
SILENT = frozenset({"credentials", "cursors"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One document before and after; call 0 stands for the world itself (seed, people, clock)."""

    time: str
    call: int
    table: str
    key: str
    before: Document | None
    after: Document | None

    @property
    def kind(self) -> str:
        """Say whether the change created, changed or removed the document."""
        if self.before is None:
            return "created"
        return "removed" if self.after is None else "changed"


class Store:
    """Tables, counters and history of one system, in memory, deterministic under its seed."""

    def __init__(self, *, system: str, seed: int, clock: SimulatedClock) -> None:
        self._system = system
        self._seed = seed
        self._clock = clock
        self._tables: dict[str, dict[str, Document]] = {}
        self._counters: dict[str, int] = {}
        self._changes: list[Change] = []
        self._call = 0

    # Ids ---------------------------------------------------------------------------------------

    def number(self, kind: str, *, start: int = 1) -> int:
        """Give the next number of this kind; the first is `start`."""
        self._counters[kind] = self._counters.get(kind, start - 1) + 1
        return self._counters[kind]

    def opaque(self, kind: str, length: int = 32) -> str:
        """Give the next hexadecimal id of this kind: the same seed and calls give the same ids."""
        text = f"{self._seed}/{self._system}/{kind}/{self.number('opaque ' + kind)}"
        return hashlib.sha256(text.encode()).hexdigest()[:length]

    def uuid(self, kind: str) -> str:
        """Give the next id of this kind in the form of a UUID."""
        text = self.opaque(kind, 32)
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    # Reading -----------------------------------------------------------------------------------

    def find(self, table: str, key: str, *, lag: timedelta = timedelta(0)) -> Document | None:
        """Give a copy of one document, as it was `lag` ago, or None."""
        found = self._as_of(table, lag).get(key)
        return copy.deepcopy(found)

    def rows(
        self,
        table: str,
        where: Callable[[Document], bool] | None = None,
        *,
        lag: timedelta = timedelta(0),
    ) -> dict[str, Document]:
        """Give copies of the rows which `where` accepts, as they were `lag` ago, oldest first."""
        return {
            key: copy.deepcopy(document)
            for key, document in self._as_of(table, lag).items()
            if where is None or where(document)
        }

    def first(
        self,
        table: str,
        where: Callable[[Document], bool],
        *,
        lag: timedelta = timedelta(0),
    ) -> Document | None:
        """Give a copy of the oldest row which `where` accepts, as it was `lag` ago, or None."""
        for document in self._as_of(table, lag).values():
            if where(document):
                return copy.deepcopy(document)
        return None

    def count(self, table: str, where: Callable[[Document], bool] | None = None) -> int:
        """Count the rows which `where` accepts."""
        return sum(
            1
            for document in self._as_of(table, timedelta(0)).values()
            if not where or where(document)
        )

    def _as_of(self, table: str, lag: timedelta) -> Mapping[str, Document]:
        present = self._tables.get(table, {})
        if not lag:
            return present
        horizon, past = self._clock.now() - lag, dict(present)
        for change in reversed(self._changes):
            # What the world was seeded with has always been visible.
            if change.call == 0 or datetime.fromisoformat(change.time) <= horizon:
                continue
            if change.table == table:
                if change.before is None:
                    past.pop(change.key, None)
                else:
                    past[change.key] = change.before
        return past

    @property
    def changes(self) -> tuple[Change, ...]:
        """Everything that ever changed, oldest first."""
        return tuple(self._changes)

    def changes_of(self, call: int) -> list[Change]:
        """Give what the latest call changed, if that was this one, in order."""
        found: list[Change] = []
        for change in reversed(self._changes):
            if change.call != call:
                break
            found.append(change)
        return found[::-1]

    # Writing -----------------------------------------------------------------------------------

    def put(self, table: str, key: str, document: Document) -> Document:
        """Write a document; writing what is there already is no change. Returns the document."""
        rows = self._tables.setdefault(table, {})
        before = rows.get(key)
        if before != document:
            rows[key] = copy.deepcopy(document)
            self._note(table, key, before, rows[key])
        return document

    def remove(self, table: str, key: str) -> bool:
        """Remove a document; says whether there was one."""
        before = self._tables.get(table, {}).pop(key, None)
        if before is not None:
            self._note(table, key, before, None)
        return before is not None

    def _note(self, table: str, key: str, before: Document | None, after: Document | None) -> None:
        if table in SILENT:
            return
        self._changes.append(
            Change(
                time=self._clock.now().isoformat(),
                call=self._call,
                table=table,
                key=key,
                before=copy.deepcopy(before),
                after=copy.deepcopy(after),
            )
        )

    @contextmanager
    def transaction(self, call: int) -> Iterator[None]:
        """Attribute the changes made inside to a call; take them all back if an exception leaves.

        Counters are taken back too, so that a refused request does not shift the ids that follow.
        """
        outer, length, counters = self._call, len(self._changes), dict(self._counters)
        self._call = call
        try:
            yield
        except BaseException:
            for change in reversed(self._changes[length:]):
                self._restore(change)
            del self._changes[length:]
            self._counters = counters
            raise
        finally:
            self._call = outer

    def _restore(self, change: Change) -> None:
        if change.before is None:
            self._tables[change.table].pop(change.key, None)
        else:
            self._tables[change.table][change.key] = change.before

    # Snapshots ---------------------------------------------------------------------------------

    def snapshot(self) -> Document:
        """Give the whole state as one JSON document."""
        return copy.deepcopy(
            {
                "system": self._system,
                "tables": self._tables,
                "counters": self._counters,
                "changes": [asdict(change) for change in self._changes],
            }
        )

    def load(self, snapshot: Document) -> None:
        """Replace the whole state by a snapshot; raises ValueError for another system's."""
        if snapshot.get("system") != self._system:
            message = f"this is a snapshot of {snapshot.get('system')!r}, not of {self._system!r}"
            raise ValueError(message)
        snapshot = copy.deepcopy(snapshot)
        self._tables = snapshot["tables"]
        self._counters = snapshot["counters"]
        self._changes = [Change(**change) for change in snapshot["changes"]]
