"""The files of an evidence package that are made of leaves: events, tables, samples, pages, proofs.

Rows are made once, while the log is read in its order; everything else follows from them.
Source: our own audit document §12 and §13.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, Final

import orjson

from newel.audit import evidence, pages
from newel.audit.checkpoint import Proof
from newel.audit.evidence import Evidence, Placed, Window
from newel.audit.note import Note, SigningKey
from newel.base.errors import LogInconsistent
from newel.base.ids import parse_reference, reference
from newel.engine.ocel_document import OcelDocument
from newel.engine.sealed_log import CHECKPOINT, SealedLog
from newel.store import audit_log
from newel.store.database import Connection
from newel.store.log_events import sealed_in

__all__ = [
    "NAMES",
    "document",
    "put",
    "seen_of",
    "write_definitions",
    "write_names",
    "write_plain",
    "write_rows",
]

NAMES: Final = "names.csv"
"""The one file that names people: bound by the receipt, so that the package is the same without."""

_JSON: Final = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE

Json = Any  # Any: JSON


def put(path: Path, data: bytes) -> None:
    """Write a file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def document(value: Json) -> bytes:
    """Write a JSON document in its one form, with a newline."""
    return orjson.dumps(value, option=_JSON)


async def seen_of(
    connection: Connection, log: SealedLog, window: Window, folder: Path
) -> tuple[Evidence, int]:
    """Read the whole log; writes the events of the period, answers with what it tells and how many.

    They are written as they are, and as miners of processes read them. Raises LogInconsistent
    where an event is not as it was sealed.
    """
    seen = Evidence(window, is_whole=log.log_epoch == 1)
    with (
        (folder / "events.jsonl").open("wb") as file,
        (folder / "ocel2.json").open("wb") as mined,
        closing(OcelDocument()) as document,
    ):
        async for event in sealed_in(connection, log.log_epoch, log.size):
            entry = event.entry or log.archived(event.leaf_index, event.hash)
            if entry is None:
                what = "the event was pruned, and the archive has none of this hash."
                raise LogInconsistent(at=f"index {event.leaf_index}", what=what)
            leaf = orjson.loads(entry)
            seen.take(Placed(leaf, event.leaf_index, event.hash.hex()))
            if window.since <= leaf["occurred_at"] < window.until:
                file.write(entry + b"\n")
                mined.write(document.event(leaf))
        mined.writelines(document.rest())
    seen.finish()
    return seen, document.events


async def write_rows(
    log: SealedLog, seen: Evidence, folder: Path, sampling: tuple[int, str] | None
) -> dict[str, int]:
    """Write tables, samples, people's pages and proofs; answers with the rows of each table."""
    for table, columns in evidence.COLUMNS.items():
        rows = seen.rows[table]
        cells = ([evidence.cell(row.get(name)) for name in columns] for row in rows)
        _put_parts(folder / f"{table}.csv", map(_line, chain([columns], cells)))
        typed = ({name: row.get(name) for name in columns} for row in rows)
        _put_parts(folder / f"{table}.json", _list(typed))
    drawn: set[str] | None = None
    if sampling is not None:
        drawn = set(_samples(folder, seen, *sampling))
        await _proofs(log, seen, folder, drawn)
    for about in pages.about(seen, pages.subjects(seen, drawn)):
        there = folder / "people" / about["subject_ref"]
        put(there.with_suffix(".json"), document(about))
        put(there.with_suffix(".html"), pages.page(about).encode())
    return {table: len(rows) for table, rows in seen.rows.items()}


def _put_parts(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file part by part: the table of a large log is never held as a text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines(parts)


def _list(rows: Iterable[Json]) -> Iterator[bytes]:
    before = b"[\n"
    for row in rows:
        yield before + orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
        before = b",\n"
    yield b"[\n]\n" if before == b"[\n" else b"\n]\n"


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode()


def _samples(folder: Path, seen: Evidence, n: int, seed: str) -> Iterator[str]:
    """Draw the rows of each population, in the order in which they are drawn."""
    for table in evidence.SAMPLED:
        ids = [row["row_id"] for row in seen.rows[table]]
        drawn = evidence.sample(ids, seed=seed, n=n)
        place = {each: number for number, each in enumerate(ids)}
        lines = [_line(("row_id", "place")), *(_line((each, str(place[each]))) for each in drawn)]
        put(folder / "samples" / f"{table.rpartition('/')[2]}.csv", b"".join(lines))
        yield from drawn


async def _proofs(log: SealedLog, seen: Evidence, folder: Path, drawn: set[str]) -> None:
    """Write a proof for each event that a sampled row is made of or rests on."""
    cited: set[int] = set()
    for table in evidence.SAMPLED:
        for row in seen.rows[table]:
            if row["row_id"] in drawn:
                decided = seen.decisions.get(row.get("approval_event") or "")
                cited |= {row["leaf_index"], *(() if decided is None else (decided.leaf_index,))}
    note = await log.read(CHECKPOINT)
    assert note is not None, "it has a size, so it was signed"
    for index in sorted(cited):
        entry = await log.entry(index)
        proof = Proof(index, tuple(await log.inclusion(index)), Note.parsed(note), entry)
        name = orjson.loads(entry)["id"]
        put(folder / "proofs" / f"{name}.tlog-proof", str(proof).encode())


async def write_names(connection: Connection, seen: Evidence, folder: Path) -> None:
    """Write who the references in the tables are, as far as they are known and not erased."""
    named = {
        value
        for rows in seen.rows.values()
        for row in rows
        for cell in row.values()
        for value in (cell if isinstance(cell, list) else (cell,))
        if isinstance(value, str) and value.startswith("per_")
    }
    people = [parse_reference(each)[1] for each in sorted(named)]
    lines = [_line(("subject_ref", "display_name", "work_email", "employee_id"))]
    lines += sorted(
        _line((reference("per", row["ref"]), *map(evidence.cell, tuple(row)[1:])))
        for row in await audit_log.names_of(connection, people)
    )
    put(folder / NAMES, b"".join(lines))


async def write_definitions(connection: Connection, seen: Evidence, folder: Path) -> None:
    """Write source and drawing of every definition registered until the end of the period."""
    sources = await audit_log.sources(connection)
    for definition in seen.definitions:
        there = folder / "process_definitions" / f"{definition['process']}@{definition['version']}"
        put(there / "change.json", document(definition))
        known = sources.get((definition["process"], definition["version"]), (None, None))
        for name, text in zip(("source.py", "drawing.json"), known, strict=True):
            if text is not None:
                put(there / name, text.encode())


def write_plain(folder: Path, note: Note, key: SigningKey) -> None:
    """Write the newest checkpoint for tools that know nothing of notes."""
    name = key.verifier().name
    own = next(each for each in note.signatures if each.name == name and key.verifier().made(each))
    put(folder / "checkpoint.txt", note.text.encode())
    put(folder / "checkpoint.sig", own.data)
    put(folder / "log-key.pem", _pem(key))


def _pem(key: SigningKey) -> bytes:
    encoded = base64.b64encode(_PREFIX + key.verifier().public).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{encoded}\n-----END PUBLIC KEY-----\n".encode()


_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")
"""What stands before an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410)."""
