"""PgBouncer in transaction mode, in front of a server, for as long as a block runs."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

PROGRAMS = ("/usr/sbin/pgbouncer", "/usr/bin/pgbouncer")
MISSING = "no PgBouncer on this machine: apt-get install pgbouncer"

_BEHIND: dict[int, str] = {}
"""Host and port of the server behind each of this program's poolers, by the pooler's own port."""


def program() -> str | None:
    """Give the path of PgBouncer; None where the machine has none."""
    return shutil.which("pgbouncer") or next((p for p in PROGRAMS if Path(p).exists()), None)


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def behind(url: str) -> str:
    """Give the address past a pooler of this program; the same address, where there is none.

    For what a test does beside newel: it keeps a session for itself, or comes as another role,
    and a pooler in transaction mode gives neither.
    """
    parts = urlsplit(url)
    server = _BEHIND.get(parts.port or 0)
    if server is None:
        return url
    user = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@{server}"))


class Pooler:
    """A pooler for all databases of the server of `dsn`, on a port that stays the same."""

    def __init__(self, dsn: str, size: int) -> None:
        """Write its files. Size: server connections for each database."""
        found = program()
        assert found is not None, MISSING
        self._program = found
        self._port = free_port()
        self._place = Path(tempfile.mkdtemp(prefix="newel-pooler-"))
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        parts = urlsplit(dsn)
        self.url = urlunsplit(
            parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{self._port}")
        )
        _BEHIND[self._port] = f"{parts.hostname}:{parts.port}"
        _written(self._place, parts, self._port, size)
        if self._account is not None:
            for each in (self._place, *self._place.iterdir()):
                os.chown(each, self._account.pw_uid, self._account.pw_gid)

    def start(self) -> None:
        """Start it; it answers when this returns."""
        account = self._account
        self._running = subprocess.Popen(
            [self._program, "-q", str(self._place / "pgbouncer.ini")],
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            stderr=subprocess.DEVNULL,
        )
        _await_answer(self._port, self._running)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it with a signal; with SIGKILL every line through it is gone at once."""
        self._running.send_signal(number)  # to one that has ended, too
        self._running.wait(10)

    def remove(self) -> None:
        """Delete its files."""
        del _BEHIND[self._port]
        shutil.rmtree(self._place, ignore_errors=True)


@contextlib.contextmanager
def pooler_of(dsn: str, *, size: int = 10) -> Iterator[Pooler]:
    """Put a pooler before the server of `dsn`, which may be ended and started again.

    size: server connections for each database. All users come in with the password of `dsn`.
    """
    made = Pooler(dsn, size)
    try:
        made.start()
        yield made
    finally:
        made.end()
        made.remove()


@contextlib.contextmanager
def pooled(dsn: str, *, size: int = 10) -> Iterator[str]:
    """Put a pooler before the server of `dsn`, for all its databases; gives the new address."""
    with pooler_of(dsn, size=size) as made:
        yield made.url


def _written(place: Path, parts: SplitResult, port: int, size: int) -> None:
    users = f'"{parts.username}" "{parts.password}"\n'
    (place / "users.txt").write_text(users, encoding="ascii")
    (place / "pgbouncer.ini").write_text(
        f"""[databases]
* = host={parts.hostname} port={parts.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {place}/users.txt
pool_mode = transaction
max_client_conn = 500
default_pool_size = {size}
server_reset_query =
server_login_retry = 1
query_wait_timeout = 20
logfile = {place}/pgbouncer.log
""",
        encoding="ascii",
    )


def _await_answer(port: int, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert running.poll() is None, "PgBouncer has ended"
        time.sleep(0.02)
    raise AssertionError("PgBouncer does not answer")
