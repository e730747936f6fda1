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
"""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from newel.embedded.cluster import USER, initialise, last_words, launch, refuse_other_major
from newel.embedded.errors import DidNotStart, DurabilityDiffers
from newel.embedded.locks import is_taken, locked, opened
from newel.embedded.place import ELSEWHERE, Place, settled
from newel.embedded.record import (
    Postmaster,
    Record,
    postmaster_of,
    read_record,
    write_record,
)

__all__ = ["Server", "found", "removed", "started", "stopped", "used"]

_READY_S = 300.0  # recovery after a kill under heavy load may take minutes; it is progress
_STOP_S = 60.0
_LOOK_AGAIN_S = 0.02
_PORT_TRIES = 5

_Seen = TypeVar("_Seen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server; stays valid until somebody stops it."""

    dsn: str = field(repr=False)  # carries the password
    data_directory: Path
    port: int
    pid: int
    bin_directory: Path
    """Where pgbench, psql and pg_dump of the same version lie."""


def started(
    directory: Path, *, durable: bool = True, keep: bool = True, elsewhere: Path = ELSEWHERE
) -> Server:
    """Start the directory's server, or adopt the one that runs.

    durable=False is for tests: faster, and lost with the power.
    keep: the server goes on when its last user leaves, until `stopped` ends it.
    Raises a class of newel.embedded.errors.
    """
    with locked(directory) as own:
        return _started(own, settled(own, elsewhere=elsewhere), durable=durable, keep=keep)


@contextlib.contextmanager
def used(
    directory: Path, *, durable: bool = True, remove: bool = False, elsewhere: Path = ELSEWHERE
) -> Iterator[Server]:
    """Use the directory's server for a while; the last user to leave stops it.

    remove: the last user also deletes the data (for tests).
    A user that is killed has left. Raises as `started`.
    """
    with locked(directory) as own:
        place = settled(own, elsewhere=elsewhere)
        server = _started(place.directory, place, durable=durable, keep=False)
        users = opened(own / "users")
        fcntl.flock(users, fcntl.LOCK_SH)
    try:
        yield server
    finally:
        with locked(directory) as own:
            os.close(users)
            is_last = not is_taken(own / "users")
            if is_last and not read_record(own, durable=durable).kept:
                _stopped(place)
                if remove:
                    _removed(place)


def stopped(directory: Path, *, elsewhere: Path = ELSEWHERE) -> bool:
    """Stop the server whoever uses it; say whether there was one to stop."""
    with locked(directory) as own:
        return _stopped(settled(own, elsewhere=elsewhere))


def removed(directory: Path, *, unless_used: bool = False, elsewhere: Path = ELSEWHERE) -> None:
    """Stop the server and delete its data, also where they lie elsewhere.

    unless_used: leave it alone if anybody uses it; one that was killed uses it no more.
    """
    with locked(directory) as own:
        if unless_used and is_taken(own / "users"):
            return
        place = settled(own, elsewhere=elsewhere)
        _stopped(place)
        _removed(place)


def found(directory: Path, *, elsewhere: Path = ELSEWHERE) -> Server | None:
    """Return the running server of the directory, or None; starts and creates nothing."""
    if not (directory / "lock").exists():
        return None
    with locked(directory) as own:
        place = settled(own, elsewhere=elsewhere)
        postmaster = postmaster_of(place) if is_taken(own / "alive") else None
        return _described(place, postmaster) if postmaster and postmaster.is_ready else None


# --------------------------------------------------------------------------- starting


def _started(own: Path, place: Place, *, durable: bool, keep: bool) -> Server:
    refuse_other_major(place)
    if not place.cluster.exists():
        initialise(place, durable=durable)
    record = read_record(own, durable=durable)
    if record.durable is not durable:
        raise DurabilityDiffers(directory=own, durable=record.durable)
    adopted = _adopted(place)
    postmaster = adopted or _launched(place, record)
    # A wish to be kept was for the server that ran then; it does not outlive a crash.
    kept = keep or (record.kept and adopted is not None)
    write_record(own, Record(durable=durable, port=postmaster.port, kept=kept))
    return _described(place, postmaster)


def _described(place: Place, postmaster: Postmaster) -> Server:
    password = place.password.read_text(encoding="ascii").strip()
    return Server(
        dsn=f"postgresql://{USER}:{password}@127.0.0.1:{postmaster.port}/{USER}",
        data_directory=place.cluster,
        port=postmaster.port,
        pid=postmaster.pid,
        bin_directory=place.programs,
    )


def _adopted(place: Place) -> Postmaster | None:
    """Wait until a living server is ready, or until the last of its processes is gone."""

    def seen() -> tuple[Postmaster | None] | None:
        if not is_taken(place.directory / "alive"):
            return (None,)
        postmaster = postmaster_of(place)
        return (postmaster,) if postmaster and postmaster.is_ready else None

    answer = _awaited(seen, within_s=_READY_S)
    if answer is None:
        raise DidNotStart(program="postgres", last_words=last_words(place))
    return answer[0]


def _launched(place: Place, record: Record) -> Postmaster:
    """Start a server on its former port, or on another if somebody has taken that one."""
    # Nobody of the old server lives (the lock says so): its number must not hinder the new one.
    (place.cluster / "postmaster.pid").unlink(missing_ok=True)
    port = record.port
    for _ in range(_PORT_TRIES):
        port = _free_port(port)
        if launch(place, port, durable=record.durable):
            postmaster = _adopted(place)
            if postmaster is not None:
                return postmaster
        if _free_port(port) == port:  # it was something else than a port lost to somebody
            break
    raise DidNotStart(program="postgres", last_words=last_words(place))


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
    record = read_record(place.directory, durable=True)
    if record.kept:
        write_record(place.directory, replace(record, kept=False))
    if not is_taken(alive):
        return False
    for how in (signal.SIGINT, signal.SIGQUIT):
        postmaster = postmaster_of(place)
        if postmaster is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(postmaster.pid, how)
        if _awaited(lambda: not is_taken(alive), within_s=_STOP_S):
            return True
    raise DidNotStart(program="postgres", last_words="it does not stop")


def _removed(place: Place) -> None:
    """Delete all that was made; the lock itself goes last, since we hold it."""
    if place.home != place.directory:
        shutil.rmtree(place.home)
    shutil.rmtree(place.directory)


def _awaited(look: Callable[[], _Seen | None], *, within_s: float) -> _Seen | None:
    """Look until there is something to see; None when the time is over."""
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            return None
        time.sleep(_LOOK_AGAIN_S)
    return seen
