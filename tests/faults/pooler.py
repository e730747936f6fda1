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
from urllib.parse import urlsplit, urlunsplit

PROGRAMS = ("/usr/sbin/pgbouncer", "/usr/bin/pgbouncer")
MISSING = "no PgBouncer on this machine: apt-get install pgbouncer"


def program() -> str | None:
    """Give the path of PgBouncer; None where the machine has none."""
    return shutil.which("pgbouncer") or next((p for p in PROGRAMS if Path(p).exists()), None)


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def pooled(dsn: str, *, size: int = 10) -> Iterator[str]:
    """Put a pooler before the server of `dsn`, for all its databases; gives the new address.

    size: server connections for each database. All users come in with the password of `dsn`.
    """
    found = program()
    assert found is not None, MISSING
    parts = urlsplit(dsn)
    port = free_port()
    place = Path(tempfile.mkdtemp(prefix="newel-pooler-"))
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
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    if account is not None:
        for each in (place, *place.iterdir()):
            os.chown(each, account.pw_uid, account.pw_gid)
    running = subprocess.Popen(
        [found, "-q", str(place / "pgbouncer.ini")],
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_answer(port, running)
        yield urlunsplit(
            parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}")
        )
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(10)
        shutil.rmtree(place, ignore_errors=True)


def _await_answer(port: int, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert running.poll() is None, "PgBouncer has ended"
        time.sleep(0.02)
    raise AssertionError("PgBouncer does not answer")
