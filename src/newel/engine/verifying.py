"""Verification of the live log: the auditor's own verifier, and what only the database can tell.

The log is handed to `newel_verify.py` as the files that it would be if it were exported, so that
there is one judgement for a database, an export and a served log. Added to its report is what needs
the tables: whether columns say what entries say, whether an event was left out of the queue,
whether payloads are those whose digests were sealed, and whether the state is the one that the log
leads to. What is not sealed yet counts as well, in the order in which it will be.

All of it is read in the caller's transaction: one moment, nothing written.
Source: our own audit document §9.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from newel.audit.canonical import leaf_hash
from newel.audit.leaf import instant
from newel.audit.tiles import WIDTH, bundle, tile_at
from newel.base.errors import LogInconsistent
from newel.base.ids import reference
from newel.engine.archive import Archive
from newel.engine.sealed_log import SealedLog, edge_of, sealed_logs
from newel.store import audit_log
from newel.store.database import Connection, Row

__all__ = [
    "NOT_REPLAYED",
    "PAYLOADS",
    "REPLAYED",
    "Trusted",
    "verified",
    "verifier",
    "verifier_file",
]

_PACKAGE: Final = Path(__file__).parents[1]
_NAME: Final = "newel_verify"
_ENTRIES: Final = "tile/entries/"
_UNSEALED: Final = "unsealed"
_NOWHERE: Final = 2**63
"""Behind every place that a log has."""
PAYLOADS: Final = {
    "run.started": "input_digest",
    "run.amended": "after_digest",
    "run.completed": "outcome_digest",
    "step.succeeded": "outcome_digest",
    "step.failed": "outcome_digest",
    "step.completed_by_hand": "outcome_digest",
    "task.decided": "answer_digest",
    "wait.closed": "outcome_digest",
}
"""Where a type names the digest of its payload itself; elsewhere it is `payload_sha256`."""

REPLAYED: Final = frozenset(
    {"access_grant", "api_key", "audit_stream", "definition", "incident", "run", "schedule"}
    | {"task", "ticket"}
)
"""Tables whose rows have to be what the log leads to (V14)."""
_OF_WORKERS: Final = "who works on what right now; it proves nothing and changes all the time"
_OUTSIDE: Final = "what came from or goes to other programs, before it is an event"
_OF_THE_LOG: Final = "the log itself, checked by V05 to V08 and V13"
_DIRECTORY: Final = "names and addresses, which leaves must not hold"
NOT_REPLAYED: Final = {
    "audit_anchor": _OF_THE_LOG,
    "audit_checkpoint": _OF_THE_LOG,
    "audit_head": _OF_THE_LOG,
    "audit_leaf": _OF_THE_LOG,
    "audit_tile": _OF_THE_LOG,
    "capability": "what a credential could do when it was tried; found anew by the next check",
    "confirmation": "what waits for a second person; its order and its end are events",
    "deployment": "what kind of database it is, and its clock",
    "entitlement": "titles as the code declares them",
    "erasure": "what is being erased; its order and its end are events",
    "legal_hold": "who is under hold; its beginning and its end are events",
    "event": _OF_THE_LOG,
    "event_batch": _OF_THE_LOG,
    "event_default": _OF_THE_LOG,
    "gate": _OF_WORKERS,
    "kept_token": "tokens of systems and what renews them, sealed; they are in no leaf",
    "given_address": _DIRECTORY,
    "hr_feed": _OUTSIDE,
    "hr_record": _OUTSIDE,
    "inbox": _OUTSIDE,
    "migration": "which files made the tables; `newel doctor` compares their checksums",
    "occurrence": "planned moments that were decided; each run that came of one says so",
    "open_act": "what a run does next, made anew from its events by whoever runs it",
    "person": _DIRECTORY,
    "person_key": "wrapped keys; a wrong one opens nothing",
    "received_secret": _OUTSIDE,
    "removal": _OF_WORKERS,
    "room": _OF_WORKERS,
    "start_request": "which request was answered with which run",
    "system": "titles as the code declares them",
    "system_calls": _OF_WORKERS,
    "task_file": "sealed files; the digest of each is in the event of its decision",
    "webhook_delivery": _OUTSIDE,
    "webhook_endpoint": _OUTSIDE,
    "webhook_received": _OUTSIDE,
    "webhook_refusal": _OUTSIDE,
    "webhook_source": _OUTSIDE,
    "worker": _OF_WORKERS,
}
"""All other tables, with the reason."""

Leaf = dict[str, Any]  # Any: the values JSON can hold
Report = Any  # Any: of the verifier, which is a file of its own and shares nothing with us
Facts = Any  # Any: as above


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """Whom the verifier believes: a policy file and keys, and copies of checkpoints kept elsewhere.

    policy: None to believe nobody, which is never clean. archive: where entries lie that were
    pruned; they are believed by their hashes alone.
    """

    policy: Path | None
    vkeys: Sequence[str] = ()
    anchors: Sequence[Path] = ()
    archive: Archive | None = None


def verifier_file() -> Path:
    """Say where the verifier lies: in the package, or beside it in a checkout."""
    packed = _PACKAGE / "_verifier" / f"{_NAME}.py"
    return packed if packed.is_file() else _PACKAGE.parents[1] / "verifier" / f"{_NAME}.py"


@cache
def verifier() -> Any:  # Any: a file of its own, not a module of ours
    """Load the verifier as it is handed to auditors."""
    spec = importlib.util.spec_from_file_location(_NAME, verifier_file())
    assert spec is not None, "it is a file with Python in it"
    assert spec.loader is not None, "as above"
    module = sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def verified(
    connection: Connection, trusted: Trusted, *, name: str = "database", start: int = 0
) -> Report:
    """Verify all that the transaction sees; answers with the verifier's report.

    start: entries before this index were verified earlier. Raises what the verifier raises where
    policy or anchors cannot be read (`verifier().Unusable`).
    """
    logs = await sealed_logs(connection, trusted.archive)
    judging = _Judging(verifier().Report(name), asyncio.get_running_loop())
    facts = await asyncio.to_thread(judging.logs, logs, trusted, start)
    judging.tell_gone(facts)
    await _waiting(connection, judging, facts)
    await _heads(connection, judging.report, trusted, facts)
    await _state(connection, judging.report, facts)
    judging.tell_lost()
    return judging.report


# ------------------------------------------------------------------ what lies in the tables


@dataclass(slots=True)
class _Judging:
    """The report, and what was noticed of single events on the way."""

    report: Report
    loop: asyncio.AbstractEventLoop
    lost: dict[str, Any] = field(default_factory=dict[str, Any])  # Any: places, the verifier's
    gone: list[Any] = field(default_factory=list[Any])  # Any: as above
    expired: set[str] = field(default_factory=set[str])

    def logs(self, logs: Sequence[SealedLog], trusted: Trusted, start: int) -> Facts:
        """Let the verifier read all log epochs; blocks, so it runs in a thread."""
        its = verifier()
        anchors = its.read_anchors(list(map(str, trusted.anchors)), self.report)
        policy = None
        if trusted.policy is not None or trusted.vkeys:
            policy = its.believed(trusted.policy, trusted.vkeys)
        if not any(each.size for each in logs):
            what = "nothing is sealed: there is no checkpoint"
            self.report.found("V03", "undecided", what)
            for each in anchors:
                what = f"{each.where}: {each.size} entries were anchored, none is here"
                self.report.found("V08", "fail", what)
            return its.Facts()
        sources = [(each.origin, _Source(each, self)) for each in logs]
        return its.verify_logs(sources, policy, anchors, self.report, start=start)[1]

    def look_at(self, row: Row, *, log: str, index: int | None = None) -> bool:
        """Compare the columns of an event with its entry; False where the event is gone."""
        stream = row["stream"] or f"run/{reference('run', row['stream_id'])}"
        place = verifier().Place(log, index, stream, row["seq"])
        if row["entry"] is None:
            self.gone.append(place)
            return False
        leaf = _read(row["entry"])
        if leaf is None:
            return True  # the verifier says what is wrong with it
        if leaf.get("type") == "run.payload_expired":
            self.expired.add(stream)
        if row["type"] is None:
            return True  # it comes from the archive, and the journal has no columns of it
        place.known["id"] = str(leaf.get("id"))
        for name, has, expected in _columns(row, leaf, stream):
            if has != expected:
                what = f"the column `{name}` says {has}, the entry says {expected}"
                self.report.found("V05", "fail", what, place)
        self._payload(row, leaf, stream, place)
        return True

    def _payload(self, row: Row, leaf: Leaf, stream: str, place: Any) -> None:  # Any: as above
        """Compare a payload with the digest that was sealed; it may be gone where that is told."""
        found = row["payload_sha256"]
        data = leaf.get("data")
        named = PAYLOADS.get(str(leaf.get("type")))
        expected = leaf.get("payload_sha256")
        if expected is None and named and isinstance(data, dict):
            expected = data.get(named)
        if expected is None:
            if found is not None:
                what = "a payload lies beside the event that its entry does not seal"
                self.report.found("V14", "fail", what, place)
            return
        if found is None:
            self.lost.setdefault(stream, place)
        elif found.hex() != expected:
            what = f"the payload has the digest {found.hex()}, the entry says {expected}"
            self.report.found("V14", "fail", what, place)

    def hashed(self, row: Row, log: str) -> None:
        """Compare an entry that is still there with its leaf."""
        if row["entry"] is not None and leaf_hash(row["entry"]) != row["leaf_hash"]:
            stream = row["stream"] or f"run/{reference('run', row['stream_id'])}"
            place = verifier().Place(log, row["leaf_index"], stream, row["seq"])
            what = "the entry does not hash to its place in the tile"
            self.report.found("V05", "fail", what, place)

    def tell_gone(self, facts: Facts) -> None:
        """Say which events are gone, but those that the log itself has given up."""
        for place in self.gone:
            if place.known.get("index", _NOWHERE) >= facts.pruned.get(place.known["log"], 0):
                what = "the event is gone from the journal"
                self.report.found("V05", "fail", what, place)
        self.gone.clear()

    def tell_lost(self) -> None:
        """Say which payloads are gone without a word in the log."""
        for stream, place in self.lost.items():
            if stream not in self.expired:
                what = "a payload is gone, and no event says so"
                self.report.found("V14", "undecided", what, place)


class _Source:
    """A log epoch as the verifier reads it, from its thread; columns are compared on the way."""

    def __init__(self, log: SealedLog, judging: _Judging) -> None:
        self._log, self._judging = log, judging

    def names(self) -> list[str]:
        """Name the checkpoints; the verifier asks for tiles by itself."""
        return self._log.checkpoints()

    def read(self, path: str) -> bytes | None:
        """Give a file of the log."""
        reading = self._entries(path) if path.startswith(_ENTRIES) else self._log.read(path)
        return asyncio.run_coroutine_threadsafe(reading, self._judging.loop).result()

    async def _entries(self, path: str) -> bytes | None:
        try:
            tile, _ = tile_at(path.removeprefix("tile/"))
        except LogInconsistent:
            return None
        rows = await self._log.rows(tile)
        known = [
            self._judging.look_at(row, log=self._log.origin, index=row["leaf_index"])
            for row in rows
        ]
        first = tile.n * WIDTH
        missing = {first + at for at in range(tile.width)} - {row["leaf_index"] for row in rows}
        if missing:
            what = "no event has this place in the log"
            place = verifier().Place(self._log.origin, min(missing))
            self._judging.report.found("V05", "fail", what, place)
        if missing or not all(known):
            for row in rows:  # the verifier does not see those that are still there
                self._judging.hashed(row, self._log.origin)
            return None
        return bundle(row["entry"] for row in rows)


def _read(entry: bytes) -> Leaf | None:
    try:
        found = json.loads(entry)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _columns(row: Row, leaf: Leaf, stream: str) -> Iterator[tuple[str, object, object]]:
    """Give columns of the journal with what they say and what they have to say."""
    yield "stream_id", stream, leaf.get("stream")
    yield "seq", row["seq"], leaf.get("seq")
    yield "type", row["type"], leaf.get("type")
    yield "occurred_at", instant(row["occurred_at"]), leaf.get("occurred_at")
    if isinstance(leaf.get("step"), dict):
        yield "key", row["key"], leaf["step"].get("key")


# ------------------------------------------------------------------------ what is not sealed


async def _waiting(connection: Connection, judging: _Judging, facts: Facts) -> None:
    """Look at what has no signature yet: it counts, it must not wait long, nothing is left out."""
    report = judging.report
    report.ran("V13")
    rows = await audit_log.unsealed(connection)
    for row in rows:
        if not judging.look_at(row, log=_UNSEALED):
            continue
        hashed = sha256(b"\0" + row["entry"]).digest()
        if hashed != row["leaf_hash"]:
            what = "the entry is not the one that was committed: its hash waits in the queue"
            report.found("V05", "fail", what, _placed(row))
        try:
            leaf = verifier().read_entry(row["entry"])
        except verifier().Malformed as why:
            report.found("V04", "fail", str(why), _placed(row))
            continue
        facts.take(leaf, hashed, None, _UNSEALED, report)
    old = sum(row["is_old"] for row in rows)
    if old:
        what = f"{old} events have waited for more than five minutes: does a worker seal?"
        report.found("V13", "undecided", what)
    judging.tell_gone(facts)
    for row in await audit_log.overlooked(connection):
        what = "the event neither waits to be sealed nor has a place in the log"
        report.found("V13", "fail", what, _placed(row))
    for row in await audit_log.sealed_twice(connection):
        what = f"the event waits to be sealed and has the place {row['leaf_index']}"
        report.found("V13", "fail", what, _placed(row))


def _placed(row: Row) -> Any:  # Any: the verifier's
    stream = row["stream"] or f"run/{reference('run', row['stream_id'])}"
    return verifier().Place(_UNSEALED, None, stream, row["seq"])


async def _heads(connection: Connection, report: Report, trusted: Trusted, facts: Facts) -> None:
    """Compare what the rows say of each tree with its checkpoints, its tiles and the policy."""
    rows = await audit_log.log_epochs(connection)
    words = [*trusted.vkeys, *(each.new for each in facts.rotations)]
    if trusted.policy is not None:
        words += trusted.policy.read_text(encoding="latin-1").split()
    known = {each.split("+", 2)[-1] for each in words if each.count("+") > 1}
    for row in rows:
        place = verifier().Place(row["origin"])
        await _edge(connection, report, row["log_epoch"], place)
        for signed in await audit_log.notes(connection, row["log_epoch"]):
            said = _head_of(signed["note"])
            if said is not None and said != (row["origin"], signed["size"], signed["root"]):
                what = f"the row of the checkpoint of size {signed['size']} says something else"
                report.found("V03", "fail", what, place)
        if known and _key_of(row["vkey"], row["origin"]) not in known:
            what = "the database names a key that the policy does not know"
            report.found("V03", "fail", what, place)
    if rows and rows[-1]["is_closed"]:
        report.found("V15", "fail", "the last log epoch is closed, and none follows it")


async def _edge(
    connection: Connection, report: Report, log_epoch: int, place: Any
) -> None:  # Any: the verifier's
    """Compare the kept right edge of a tree with the one that its tiles lead to."""
    size, kept = await audit_log.edge(connection, log_epoch)
    try:
        is_right = (await edge_of(connection, log_epoch, size)).packed() == kept
    except LogInconsistent:
        is_right = False
    if not is_right:
        what = f"the kept edge of {size} entries is not the one of the tiles"
        report.found("V06", "fail", what, place)


def _key_of(vkey: str, origin: str) -> str:
    """Give the key itself of a verifier key, if it is one and of this log; else nothing."""
    try:
        name = verifier().read_key(vkey).name
    except verifier().Malformed:
        return ""
    return vkey.split("+", 2)[2] if name == origin else ""


def _head_of(note: str) -> tuple[str, int, bytes] | None:
    try:
        read = verifier().read_checkpoint(note.encode(), "the row")
    except verifier().Malformed:
        return None  # told as a checkpoint that cannot be read
    return read.origin, read.size, read.root


# ------------------------------------------------------------------------------- the state


async def _state(connection: Connection, report: Report, facts: Facts) -> None:
    """Compare runs, grants and heads of streams with what all events lead to (V14)."""
    rows = await audit_log.state(connection)
    if not facts.is_excerpt:
        for row in rows:
            if row["seq"]:
                _compare_head(row, report, facts)
        _tell_headless(rows, report, facts)
    verifier().compare_state(_lines(rows), facts, report)


def _compare_head(row: Row, report: Report, facts: Facts) -> None:
    stream = row["name"] or f"run/{reference('run', row['id'])}"
    last = facts.streams.get(stream)
    place = verifier().Place(_UNSEALED, None, stream, row["seq"])
    if last is None or last.seq < row["seq"]:
        has = 0 if last is None else last.seq
        what = f"the stream has had {row['seq']} events, {has} are there"
        report.found("V14", "fail", what, place)
    elif row["kind"] == "stream" and (row["seq"], row["head"]) != (last.seq, last.hash.hex()):
        what = f"the stream's row stands at {row['seq']}, its events end at {last.seq}"
        report.found("V14", "fail", what, place)


def _tell_headless(rows: Iterable[Row], report: Report, facts: Facts) -> None:
    known = {row["name"] for row in rows if row["name"]}
    for stream in sorted(facts.streams):
        if not stream.startswith("run/") and stream not in known:
            report.found("V14", "fail", f"the stream {stream} is in the log and has no row")


def _lines(rows: Iterable[Row]) -> Iterator[str]:
    """Write rows as the verifier reads them; kinds without a row are named, too."""
    yield json.dumps({"kinds": list(verifier().STATE)})
    for row in rows:
        if row["kind"] == "stream":
            continue
        facts = json.loads(row["facts"])
        if row["kind"] == "run":
            facts |= {"seq": row["seq"], "head": row["head"]}
        yield json.dumps({row["kind"]: row["name"] or str(row["id"]), **facts})
