"""A worker process that kills itself with -9 at a boundary somebody names.

Started once, it imports everything and then forks for each order it reads: one JSON line
`{"url", "kek", "addresses", "run", "at": "commit" | "answer" | "ticket", "number", "when"}`. The
child works on the run and plays the people around it, until the boundary, and dies there; a
`ticket` is the request that makes an issue, in whichever run. One line of JSON
answers: how the child ended and how many boundaries it has passed. `number` 0 never dies. With
`"freeze": true` the child stops itself there instead (SIGSTOP), and goes on after the next line.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2

from newel.engine.committer import Committer
from newel.simulators.world import World
from tests.acceptance.company_house import CompanyHouse, bound, house_over

passed: dict[str, int] = {"commit": 0, "answer": 0, "ticket": 0}


def _die_at(order: dict[str, Any]) -> None:
    real_commit = Committer._commit
    real_send = httpx2.AsyncClient.send

    def reached(kind: str, when: str) -> None:
        if when == "before":
            passed[kind] += 1
        if (order["at"], order["number"], order["when"]) == (kind, passed[kind], when):
            os.kill(os.getpid(), signal.SIGSTOP if order.get("freeze") else signal.SIGKILL)

    async def commit(self: Any, batch: Any) -> Any:
        reached("commit", "before")
        answer = await real_commit(self, batch)
        reached("commit", "after")
        return answer

    async def send(self: Any, request: Any, **more: Any) -> Any:
        if "/_sim/" in str(request.url):
            return await real_send(self, request, **more)
        is_ticket = (request.method, request.url.path) == ("POST", "/rest/api/3/issue")
        kinds = ("answer", "ticket") if is_ticket else ("answer",)
        for kind in kinds:
            reached(kind, "before")
        answer = await real_send(self, request, **more)
        for kind in kinds:
            reached(kind, "after")
        return answer

    Committer._commit = commit  # type: ignore[method-assign]
    httpx2.AsyncClient.send = send  # type: ignore[method-assign]


async def _work(order: dict[str, Any]) -> str:
    module = bound(World(), order["addresses"])
    async with (
        house_over(order["url"], Path(order["kek"]), module, None) as house,
        house.worker(),
    ):
        state = await house.finish(UUID(order["run"]))
        if order["at"] == "ticket":  # the run is parked: its ticket is another run's
            await house.until(partial(_is_told, house))
        return state


async def _is_told(house: CompanyHouse) -> bool:
    return bool(await house.database.fetchval("select count(*) from newel.ticket"))


def _child(order: dict[str, Any], answer: int) -> None:
    _die_at(order)
    state = asyncio.run(_work(order))
    os.write(answer, json.dumps({"state": state, **passed}).encode())
    os._exit(0)


def _thaw_when_told(child: int) -> None:
    """Say that the child has frozen, and let it go on when a line comes."""
    os.waitpid(child, os.WUNTRACED)
    sys.stdout.write(json.dumps({"frozen": True}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()
    os.kill(child, signal.SIGCONT)


def main() -> None:
    """Fork for each order, and tell how the child ended."""
    World()  # makes the keys once, before the first fork
    while line := sys.stdin.readline():
        order = json.loads(line)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            _child(order, write)
        os.close(write)
        if order.get("freeze"):
            _thaw_when_told(child)
        with os.fdopen(read) as told:
            said = told.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        answer = {"killed": killed, **(json.loads(said) if said else {})}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
