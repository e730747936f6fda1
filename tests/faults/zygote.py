"""Forks newel's own programs, so that a fault schedule does not spend its time in imports.

Started once, it imports everything and forks for each order it reads: one JSON line `{"argv",
"env", "cwd", "log"}`. The child is `newel ARGV` as the command line starts it. A line with the
child's process number answers (with LD_PRELOAD in `env` it is a program of its own, since a
library cannot come in later); when a child has ended, a line `{"pid", "status"}` tells how.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys

import newel.cli.app
import newel.cli.deployment
import newel.cli.programs
import newel.cli.serving
import newel.web.app
from newel.engine import tuning  # noqa: F401 - as above


def _child(order: dict) -> None:  # type: ignore[type-arg]  # JSON
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if "LD_PRELOAD" in order["env"]:
        os.execv(sys.executable, [sys.executable, "-m", "newel", *order["argv"]])
    try:
        status = newel.cli.app.answered(order["argv"])
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 1
    except BaseException:  # noqa: BLE001 - told in its log, as Python would
        import traceback

        traceback.print_exc()
        status = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    """Fork for each order; tell who has ended."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    ready = selectors.DefaultSelector()
    ready.register(0, selectors.EVENT_READ)
    ready.register(woken, selectors.EVENT_READ)
    kept = b""
    while True:
        for key, _ in ready.select():
            if key.fd == woken:
                os.read(woken, 4096)
                _bury()
                continue
            data = os.read(0, 65536)
            if not data:
                return
            kept += data
            while b"\n" in kept:
                line, _, kept = kept.partition(b"\n")
                _forked(json.loads(line))


def _forked(order: dict) -> None:  # type: ignore[type-arg]  # JSON
    child = os.fork()
    if child == 0:
        _child(order)
    _say({"started": child, "name": order["name"]})


def _bury() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say({"pid": pid, "status": os.waitstatus_to_exitcode(status)})


def _say(what: dict) -> None:  # type: ignore[type-arg]  # JSON
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
