"""Measure the standalone verifier: time and memory for a log of a million events.

Writes a log of `--events` (runs of twenty events of some 650 bytes: asked for, approved, given,
read back, steps, an end; a checkpoint for each thousand) into a temporary folder, lets
`verifier/newel_verify.py` read all of it in a process of its own, and compares with merely reading,
parsing and hashing the same entries. With `--package` it makes an evidence package of all of it as
well, and lets the verifier make every table again. The goals: within 60 seconds, 500 MB and 5 times
the mere reading (audit document, §18).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from newel.audit import controls
from newel.audit.evidence import Evidence, Placed, Window
from newel.engine.evidence_files import document, put, write_rows
from newel.engine.ocel_document import OcelDocument

Json = dict[str, Any]  # Any: JSON

ROOT = Path(__file__).resolve().parent.parent
VERIFIER = ROOT / "verifier" / "newel_verify.py"
ORIGIN = "newel.example/audit/bench/1"
EVENTS_OF_A_RUN = 20
PROCESS = {"name": "onboarding", "version": 1, "definition_sha256": "9b" * 32}
EVENTS_OF_A_CHECKPOINT = 1000

_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
_MATERIAL = b"\1" + _KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
_ID = hashlib.sha256(ORIGIN.encode() + b"\n" + _MATERIAL).digest()[:4]
VKEY = f"{ORIGIN}+{_ID.hex()}+{base64.b64encode(_MATERIAL).decode()}"

_READING = """
import hashlib, json, pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).glob("tile/entries/**/*")):
    if path.is_file():
        data = path.read_bytes()
        at = 0
        while at < len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            json.loads(data[at + 2 : end])
            hashlib.sha256(b"\\0" + data[at + 2 : end]).digest()
            at = end
"""
_MEASURED = """
import json, resource, subprocess, sys, time
began = time.monotonic()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
wall = time.monotonic() - began
print(json.dumps([code, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000]))
"""


def main() -> int:
    """Write the log, read it twice, print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--package", action="store_true", help="an evidence package as well")
    asked = parser.parse_args()
    how_many = asked.events
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        size = _written(Path(folder), how_many)
        print(f"wrote {how_many} events, {size / 1e6:.0f} MB, in {time.monotonic() - began:.0f} s")
        _, reading, reading_cpu, _ = _run(sys.executable, "-c", _READING, folder)
        print(f"reading, parsing and hashing: {reading:.1f} s ({reading_cpu:.1f} s of CPU)")
        code, cpu = _verified("a log", folder)
        print(f"ratio: {cpu / reading_cpu:.2f} of CPU; goals: 60 s, 500 MB, 5")
        if asked.package:
            with tempfile.TemporaryDirectory() as other:
                package = Path(other) / "evidence.zip"
                began = time.monotonic()
                asyncio.run(_packed(Path(folder), package, how_many))
                took, packed = time.monotonic() - began, package.stat().st_size / 1e6
                print(f"packed {packed:.0f} MB in {took:.0f} s", flush=True)
                code = max(code, _verified("a package", str(package))[0])
    return code


def _verified(what: str, path: str) -> tuple[int, float]:
    """Let the verifier read something; answers with its exit code and seconds of CPU."""
    command = (sys.executable, "-I", str(VERIFIER), path, "--vkey", VKEY)
    code, wall, cpu, memory = _run(*command)
    took = f"{wall:.1f} s ({cpu:.1f} s of CPU), {memory:.0f} MB"
    print(f"verifying {what}: {took}, exit code {code:.0f}", flush=True)
    return int(code), cpu


def _run(*command: str) -> list[float]:
    """Run a command; answers with exit code, seconds, seconds of CPU and megabytes at most."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *command], check=True, capture_output=True, text=True
    )
    measured: list[float] = json.loads(done.stdout)
    return measured


def _events(how_many: int) -> Iterator[bytes]:
    """Give the entries of many runs, ten of them always interleaved."""
    heads: dict[int, tuple[int, bytes]] = {}
    for number in range(how_many):
        run = number // (10 * EVENTS_OF_A_RUN) * 10 + number % 10
        seq, head = heads.pop(run, (0, b""))
        entry = _leaf(number, run, seq + 1, head)
        yield entry
        if seq + 1 < EVENTS_OF_A_RUN:
            heads[run] = (seq + 1, hashlib.sha256(b"\0" + entry).digest())


def _leaf(number: int, run: int, seq: int, head: bytes) -> bytes:
    minutes = number // 100
    kind, data, more = _told(number, run, seq)
    leaf = {
        "actor": {"id": "newel", "type": "system", "via": "worker/w_3"},
        "data": data,
        "id": _id(number),
        "occurred_at": f"2026-{minutes // 40320 % 12 + 1:02d}-{minutes // 1440 % 28 + 1:02d}"
        f"T{minutes // 60 % 24:02d}:{minutes % 60:02d}:04.118203Z",
        "prev": head.hex(),
        "seq": seq,
        "stream": f"run/run_{run:026d}",
        "subject": f"per_{run % 5000:026d}",
        "system": "github",
        "trace_id": f"{number:032x}",
        "type": kind,
        "v": 1,
        **more,
    }
    return json.dumps(leaf, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _id(number: int) -> str:
    return f"01990a3c-5b1e-7c40-8f2a-{number:012x}"


def _told(number: int, run: int, seq: int) -> tuple[str, Json, Json]:
    """Say what the n-th event of a run is: its type, its facts, what the envelope has besides."""
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    process = {"process": PROCESS}
    step = {"step": {"attempt": 1, "key": f"github.grant[team-{seq}]", "round": 1}}
    grant: Json = {"grant": f"grt_{run:026d}", "state": "active"}
    http = {"host": "api.github.com", "method": "PUT", "path": "/orgs/{org}", "status": 200}
    if seq == 1:
        said: Json = {
            "source": {"type": "api"},
            "requested_by": f"per_{5001:026d}",
            "kind": "joiner",
        }
        said |= {"input_digest": digest, "confidential": False}
        return "run.started", said, process | {"run_state": "running"}
    if seq == 4:
        access: Json = {
            **grant,
            "entitlement": "github:team/core",
            "account_ref": f"acc_{run:026d}",
        }
        policy = {"policy_id": "onboarding", "policy_sha256": "9b" * 32, "kind": "policy"}
        access |= {"authority": policy, "effective_at": "2026-01-05T07:00:04.118203Z"}
        return "access.granted", access | {"route": "scim", "changed": True}, process | step
    if seq == 5:
        return "access.verified", {**grant, "result": "present", "http": http}, step
    if seq == EVENTS_OF_A_RUN:
        ended = {"outcome_digest": digest, "active_us": 5, "elapsed_us": 900_000_000}
        return "run.completed", ended, process | {"run_state": "completed"}
    calls = hashlib.sha256(b"c%d" % number).hexdigest()
    done: Json = {"changed": True, "duration_us": 1000 + number % 1000, "calls_digest": calls}
    return "step.succeeded", {**done, "outcome_digest": digest}, step


async def _packed(log: Path, package: Path, size: int) -> None:
    """Make a package of the whole log with what `newel evidence export` makes one of."""
    folder = package.with_suffix("")
    shutil.copytree(log, folder / "log")
    window = Window("2026-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z", 24)
    seen = Evidence(window)
    with (
        (folder / "events.jsonl").open("wb") as file,
        (folder / "ocel2.json").open("wb") as mined,
        closing(OcelDocument()) as mining,
    ):
        for index, entry in enumerate(_events(size)):
            leaf, hashed = json.loads(entry), hashlib.sha256(b"\0" + entry).hexdigest()
            seen.take(Placed(leaf, index, hashed))
            file.write(entry + b"\n")
            mined.write(mining.event(leaf))
        mined.writelines(mining.rest())
    seen.finish()
    rows = await write_rows(None, seen, folder, None)  # type: ignore[arg-type]  # no proofs
    results = controls.control_tests(seen)
    runs, grants = seen.started, len(seen.granted)
    figures = controls.completeness(seen, size=size, runs=runs, grants=grants, roster=None)
    warnings = controls.warnings(results, figures, is_whole=True)
    put(folder / "control_tests.json", document(results))
    put(folder / "completeness.json", document(figures))
    for name in ("README.md", "README.html"):
        put(folder / name, "\n".join(warnings).encode())
    root = (folder / "log" / "checkpoint").read_text("utf-8").split("\n")[2]
    manifest = {
        "log_epochs": [{"origin": ORIGIN, "size": size, "root": root}],
        "period": {"from": window.since, "to": window.until},
        "parameters": {"as_of": size, "sla_hours": 24},
        "sampling": None,
        "rows": rows | {"events": seen.events},
        "warnings": warnings,
        "files": [{"path": name, "sha256": digest} for name, digest in _digests(folder)],
    }
    receipt = {"manifest_sha256": hashlib.sha256(document(manifest)).hexdigest()}
    for name, suffix, said in (("manifest", "evidence", manifest), ("receipt", "receipt", receipt)):
        text = document(said)
        signed = f"{ORIGIN}/{suffix}\n{hashlib.sha256(text).hexdigest()}\n{root}\n"
        signature = base64.b64encode(_ID + _KEY.sign(signed.encode())).decode()
        put(folder / f"{name}.json", text)
        put(folder / f"{name}.note", f"{signed}\n\u2014 {ORIGIN} {signature}\n".encode())
    bound = [each for each in _digests(folder) if not each[0].startswith("receipt.")]
    put(folder / "SHA256SUMS", "".join(f"{digest}  {name}\n" for name, digest in bound).encode())
    with zipfile.ZipFile(package, "w", zipfile.ZIP_STORED) as archive:
        for name, _ in _digests(folder):
            archive.write(folder / name, name)


def _digests(folder: Path) -> list[tuple[str, str]]:
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    return [
        (each.relative_to(folder).as_posix(), hashlib.sha256(each.read_bytes()).hexdigest())
        for each in files
    ]


def _written(folder: Path, how_many: int) -> int:
    """Write the log; answers with the bytes of its entries."""
    edge: list[tuple[int, bytes]] = []
    levels: list[list[bytes]] = [[]]
    bundle: list[bytes] = []
    total = 0
    for number, entry in enumerate(_events(how_many), 1):
        total += len(entry)
        bundle.append(struct.pack(">H", len(entry)) + entry)
        hashed = hashlib.sha256(b"\0" + entry).digest()
        levels[0].append(hashed)
        height = 0
        while edge and edge[-1][0] == height:
            hashed = hashlib.sha256(b"\1" + edge.pop()[1] + hashed).digest()
            height += 1
            if height % 8 == 0:
                _above(levels, height // 8).append(hashed)
        edge.append((height, hashed))
        if len(bundle) == 256 or number == how_many:
            _write(folder, "entries", (number - 1) // 256, b"".join(bundle), len(bundle))
            bundle = []
            _flush(folder, levels, number, is_last=number == how_many)
        if number % EVENTS_OF_A_CHECKPOINT == 0 or number == how_many:
            _sign(folder, number, edge)
    return total


def _above(levels: list[list[bytes]], level: int) -> list[bytes]:
    if len(levels) == level:
        levels.append([])
    return levels[level]


def _flush(folder: Path, levels: list[list[bytes]], size: int, *, is_last: bool) -> None:
    """Write the tiles that are full, and at the end those that are not."""
    for level, hashes in enumerate(levels):
        if len(hashes) == 256 or (is_last and hashes):
            number = (size // 256**level - 1) // 256
            _write(folder, str(level), number, b"".join(hashes), len(hashes))
            hashes.clear()


def _write(folder: Path, level: str, number: int, data: bytes, width: int) -> None:
    name = f"x{number // 1000:03d}/{number % 1000:03d}" if number >= 1000 else f"{number:03d}"
    path = folder / "tile" / level / (name if width == 256 else f"{name}.p/{width}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _sign(folder: Path, size: int, edge: list[tuple[int, bytes]]) -> None:
    *left, (_, root) = edge
    for _, subtree in reversed(left):
        root = hashlib.sha256(b"\1" + subtree + root).digest()
    text = f"{ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n"
    signature = base64.b64encode(_ID + _KEY.sign(text.encode())).decode()
    note = f"{text}\n\u2014 {ORIGIN} {signature}\n"
    for name in (f"checkpoint.{size}", "checkpoint"):
        (folder / name).write_text(note, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
