"""The evidence package: what an auditor asks about in a period, with the log that proves it.

    README.md, .html     what this is, what to read first, and how it is checked
    manifest.json, .note what is in it, signed with the key of the log
    receipt.json, .note  when, by whom, why; all that differs between two exports is here
    SHA256SUMS           for `sha256sum -c`
    *.csv, *.json        rows made of leaves alone, each with its leaf
    control_tests.json   what the rows say about the controls
    completeness.json    whether anything is missing
    samples/, proofs/    drawn by a seed, so that anybody draws the same; each with its proof
    people/              what the rows say of one person, to print
    process_definitions/ the source of what ran
    events.jsonl         the leaves of the period
    ocel2.json           the same, for programs that mine processes
    names.csv            who the references are, only where that was asked for
    log/                 checkpoints, tiles and entries: the whole log at that size
    anchors/             what places outside said when they took a checkpoint
    verify/              the verifier

The same log, size, period, sample and list of HR give the same bytes, receipt, anchors and names
aside.
Source: our own audit document §12.
"""

from __future__ import annotations

import base64
import hashlib
import html
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from newel.audit import controls
from newel.audit import note as notes
from newel.audit.controls import Roster
from newel.audit.evidence import Evidence, Window
from newel.audit.leaf import instant
from newel.base.errors import NotFound
from newel.base.ids import reference
from newel.base.version import VERSION
from newel.engine.archive import Archive
from newel.engine.event_export import Period
from newel.engine.evidence_files import (
    NAMES,
    document,
    put,
    seen_of,
    write_definitions,
    write_names,
    write_plain,
    write_rows,
)
from newel.engine.key_holder import KeyHolder
from newel.engine.sealed_log import SealedLog, sealed_logs
from newel.engine.verifying import verifier_file
from newel.store import audit_log
from newel.store.database import Connection

__all__ = ["Listed", "Package", "Sampling", "Written", "written_package"]

_WHEN: Final = (1980, 1, 1, 0, 0, 0)
_ANCHORS: Final = "anchors/receipts.json"
_UNBOUND: Final = frozenset({"SHA256SUMS", "receipt.json", "receipt.note", _ANCHORS, NAMES})

Json = Any  # Any: JSON

_README: Final = """\
# Evidence from {since} to {until} (UTC; the second is the moment at which it ends)

Made by newel {version} from the audit log `{origin}`, its first {size} entries. Every row of a
table is made of entries of that log and of nothing else; `leaf_index` and `leaf_hash` say of which.
People are opaque references. Times are UTC.

## Read first

{warnings}

What each control test found is in `control_tests.json`, whether anything is missing in
`completeness.json`.

## Check it

Check the files: `sha256sum -c SHA256SUMS`. Check the log, the signatures and the tables, with the
key that you were given at the first meeting, on a machine of your own:

    python3 newel_verify.py PACKAGE.zip --policy FILE     (or --vkey KEY)

Take `newel_verify.py` from where you trust it, not from this package. It makes every table, page,
sample and test again from the entries and compares the bytes. Without it, with OpenSSL 3:

    openssl pkeyutl -verify -pubin -inkey log/plain/log-key.pem -rawin \\
        -in log/plain/checkpoint.txt -sigfile log/plain/checkpoint.sig

A sample is drawn by `sha256(seed + "\\n" + row_id)`, the smallest first. Cells that a spreadsheet
would take for a formula begin with an apostrophe in CSV, not in JSON.
"""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many rows of each population, by which seed."""

    n: int
    seed: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a list of HR: the employee's number, the first and the last day; may be empty."""

    employee_id: str
    start_date: str
    end_date: str


@dataclass(frozen=True, slots=True)
class Package:
    """What is wanted: the period; as_of: the size of the log, None for the newest checkpoint.

    roster: what HR says who came and left. sla_hours: how late access of a leaver may end.
    with_names: say who the references are, in a file of its own.
    """

    period: Period
    sampling: Sampling | None = None
    as_of: int | None = None
    roster: Sequence[Listed] | None = None
    sla_hours: int = 24
    with_names: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: rows by table, the size of the log, the SHA-256 of the manifest.

    warnings: what the first page says.
    """

    rows: dict[str, int]
    size: int
    manifest_sha256: str
    warnings: Sequence[str]


async def written_package(
    connection: Connection, path: Path, wanted: Package, holder: KeyHolder, receipt: Json
) -> Written:
    """Write a package into a new file, as the transaction sees the log.

    receipt: what differs between two exports. Raises NotFound where nothing is sealed, where there
    is no checkpoint of the size, or where the key of the log is not here.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".evidence") as folder:
        there = Path(folder)
        log = await _log_of(connection, wanted.as_of, holder.archive)
        await _write_log(log, there / "log")
        head = notes.Note.parsed((there / "log" / "checkpoint").read_bytes())
        key = _key_of(holder, log.origin, head)
        write_plain(there / "log" / "plain", head, key)
        since, until = (instant(each) for each in wanted.period)
        window = Window(since, until, wanted.sla_hours)
        seen, events = await seen_of(connection, log, window, there)
        sampling = wanted.sampling
        drawn = None if sampling is None else (sampling.n, sampling.seed)
        rows = {**await write_rows(log, seen, there, drawn), "events": events}
        await write_definitions(connection, seen, there)
        warnings = await _judged(connection, log, seen, wanted, there)
        _first_page(there, log, window, warnings)
        put(there / "verify" / "newel_verify.py", verifier_file().read_bytes())
        root = head.text.split("\n")[2]
        manifest = _manifest(there, log, root, wanted, rows, warnings)
        receipt = {
            **receipt,
            "manifest_sha256": hashlib.sha256(document(manifest)).hexdigest(),
            "anchors_sha256": await _anchors(connection, log, there),
        }
        if wanted.with_names:
            await write_names(connection, seen, there)
            receipt["names_sha256"] = _digest(there / NAMES)
        for name, suffix, said in (
            ("manifest", "evidence", manifest),
            ("receipt", "receipt", receipt),
        ):
            text = document(said)
            told = f"{log.origin}/{suffix}\n{hashlib.sha256(text).hexdigest()}\n{root}\n"
            put(there / f"{name}.json", text)
            put(there / f"{name}.note", str(notes.Note(told, (key.signed(told),))).encode())
        bound = [each for each in _names(there) if each not in _UNBOUND]
        sums = "".join(f"{_digest(there / each)}  {each}\n" for each in bound)
        put(there / "SHA256SUMS", sums.encode())
        _zip(there, path)
    return Written(rows, log.size, receipt["manifest_sha256"], warnings)


async def _log_of(connection: Connection, as_of: int | None, archive: Archive) -> SealedLog:
    """Give the newest log epoch as it was at a size."""
    logs = [log for log in await sealed_logs(connection, archive) if log.size]
    log = None if not logs else logs[-1] if as_of is None else await logs[-1].at(as_of)
    if log is None:
        raise NotFound(kind="checkpoint of size", reference=str(as_of or 0))
    return log


def _key_of(holder: KeyHolder, origin: str, head: notes.Note) -> notes.SigningKey:
    """Give the key that signed a head, so that who believes the head believes the package.

    One that came later may have signed nothing at this size, and not even be told of in the log.
    """
    for key in holder.signing_keys(origin):
        its = key.verifier()
        if any(its.is_valid(each, head.text) for each in head.signatures):
            return key
    raise NotFound(kind="key of the log", reference=origin)


async def _write_log(log: SealedLog, folder: Path) -> None:
    async for path in log.paths():
        data = await log.read(path)
        if data is not None:
            put(folder / path, data)


async def _judged(
    connection: Connection, log: SealedLog, seen: Evidence, wanted: Package, folder: Path
) -> list[str]:
    """Write what control tests find and what is missing; answers with what to read first."""
    results = controls.control_tests(seen)
    runs, grants = await audit_log.begun_within(connection, log.log_epoch, log.size)
    roster = await _roster(connection, wanted.roster)
    figures = controls.completeness(seen, size=log.size, runs=runs, grants=grants, roster=roster)
    put(folder / "control_tests.json", document(results))
    put(folder / "completeness.json", document(figures))
    return controls.warnings(results, figures, is_whole=seen.is_whole, forced=seen.forced)


async def _roster(connection: Connection, listed: Sequence[Listed] | None) -> list[Roster] | None:
    """Say whom the lines of a list mean; numbers of employees stay out of the package."""
    if listed is None:
        return None
    known = await audit_log.people_of(connection, [each.employee_id for each in listed])
    return [
        Roster(
            number,
            reference("per", known[each.employee_id]) if each.employee_id in known else None,
            each.start_date,
            each.end_date,
        )
        for number, each in enumerate(listed, 1)
    ]


def _first_page(folder: Path, log: SealedLog, window: Window, warnings: Sequence[str]) -> None:
    text = _README.format(
        since=window.since,
        until=window.until,
        version=VERSION,
        origin=log.origin,
        size=log.size,
        warnings="\n".join(f"- {each}" for each in warnings or ["Nothing stands out."]),
    )
    put(folder / "README.md", text.encode())
    as_html = (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Evidence</title>'
        f"</head>\n<body><pre>{html.escape(text)}</pre></body>\n</html>\n"
    )
    put(folder / "README.html", as_html.encode())


async def _anchors(connection: Connection, log: SealedLog, folder: Path) -> str:
    """Write what places outside said; answers with the SHA-256 of that."""
    said = [
        {
            "size": row["size"],
            "target": row["target"],
            "receipt": base64.b64encode(row["receipt"]).decode(),
            "at": instant(row["created_at"]),
        }
        for row in await audit_log.receipts(connection, log.log_epoch, log.size)
    ]
    put(folder / _ANCHORS, document(said))
    return _digest(folder / _ANCHORS)


def _manifest(
    folder: Path,
    log: SealedLog,
    root: str,
    wanted: Package,
    rows: dict[str, int],
    warnings: Sequence[str],
) -> Json:
    sampling = wanted.sampling
    since, until = (instant(each) for each in wanted.period)
    return {
        "schema": 1,
        "newel_version": VERSION,
        "period": {"from": since, "to": until},
        "log_epochs": [{"origin": log.origin, "size": log.size, "root": root}],
        "parameters": {
            "as_of": log.size,
            "sla_hours": wanted.sla_hours,
            "roster": wanted.roster is not None,
        },
        "sampling": None if sampling is None else {"n": sampling.n, "seed": sampling.seed},
        "rows": rows,
        "warnings": list(warnings),
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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
