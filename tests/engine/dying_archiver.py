"""A process that archives or prunes, and kills itself with -9 at a boundary somebody names.

`python -m tests.engine.dying_archiver URL FOLDER` imports everything once and forks for each line
it reads, `archive 3` or `prune 3`: the child dies at its third boundary, or does all there is to
do. Boundaries are a draft on the disk, a file in its place, a verdict, an event before and behind
its commit, what the log gives up, a batch that was removed. One line of JSON answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from newel.engine import archiving, whole_files
from newel.engine.archiving import Archiving
from tests.engine.house import opened
from tests.engine.test_archiving import KEEP, WHY, counting, holder_in

Call = Callable[..., Any]


def _die_at(number: int) -> None:
    passed = 0

    def reached() -> None:
        nonlocal passed
        passed += 1
        if passed == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def behind(call: Call) -> Call:
        def called(*arguments: Any) -> Any:
            answer = call(*arguments)
            reached()
            return answer

        return called

    def around(call: Call, *, before: bool) -> Call:
        async def called(*arguments: Any, **more: Any) -> Any:
            if before:
                reached()
            answer = await call(*arguments, **more)
            reached()
            return answer

        return called

    for name in ("_draft", "_synced"):
        setattr(whole_files, name, behind(getattr(whole_files, name)))
    for name in ("_verified", "_say", "_given_up", "_removed"):
        setattr(Archiving, name, around(getattr(Archiving, name), before=name == "_say"))
    setattr(archiving, "_BATCH", 1)  # noqa: B010  # else it is final


async def _done(url: str, folder: Path, verb: str) -> None:
    holder = holder_in(folder)
    house = await opened(
        url, folder / "kek", [counting], key_holder=holder, keep_payloads=timedelta(days=90)
    )
    ann = await house.engine.actor("ann@acme.example", via="api")
    kept = house.engine.archiving(holder, KEEP)
    if verb == "archive":
        await kept.archive(actor=ann, reason=WHY, before=await house.now())
    else:
        await kept.prune(actor=ann, reason=WHY)
    await house.database.close()


def main() -> None:
    """Fork for each order, and tell how the child ended."""
    url, folder = sys.argv[1], Path(sys.argv[2])
    for line in sys.stdin:
        verb, number = line.split()
        child = os.fork()
        if child == 0:
            _die_at(int(number))
            asyncio.run(_done(url, folder, verb))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(json.dumps(status) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
