"""What is written down between two starts: by us in `server.json`, by the server about itself."""

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from newel.embedded.place import Place

__all__ = ["Postmaster", "Record", "postmaster_of", "read_record", "write_record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a directory remembers between two starts; `server.json`."""

    durable: bool
    port: int = 0
    kept: bool = False
    """Asked to go on without users, until it is stopped by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Postmaster:
    """What the server wrote about itself; `postmaster.pid`."""

    pid: int
    port: int
    is_ready: bool


def read_record(own: Path, *, durable: bool) -> Record:
    """Read what the directory remembers; a new one remembers only what is asked of it."""
    try:
        facts = json.loads((own / "server.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Record(durable=durable)
    return Record(durable=facts["durable"], port=facts["port"], kept=facts["kept"])


def write_record(own: Path, record: Record) -> None:
    """Remember; whole, or as before."""
    new = own / "server.json.new"
    new.write_text(json.dumps(asdict(record)) + "\n", encoding="utf-8")
    new.replace(own / "server.json")


def postmaster_of(place: Place) -> Postmaster | None:
    """Read what the server says of itself; None while it says nothing yet.

    Source: PostgreSQL 18, src/include/utils/pidfile.h (lines 1, 4 and 8 of postmaster.pid).
    """
    try:
        lines = (place.cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 8:
        return None
    port = int(lines[3])
    return Postmaster(
        pid=int(lines[0]), port=port, is_ready=lines[7].strip() == "ready" and _answers(port)
    )


def _answers(port: int) -> bool:
    """Say whether a PostgreSQL listens: it answers a request for encryption with S or N.

    Source: PostgreSQL 18 documentation, "Message Formats", SSLRequest.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall((8).to_bytes(4) + (80877103).to_bytes(4))
            return connection.recv(1) in {b"S", b"N"}
    except OSError:
        return False
