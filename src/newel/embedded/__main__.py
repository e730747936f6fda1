"""Start, stop and ask after an embedded server by hand.

    python -m newel.embedded start|stop|status|dsn|remove DIRECTORY

`dsn` prints the address with its password, for psql and backup programs.
"""

import sys
from pathlib import Path

from newel.embedded.errors import EmbeddedServerError
from newel.embedded.server import Server, found, removed, started, stopped

__all__ = ["main"]

_USAGE = "usage: python -m newel.embedded start|stop|status|dsn|remove DIRECTORY"


def main(arguments: list[str]) -> int:
    """Do one verb on one directory; 0 if done, 1 if there is nothing running, 2 if refused."""
    match arguments:
        case [("start" | "stop" | "status" | "dsn" | "remove") as verb, directory]:
            try:
                return _done(verb, Path(directory))
            except EmbeddedServerError as refused:
                print(refused, file=sys.stderr)
                return 2
        case _:
            print(_USAGE, file=sys.stderr)
            return 2


def _done(verb: str, directory: Path) -> int:
    match verb:
        case "start":
            return _told(started(directory))
        case "status":
            return _told(found(directory))
        case "dsn":
            server = found(directory)
            print(server.dsn if server else "not running")
            return 0 if server else 1
        case "stop":
            was_running = stopped(directory)
            print("stopped" if was_running else "not running")
            return 0 if was_running else 1
        case _:
            removed(directory)
            print("removed")
            return 0


def _told(server: Server | None) -> int:
    if server is None:
        print("not running")
        return 1
    print(f"running on 127.0.0.1:{server.port}, process {server.pid}, data {server.data_directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
