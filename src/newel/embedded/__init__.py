"""The database that needs no installation: PostgreSQL from a wheel, one server per directory.

A company that tries newel, and every test, gets a real server with one call. It is for one
machine; a server of your own, named in the settings, replaces it with no other change.

    async with running_server(Path(".newel/postgres")) as server:
        await asyncpg.connect(server.dsn)

`server.py` explains how it survives kills, `place.py` who runs it and where its files lie.
Everything it raises derives from `EmbeddedServerError` and says what to do next.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from newel.embedded.errors import (
    DataGone,
    DidNotStart,
    DurabilityDiffers,
    EmbeddedServerError,
    NoAccount,
    OtherMajorVersion,
)
from newel.embedded.server import Server, found, removed, started, stopped, used

__all__ = [
    "DataGone",
    "DidNotStart",
    "DurabilityDiffers",
    "EmbeddedServerError",
    "NoAccount",
    "OtherMajorVersion",
    "Server",
    "ensure_server",
    "find_server",
    "remove_server",
    "running_server",
    "stop_server",
]


async def ensure_server(directory: Path, *, durable: bool = True) -> Server:
    """Start the directory's server or adopt the running one; it runs until `stop_server`.

    directory: a folder of the server's own, such as `.newel/postgres`; made where missing.
    durable=False is for tests: faster, and lost with the power.
    """
    return await asyncio.to_thread(started, directory, durable=durable, keep=True)


@contextlib.asynccontextmanager
async def running_server(
    directory: Path, *, durable: bool = True, remove: bool = False
) -> AsyncIterator[Server]:
    """Use the directory's server for a while; the last user to leave stops it.

    Several programs in one directory share one server; one that is killed counts as left.
    remove: the last user also deletes the data (for tests).
    """
    using = used(directory, durable=durable, remove=remove)
    server = await asyncio.to_thread(using.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(using.__exit__, None, None, None)


async def stop_server(directory: Path) -> bool:
    """Stop the directory's server, whoever uses it; say whether there was one to stop."""
    return await asyncio.to_thread(stopped, directory)


async def remove_server(directory: Path) -> None:
    """Stop the directory's server and delete its data."""
    await asyncio.to_thread(removed, directory)


async def find_server(directory: Path) -> Server | None:
    """Return the running server of the directory, or None; starts nothing."""
    return await asyncio.to_thread(found, directory)
