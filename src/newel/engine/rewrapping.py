"""Another key-encryption key takes the place of the one in force; then the old one is destroyed.

A person who was erased is still in older backups, wrapped; whoever has such a backup and the
key-encryption key of that time could read them. So the key changes from time to time: what is
wrapped or sealed under the old one is wrapped anew, a little at a time, and payloads, which are
sealed under people's own keys, are not touched. A crash anywhere leaves both keys where they are,
and everything opens with one of them: called again, it goes on.

    kek.next made          kek in force
    kek.old = kek          kek in force
    kek = kek.next         both here; the event `setting.changed` with the first batch
    all wrapped anew       both here; other processes read them anew within five minutes
    kek.old destroyed      ten minutes later at the earliest

Work addresses that were given are known by digests under a secret that was made of the first
key-encryption key; it is kept as one more key, of nobody, when the first one goes.
Source: our own audit document §15.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.audit.personal import PersonKey
from newel.base.errors import NotWaiting, StoreError
from newel.base.ids import reference
from newel.engine.operating import Operating, check_reason, write_reasoned
from newel.engine.vault import Vault, old_key
from newel.engine.whole_files import write_once
from newel.store import kept_tokens, received_secrets, registry, webhooks
from newel.store.database import Connection, Row

__all__ = ["NOBODY", "Rewrapped", "Rewrapping", "load_marks"]

NOBODY: Final = UUID(int=0)
"""Whose key the secret of given addresses is."""
SETTLED: Final = timedelta(minutes=10)
"""Twice as long as a process may go without reading the keys anew."""
_SETTING: Final = "key_encryption_key"
_MARKS: Final = f"{reference('per', NOBODY)}/1"
_BATCH: Final = 200
_KEY_BYTES: Final = 32


class _Sealed(Protocol):
    """A table of which a column is sealed under the key-encryption key."""

    async def sealed_after(self, connection: Connection, id_: UUID, how_many: int) -> list[Row]: ...

    async def reseal(self, connection: Connection, id_: UUID, sealed: bytes) -> None: ...


_SEALED: Final[tuple[_Sealed, ...]] = (webhooks, received_secrets, kept_tokens)


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What was wrapped anew: keys of people, and rows that are about nobody in particular."""

    keys: int
    rows: int


async def load_marks(connection: Connection, vault: Vault) -> None:
    """Give a vault the secret of given addresses, where it is kept."""
    kept = await registry.key_of(connection, NOBODY)
    if kept is not None:
        vault.keep_marks(vault.key(_MARKS, kept[1]).secret)


class Rewrapping:
    """The key-encryption key of one deployment; place: its file, None where a setting refers."""

    def __init__(self, operating: Operating, place: Path | None) -> None:
        self._operating, self._vault, self._place = operating, operating.vault, place

    async def rotate(self, *, actor: Actor, reason: str) -> Rewrapped:
        """Let another key take its place, unless one is about to, and wrap everything under it.

        Where a setting refers to the key, it is that of the setting, in place of the one before.
        Raises ReasonMissing, NotWaiting (there is no other key).
        """
        check_reason("rotate-key", reason)
        await self._keep_marks()
        if self._place is not None:
            _promoted(self._place)
        self._vault.renew()
        if len(self._vault.kek_ids) == 1:
            state = f"there: the settings {_SETTING} and {_SETTING}_before have to refer to two"
            raise NotWaiting(verb="rotate", what="the key", state=f"alone {state}")
        await self._tell(actor, reason)
        keys = await self._batches(self._some_keys)
        rows = 0
        for table in _SEALED:
            rows += await self._resealed(table)
        return Rewrapped(keys, rows)

    async def retire(self, *, settled: timedelta = SETTLED) -> None:
        """Destroy the key before, once nothing is under it and every process knows the new one.

        Raises NotWaiting while that is not so, StoreError where the key lies elsewhere.
        """
        if self._place is None:
            raise StoreError(f"Take {_SETTING}_before out of the settings, and destroy that key.")
        old = old_key(self._place)
        if not old.exists():
            raise NotWaiting(verb="destroy", what="the old key", state="destroyed already")
        left = settled - timedelta(seconds=time.time() - old.stat().st_mtime)
        if left > timedelta(0):
            state = f"needed by other processes for {left.total_seconds():.0f} seconds more"
            raise NotWaiting(verb="destroy", what="the old key", state=state)
        async with self._operating.database.transaction() as connection:
            stale: object = await registry.stale_keys(connection, self._vault.kek_id, 1)
            for table in _SEALED:
                stale = stale or await self._is_stale(connection, table)
            if stale:
                state = "needed: call rotate-key again"
                raise NotWaiting(verb="destroy", what="the old key", state=state)
        old.unlink()
        self._vault.renew()

    async def _keep_marks(self) -> None:
        """Keep the secret of given addresses under the key before, so that it is wrapped anew."""
        self._vault.renew()
        key, before = PersonKey(_MARKS, self._vault.marks()), self._vault.kek_ids[-1]
        async with self._operating.database.transaction() as connection:
            kept = self._vault.wrapped(key, before)
            await registry.keep_key(connection, NOBODY, 1, kept, before)
            await load_marks(connection, self._vault)

    async def _tell(self, actor: Actor, reason: str) -> None:
        """Say once that another key is in force: with the key of nobody, which is wrapped first."""
        before, now = self._vault.kek_ids[-1], self._vault.kek_id
        async with self._operating.database.transaction() as connection:
            rows = await registry.stale_keys(connection, now, 1)
            if not rows or rows[0]["person"] != NOBODY:
                return
            change = await write_reasoned(
                connection,
                facts.SettingChanged(name=_SETTING, before=before, after=now),
                actor,
                vault=self._vault,
                event_id=self._operating.new_event_id(),
                code="rotate-key",
                reason=reason,
            )
            await self._rewrap(connection, rows[0])
        self._operating.tell(change)

    async def _batches(self, some: Callable[[Connection], Awaitable[int]]) -> int:
        many = 0
        while True:
            async with self._operating.database.transaction() as connection:
                done = await some(connection)
            many += done
            if done == 0:
                return many

    async def _some_keys(self, connection: Connection) -> int:
        rows = await registry.stale_keys(connection, self._vault.kek_id, _BATCH)
        for row in rows:
            await self._rewrap(connection, row)
        return len(rows)

    async def _rewrap(self, connection: Connection, row: Row) -> None:
        kid = f"{reference('per', row['person'])}/{row['n']}"
        wrapped = self._vault.wrapped(self._vault.key(kid, row["wrapped"]))
        await registry.rewrap(connection, row["person"], row["n"], wrapped, self._vault.kek_id)

    async def _resealed(self, table: _Sealed) -> int:
        """Seal the rows of a table anew that are under the old key."""
        many, last = 0, NOBODY
        while True:
            async with self._operating.database.transaction() as connection:
                rows = await table.sealed_after(connection, last, _BATCH)
                for row in rows:
                    last = row["id"]
                    if not self._vault.is_current(row["sealed"], last):
                        text = self._vault.opened(row["sealed"], last)
                        await table.reseal(connection, last, self._vault.sealed(text, last))
                        many += 1
            if not rows:
                return many

    async def _is_stale(self, connection: Connection, table: _Sealed) -> bool:
        last = NOBODY
        while rows := await table.sealed_after(connection, last, _BATCH):
            if any(not self._vault.is_current(row["sealed"], row["id"]) for row in rows):
                return True
            last = rows[-1]["id"]
        return False


def _promoted(place: Path) -> None:
    """Put a new key in the place of the one there, which is kept; a second call ends the first."""
    old, new = old_key(place), place.with_name(f"{place.name}.next")
    with _alone(place.parent):  # of two at once, the second finds what the first has done
        if not new.exists():
            if old.exists():
                return
            write_once(new, os.urandom(_KEY_BYTES))
        if not old.exists():
            write_once(old, place.read_bytes())
        os.utime(old)  # the moment at which it comes to be the old one
        new.replace(place)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process changes keys in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
