"""Archiving and pruning: how events leave the database, and the record stays whole.

    archive   the log up to a head that is kept elsewhere, too, goes into a folder and is verified
              there by the auditor's own verifier; then the log says so
    prune     of runs that have ended, what is older than `keep_log` and lies in the archive is
              removed, but how they began and ended, what was decided and what access they changed

Nothing of the tree goes: leaves, tiles and heads stay, so each root and each proof can be made. Cut
off anywhere, either of them is simply done again: files are whole or not there, each batch of
runs is one transaction, and what stands in the archive already is not written anew.
Source: our own audit document §14.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, Event
from newel.audit.note import Note
from newel.audit.tiles import WIDTH, Tile, entries_path
from newel.base.errors import LogInconsistent, NotAllowed, NotFound, NotWaiting, StoreError
from newel.domain.change import Beside
from newel.engine.archive import Archive
from newel.engine.four_eyes import FourEyes, Ordered, Passed
from newel.engine.key_holder import KeyHolder
from newel.engine.operating import Operating, check_reason, named_person, said_reason, write_aside
from newel.engine.sealed_log import CHECKPOINT, SealedLog, sealed_logs
from newel.engine.verifying import verifier
from newel.engine.whole_files import write_once, write_whole
from newel.store import audit_log, deployment, journal, registry, runs
from newel.store.database import Connection, Database, Row
from newel.store.export import snapshot

__all__ = ["Archived", "Archiving", "Pruned"]

_ARCHIVE: Final = "archive"
_PRUNE: Final = "prune"
_LOG: Final = "log"
_BATCH: Final = 50
_A_YEAR: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """A log epoch in the archive: its origin, and how many entries from its beginning."""

    origin: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was removed: events of runs. min_index: by origin, what the log has given up."""

    runs: int
    events: int
    min_index: dict[str, int]


class Archiving:
    """The archive of one deployment; keep: how long events stay, None for ever."""

    def __init__(
        self,
        operating: Operating,
        holder: KeyHolder,
        keep: timedelta | None,
        pruning: Database | None = None,
    ) -> None:
        """Take what verbs need, and from the holder whom to believe and where the archive lies.

        pruning: the database as the role that may remove events, if that is another.
        """
        self._operating = operating
        self._pruning = pruning or operating.database
        self._eyes = FourEyes(operating.vault, operating.second_person)
        self._holder = holder
        self._folder = holder.archive.folder
        self._keep = keep

    async def archive(self, *, actor: Actor, reason: str, before: datetime) -> list[Archived]:
        """Bring the archive up to the newest head before a moment that is kept elsewhere, too.

        Raises ReasonMissing, NotAllowed (nobody is named), NotFound (there is no such head),
        StoreError (the folder cannot be written), LogInconsistent where what was written is not
        the log, or does not verify.
        """
        _check(_ARCHIVE, actor, reason)
        done: list[tuple[Archived, str]] = []
        async with snapshot(self._operating.database) as seen:
            known = await audit_log.archived(seen.connection)
            rows = await audit_log.anchored_before(seen.connection, before)
            for row in rows:
                log = await _log_at(seen.connection, row, self._holder.archive)
                text = await _written(log, self._folder / str(log.log_epoch))
                done.append((Archived(origin=log.origin, size=log.size), text))
        if not done:
            raise NotFound(kind="anchored checkpoint before", reference=f"{before:%Y-%m-%d %H:%M}")
        await self._verified()
        for each, text in done:
            begin = known.get(each.origin, 0)
            if begin < each.size:
                await self._say(_told(each, begin, text), actor, reason, code=_ARCHIVE)
        return [each for each, _ in done]

    async def prune(
        self, *, actor: Actor, reason: str = "", is_forced: bool = False, confirms: bool = False
    ) -> Pruned | Ordered:
        """Remove what is older than the setting says, and archived; an order, where two must agree.

        is_forced: although it is kept for less than a year. confirms: as the second of the two.
        Raises ReasonMissing, NotAllowed (nobody is named, less than a year and not forced, or one
        person twice), NotWaiting (everything is kept; ordered already, or not at all), NotFound
        (nothing so old is archived), LogInconsistent where the archive does not verify.
        """
        _check(_PRUNE, actor, "confirmed" if confirms else reason)
        keep = self._keep
        if keep is None:
            raise NotWaiting(verb=_PRUNE, what="the log", state="kept for ever: see `keep_log`")
        if keep < _A_YEAR and not is_forced:
            needed = f"to insist on less than a year ({keep.days} days)"
            raise NotAllowed(actor=actor.id, verb=_PRUNE, needed=needed)
        await self._verified()
        about = f"{keep.days} days" + (", less than a year" if is_forced else "")
        async with self._operating.database.transaction() as connection:
            passed = await self._eyes.ask(
                connection, _PRUNE, about, actor=actor, reason=reason, confirms=confirms
            )
            if isinstance(passed, Ordered):
                return passed
            # What is confirmed is used up only once the log has given up something for it.
            before, given_up = await self._given_up(keep, passed, is_forced=is_forced)
        many = events = 0
        while batch := await self._removed(before):
            many, events = many + batch[0], events + batch[1]
        return Pruned(runs=many, events=events, min_index=given_up)

    # --- inside -----------------------------------------------------------------------------

    async def _given_up(
        self, keep: timedelta, passed: Passed, *, is_forced: bool
    ) -> tuple[datetime, dict[str, int]]:
        """Let the log say what it gives up; answers with how old a run has to be, and that."""
        given_up: dict[str, int] = {}
        async with self._pruning.transaction() as connection:
            if not await audit_log.may_seal(connection):
                raise NotWaiting(verb=_PRUNE, what="the log", state="being sealed: try again")
            before = await registry.now(connection) - keep
            known = await audit_log.archived(connection)
            changed = await deployment.set_keep_log(connection, keep.days)
            said: list[Event] = []
            if changed is not None:
                said.append(facts.LogRetentionChanged(before=changed[0], after=keep.days))
            for row in await audit_log.anchored_before(connection, before):
                size = min(row["size"], known.get(row["origin"], 0))
                min_index = max(size - size % WIDTH, row["min_index"])
                if min_index:
                    await self._same_head(connection, row, size)
                    await asyncio.to_thread(self._check_whole, row["log_epoch"], min_index)
                    await audit_log.give_up(connection, row["log_epoch"], min_index)
                    given_up[row["origin"]] = min_index
                    said.append(
                        facts.LogPruned(
                            min_index=min_index,
                            origin=row["origin"],
                            days=keep.days,
                            forced=is_forced or None,
                            second=passed.second,
                        )
                    )
            if not given_up:
                raise NotFound(kind="archived bundle of events older than", reference=f"{keep}")
            for fact in said:
                await self._write(connection, fact, passed.by, passed.reason, code=_PRUNE)
        return before, given_up

    async def _removed(self, before: datetime) -> tuple[int, int] | None:
        """Remove the events of a few runs; answers with how many of both, None at the end."""
        async with self._pruning.transaction() as connection:
            found = await runs.prunable(connection, before, _BATCH)
            if not found:
                return None
            await runs.mark_pruned(connection, found)
            return len(found), await journal.prune(connection, found)

    async def _same_head(self, connection: Connection, row: Row, size: int) -> None:
        """Raise LogInconsistent unless the archive has this very tree, at least that large."""
        log = await _log_at(connection, row, self._holder.archive)
        for path in log.checkpoints():
            there = self._folder / str(row["log_epoch"]) / path
            at = int(path.partition(".")[2] or 0)
            if at >= size and there.is_file():
                own = await log.read(path)
                if own is not None and _text(own) == _text(there.read_bytes()):
                    return
        raise LogInconsistent(at=str(self._folder), what=f"it lacks {size} entries of this log.")

    def _check_whole(self, log_epoch: int, min_index: int) -> None:
        """Raise LogInconsistent unless the archive has each bundle below a place.

        To the verifier it is as announced that what was given up earlier is not there.
        """
        folder = self._folder / str(log_epoch)
        for number in range(min_index // WIDTH):
            path = entries_path(Tile(0, number))
            if not (folder / path).is_file():
                raise LogInconsistent(at=str(folder), what=f"it lacks {path}.")

    async def _verified(self) -> None:
        """Let the auditor's verifier judge the archive; raises LogInconsistent, StoreError."""
        try:
            report = await asyncio.to_thread(_judged, self._folder, self._holder.policy)
        except (OSError, verifier().Unusable) as cause:
            raise StoreError(f"The archive cannot be read: {cause}.") from cause
        if report.code() != 0:
            said = str(report.as_text()).strip().splitlines()
            raise LogInconsistent(at=str(self._folder), what=" ".join(said[:3]))

    async def _say(self, fact: Event, actor: Actor, reason: str, *, code: str) -> None:
        async with self._operating.database.transaction() as connection:
            await self._write(connection, fact, actor, reason, code=code)

    async def _write(
        self, connection: Connection, fact: Event, actor: Actor, reason: str, *, code: str
    ) -> None:
        """Write a fact; the key that seals its reason is not for the role that prunes."""
        event_id, vault = self._operating.new_event_id(), self._operating.vault
        async with self._operating.database.transaction() as keys:
            said = await said_reason(keys, vault, event_id, actor, code=code, text=reason)
        at = await registry.now(connection)
        told = Beside(_LOG, fact, at, actor, None, None, event_id, reason=said)
        ids = vault.ids()
        await write_aside(connection, [told], id_=ids.new(), new_event_id=ids.event_id)


def _check(verb: str, actor: Actor, reason: str) -> None:
    check_reason(verb, reason)
    named_person(actor, verb)


async def _log_at(connection: Connection, row: Row, archive: Archive) -> SealedLog:
    logs = await sealed_logs(connection, archive)
    own = next(each for each in logs if each.log_epoch == row["log_epoch"])
    log = await own.at(row["size"])
    assert log is not None, "there is a checkpoint of this size"
    return log


async def _written(log: SealedLog, folder: Path) -> str:
    """Write what a log epoch lacks in its folder; answers with the text of its head."""
    head = await log.read(CHECKPOINT)
    assert head is not None, "it has a size, so it has a checkpoint"
    try:
        async for path in log.paths():
            file = folder / path
            if path == CHECKPOINT or await asyncio.to_thread(file.exists):
                continue
            data = await log.read(path)
            if data is None:
                raise LogInconsistent(at=path, what="neither database nor archive has it.")
            await asyncio.to_thread(write_once, file, data)
        # The newest one comes last: whoever reads it finds all that it covers.
        await asyncio.to_thread(_crowned, folder, head, log.size)
    except OSError as cause:
        raise StoreError(f"The archive cannot be written: {cause.strerror}.") from cause
    return _text(head)


def _crowned(folder: Path, head: bytes, size: int) -> None:
    """Put a head on top, unless a larger one lies there; raises LogInconsistent for another log."""
    own = folder / f"{CHECKPOINT}.{size}"
    if _text(own.read_bytes()) != _text(head):
        raise LogInconsistent(at=str(own), what="another log lies there: nothing was overwritten.")
    top = folder / CHECKPOINT
    if not top.exists() or int(_text(top.read_bytes()).split("\n")[1]) < size:
        write_whole(top, head)


def _text(note: bytes) -> str:
    """Give what was signed, without who signed it: witnesses may sign later."""
    return Note.parsed(note).text


def _told(each: Archived, begin: int, text: str) -> facts.LogArchived:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return facts.LogArchived(origin=each.origin, from_=begin, to=each.size, sha256=digest)


def _judged(folder: Path, policy: Path) -> Any:  # Any: the verifier's
    its = verifier()
    report = its.Report("the archive")
    its.verify_logs(its.logs_in(folder), its.believed(policy, ()), (), report)
    return report
