"""The server's programs: what they are told when a cluster is made and when it is served.

A cluster is made under another name and renamed when it is complete, so a kill half-way leaves
nothing that looks like a database. Everything runs under the account of the `Place`, with an
empty environment, since PGDATA and its like may point elsewhere.
"""

import fcntl
import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence

from newel.embedded.errors import DidNotStart, NoAccount, OtherMajorVersion
from newel.embedded.locks import opened
from newel.embedded.place import Place
from newel.embedded.record import Record, write_record

__all__ = ["USER", "initialise", "last_words", "launch", "refuse_other_major"]

USER = "newel"
"""Name of the database user, who owns the server, and of the database."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # loopback TCP with a password is the only way in
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_buffers": "16MB",
    # Measured: the only method of this build, pglz, made a burst of page images nine times slower.
    "wal_compression": "off",
    "max_wal_size": "2GB",
    "min_wal_size": "128MB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",  # statements are short and prepared; compiling them costs more than it saves
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "logging_collector": "on",
    "log_filename": "server-%a.log",  # a week of logs, then over again
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
}
_DURABILITY = {
    True: {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"},
    # For tests, whose data nobody wants back after a power cut: small, and quick to copy.
    False: {
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_wal_size": "256MB",
        "min_wal_size": "64MB",
        "file_copy_method": "clone",
    },
}


def refuse_other_major(place: Place) -> None:
    """Refuse data of another major version before anything touches them."""
    written = place.cluster / "PG_VERSION"
    if not written.exists():
        return
    versions = _run(place, "postgres", "--version")  # postgres (PostgreSQL) 18.6
    installed = int(versions.split()[-1].split(".")[0])
    if (cluster := int(written.read_text(encoding="ascii"))) != installed:
        raise OtherMajorVersion(
            directory=place.directory,
            cluster=place.cluster,
            found=cluster,
            installed=installed,
            as_account=place.account.name if place.account else None,
        )


def initialise(place: Place, *, durable: bool) -> None:
    """Make an empty cluster with one user and one database; complete, or not there at all."""
    place.server.mkdir(mode=0o700, exist_ok=True)
    place.own(place.server)
    _write_password(place)
    making = place.cluster.with_name("cluster.new")
    shutil.rmtree(making, ignore_errors=True)
    # The builtin provider sorts alike on every system, whatever locales it has installed.
    locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    access = (f"--username={USER}", f"--pwfile={place.password}", "--auth=scram-sha-256")
    options = (*access, *locale, "--encoding=UTF8", "--no-instructions")
    sync = () if durable else ("--no-sync",)
    _run(place, "initdb", f"--pgdata={making}", *options, *sync)
    single = ("--single", "-D", str(making), "-c", "log_checkpoints=off", "postgres")
    _run(place, "postgres", *single, told=f"create database {USER}\n")
    write_record(place.directory, Record(durable=durable))
    making.rename(place.cluster)


def _write_password(place: Place) -> None:
    if place.password.exists():
        return
    new = place.password.with_name("password.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{secrets.token_hex(24)}\n")
    place.own(new)
    new.rename(place.password)


def launch(place: Place, port: int, *, durable: bool) -> bool:
    """Let pg_ctl start the server detached from us, holding the lock `alive`."""
    log = place.server / "start.log"
    log.unlink(missing_ok=True)
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    place.own(log)
    settings = {**_SETTINGS, **_DURABILITY[durable], "port": str(port)}
    options = shlex.join(part for item in settings.items() for part in ("-c", "=".join(item)))
    arguments = ("start", f"--pgdata={place.cluster}", f"--log={log}", "--no-wait", "-o", options)
    alive = opened(place.directory / "alive")
    try:
        fcntl.flock(alive, fcntl.LOCK_EX)
        _run(place, "pg_ctl", *arguments, passed=(alive,))
    except DidNotStart:
        return False
    finally:
        os.close(alive)  # the server's own copy keeps the lock
    return True


def last_words(place: Place) -> str:
    """Read the ends of the start log and of the newest server log."""
    logs = sorted((place.cluster / "log").glob("*.log"), key=lambda log: log.stat().st_mtime)
    read = [place.server / "start.log", *logs[-1:]]
    return "\n".join(
        log.read_text(encoding="utf-8", errors="replace")[-1000:] for log in read if log.exists()
    )


def _run(
    place: Place, program: str, *options: str, told: str = "", passed: Sequence[int] = ()
) -> str:
    """Run one of the server's programs under the right account; returns what it printed."""
    account = place.account
    with tempfile.TemporaryFile("w+") as words:
        try:
            ended = subprocess.run(
                [place.programs / program, *options],
                check=False,
                input=told,
                # A file, not a pipe: a server that pg_ctl leaves behind would keep a pipe open.
                stdout=words,
                stderr=subprocess.STDOUT,
                text=True,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                cwd="/",
                user=account.user if account else None,
                group=account.group if account else None,
                extra_groups=[] if account else None,
                pass_fds=passed,
            )
        except PermissionError as refused:
            if account is None:
                raise DidNotStart(program=program, last_words=str(refused)) from refused
            reason = f"this machine does not let it start one as {account.name} ({refused})"
            raise NoAccount(reason=reason) from refused
        words.seek(0)
        said = words.read()
    if ended.returncode != 0:
        raise DidNotStart(program=program, last_words=said)
    return said
