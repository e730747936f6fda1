"""What a person does to the log itself: a new key, a head without memory, a tree after a restore.

Each is an act under the log's lock, with a reason, and an event of the log tells of it. Files
outside the database follow after the commit; where a crash comes in between, doing it again ends
it. None of this makes a tree other than it was: what was signed stays signed.
Source: our own audit document §6, §7.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from newel.audit import catalogue as facts
from newel.audit.checkpoint import Checkpoint, opened
from newel.audit.leaf import Actor
from newel.audit.merkle import Frontier
from newel.audit.note import Note, SigningKey
from newel.audit.tiles import Growth
from newel.base.errors import LogInconsistent, NotFound, NotWaiting
from newel.engine.four_eyes import Act, FourEyes, Ordered, Passed
from newel.engine.key_holder import KeyHolder
from newel.engine.operating import SecondPerson, check_reason, write_reasoned
from newel.engine.sealed_log import edge_of
from newel.engine.sequencer import own_keys
from newel.engine.vault import Vault
from newel.store import audit_log, streams
from newel.store.audit_log import Head, Taken
from newel.store.database import Connection, Database

__all__ = ["Begun", "LogKeeping"]

_LOG: Final = "log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A log epoch begun after a restore: its origin, what the one before keeps and has lost."""

    origin: str
    kept_size: int
    lost_leaves: int


class LogKeeping:
    """Acts on one log, by whoever has its key."""

    def __init__(
        self, database: Database, vault: Vault, holder: KeyHolder, rule: SecondPerson = "asked"
    ) -> None:
        """Take the database, the keys that seal reasons, and what the signer keeps.

        rule: under `strict` a second person confirms that a key is given up as stolen, that a head
        is adopted, and that a log epoch begins.
        """
        self._eyes = FourEyes(vault, rule)
        self._database = database
        self._vault = vault
        self._holder = holder
        self._ids = vault.ids()

    async def rotate(
        self,
        *,
        actor: Actor,
        reason: str = "",
        is_compromised: bool = False,
        confirms: bool = False,
    ) -> str | Ordered:
        """Let a new key sign; the old one signs along until `retire`. Answers with the new vkey.

        is_compromised: heads after this that only the old key signed are to be refused; two may
        have to agree on that, then it is an order. confirms: as the second of them. Raises
        ReasonMissing, NotAllowed, NotWaiting (a rotation is under way, another process seals right
        now, or as `FourEyes.ask` does).
        """
        async with self._locked() as (connection, head, keys):
            if self._holder.has_old:
                raise NotWaiting(verb="rotate", what="the key", state="in a rotation already")
            passed = await self._passed(
                connection,
                "rotate-key",
                head,
                actor,
                reason,
                confirms=confirms,
                is_for_two=is_compromised,
            )
            if isinstance(passed, Ordered):
                return passed
            self._holder.make_next()
            mine = self._holder.signing_keys(head.origin)
            new = next((key for key in mine if str(key.verifier()) != head.vkey), None)
            if new is None:
                raise NotFound(kind="new key", reference="the settings log_key, log_key_before")
            fact = facts.LogKeyRotated(
                old_vkey=str(keys[0].verifier()),
                new_vkey=str(new.verifier()),
                cause="compromised" if is_compromised else "planned",
                second=passed.second,
            )
            await self._tell(connection, fact, passed, code=fact.cause)
            await audit_log.rekey(connection, head.log_epoch, fact.new_vkey)
        self._holder.promote_next()
        return fact.new_vkey

    async def retire(self) -> int:
        """Destroy the old key, once a copy elsewhere has a head that both keys signed.

        Answers with the size of that head. Raises NotWaiting if there is none yet.
        """
        async with self._locked() as (connection, head, keys):
            anchored = await audit_log.anchored(self._database, head.log_epoch)
            notes = await audit_log.notes(connection, head.log_epoch)
            most = max((size for size, _ in anchored.values()), default=0)
            both = {str(key.verifier()) for key in keys}
            for row in notes:
                names = _signers(row["note"], keys)
                if len(keys) > 1 and row["size"] <= most and names == both:
                    self._holder.destroy_old()
                    return int(row["size"])
        raise NotWaiting(verb="destroy", what="the old key", state="needed: no copy has both yet")

    async def adopt(
        self, *, actor: Actor, reason: str = "", confirms: bool = False
    ) -> int | Ordered:
        """Remember the newest head of the database, for want of a memory; answers with its size.

        An order, where two have to agree. Raises ReasonMissing, NotAllowed, NotWaiting (there is a
        memory), NotFound (nothing was signed), LogInconsistent if the tree is not the one of that
        head.
        """
        async with self._locked() as (connection, head, keys):
            if self._holder.remembered(head.log_epoch) is not None:
                raise NotWaiting(verb="adopt", what="a head", state="remembered here already")
            newest = await audit_log.newest(connection)
            if newest is None:
                raise NotFound(kind="signed head", reference=head.origin)
            note = Note.parsed(newest["note"])
            last = opened(note, [key.verifier() for key in keys])
            edge = await edge_of(connection, head.log_epoch, last.size)
            if last.origin != head.origin or edge.root() != last.root:
                raise LogInconsistent(at=f"size {last.size}", what="the tree has another root.")
            passed = await self._passed(
                connection, "adopt-head", head, actor, reason, confirms=confirms
            )
            if isinstance(passed, Ordered):
                return passed
            fact = facts.LogHeadAdopted(
                origin=head.origin,
                size=last.size,
                root=base64.b64encode(last.root).decode(),
                cause="memory_lost",
                second=passed.second,
            )
            await self._tell(connection, fact, passed, code=fact.cause)
        self._holder.remember(head.log_epoch, note)
        return last.size

    async def begin_anew(
        self, *, actor: Actor, reason: str = "", confirms: bool = False
    ) -> Begun | Ordered:
        """Begin a log epoch, after the database was restored to before what was signed last.

        The old one keeps what it had signed then; events above that get their places in the new
        one. An order, where two have to agree. Raises ReasonMissing, NotAllowed, NotWaiting
        (nothing was lost), LogInconsistent (the tree was changed, which a restore does not do).
        """
        async with self._locked() as (connection, head, keys):
            note = self._holder.remembered(head.log_epoch)
            last = None if note is None else opened(note, [key.verifier() for key in keys])
            if last is None or await _contains(connection, head, last):
                raise NotWaiting(verb="begin", what="a log epoch", state="as it was signed")
            passed = await self._passed(
                connection, "new-epoch", head, actor, reason, confirms=confirms
            )
            if isinstance(passed, Ordered):
                return passed
            kept = await self._kept(connection, head, keys)
            begun = await self._begin(connection, head, keys[0])
            fact = facts.LogEpochOpened(
                origin=begun.origin,
                cause="restored",
                previous_origin=head.origin,
                previous_size=last.size,
                previous_root=base64.b64encode(last.root).decode(),
                previous_note_sha256=hashlib.sha256(str(note).encode()).hexdigest(),
                kept_size=kept,
                lost_leaves=max(last.size - kept, 0),
                second=passed.second,
            )
            # A stream of its own: what waits of the stream `log` comes after it and has lower seq.
            stream = f"{_LOG}/{begun.log_epoch}"
            await self._tell(connection, fact, passed, code="restored", stream=stream)
            await _placed_anew(
                connection,
                begun,
                stream,
                await audit_log.leaves_from(connection, head.log_epoch, kept),
            )
        return Begun(origin=begun.origin, kept_size=kept, lost_leaves=max(last.size - kept, 0))

    # --- inside -----------------------------------------------------------------------------

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[tuple[Connection, Head, list[SigningKey]]]:
        async with self._database.transaction() as connection:
            if not await audit_log.may_seal(connection):
                raise NotWaiting(verb="touch", what="the log", state="being sealed: try again")
            head = await audit_log.head(connection)
            if head is None:
                raise NotFound(kind="log", reference="this database: nothing was sealed yet")
            next_ = self._holder.next_key(head.origin)
            if next_ is not None and str(next_.verifier()) == head.vkey:
                self._holder.promote_next()  # of a rotation that was cut off behind its commit
            keys = own_keys(self._holder, head)
            if not keys:
                raise NotFound(kind="key of the log", reference=str(self._holder.folder.name))
            yield connection, head, keys

    async def _kept(self, connection: Connection, head: Head, keys: list[SigningKey]) -> int:
        """How much of the tree stands under a head that the database still has."""
        rows = await audit_log.notes(connection, head.log_epoch)
        if not rows:
            return 0
        last = opened(Note.parsed(rows[-1]["note"]), [key.verifier() for key in keys])
        if not await _contains(connection, head, last):
            what = "the tree is not the one of the newest head that the database has."
            raise LogInconsistent(at=f"size {last.size}", what=what)
        return last.size

    async def _begin(self, connection: Connection, head: Head, key: SigningKey) -> Head:
        epoch = head.log_epoch + 1
        origin = f"{head.origin.rpartition('/')[0]}/{epoch}"
        own = next(
            each
            for each in self._holder.signing_keys(origin)
            if each.verifier().public == key.verifier().public
        )
        vkey = str(own.verifier())
        await audit_log.close(connection, head.log_epoch)
        await audit_log.begin(connection, log_epoch=epoch, origin=origin, vkey=vkey)
        return Head(
            log_epoch=epoch, origin=origin, vkey=vkey, frontier=Frontier(), signed_size=None
        )

    async def _tell(
        self,
        connection: Connection,
        fact: facts.LogKeyRotated | facts.LogHeadAdopted | facts.LogEpochOpened,
        passed: Passed,
        *,
        code: str,
        stream: str = _LOG,
    ) -> None:
        await write_reasoned(
            connection,
            fact,
            passed.by,
            vault=self._vault,
            event_id=self._ids.event_id(),
            code=code,
            reason=passed.reason,
            stream=stream,
        )

    async def _passed(
        self,
        connection: Connection,
        act: Act,
        head: Head,
        actor: Actor,
        reason: str,
        *,
        confirms: bool,
        is_for_two: bool = True,
    ) -> Passed | Ordered:
        """Ask whether one person is enough; is_for_two: whether it may be two at all."""
        if not is_for_two and not confirms:
            check_reason(act, reason)
            return Passed(by=actor, reason=reason)
        return await self._eyes.ask(
            connection, act, head.origin, actor=actor, reason=reason, confirms=confirms
        )


async def _contains(connection: Connection, head: Head, last: Checkpoint) -> bool:
    """Whether the tree has grown out of a head."""
    if last.origin != head.origin or last.size > head.frontier.size:
        return False
    return (await edge_of(connection, head.log_epoch, last.size)).root() == last.root


async def _placed_anew(connection: Connection, begun: Head, stream: str, again: Taken) -> None:
    """Place the opening first, then the leaves that the log epoch before does not keep."""
    opening = await audit_log.take_of(connection, streams.stream_id(stream))
    taken = Taken(
        opening.streams + again.streams,
        opening.seqs + again.seqs,
        opening.leaf_hashes + again.leaf_hashes,
    )
    growth = Growth(begun.frontier)
    for leaf_hash in taken.leaf_hashes:
        growth.append(leaf_hash)
    await audit_log.grow(connection, begun, taken, growth.full, growth.frontier())


def _signers(note: str, keys: list[SigningKey]) -> set[str]:
    signed = Note.parsed(note)
    verifiers = [key.verifier() for key in keys]
    return {
        str(key)
        for key in verifiers
        if any(key.is_valid(each, signed.text) for each in signed.signatures)
    }
