"""The evidence package: what an auditor asks about in a period, with the log that proves it.

    README.md            what this is, and how it is checked
    manifest.json, .note what is in it, signed with the key of the log
    receipt.json, .note  when, by whom, why; all that differs between two exports is here
    SHA256SUMS           for `sha256sum -c`
    *.csv, *.json        rows made of leaves alone, each with its leaf
    samples/*.csv        drawn by a seed, so that anybody draws the same
    events.jsonl         the leaves of the period
    log/                 checkpoints, tiles and entries: the whole log at that size
    verify/              the verifier

The same log, size, period and sample give the same bytes, the receipt aside.
Source: our own audit document §12.
"""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from newel.audit import evidence
from newel.audit import note as notes
from newel.audit.evidence import Placed
from newel.audit.leaf import instant
from newel.base.errors import NotFound
from newel.base.version import VERSION
from newel.engine.event_export import Period
from newel.engine.key_holder import KeyHolder
from newel.engine.sealed_log import SealedLog, sealed_logs
from newel.engine.verifying import verifier_file
from newel.store.database import Connection
from newel.store.log_events import sealed_events

__all__ = ["Package", "Sampling", "Written", "written_package"]

_WHEN: Final = (1980, 1, 1, 0, 0, 0)
_JSON: Final = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_BEGUN_ANEW: Final = "\n**The log was begun anew: what was before is not in this package.**\n"
_UNBOUND: Final = frozenset({"SHA256SUMS", "receipt.json", "receipt.note"})

Json = Any  # Any: JSON

_README: Final = """\
# Evidence from {since} to {until} (UTC; the second is the moment at which it ends)

Made by newel {version} from the audit log `{origin}`, its first {size} entries. Every row of a
table is made of entries of that log and of nothing else; `leaf_index` and `leaf_hash` say of which.
People are opaque references. Times are UTC.

Check the files: `sha256sum -c SHA256SUMS`. Check the log and the signatures, with the key that you
were given at the first meeting, on a machine of your own:

    python3 newel_verify.py PACKAGE.zip --policy FILE     (or --vkey KEY)

Take `newel_verify.py` from where you trust it, not from this package. It compares tables with the
manifest only and does not make them again: it says so, and ends with 2 where all else is clean.

A sample is drawn by `sha256(seed + "\\n" + row_id)`, the smallest first. Cells that a spreadsheet
would take for a formula begin with an apostrophe in CSV, not in JSON.
{warnings}"""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many rows of each population, by which seed."""

    n: int
    seed: str


@dataclass(frozen=True, slots=True)
class Package:
    """What is wanted: the period; as_of: the size of the log, None for the newest checkpoint."""

    period: Period
    sampling: Sampling | None = None
    as_of: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: rows by table, the size of the log, the SHA-256 of the manifest."""

    rows: dict[str, int]
    size: int
    manifest_sha256: str


async def written_package(
    connection: Connection, path: Path, wanted: Package, holder: KeyHolder, receipt: Json
) -> Written:
    """Write a package into a new file, as the transaction sees the log.

    receipt: what differs between two exports. Raises NotFound where nothing is sealed, where there
    is no checkpoint of the size, or where the key of the log is not here.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".evidence") as folder:
        there = Path(folder)
        log = await _log_of(connection, wanted.as_of)
        key = holder.signing_key(log.origin)
        if key is None:
            raise NotFound(kind="key of the log", reference=log.origin)
        await _write_log(log, there / "log")
        rows = await _write_rows(connection, log, there, wanted)
        _samples(there, wanted.sampling)
        warnings = "" if log.log_epoch == 1 else _BEGUN_ANEW
        since, until = (instant(each) for each in wanted.period)
        readme = _README.format(
            since=since,
            until=until,
            version=VERSION,
            origin=log.origin,
            size=log.size,
            warnings=warnings,
        )
        _put(there / "README.md", readme.encode())
        _put(there / "verify" / "newel_verify.py", verifier_file().read_bytes())
        checkpoint = (there / "log" / "checkpoint").read_text("utf-8")
        root = checkpoint.split("\n")[2]
        manifest = _manifest(there, log, root, wanted, rows)
        for name, suffix, text in (
            ("manifest", "evidence", manifest),
            ("receipt", "receipt", {**receipt, "manifest_sha256": _sha256(manifest)}),
        ):
            document = orjson.dumps(text, option=_JSON)
            told = f"{log.origin}/{suffix}\n{hashlib.sha256(document).hexdigest()}\n{root}\n"
            signed = notes.Note(told, (key.signed(told),))
            _put(there / f"{name}.json", document)
            _put(there / f"{name}.note", str(signed).encode())
        bound = [each for each in _names(there) if each not in _UNBOUND]
        sums = "".join(f"{_digest(there / each)}  {each}\n" for each in bound)
        _put(there / "SHA256SUMS", sums.encode())
        _zip(there, path)
    return Written(rows, log.size, _sha256(manifest))


async def _log_of(connection: Connection, as_of: int | None) -> SealedLog:
    """Give the newest log epoch as it was at a size."""
    logs = [log for log in await sealed_logs(connection) if log.size]
    log = None if not logs else logs[-1] if as_of is None else await logs[-1].at(as_of)
    if log is None:
        raise NotFound(kind="checkpoint of size", reference=str(as_of or 0))
    return log


async def _write_log(log: SealedLog, folder: Path) -> None:
    async for path in log.paths():
        data = await log.read(path)
        if data is not None:
            _put(folder / path, data)


async def _write_rows(
    connection: Connection, log: SealedLog, folder: Path, wanted: Package
) -> dict[str, int]:
    """Write the tables and the events of the period; answers with the rows of each table."""
    tables = _Tables(folder)
    since, until = (instant(each) for each in wanted.period)
    stream: list[Placed] = []

    def told() -> None:
        for row in evidence.rows_of(stream):
            if since <= row.occurred_at < until:
                tables.add(row)
        stream.clear()

    everything = Period(_FIRST, wanted.period.until)
    with tables:
        async for event in sealed_events(
            connection, since=everything.since, until=everything.until, by_stream=True
        ):
            if event.log_epoch != log.log_epoch or event.leaf_index >= log.size:
                continue
            leaf = orjson.loads(event.entry)
            if stream and stream[0].leaf["stream"] != leaf["stream"]:
                told()
            stream.append(Placed(leaf, event.leaf_index, event.hash.hex()))
        told()
        with (folder / "events.jsonl").open("wb") as file:
            async for event in sealed_events(
                connection, since=wanted.period.since, until=wanted.period.until
            ):
                if event.log_epoch == log.log_epoch and event.leaf_index < log.size:
                    file.write(event.entry + b"\n")
    return tables.rows


class _Tables:
    """The tables that are being written, each as CSV and as JSON."""

    def __init__(self, folder: Path) -> None:
        self.rows = dict.fromkeys(evidence.COLUMNS, 0)
        self._files: dict[str, tuple[BinaryIO, BinaryIO]] = {}
        for table, columns in evidence.COLUMNS.items():
            base = folder / table
            base.parent.mkdir(exist_ok=True)
            self._files[table] = (_opened(base, ".csv"), _opened(base, ".json"))
            self._files[table][0].write(_line(columns))
            self._files[table][1].write(b"[")

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        for as_csv, as_json in self._files.values():
            as_json.write(b"\n]\n")
            as_csv.close()
            as_json.close()

    def add(self, row: evidence.Row) -> None:
        """Write a row."""
        as_csv, as_json = self._files[row.table]
        columns = evidence.COLUMNS[row.table]
        as_csv.write(_line([evidence.cell(row.values.get(name)) for name in columns]))
        typed = {name: row.values.get(name) for name in columns}
        as_json.write((b",\n" if self.rows[row.table] else b"\n") + orjson.dumps(typed))
        self.rows[row.table] += 1


def _opened(base: Path, suffix: str) -> BinaryIO:
    return base.with_name(base.name + suffix).open("wb")


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode()


def _samples(folder: Path, sampling: Sampling | None) -> None:
    """Draw the samples: the rows of each population, in the order in which they are drawn."""
    for table in evidence.SAMPLED if sampling is not None else ():
        assert sampling is not None, "without one there is nothing to draw"
        with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            ids = [row["row_id"] for row in csv.DictReader(file)]
        drawn = evidence.sample(ids, seed=sampling.seed, n=sampling.n)
        place = {each: number for number, each in enumerate(ids)}
        lines = [_line(("row_id", "place")), *(_line((each, str(place[each]))) for each in drawn)]
        _put(folder / "samples" / f"{table.rpartition('/')[2]}.csv", b"".join(lines))


def _manifest(
    folder: Path, log: SealedLog, root: str, wanted: Package, rows: dict[str, int]
) -> Json:
    sampling = wanted.sampling
    since, until = (instant(each) for each in wanted.period)
    return {
        "schema": 1,
        "newel_version": VERSION,
        "period": {"from": since, "to": until},
        "log_epochs": [{"origin": log.origin, "size": log.size, "root": root}],
        "parameters": {"as_of": log.size},
        "sampling": None if sampling is None else {"n": sampling.n, "seed": sampling.seed},
        "rows": rows,
        "files": [
            {"path": name, "sha256": _digest(path), "bytes": path.stat().st_size}
            for name in _names(folder)
            for path in (folder / name,)
        ],
    }


def _zip(folder: Path, path: Path) -> None:
    """Put all files into one, uncompressed, by name, without their times."""
    path.touch(mode=0o600, exist_ok=False)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for each in _names(folder):
            entry = zipfile.ZipInfo(each, date_time=_WHEN)
            entry.external_attr = 0o600 << 16
            entry.file_size = (folder / each).stat().st_size
            with (folder / each).open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target)


def _names(folder: Path) -> list[str]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return sorted(each.relative_to(folder).as_posix() for each in files)


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(document: Json) -> str:
    return hashlib.sha256(orjson.dumps(document, option=_JSON)).hexdigest()
