"""The demo's programs: simulators, server and workers, each a process of its own.

They are the commands a company uses, started over the demo's data; a worker can be killed with
-9 like any other. What they write is kept in files, for whoever wants to look.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from newel.base.errors import StoreError

__all__ = ["Program", "started"]

_READY_S: Final = 60.0
_LEAVE_S: Final = 20.0
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A process that was started; told: the first line of its output, where it is JSON."""

    name: str
    process: asyncio.subprocess.Process
    log: Path
    told: Mapping[str, Any]  # Any: JSON

    @property
    def pid(self) -> int:
        """Its process number."""
        return self.process.pid

    async def kill(self) -> int:
        """Kill it with -9, as a machine that fails would; answers with how it ended."""
        self.process.kill()
        return await self.process.wait()


@contextlib.asynccontextmanager
async def started(
    name: str,
    arguments: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    directory: Path,
    tells: bool = False,
) -> AsyncIterator[Program]:
    """Run a module with arguments while the block runs; it ends by SIGTERM, else by -9.

    tells: wait for its first line, which is JSON. Raises StoreError if that does not come.
    """
    with _fresh(log) as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "newel.cli.tied",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE if tells else file,
            stderr=file,
            env={**os.environ, **environment},
            cwd=directory,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends its programs in order
        )
    passing_on: asyncio.Task[None] | None = None
    try:
        told = await _first_line(name, process, log) if tells else {}
        passing_on = asyncio.create_task(_passed_on(process, log)) if tells else None
        yield Program(name=name, process=process, log=log, told=told)
    finally:
        await _ended(process)
        if passing_on is not None:
            await passing_on


def _fresh(log: Path) -> BinaryIO:
    """Begin a log; appending, because standard error and what is passed on go to one file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    return log.open("ab")


async def _first_line(
    name: str, process: asyncio.subprocess.Process, log: Path
) -> Mapping[str, Any]:  # Any: JSON
    assert process.stdout is not None, "its output is a pipe"
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _READY_S)
        told: dict[str, Any] = orjson.loads(line)
    except (TimeoutError, orjson.JSONDecodeError):
        why = _last_words(log)
        raise StoreError(f"The {name} of the demo did not start: {why} ({log}).") from None
    return told


async def _passed_on(process: asyncio.subprocess.Process, log: Path) -> None:
    """Keep in the log what a program says after its first line, so that it never waits for us."""
    assert process.stdout is not None, "its output is a pipe"
    while said := await process.stdout.read(_CHUNK):
        await asyncio.to_thread(_appended, log, said)


def _appended(log: Path, said: bytes) -> None:
    with log.open("ab") as file:
        file.write(said)


def _last_words(log: Path) -> str:
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return said[-1] if said else "it said nothing"


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _LEAVE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
