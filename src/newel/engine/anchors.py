"""Places that keep copies of checkpoints, out of reach of the database's administrator.

    directory:PATH       a file for each checkpoint, never overwritten
    mirror:PATH          that, and the whole log beside it, as `newel audit export` writes it
    git:PATH             a commit for each checkpoint; pushed, if the repository has a remote
    s3:URL …             an object of S3 that nobody can delete before its time (`object_lock`)
    rfc3161:URL …        a time stamp of somebody else's over the checkpoint (`time_stamps`)
    witness:URL          a witness that cosigns what has only grown (`newel witness serve`)
    command:PROGRAM …    any program: the checkpoint on its standard input, a receipt on its output

Each gives a receipt. The file system of another machine, a repository that others pull, a bucket
that locks its objects, a program that mails the checkpoint: any of them is enough to prove later
that the log was rewritten.
Source: our own audit document §8.1.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shlex
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from newel.base.errors import InvalidInput, StoreError
from newel.engine.copies import RECEIPT_BYTES, Anchor, Head, answered, shown
from newel.engine.object_lock import bucket_of
from newel.engine.sealed_log import CHECKPOINT, SealedLog
from newel.engine.time_stamps import authority_of
from newel.engine.whole_files import write_once, write_whole

__all__ = ["anchor_of", "anchor_path"]

_MAY_TAKE_S: Final = 60.0
_KINDS: Final = ("directory", "mirror", "git", "s3", "rfc3161", "witness", "command")
_IN_FILES: Final = frozenset({"directory", "mirror", "git"})
_AUTHOR: Final = ("-c", "user.name=newel", "-c", "user.email=newel@localhost")


def anchor_of(text: str, base: Path) -> Anchor:
    """Read a place as the setting names it; base: what relative paths begin at.

    Raises InvalidInput.
    """
    kind, _, rest = text.partition(":")
    if not rest.strip():
        raise InvalidInput({"anchors": f"{kind!r} says no place: kind:place is needed"})
    match kind:
        case "directory":
            return _Directory(base / rest)
        case "mirror":
            return _Mirror(base / rest)
        case "git":
            return _Git(base / rest)
        case "witness":
            if not rest.strip().startswith(("http://", "https://")):
                raise InvalidInput({"anchors": "a witness has an address of HTTP"})
            return _Witness(rest.strip().rstrip("/"))
        case "s3":
            return bucket_of(rest)
        case "rfc3161":
            return authority_of(rest, base)
        case "command":
            return _Command(tuple(shlex.split(rest)))
        case _:
            raise InvalidInput({"anchors": f"{kind!r} is none of {', '.join(_KINDS)}"})


def anchor_path(text: str, base: Path) -> Path | None:
    """Say where a place keeps copies that can be read from here; None for one that is no folder."""
    kind, _, rest = text.partition(":")
    return base / rest if kind in _IN_FILES else None


@dataclass(frozen=True, slots=True)
class _Directory:
    """A folder, best on a disk of another machine."""

    path: Path

    @property
    def name(self) -> str:
        return f"directory:{self.path.name}"

    async def keep(self, head: Head) -> bytes:
        await asyncio.to_thread(_kept, self.path / head.file, head.note)
        return f"{head.file} sha256 {hashlib.sha256(head.note).hexdigest()}".encode()


@dataclass(frozen=True, slots=True)
class _Mirror:
    """A folder with the whole log: what a rollback of the database loses is still here."""

    path: Path

    @property
    def name(self) -> str:
        return f"mirror:{self.path.name}"

    async def keep(self, head: Head) -> bytes:
        many = 0
        async with head.opened() as log:
            folder = self.path / str(log.log_epoch)
            async for path in log.paths():
                file = folder / path
                if path != CHECKPOINT and not file.exists():
                    await asyncio.to_thread(_kept, file, await _read(log, path))
                    many += 1
            # The newest one comes last: whoever reads it finds all that it covers.
            await asyncio.to_thread(write_whole, folder / CHECKPOINT, await _read(log, CHECKPOINT))
            return f"{many} files, {log.size} entries".encode()


@dataclass(frozen=True, slots=True)
class _Git:
    """A repository that others pull from: they have the history, whatever becomes of this one."""

    path: Path

    @property
    def name(self) -> str:
        return f"git:{self.path.name}"

    async def keep(self, head: Head) -> bytes:
        await asyncio.to_thread(_kept, self.path / head.file, head.note)
        await self._git("add", "--", head.file)
        if (await self._git("status", "--porcelain", "--", head.file)).strip():
            said = f"Checkpoint of {head.size} entries"
            await self._git(*_AUTHOR, "commit", "--quiet", "-m", said, "--", head.file)
        if (await self._git("remote")).strip():
            await self._git("push", "--quiet")
        return (await self._git("rev-parse", "HEAD")).strip()

    async def _git(self, *arguments: str) -> bytes:
        return await _ran(("git", "-C", str(self.path), *arguments), b"")


@dataclass(frozen=True, slots=True)
class _Witness:
    """Somebody else's program that cosigns; where it stands it says itself."""

    url: str

    @property
    def name(self) -> str:
        return f"witness:{shown(self.url)}"

    async def keep(self, head: Head) -> bytes:
        async with head.opened() as log:
            status, answer = await self._add(log, 0)
            if status == HTTPStatus.CONFLICT:
                status, answer = await self._add(log, int(answer))
        if status != HTTPStatus.OK:
            raise StoreError(f"The witness does not cosign: it answers {status}.")
        return answer

    async def _add(self, log: SealedLog, old: int) -> tuple[int, bytes]:
        proof = [base64.b64encode(each).decode() for each in await log.consistency(old)]
        note = await _read(log, CHECKPOINT)
        body = "\n".join([f"old {old}", *proof, "", ""]).encode() + note
        plain = {"Content-Type": "text/plain"}
        answer = await answered("POST", f"{self.url}/add-checkpoint", body, headers=plain)
        return answer.status, answer.body


@dataclass(frozen=True, slots=True)
class _Command:
    """A program of the operator's, started without a shell."""

    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"command:{Path(self.arguments[0]).name}"

    async def keep(self, head: Head) -> bytes:
        return (await _ran(self.arguments, head.note))[:RECEIPT_BYTES]


async def _read(log: SealedLog, path: str) -> bytes:
    data = await log.read(path)
    if data is None:
        raise StoreError(f"The log has no {path}: `newel audit verify` says why.")
    return data


def _kept(file: Path, data: bytes) -> None:
    """Write a file unless it is there; raises StoreError if it is there and says something else."""
    write_once(file, data)
    if file.read_bytes() != data:
        raise StoreError(f"{file.name} is kept already, with another content: nothing was changed.")


async def _ran(arguments: tuple[str, ...], given: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
    )
    try:
        async with asyncio.timeout(_MAY_TAKE_S):
            out, _ = await process.communicate(given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        said = f"{Path(arguments[0]).name} ended with status {process.returncode}"
        raise StoreError(f"A checkpoint was not anchored: {said}.")
    return out
