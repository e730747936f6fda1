"""The command line: people at a terminal come in here.

Commands are thin: they open the deployment of the project in the current directory, call the
engine or a read model, and print. What they need is imported when they run, so that `newel
--help` answers at once.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that the process was started with, and end the process."""
    from newel.cli.app import answered

    sys.exit(answered(sys.argv[1:]))
