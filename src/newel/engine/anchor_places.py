"""Where copies of checkpoints lie, seen from the database: a copy beside it proves little.

Whoever administers the machine of the database can rewrite both. What cannot be seen from here (a
program that mails the checkpoint) counts as elsewhere.
"""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from newel.connectors.addresses import is_loopback
from newel.engine.anchors import anchor_path
from newel.engine.doctor import Finding
from newel.store import doctor as facts
from newel.store.database import Database

__all__ = ["examined_anchors", "is_beside", "server_of"]

_MOUNTS: Final = Path("/proc/self/mounts")
_NETWORK: Final = frozenset({"9p", "afs", "ceph", "cifs", "glusterfs", "lustre", "nfs", "nfs4"}) | {
    "smb3",
    "fuse.sshfs",
    "virtiofs",
}
_LATE: Final = timedelta(minutes=30)
"""Three times the interval at which a place gets a head."""
_UNSEALED: Final = timedelta(minutes=5)
_READ_S: Final = 10.0


async def examined_anchors(
    database: Database, places: tuple[str, ...], *, base: Path, server: str
) -> list[Finding]:
    """Say what is wrong with sealing and copies; server: host of the database, empty for this."""
    found = [*_where(places, base, server)]
    for row in await facts.read(database, "late_anchors", _LATE):
        what = f"`{row['target']}` has got no checkpoint since {row['at']:%d %b %Y, %H:%M} UTC."
        why = "What was written since can be written anew by whoever has database and key."
        found.append(_warning("anchor-late", what, why, "Look at the workers' logs: `anchoring`."))
    for row in await facts.read(database, "unsealed", _UNSEALED):
        what = f"{row['how_many']} batches of events wait to be sealed since "
        what += f"{row['since']:%d %b %Y, %H:%M} UTC."
        why = "Until they are sealed, they can be changed without a trace in the log."
        fix = "Start a worker that holds the log's key; if one runs, its log says why it halts."
        found.append(_warning("unsealed", what, why, fix))
    return found


def _where(places: tuple[str, ...], base: Path, server: str) -> list[Finding]:
    why = "Whoever administers that machine can write the log anew, and no copy contradicts."
    fix = "Add a place elsewhere to the setting `anchors`: a bucket, a witness, another machine."
    if not places:
        return [_warning("unanchored", "No copies of checkpoints are kept anywhere.", why, fix)]
    if all(is_beside(each, base, server) for each in places):
        what = "All copies of checkpoints lie on the machine of the database."
        return [_warning("anchors-beside", what, why, fix, places)]
    return []


def server_of(dsn: str) -> str:
    """Name the host of a database; empty where it is this one."""
    parts = urlsplit(dsn)
    host = parts.hostname or parse_qs(parts.query).get("host", [""])[0]
    return "" if host.startswith(("/", "%")) or is_loopback(host) else host


def is_beside(place: str, base: Path, server: str) -> bool:
    """Say whether a place lies on the machine of the database, as far as can be told from here."""
    kind, _, rest = place.partition(":")
    path = anchor_path(place, base)
    if path is not None:
        is_here = not (_is_elsewhere(path) or (kind == "git" and _is_pushed(path)))
        return is_here and not server
    host = urlsplit(rest.split()[0]).hostname or "" if kind != "command" else ""
    return bool(host) and (host == server if server else is_loopback(host))


def _is_elsewhere(path: Path) -> bool:
    """Say whether a path is on a file system of another machine."""
    if not _MOUNTS.exists():
        return False
    found, kind = "", ""
    for line in _MOUNTS.read_text("utf-8", "replace").splitlines():
        _, at, type_, *_ = line.split(" ")
        if path.resolve().is_relative_to(at) and len(at) >= len(found):
            found, kind = at, type_
    return kind in _NETWORK


def _is_pushed(path: Path) -> bool:
    """Say whether a repository has a remote on another machine."""
    asks = ("git", "-C", str(path), "config", "--get-regexp", r"^remote\..*\.url$")
    try:
        said = subprocess.run(  # noqa: S603 - a fixed program, without a shell
            asks, capture_output=True, text=True, timeout=_READ_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return any(_is_remote(line.partition(" ")[2]) for line in said.stdout.splitlines())


def _is_remote(url: str) -> bool:
    if "://" in url:
        host = urlsplit(url).hostname or ""
        return bool(host) and not is_loopback(host)
    host, is_named, _ = url.partition(":")
    return bool(is_named) and "/" not in host and not is_loopback(host.rpartition("@")[2])


def _warning(code: str, what: str, why: str, fix: str, where: tuple[str, ...] = ()) -> Finding:
    return Finding(code=code, level="warning", what=what, why=why, fix=fix, where=where)
