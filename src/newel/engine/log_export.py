"""The sealed log in a folder: what `newel_verify.py`, a tile client or any web server reads.

    folder/README.txt             what this is, and how it is checked
    folder/1/checkpoint           the newest checkpoint of log epoch 1
    folder/1/checkpoint.<size>    every checkpoint
    folder/1/tile/…               tiles and bundles of entries (tlog-tiles)
Source: https://c2sp.org/tlog-tiles; our own audit document §12.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from newel.base.errors import NotFound
from newel.engine.archive import Archive
from newel.engine.sealed_log import SealedLog, sealed_logs
from newel.store.database import Connection

__all__ = ["WrittenLog", "written_log"]

_README: Final = """\
The audit log of a newel deployment, as tlog-tiles (https://c2sp.org/tlog-tiles) lays it out:
one folder for each log epoch, in it checkpoints, tiles of hashes and bundles of entries.

It is checked with one file and a Python, without newel and without its database:

    python3 newel_verify.py {name} --policy FILE     (or --vkey KEY)

The policy or key is the one that you were given at the first meeting: a key that comes with the
log proves nothing. Exit codes: 0 clean, 1 tampered, 2 incomplete, 3 could not run.

{logs}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLog:
    """A log that was written: how many entries under how many checkpoints, and the newest one."""

    entries: int
    checkpoints: int
    newest: bytes


async def written_log(
    connection: Connection, folder: Path, *, name: str, archive: Archive | None = None
) -> WrittenLog:
    """Write all that is sealed into an empty folder, as the transaction sees it.

    name: what the folder will be called. archive: where entries lie that were pruned. Raises
    NotFound if nothing is sealed yet.
    """
    logs = [log for log in await sealed_logs(connection, archive) if log.size]
    if not logs:
        raise NotFound(kind="sealed entry", reference="0")
    for log in logs:
        await _written(log, folder / str(log.log_epoch))
    told = "\n".join(f"{log.log_epoch}: {log.origin}, {log.size} entries" for log in logs)
    (folder / "README.txt").write_text(_README.format(name=name, logs=told), encoding="utf-8")
    newest = await logs[-1].read("checkpoint")
    assert newest is not None, "it has a size, so it has a checkpoint"
    return WrittenLog(
        entries=sum(log.size for log in logs),
        checkpoints=sum(len(log.checkpoints()) - 1 for log in logs),
        newest=newest,
    )


async def _written(log: SealedLog, folder: Path) -> None:
    """Write one log epoch; what cannot be made is left out, and the verifier finds that."""
    async for path in log.paths():
        data = await log.read(path)
        if data is not None:
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
