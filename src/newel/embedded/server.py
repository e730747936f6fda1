"""Start, share and stop one PostgreSQL server per directory, and survive any kill.

PostgreSQL recovers its data by itself. What a supervisor must get right is to know whether a
server lives, and process numbers cannot tell: after a kill the number may belong to somebody
else, or to a process nobody has buried. So the answer is a file lock. The server inherits an
open, locked file, `alive`; all its processes share that lock, and the kernel drops it when
the last of them is gone, however it died. Three locks, always taken in this order:

    lock    held for the moment in which a server is started or stopped
    users   shared by everyone who uses the server; the last one to leave stops it
    alive   held by the server's own processes

    alive is free                      dead: sweep away the old process number and start
    alive is taken, the port answers   alive: adopt it, whoever started it
    alive is taken, no answer          starting, recovering or dying: look again shortly

A cluster is made under another name and renamed when it is complete, so a kill half-way
leaves nothing that looks like a database.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from newel.embedded.errors import (
    DidNotStart,
    DurabilityDiffers,
    EmbeddedServerError,
    NoAccount,
    OtherMajorVersion,
)
from newel.embedded.place import ELSEWHERE, Place, settled

__all__ = ["Server", "found", "removed", "started", "stopped", "used"]

USER = "newel"
"""Name of the database user, who owns the server, and of the database."""

_READY_S = 300.0  # recovery after a kill under heavy load may take minutes; it is progress
_STOP_S = 60.0
_LOOK_AGAIN_S = 0.02
_PORT_TRIES = 5

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # loopback TCP with a password is the only way in
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_buffers": "16MB",
    "wal_compression": "pglz",  # the only method every build has
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
_Seen = TypeVar("_Seen")

_DURABILITY = {
    True: {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"},
    # For tests, whose data nobody wants back after a power cut.
    False: {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server; stays valid until somebody stops it."""

    dsn: str = field(repr=False)  # carries the password
    data_directory: Path
    port: int
    pid: int
    bin_directory: Path
    """Where pgbench, psql and pg_dump of the same version lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What a directory remembers between two starts; `server.json`."""

    durable: bool
    port: int = 0
    kept: bool = False
    """Asked to go on without users, until it is stopped by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Postmaster:
    """What the server wrote about itself; `postmaster.pid`."""

    pid: int
    port: int
    is_ready: bool


def started(
    directory: Path, *, durable: bool = True, keep: bool = True, elsewhere: Path = ELSEWHERE
) -> Server:
    """Start the directory's server, or adopt the one that runs.

    durable=False is for tests: faster, and lost with the power.
    keep: the server goes on when its last user leaves, until `stopped` ends it.
    Raises a class of newel.embedded.errors.
    """
    with _locked(directory) as own:
        return _started(own, settled(own, elsewhere=elsewhere), durable=durable, keep=keep)


@contextlib.contextmanager
def used(
    directory: Path, *, durable: bool = True, remove: bool = False, elsewhere: Path = ELSEWHERE
) -> Iterator[Server]:
    """Use the directory's server for a while; the last user to leave stops it.

    remove: the last user also deletes the data (for tests).
    A user that is killed has left. Raises as `started`.
    """
    with _locked(directory) as own:
        place = settled(own, elsewhere=elsewhere)
        server = _started(place.directory, place, durable=durable, keep=False)
        users = _opened(own / "users")
        fcntl.flock(users, fcntl.LOCK_SH)
    try:
        yield server
    finally:
        with _locked(directory) as own:
            os.close(users)
            is_last = not _is_taken(own / "users")
            if is_last and not _read_record(own, durable=durable).kept:
                _stopped(place)
                if remove:
                    _removed(place)


def stopped(directory: Path, *, elsewhere: Path = ELSEWHERE) -> bool:
    """Stop the server whoever uses it; say whether there was one to stop."""
    with _locked(directory) as own:
        return _stopped(settled(own, elsewhere=elsewhere))


def removed(directory: Path, *, elsewhere: Path = ELSEWHERE) -> None:
    """Stop the server and delete its data, also where they lie elsewhere."""
    with _locked(directory) as own:
        place = settled(own, elsewhere=elsewhere)
        _stopped(place)
        _removed(place)


def found(directory: Path, *, elsewhere: Path = ELSEWHERE) -> Server | None:
    """Return the running server of the directory, or None; starts and creates nothing."""
    if not (directory / "lock").exists():
        return None
    with _locked(directory) as own:
        place = settled(own, elsewhere=elsewhere)
        postmaster = _postmaster(place) if _is_taken(own / "alive") else None
        return _described(place, postmaster) if postmaster and postmaster.is_ready else None


# --------------------------------------------------------------------------- locks


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[Path]:
    """Hold the directory's lock; yields the directory, made if it was missing, as real path."""
    try:
        lock = _lock(directory)
    except PermissionError as refused:
        message = f"{directory} belongs to another user: {refused}. Use another directory."
        raise EmbeddedServerError(message) from refused
    try:
        yield directory.resolve()
    finally:
        os.close(lock)


def _lock(directory: Path) -> int:
    """Take the lock; whoever waited while the directory was deleted begins again."""
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        lock = _opened(directory / "lock")
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), (directory / "lock").stat()):
                return lock
        os.close(lock)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _is_taken(path: Path) -> bool:
    """Say whether anyone holds the lock of a file, without keeping it."""
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


# --------------------------------------------------------------------------- starting


def _started(own: Path, place: Place, *, durable: bool, keep: bool) -> Server:
    _refuse_other_major(place)
    if not place.cluster.exists():
        _initialise(place, durable=durable)
    record = _read_record(own, durable=durable)
    if record.durable is not durable:
        raise DurabilityDiffers(directory=own, durable=record.durable)
    adopted = _adopted(place)
    postmaster = adopted or _launched(place, record)
    # A wish to be kept was for the server that ran then; it does not outlive a crash.
    kept = keep or (record.kept and adopted is not None)
    _write_record(own, _Record(durable=durable, port=postmaster.port, kept=kept))
    return _described(place, postmaster)


def _described(place: Place, postmaster: _Postmaster) -> Server:
    password = place.password.read_text(encoding="ascii").strip()
    return Server(
        dsn=f"postgresql://{USER}:{password}@127.0.0.1:{postmaster.port}/{USER}",
        data_directory=place.cluster,
        port=postmaster.port,
        pid=postmaster.pid,
        bin_directory=place.programs,
    )


def _refuse_other_major(place: Place) -> None:
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


def _initialise(place: Place, *, durable: bool) -> None:
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
    _write_record(place.directory, _Record(durable=durable))
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


def _adopted(place: Place) -> _Postmaster | None:
    """Wait until a living server is ready, or until the last of its processes is gone."""

    def seen() -> tuple[_Postmaster | None] | None:
        if not _is_taken(place.directory / "alive"):
            return (None,)
        postmaster = _postmaster(place)
        return (postmaster,) if postmaster and postmaster.is_ready else None

    answer = _awaited(seen, within_s=_READY_S)
    if answer is None:
        raise DidNotStart(program="postgres", last_words=_last_words(place))
    return answer[0]


def _launched(place: Place, record: _Record) -> _Postmaster:
    """Start a server on its former port, or on another if somebody has taken that one."""
    # Nobody of the old server lives (the lock says so): its number must not hinder the new one.
    (place.cluster / "postmaster.pid").unlink(missing_ok=True)
    port = record.port
    for _ in range(_PORT_TRIES):
        port = _free_port(port)
        if _launch(place, port, durable=record.durable):
            postmaster = _adopted(place)
            if postmaster is not None:
                return postmaster
        if _free_port(port) == port:  # it was something else than a port lost to somebody
            break
    raise DidNotStart(program="postgres", last_words=_last_words(place))


def _launch(place: Place, port: int, *, durable: bool) -> bool:
    """Let pg_ctl start the server detached from us, holding the lock `alive`."""
    log = place.server / "start.log"
    log.unlink(missing_ok=True)
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    place.own(log)
    settings = {**_SETTINGS, **_DURABILITY[durable], "port": str(port)}
    options = shlex.join(part for item in settings.items() for part in ("-c", "=".join(item)))
    arguments = ("start", f"--pgdata={place.cluster}", f"--log={log}", "--no-wait", "-o", options)
    alive = _opened(place.directory / "alive")
    try:
        fcntl.flock(alive, fcntl.LOCK_EX)
        _run(place, "pg_ctl", *arguments, passed=(alive,))
    except DidNotStart:
        return False
    finally:
        os.close(alive)  # the server's own copy keeps the lock
    return True


def _free_port(wanted: int) -> int:
    """Return the wanted port if nobody listens there, else one the system chooses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --------------------------------------------------------------------------- stopping


def _stopped(place: Place) -> bool:
    """Stop cleanly (open transactions are rolled back), at once if that takes too long."""
    alive = place.directory / "alive"
    record = _read_record(place.directory, durable=True)
    if record.kept:
        _write_record(place.directory, replace(record, kept=False))
    if not _is_taken(alive):
        return False
    for how in (signal.SIGINT, signal.SIGQUIT):
        postmaster = _postmaster(place)
        if postmaster is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(postmaster.pid, how)
        if _awaited(lambda: not _is_taken(alive), within_s=_STOP_S):
            return True
    raise DidNotStart(program="postgres", last_words="it does not stop")


def _removed(place: Place) -> None:
    """Delete all that was made; the lock itself goes last, since we hold it."""
    if place.home != place.directory:
        shutil.rmtree(place.home)
    shutil.rmtree(place.directory)


# --------------------------------------------------------------------------- looking


def _postmaster(place: Place) -> _Postmaster | None:
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
    return _Postmaster(
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


def _awaited(look: Callable[[], _Seen | None], *, within_s: float) -> _Seen | None:
    """Look until there is something to see; None when the time is over."""
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            return None
        time.sleep(_LOOK_AGAIN_S)
    return seen


def _last_words(place: Place) -> str:
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
                # Nothing of the caller's environment: PGDATA and its like may point elsewhere.
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


# --------------------------------------------------------------------------- remembering


def _read_record(own: Path, *, durable: bool) -> _Record:
    """Read what the directory remembers; a new one remembers only what is asked of it."""
    try:
        facts = json.loads((own / "server.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _Record(durable=durable)
    return _Record(durable=facts["durable"], port=facts["port"], kept=facts["kept"])


def _write_record(own: Path, record: _Record) -> None:
    new = own / "server.json.new"
    new.write_text(json.dumps(asdict(record)) + "\n", encoding="utf-8")
    new.replace(own / "server.json")
