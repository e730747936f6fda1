"""A company's desks, reserved in its own tables, and a worker that kills itself on the way.

`python -m tests.acceptance.desks URL KEK WHEN` works until it dies: `code` inside the step's own
SQL, `before` its outcome is written, `in` its transaction with the outcome written, `after` the
commit.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from newel import Connection, process, step
from newel.store.riding import Ride

TABLES = """
create schema company;
create table company.desk (number int primary key, holder text);
insert into company.desk select n, null from generate_series(1, 5) n;
"""
TAKE = "update company.desk set holder = $1 where number = $2 and holder is null returning number"
doom: dict[str, Any] = {"when": ""}


class NoDesk(Exception):
    """Somebody sits there."""


def die(when: str) -> None:
    """Die with -9, if it is the moment."""
    if doom["when"] == when:
        os.kill(os.getpid(), signal.SIGKILL)


@step(transactional=True, raises=NoDesk)
async def reserve(db: Connection, holder: str, number: int) -> int:
    """Take a desk."""
    taken: int | None = await db.fetchval(TAKE, holder, number)
    die("code")
    if taken is None:
        raise NoDesk(number)
    return taken


@process(subject=None, owner="it")
async def seating(holder: str) -> int:
    """Seat somebody: a second desk only where the first was free."""
    return await reserve(holder, 1)


def armed(when: str) -> None:
    """Let this process die at a moment of the transaction."""
    doom["when"] = when
    real = Ride.write

    async def write(self: Ride, put: Any) -> Any:
        async def and_die(connection: Any) -> Any:
            die("before")
            answer = await put(connection)
            die("in")
            return answer

        answer = await real(self, and_die)
        die("after")
        return answer

    Ride.write = write  # type: ignore[method-assign]


async def work(url: str, kek: str) -> None:
    """Work until it is over with us."""
    from tests.engine.house import opened

    house = await opened(url, Path(kek), [seating])
    async with house.worker():
        await asyncio.sleep(60)


if __name__ == "__main__":
    # Under its own name, so that the step is the one that is patched.
    from tests.acceptance import desks

    desks.armed(sys.argv[3])
    asyncio.run(desks.work(sys.argv[1], sys.argv[2]))
