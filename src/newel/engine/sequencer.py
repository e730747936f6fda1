"""The sequencer: gives committed events their places in the log's tree, and signs its head.

Nobody who does the work waits for it. Events are committed unsequenced, batch by batch, into a
queue; whichever process holds the key of the log and gets the advisory lock takes what is visible
there, in one transaction. Others try again a second later, so any number may run, and any may be
killed anywhere: what was not committed is still in the queue.

    take batches -> grow the tree -> commit -> check against the last head -> remember -> sign

Signing is a transaction of its own, because nothing may be signed that could still be undone. The
head that was signed last lies outside the database (`KeyHolder`). If the tree does not contain it,
the database was changed or rolled back: nothing is signed any more, and the log of this program
says so until a person has looked.
Source: our own audit document §6.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from newel.audit.checkpoint import Checkpoint, opened
from newel.audit.merkle import Frontier
from newel.audit.note import Note, SigningKey
from newel.audit.tiles import Growth
from newel.base.errors import LogInconsistent
from newel.base.log import declare, logger
from newel.engine.anchoring import Anchoring
from newel.engine.enduring import cared
from newel.engine.key_holder import KeyHolder
from newel.engine.pace import monotonic
from newel.engine.sealed_log import edge_of
from newel.store import audit_log
from newel.store.audit_log import Head
from newel.store.database import LOST, Connection, Database

__all__ = ["Sequencer", "own_keys"]

_LOOK_S: Final = 1.0
_AFTER_TROUBLE_S: Final = 30.0
_LAST_S: Final = 5.0
_EVENTS: Final = 2_000
"""Events of one transaction: few enough that a worker beside it is not held up."""
_FIRST: Final = 1
_RECOMPUTED_EVERY: Final = 1_000
_NOT_OURS: Final = declare("the key here is not the log's: this process does not seal")


class Sequencer:
    """Seals one log, as long as this process is the one that may."""

    def __init__(self, database: Database, holder: KeyHolder) -> None:
        """Prepare; `watch` seals until it is cancelled."""
        self.anchoring = Anchoring(database, holder.anchors, archive=holder.archive)
        self._database = database
        self._holder = holder
        self._unchecked = 0
        self._is_told = False

    async def watch(self, worker: Any) -> None:  # Any: whoever it works beside
        """Seal what is waiting, once a second. What goes wrong is told and holds up no work."""
        del worker
        await asyncio.gather(self._sealing(), self.anchoring.watch())

    async def _sealing(self) -> None:
        while True:
            is_well = await cared("sealing", self._look())
            await asyncio.sleep(_LOOK_S if is_well else _AFTER_TROUBLE_S)

    async def leave(self) -> None:
        """Seal and anchor what is left before this program ends, unless that takes too long."""
        with contextlib.suppress(TimeoutError, *LOST):
            async with asyncio.timeout(_LAST_S):
                await cared("sealing", self._look())
                await self.anchoring.anchor()

    async def seal(self) -> int | None:
        """Sequence what is visible and sign it; answers with the size that is signed then.

        None if another process may, or holds the key. Raises LogInconsistent or CheckpointInvalid
        where the tree is not the one that was signed, StoreError or AuthFailed without a key.
        """
        while True:
            until = monotonic() + _LOOK_S
            while (is_more := await self.sequence()) and monotonic() < until:
                pass
            size = await self.sign()
            if not is_more:
                return size

    async def sequence(self) -> bool:
        """Give the oldest events of the queue their places; answers whether there were any."""
        async with self._database.transaction() as connection:
            found = await self._may(connection)
            if found is None:
                return False
            before, _ = found
            taken = await audit_log.take(connection, at_most=_EVENTS)
            if not taken.seqs:
                return False
            growth = Growth(before.frontier)
            for leaf_hash in taken.leaf_hashes:
                growth.append(leaf_hash)
            await audit_log.grow(connection, before, taken, growth.full, growth.frontier())
            return True

    async def sign(self) -> int | None:
        """Sign the head of the tree, if it has grown; answers and errors as in `seal`."""
        async with self._database.transaction() as connection:
            found = await self._may(connection)
            if found is None:
                return None
            head, keys = found
            size = head.frontier.size
            if size == (head.signed_size or 0):
                return size
            await self._check_remembered(connection, head, keys)
            checkpoint = Checkpoint(head.origin, size, head.frontier.root())
            note = Note(checkpoint.text, tuple(key.signed(checkpoint.text) for key in keys))
            await asyncio.to_thread(self._holder.remember, head.log_epoch, note)
            await audit_log.keep_signed(
                connection, head.log_epoch, size=size, root=checkpoint.root, note=str(note)
            )
            return size

    # --- inside -----------------------------------------------------------------------------

    async def _look(self) -> None:
        with contextlib.suppress(*LOST):
            if await audit_log.is_waiting(self._database):
                await self.seal()

    async def _may(self, connection: Connection) -> tuple[Head, list[SigningKey]] | None:
        """The log's head and keys, its own first, if this process may seal now."""
        if not await audit_log.may_seal(connection):
            return None
        head = await audit_log.head(connection)
        if head is None:
            head = await self._begun(connection)
        keys = await asyncio.to_thread(own_keys, self._holder, head)
        if not keys:
            if not self._is_told:
                self._is_told = True
                logger().warning(_NOT_OURS)
            return None
        await self._check_edge(connection, head)
        return head, keys

    async def _begun(self, connection: Connection) -> Head:
        """Begin the first log epoch, under a name that is kept for ever."""
        log = await audit_log.deployment(connection)
        origin = f"{self._holder.host}/audit/{log}/{_FIRST}"
        if await asyncio.to_thread(self._holder.remembered, _FIRST) is not None:
            raise LogInconsistent(
                at=origin,
                what="the database has no log, and the key of this machine has signed one: "
                f"{self._holder.memory(_FIRST)}.",
            )
        key = await asyncio.to_thread(self._holder.signing_key, origin, new=True)
        assert key is not None, "it was made"
        vkey = str(key.verifier())
        await asyncio.to_thread(self._holder.trust, key)
        await audit_log.begin(connection, log_epoch=_FIRST, origin=origin, vkey=vkey)
        return Head(
            log_epoch=_FIRST, origin=origin, vkey=vkey, frontier=Frontier(), signed_size=None
        )

    async def _check_edge(self, connection: Connection, head: Head) -> None:
        """Make the right edge anew from the tiles, now and then; raises LogInconsistent."""
        self._unchecked -= 1
        if self._unchecked >= 0:
            return
        size = head.frontier.size
        edge = await edge_of(connection, head.log_epoch, size)
        if edge.packed() != head.frontier.packed():
            raise LogInconsistent(at=f"size {size}", what="the tiles lead to another head.")
        self._unchecked = _RECOMPUTED_EVERY

    async def _check_remembered(
        self, connection: Connection, head: Head, keys: list[SigningKey]
    ) -> None:
        """Raise LogInconsistent unless the tree has grown out of the head that was signed last."""
        note = await asyncio.to_thread(self._holder.remembered, head.log_epoch)
        if note is None:
            if head.signed_size is not None:
                raise LogInconsistent(
                    at=f"size {head.signed_size}",
                    what="this machine does not remember the head that was signed last.",
                )
            return
        last = opened(note, [key.verifier() for key in keys])
        if last.origin != head.origin or last.size > head.frontier.size:
            what = f"{last.size} leaves were signed, the database has {head.frontier.size}."
            raise LogInconsistent(at=last.origin, what=what)
        if (await edge_of(connection, head.log_epoch, last.size)).root() != last.root:
            what = "the tree is not the one that was signed at this size."
            raise LogInconsistent(at=f"size {last.size}", what=what)


def own_keys(holder: KeyHolder, head: Head) -> list[SigningKey]:
    """Give the keys of a holder, the log's own first; none if that is not among them."""
    keys = holder.signing_keys(head.origin)
    own = [key for key in keys if str(key.verifier()) == head.vkey]
    if not own:
        return []
    # A key that the log has not been told of yet signs nothing along.
    unsaid = str(next_.verifier()) if (next_ := holder.next_key(head.origin)) else None
    return [*own, *(key for key in keys if str(key.verifier()) not in {head.vkey, unsaid})]
