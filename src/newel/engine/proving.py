"""Proofs of the sealed log, one at a time: that an event is in it, that it has only grown."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from newel.audit.checkpoint import Proof
from newel.audit.note import Note
from newel.base.errors import LogInconsistent, NotFound, NotWaiting
from newel.base.ids import parse_reference
from newel.engine.sealed_log import CHECKPOINT, SealedLog, sealed_logs
from newel.store import audit_log
from newel.store.database import Connection

__all__ = ["Grown", "grown", "proved"]

_RUN = "run/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """That the log of the newest checkpoint has grown out of an older one; hashes: in base64."""

    origin: str
    old: int
    size: int
    hashes: tuple[str, ...]
    checkpoint: str


async def proved(connection: Connection, stream: str, seq: int) -> str:
    """Prove that an event is in the log: a tlog-proof with its entry, at the newest checkpoint.

    stream: as it stands in the leaf. Raises NotFound (there is no such event), NotWaiting (it is
    not under a checkpoint yet), LogInconsistent where its event is gone.
    """
    named = f"{stream}/{seq}"
    try:
        run = parse_reference(stream.removeprefix(_RUN))[1] if stream.startswith(_RUN) else None
    except ValueError:
        raise NotFound(kind="event", reference=named) from None
    place = await audit_log.place_of(connection, stream, run, seq)
    if place is None:
        raise NotFound(kind="event", reference=named)
    index = place["leaf_index"]
    for log in await sealed_logs(connection):
        if log.log_epoch == place["log_epoch"] and index < log.size:
            note = Note.parsed(await _checkpoint(log))
            hashes = tuple(await log.inclusion(index))
            return str(Proof(index, hashes, note, await log.entry(index)))
    raise NotWaiting(verb="prove", what=f"the event {named}", state="not sealed yet: ask again")


async def grown(connection: Connection, old: int) -> Grown:
    """Prove that the newest log epoch has only grown since it had this size.

    Raises NotFound where nothing is signed, or not so many entries.
    """
    logs = await sealed_logs(connection)
    if not logs or not 0 <= old <= logs[-1].size or not logs[-1].size:
        raise NotFound(kind="checkpoint", reference=str(old))
    hashes = [base64.b64encode(each).decode() for each in await logs[-1].consistency(old)]
    return Grown(
        origin=logs[-1].origin,
        old=old,
        size=logs[-1].size,
        hashes=tuple(hashes),
        checkpoint=(await _checkpoint(logs[-1])).decode(),
    )


async def _checkpoint(log: SealedLog) -> bytes:
    note = await log.read(CHECKPOINT)
    if note is None:
        raise LogInconsistent(at=f"size {log.size}", what="there is no checkpoint.")
    return note
