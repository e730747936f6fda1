"""The processes that the fault tests run: what an onboarding does, without its words."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from datetime import timedelta

from newel.base.errors import LeaseLost, OutcomeUnknown, Transient
from newel.domain.values import Absent, Found
from newel.flow.ambient import new_id, now, this_attempt
from newel.flow.context import ATTEMPT
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.regions import section
from newel.flow.step import step
from newel.flow.waits import Event, timer

ARRIVED = Event("arrived", str)
PAUSE = timedelta(seconds=1)


async def _call(method: str, target: str) -> int:
    """Speak to the book; 0 where no answer came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["BOOK_PORT"]))
    try:
        attempting = ATTEMPT.get()
        if method == "PUT" and attempting is not None and not attempting.may_send():
            raise LeaseLost  # as newel's own connectors do in the last moment
        key = this_attempt().idempotency_key
        head = f"{method} /{target} HTTP/1.1\r\nHost: book\r\nIdempotency-Key: {key}\r\n\r\n"
        writer.write(head.encode())
        await writer.drain()
        line = await reader.readline()
        return int(line.split()[1]) if line else 0
    finally:
        writer.close()


async def _make(target: str) -> str:
    try:
        status = await _call("PUT", target)
    except ConnectionRefusedError as error:
        raise Transient("the book is closed") from error
    if status == 503:
        raise Transient("the book says 503")
    if status == 0:
        raise OutcomeUnknown("no answer came")
    return target


async def _look(name: str) -> Found[str] | Absent:
    return Found(name) if await _call("GET", name) == 200 else Absent()


@step(verify=_look, timeout=timedelta(seconds=8))
async def make(name: str) -> str:
    """Make an effect whose system takes no keys: a look tells whether a lost call had it."""
    return await _make(name)


@step(in_doubt="repeat", timeout=timedelta(seconds=8))
async def keyed(name: str) -> str:
    """Make an effect whose system takes the idempotency key."""
    await _make(f"{name}?key={this_attempt().idempotency_key}")
    return name


@step(in_doubt="repeat", timeout=timedelta(seconds=8))
async def telling(name: str) -> None:
    """Make an effect that is named after the host's clock."""
    await _make(f"{name}@{int(time.time())}?key={this_attempt().idempotency_key}")


@process(subject=None, owner="it")
async def journey(name: str) -> list[str]:
    """A sequence, a fan-out, a short wait, and a loop."""
    found = [await make["first"](f"{name}.first")]
    found += await parallel(
        make["left"](f"{name}.left"), keyed["middle"](f"{name}.middle"), _branch(name)
    )
    await timer("pause", after=timedelta(milliseconds=300))
    for number in range(2):
        with section("last"):
            found.append(await keyed[number](f"{name}.last{number}"))
    return found


async def _branch(name: str) -> str:
    await keyed["c"](f"{name}.c")
    return await make["d"](f"{name}.d")


@process(subject=None, owner="it")
async def waiting(name: str) -> str:
    """A run that waits for a message, then has an effect."""
    await keyed["before"](f"{name}.before")
    said = await ARRIVED.wait(match=name)
    return await make["after"](f"{name}.after-{said}")


@process(subject=None, owner="it")
async def sleeping(name: str) -> str:
    """A run that waits for days."""
    await timer("days", after=timedelta(days=6))
    return await keyed["woken"](f"{name}.woken")


@process(subject=None, owner="it")
async def clocked(name: str) -> None:
    """A run whose steps tell what their host takes the time for, before and after a wait."""
    await telling["before"](f"{name}.before")
    await timer("pause", after=PAUSE)
    await telling["after"](f"{name}.after")


@step(in_doubt="repeat")
async def drawn() -> int:
    """Draw a number, another one in every attempt."""
    return secrets.randbelow(1_000_000)


@process(subject=None, owner="it")
async def remembering(name: str) -> str:
    """A run that names its effects by all that a body can see, before and after a wait."""
    first, second = await parallel(drawn["a"](), drawn["b"]())
    seen = f"{first}.{second}.{now():%s%f}.{new_id('it')}"
    await keyed["told"](f"{name}.told@{seen}")
    await timer("pause", after=timedelta(milliseconds=300))
    return await keyed["again"](f"{name}.again@{seen}")


EFFECTS = {
    "remembering": ("told", "again"),
    "journey": ("first", "left", "middle", "c", "d", "last0", "last1"),
    "waiting": ("before", "after-here"),
    "sleeping": ("woken",),
}
"""What each process must have made of a name, once."""
