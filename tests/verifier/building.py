"""Logs for the verifier's tests, built with what others wrote, by definition and not by skill.

Canonical bytes come from `rfc8785`, signatures from `cryptography`, roots from the recursion in
RFC 6962 §2.1. Nothing of newel is imported, so that the verifier is judged by the standards alone.
"""

import base64
import hashlib
import importlib.util
import struct
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"
VERIFIER = ROOT / "verifier" / "newel_verify.py"
ORIGIN = "newel.example/audit/5f0c/1"


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("newel_verify", VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


verifier = _loaded()


def hash_of(entry: bytes) -> bytes:
    """Hash a leaf."""
    return hashlib.sha256(b"\0" + entry).digest()


def root_of(hashes: list[bytes]) -> bytes:
    """Give the root as RFC 6962 defines it: split at the largest power of two below the size."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    cut = 1
    while cut * 2 < len(hashes):
        cut *= 2
    return hashlib.sha256(b"\1" + root_of(hashes[:cut]) + root_of(hashes[cut:])).digest()


def path_of(index: int, hashes: list[bytes]) -> list[bytes]:
    """Give the proof of inclusion as RFC 6962 §2.1.1 defines it."""
    if len(hashes) == 1:
        return []
    cut = 1
    while cut * 2 < len(hashes):
        cut *= 2
    if index < cut:
        return [*path_of(index, hashes[:cut]), root_of(hashes[cut:])]
    return [*path_of(index - cut, hashes[cut:]), root_of(hashes[:cut])]


@dataclass(frozen=True)
class Signer:
    """Somebody with a key: a log (kind 1) or a witness (kind 4)."""

    name: str
    seed: bytes
    kind: int = 1

    @property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def material(self) -> bytes:
        """Give kind and public key."""
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return bytes([self.kind]) + public

    @property
    def id(self) -> bytes:
        """Give the key id."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.material).digest()[:4]

    @property
    def vkey(self) -> str:
        """Give the verifier key as text."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(self.material).decode()}"

    def line(self, text: str, *, time: int = 1_770_000_000) -> str:
        """Give the signature line over a note's text."""
        if self.kind == 1:
            blob = self._key.sign(text.encode())
        else:
            signed = f"cosignature/v1\ntime {time}\n{text}".encode()
            blob = struct.pack(">Q", time) + self._key.sign(signed)
        return f"\u2014 {self.name} {base64.b64encode(self.id + blob).decode()}\n"


@cache
def signer(name: str = ORIGIN, seed: int = 1, kind: int = 1) -> Signer:
    """Give the signer of this name with a key made of one number."""
    return Signer(name, bytes([seed]) * 32, kind)


def note(text: str, *signers: Signer) -> bytes:
    """Sign a text."""
    return (text + "\n" + "".join(each.line(text) for each in signers)).encode()


def checkpoint(
    hashes: list[bytes], size: int, *signers: Signer, origin: str = ORIGIN, root: bytes = b""
) -> bytes:
    """Sign a tree head over the first leaves."""
    told = base64.b64encode(root or root_of(hashes[:size])).decode()
    return note(f"{origin}\n{size}\n{told}\n", *(signers or (signer(origin),)))


def path(level: str, number: int, width: int = 256) -> str:
    """Give the path of a tile as tlog-tiles writes it."""
    digits = f"{number:03d}"
    while len(digits) % 3:
        digits = "0" + digits
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
    return f"tile/{level}/{name}" + ("" if width == 256 else f".p/{width}")


def tiles(entries: list[bytes]) -> dict[str, bytes]:
    """Give all tiles and entry bundles of a log."""
    files = {}
    for at in range(0, len(entries), 256):
        part = entries[at : at + 256]
        name = path("entries", at // 256, len(part))
        files[name] = b"".join(struct.pack(">H", len(each)) + each for each in part)
    level, hashes = 0, [hash_of(each) for each in entries]
    while hashes:
        for at in range(0, len(hashes), 256):
            part = hashes[at : at + 256]
            files[path(str(level), at // 256, len(part))] = b"".join(part)
        full = len(hashes) // 256
        hashes = [root_of(hashes[at * 256 : at * 256 + 256]) for at in range(full)]
        level += 1
    return files


class Files:
    """Files in memory, for the verifier to read."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, name: str) -> bytes | None:
        """Give a file, or nothing."""
        return self.files.get(name)

    def names(self) -> list[str]:
        """Give all paths."""
        return sorted(self.files)


def reference(prefix: str, number: int) -> str:
    """Write an opaque name."""
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    return f"{prefix}_" + "".join(digits[number >> 5 * place & 31] for place in range(25, -1, -1))


@dataclass
class Story:
    """Events as newel would record them, chained by stream, in the order they were sealed."""

    entries: list[bytes] = field(default_factory=list)
    heads: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    minute: int = 0

    def leaf(self, stream: str, type_: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Give the next event of a stream as a value, without adding it."""
        seq, head = self.heads.get(stream, (0, b""))
        number = len(self.entries) + 1
        return {
            "v": 1,
            "id": f"01990a3c-5b1e-7c40-8f2a-{number:012x}",
            "stream": stream,
            "seq": seq + 1,
            "prev": head.hex(),
            "type": type_,
            "occurred_at": f"2026-01-{self.minute // 1440 + 5:02d}T{self.minute // 60 % 24:02d}"
            f":{self.minute % 60:02d}:04.118203Z",
            "actor": {"type": "system", "id": "newel", "via": "worker/w_3"},
            "subject": reference("per", 77),
            "system": None,
            "data": data,
            **more,
        }

    def add(self, stream: str, type_: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Add the next event of a stream."""
        self.minute += 1
        leaf = self.leaf(stream, type_, data, **more)
        self.append(rfc8785.dumps(leaf))
        self.heads[stream] = (leaf["seq"], hash_of(self.entries[-1]))
        return leaf

    def append(self, entry: bytes) -> None:
        """Add bytes as they are."""
        self.entries.append(entry)

    def hashes(self) -> list[bytes]:
        """Give the leaf hashes."""
        return [hash_of(each) for each in self.entries]


PROCESS = {"name": "onboarding", "version": 12, "definition_sha256": "9b" * 32}


def told(runs: int = 2) -> Story:
    """Tell of some onboardings: asked for, approved, granted, completed."""
    story = Story()
    story.add("log", "log.epoch_opened", {"origin": ORIGIN}, subject=None)
    for number in range(1, runs + 1):
        _onboarding(story, number)
    return story


def _onboarding(story: Story, number: int) -> None:
    stream, grant = "run/" + reference("run", number), reference("grt", number)
    step = {"key": "github.grant[platform]", "attempt": 1, "round": 1}
    started = {
        "source": {"type": "api"},
        "requested_by": reference("per", 3),
        "input_digest": "ab" * 32,
        "confidential": False,
    }
    story.add(stream, "run.started", started, process=PROCESS, run_state="running")
    decided = story.add(
        stream,
        "task.decided",
        {
            "task": reference("tsk", number),
            "decision": "approve",
            "answer_digest": "cd" * 32,
            "channel": "console",
            "auth": {"methods": ["password"], "age_s": 60},
            "excluded": [],
        },
        process=PROCESS,
        step={"key": "approve"},
    )
    granted = {
        "grant": grant,
        "state": "active",
        "entitlement": "github:team/platform",
        "account_ref": reference("acc", number),
        "authority": {
            "kind": "approval",
            "event": decided["id"],
            "leaf_hash": story.heads[stream][1].hex(),
            "approver": reference("per", 4),
        },
        "effective_at": decided["occurred_at"],
        "route": "admin_api",
        "changed": True,
    }
    story.add(stream, "access.granted", granted, process=PROCESS, step=step, system="github")
    done = {"outcome_digest": "ef" * 32, "active_us": 5, "elapsed_us": 900_000_000}
    story.add(stream, "run.completed", done, process=PROCESS, run_state="completed")


def files_of(story: Story, *sizes: int, by: tuple[Signer, ...] = ()) -> dict[str, bytes]:
    """Give the folder of a log: tiles, the newest checkpoint and one for each of the sizes."""
    hashes = story.hashes()
    files = tiles(story.entries)
    for size in sizes:
        files[f"checkpoint.{size}"] = checkpoint(hashes, size, *by)
    files["checkpoint"] = checkpoint(hashes, len(hashes), *by)
    return files


def policy_of(*lines: str) -> Any:
    """Read a policy; without lines, the one that pins the log's key and asks for no witness."""
    text = "\n".join(lines or (f"log {signer().vkey}", "quorum none")) + "\n"
    return verifier.read_policy(text.encode())


PINNED = policy_of()


def verified(
    files: dict[str, bytes],
    *anchors: bytes,
    policy: Any = PINNED,
    later: tuple[dict[str, bytes], ...] = (),
    **how: Any,
) -> Any:
    """Verify a log in memory, with the log epochs after it; answers with the report."""
    report = verifier.Report("memory")
    kept = [verifier.read_checkpoint(raw, f"anchor {at}") for at, raw in enumerate(anchors)]
    sources = [(f"epoch {at}", Files(each)) for at, each in enumerate((files, *later), 1)]
    report.facts = verifier.verify_logs(sources, policy, kept, report, **how)[1]
    return report


def failed(report: Any) -> set[str]:
    """Give the checks that failed."""
    return {check for check, result in report.results.items() if result == "fail"}


def undecided(report: Any) -> set[str]:
    """Give the checks that could not be decided."""
    return {check for check, result in report.results.items() if result == "undecided"}


def written(files: dict[str, bytes], folder: Path) -> Path:
    """Write files into a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
