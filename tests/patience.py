"""How long tests wait for what must come, and programs that cannot outstay that.

Only a failing test waits it out, so the limits are far beyond what a busy machine needs. A
program's children hold its pipes: whoever ends a program that is late ends its whole group, or
its last words would be waited for for ever.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PATIENCE_S = 120
LONG_S = 480
"""For a whole demo or voyage of processes."""


@contextlib.contextmanager
def program(command: Sequence[str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a program in a group of its own, which is killed at the end or after LONG_S."""
    started = subprocess.Popen(command, text=True, start_new_session=True, **more)
    late = threading.Timer(LONG_S, _killed, [started])
    late.daemon = True
    late.start()
    try:
        yield started
    finally:
        late.cancel()
        _killed(started)
        started.communicate()


def carried_out(
    command: Sequence[str], *, directory: Path, environment: Mapping[str, str], limit: int = LONG_S
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; one that takes longer than `limit` seconds has status -9."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with program(command, cwd=directory, env=environment, **pipes) as started:
        try:
            out, err = started.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            _killed(started)
            out, err = started.communicate()
    return subprocess.CompletedProcess(command, started.returncode, out, err)


def _killed(started: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(started.pid, signal.SIGKILL)
