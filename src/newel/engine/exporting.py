"""Everything a deployment knows, as open files: nobody needs newel to read them, or to leave it.

    manifest.json        counts and SHA-256 of all files below; the same state, the same bytes
    receipt.json         when, by whom and why; the SHA-256 of the manifest
    schema/*.sql         the migrations that make the tables
    tables/*.jsonl       one line of JSON for each row, ordered by what identifies it

Rows are read at one moment and written as they come, so a large deployment needs no more memory
than a small one. Files are written beside their place, and put there once the export stands in the
audit log; whatever ends it before leaves nothing behind but a directory called `.partial`.
Payloads stay sealed as they are stored; a person with a name may have them opened as well.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import orjson

from newel.audit import catalogue as facts
from newel.audit.canonical import leaf_bytes
from newel.audit.leaf import Actor, instant
from newel.base.errors import InvalidInput
from newel.engine.archive import Archive
from newel.engine.event_export import Form, Period, WrittenEvents, written_events
from newel.engine.evidence import Package, Written, written_package
from newel.engine.key_holder import KeyHolder
from newel.engine.log_export import WrittenLog, written_log
from newel.engine.opening import Opener
from newel.engine.operating import check_reason, named_person, write_reasoned
from newel.engine.sequencer import Sequencer
from newel.engine.vault import Vault
from newel.store.audit_log import draws, is_waiting, newest
from newel.store.database import Database
from newel.store.export import LEFT_OUT, TABLES, Snapshot, snapshot
from newel.store.migrate import migrations

__all__ = ["FORMAT", "Exported", "Exports"]

FORMAT: Final = "newel-export/1"
_LOOKS: Final = 40
_LOOK_S: Final = 0.25
_NAMING: Final = ("display_name", "work_email", "employee_id")
_PRETTY: Final = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written. unreadable: values whose person's key was destroyed."""

    as_of: datetime
    files: int
    rows: int
    unreadable: int
    manifest_sha256: str


@dataclass(slots=True)
class _File:
    """A file that is being written; counted and hashed as it grows."""

    name: str
    to: BinaryIO
    rows: int = 0
    size: int = 0
    hash: Any = field(default_factory=hashlib.sha256)  # Any: no public name for its type

    def write(self, text: bytes) -> None:
        self.to.write(text)
        self.hash.update(text)
        self.size += len(text)

    def said(self) -> Json:
        return {
            "name": self.name,
            "rows": self.rows,
            "bytes": self.size,
            "sha256": self.hash.hexdigest(),
        }


class Exports:
    """What leaves a deployment, each time with its audit event."""

    def __init__(self, database: Database, vault: Vault) -> None:
        """Take the database, and the keys that open what is sealed."""
        self._database = database
        self._vault = vault
        self._ids = vault.ids()

    async def deployment(
        self, directory: Path, *, actor: Actor, reason: str, is_opened: bool = False
    ) -> Exported:
        """Write everything into a new directory; readable for its owner alone.

        is_opened: open what is sealed, too, as far as its keys still exist. Raises ReasonMissing,
        InvalidInput (there is something in its place), NotAllowed (nobody is named for opening).
        """
        check_reason("export", reason)
        if is_opened:
            named_person(actor, "open payloads")
        part = _begun(directory)
        try:
            done = await self.copied(part, is_opened=is_opened)
            digest = hashlib.sha256(leaf_bytes({"opened": is_opened})).hexdigest()
            event = await self.told(
                "deployment",
                rows=done.rows,
                digest=digest,
                made=done.manifest_sha256,
                actor=actor,
                reason=reason,
            )
            _receipt(part, done, event, actor=actor, reason=reason)
            part.rename(directory)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        return done

    async def log(
        self, directory: Path, *, actor: Actor, reason: str, archive: Archive | None = None
    ) -> WrittenLog:
        """Write the sealed log into a new directory, in the layout that verifiers read.

        archive: where entries lie that were pruned. Raises as `deployment` does, and NotFound
        while nothing is sealed.
        """
        check_reason("export", reason)
        part = _begun(directory, ())
        try:
            async with snapshot(self._database) as seen:
                done = await written_log(
                    seen.connection, part, name=directory.name, archive=archive
                )
            made = hashlib.sha256(done.newest).hexdigest()
            await self.told(
                "log", rows=done.entries, digest=made, made=made, actor=actor, reason=reason
            )
            part.rename(directory)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        return done

    async def events(
        self, path: Path, form: Form, period: Period, *, actor: Actor, reason: str
    ) -> WrittenEvents:
        """Write the sealed events of a period into a new file, in a form others read.

        Raises as `deployment` does, and LogInconsistent where an event is not as it was sealed.
        """
        check_reason("export", reason)
        part = _new(path)
        try:
            async with snapshot(self._database) as seen:
                done = await written_events(seen, part, form, period)
            chosen = {"form": form, "since": instant(period.since), "until": instant(period.until)}
            digest = hashlib.sha256(leaf_bytes(chosen)).hexdigest()
            await self.told(
                "events",
                rows=done.events,
                digest=digest,
                made=done.sha256,
                actor=actor,
                reason=reason,
            )
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return done

    async def evidence(
        self, path: Path, wanted: Package, holder: KeyHolder, *, actor: Actor, reason: str
    ) -> Written:
        """Write an evidence package; a sample stands in the log before it is drawn.

        Raises as `events` does, NotFound where the log, its checkpoint or its key is not here, and
        NotAllowed where names are wanted and nobody is named who wants them.
        """
        check_reason("export", reason)
        if wanted.with_names:
            named_person(actor, "take names along")
        part = _new(path)
        since, until = (instant(each) for each in wanted.period)
        if wanted.sampling is not None:
            drawn = facts.DataSampleDrawn(
                seed=wanted.sampling.seed, n=wanted.sampling.n, since=since, until=until
            )
            await self._drawn(drawn, wanted.as_of, holder, actor=actor, reason=reason)
        try:
            async with snapshot(self._database) as seen:
                receipt = {
                    "generated_at": instant(seen.as_of),
                    "operator": actor.person or actor.id,
                    "deployment": str(seen.deployment),
                }
                done = await written_package(seen.connection, part, wanted, holder, receipt)
            if wanted.with_names:
                revealed = facts.DataRevealed(fields=_NAMING, purpose="evidence")
                await self._say(revealed, actor=actor, reason=reason)
            digest = hashlib.sha256(leaf_bytes({"since": since, "until": until})).hexdigest()
            rows, made = sum(done.rows.values()), done.manifest_sha256
            await self.told(
                "evidence", rows=rows, digest=digest, made=made, actor=actor, reason=reason
            )
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return done

    async def _drawn(
        self,
        drawn: facts.DataSampleDrawn,
        as_of: int | None,
        holder: KeyHolder,
        *,
        actor: Actor,
        reason: str,
    ) -> None:
        """Let the log say that a sample is drawn, and seal that; an equal draw is drawn again.

        Raises InvalidInput for another one at an earlier size: there the log cannot say it.
        """
        said = {"seed": drawn.seed, "n": drawn.n, "since": drawn.since, "until": drawn.until}

        async def is_sealed(size: int | None) -> bool:
            return said in [
                orjson.loads(each)["data"] for each in await draws(self._database, size)
            ]

        if await is_sealed(as_of):
            return
        if as_of is not None:
            raise InvalidInput({"as_of": "the log knew of no such sample at this size"})
        await self._say(drawn, actor=actor, reason=reason)
        sequencer = Sequencer(self._database, holder)
        for _ in range(_LOOKS):  # a worker may be sealing at this moment
            if await newest(self._database) is None or not await is_waiting(self._database):
                return
            await sequencer.seal()
            if await is_sealed(None):
                return
            await asyncio.sleep(_LOOK_S)

    async def copied(self, directory: Path, *, is_opened: bool) -> Exported:
        """Write the tables, the schema and the manifest; says nothing in the log."""
        async with snapshot(self._database) as seen:
            opener = Opener(self._vault, seen) if is_opened else None
            files = [await _table(directory, name, seen, opener) for name in TABLES]
        files += _schema(directory, seen.migrations)
        unreadable = 0 if opener is None else opener.unreadable
        manifest = orjson.dumps(
            {
                "format": FORMAT,
                "deployment": str(seen.deployment),
                "kind": seen.kind,
                "migrations": seen.migrations,
                "payloads": "opened" if is_opened else "sealed",
                "unreadable": unreadable,
                "left_out": LEFT_OUT,
                "files": [each.said() for each in sorted(files, key=lambda file: file.name)],
            },
            option=_PRETTY,
        )
        _document(directory, "manifest.json", manifest)
        return Exported(
            as_of=seen.as_of,
            files=len(files),
            rows=sum(each.rows for each in files),
            unreadable=unreadable,
            manifest_sha256=hashlib.sha256(manifest).hexdigest(),
        )

    async def told(
        self,
        kind: Literal["deployment", "journal", "journals", "log", "events", "evidence"],
        *,
        rows: int,
        digest: str,
        made: str,
        actor: Actor,
        reason: str,
    ) -> str:
        """Write into the audit log that data leave; answers with the event's id."""
        fact = facts.DataExported(kind=kind, rows=rows, filter_digest=digest, sha256=made)
        return await self._say(fact, actor=actor, reason=reason)

    async def _say(
        self,
        fact: facts.DataExported | facts.DataRevealed | facts.DataSampleDrawn,
        *,
        actor: Actor,
        reason: str,
    ) -> str:
        event_id = self._ids.event_id()
        async with self._database.transaction() as connection:
            await write_reasoned(
                connection,
                fact,
                actor,
                vault=self._vault,
                event_id=event_id,
                code="export",
                reason=reason,
            )
        return event_id


def _new(path: Path) -> Path:
    """Name the file beside its place; raises InvalidInput where something lies there."""
    part = path.with_name(f"{path.name}.partial")
    for each in (path, part):
        if each.exists():
            raise InvalidInput({"file": f"{each} exists: an export overwrites nothing"})
    return part


def _begun(directory: Path, parts: Sequence[str] = ("tables", "schema")) -> Path:
    """Make the directory that is written into, with its parts; raises InvalidInput."""
    part = directory.with_name(f"{directory.name}.partial")
    if directory.exists():
        raise InvalidInput({"directory": f"{directory} exists: an export overwrites nothing"})
    try:
        part.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise InvalidInput(
            {"directory": f"{part} is left of an export that was cut off: remove it"}
        ) from None
    for name in parts:
        (part / name).mkdir(mode=0o700)
    return part


def _opened_file(directory: Path, name: str) -> _File:
    path = directory / name
    path.touch(mode=0o600)
    return _File(name, path.open("wb"))


async def _table(directory: Path, table: str, seen: Snapshot, opener: Opener | None) -> _File:
    file = _opened_file(directory, f"tables/{table}.jsonl")
    with file.to:
        async for line in seen.lines(table):
            file.rows += 1
            text = line.encode()
            file.write(text if opener is None else await opener.line(table, text))
            file.write(b"\n")
    return file


def _schema(directory: Path, applied: tuple[str, ...]) -> Iterator[_File]:
    """Write the migrations that were applied, as far as this version has them."""
    for each in migrations():
        if each.name in applied:
            file = _opened_file(directory, f"schema/{each.name}")
            with file.to:
                file.write(each.text.encode())
            yield file


def _receipt(directory: Path, done: Exported, event: str, *, actor: Actor, reason: str) -> None:
    receipt = {
        "as_of": instant(done.as_of),
        "manifest_sha256": done.manifest_sha256,
        "event": event,
        "actor": actor.on_behalf_of or actor.id,
        "reason": reason,
    }
    _document(directory, "receipt.json", orjson.dumps(receipt, option=_PRETTY))


def _document(directory: Path, name: str, text: bytes) -> None:
    file = _opened_file(directory, name)
    with file.to:
        file.write(text)
