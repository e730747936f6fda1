"""Run a module as a program that ends when whoever started it is gone.

`python -m newel.cli.tied MODULE ARGUMENT…`: standard input is a pipe that its owner holds open
and never writes to. When the owner has ended, however it ended, the pipe closes, and the
program gets the SIGTERM that nobody is left to send. So a demo that is killed leaves nothing.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

__all__ = ["main"]


def main() -> None:
    """Run the module that the arguments name, in place of this one."""
    threading.Thread(target=_end_with_owner, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_owner() -> None:
    # The raw descriptor: a buffered reader would hold its lock when the interpreter ends.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
