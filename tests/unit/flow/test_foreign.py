"""Stdlib concurrency and I/O in a body: refused at the first try, with place and replacement."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest

from newel.base.errors import NotDurable
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.step import step
from tests.unit.flow.driving import started


@step
async def fine() -> int:
    """Be fine."""
    return 1


async def _gather() -> None:
    await asyncio.gather(fine(), fine["b"]())  # here


async def _sleep() -> None:
    await asyncio.sleep(10)  # here


async def _sleep_a_turn() -> None:
    await asyncio.sleep(0)  # here


async def _group() -> None:
    async with asyncio.TaskGroup():  # here
        pass


async def _wait_for() -> None:
    await asyncio.wait_for(fine(), 1)  # here


async def _timeout() -> None:
    async with asyncio.timeout(1):  # here
        await fine()


async def _task() -> None:
    coroutine = _sleep()
    try:
        await asyncio.create_task(coroutine)  # here
    finally:
        coroutine.close()


async def _thread() -> None:
    await asyncio.to_thread(len, "x")  # here


async def _event() -> None:
    await asyncio.Event().wait()  # here


async def _queue() -> None:
    await asyncio.Queue[int]().get()  # here


async def _lock() -> None:
    taken = asyncio.Lock()
    await taken.acquire()
    await taken.acquire()  # here


async def _future() -> None:
    await asyncio.get_running_loop().create_future()  # here


async def _http() -> None:
    client = httpx2.AsyncClient()
    await client.get("http://127.0.0.1:9/")  # here


class Foreign:
    """Something awaitable that newel has never seen."""

    def __await__(self) -> Generator[str, None, None]:
        yield "what nobody knows"


async def _foreign() -> None:
    await Foreign()  # here


CASES = {
    _gather: ("F105", "asyncio.gather", "await parallel("),
    _sleep: ("F105", "asyncio.sleep", "after="),
    _sleep_a_turn: ("F105", "asyncio.sleep", "after="),
    _group: ("F105", "asyncio.TaskGroup", "await parallel("),
    _wait_for: ("F105", "asyncio.wait_for", "within="),
    _timeout: ("F105", "asyncio.timeout", "within="),
    _task: ("F105", "asyncio.create_task", "await parallel("),
    _thread: ("F105", "asyncio.to_thread", "plain `def`"),
    _event: ("F105", "asyncio.Event", "module level"),
    _queue: ("F105", "asyncio.Queue", "module level"),
    _lock: ("F105", "asyncio.Lock", "async with lock("),
    _future: ("F105", "asyncio.Future", "module level"),
    _http: ("F104", "httpx2.AsyncClient.get", "`@step`"),
    _foreign: ("F104", "builtins.str", "`@step`"),
}


@pytest.mark.parametrize("helper", CASES, ids=lambda helper: helper.__name__)
async def test_what_cannot_rest_is_refused_where_it_begins(helper):
    """Code, name, file, line and what to write instead; no task of anybody is started."""
    code, name, fix = CASES[helper]

    @process(subject=None)
    async def body() -> None:
        await helper()

    before = asyncio.all_tasks()
    error = started(body).error
    assert isinstance(error, NotDurable)
    module, line, _ = error.place.split(":")
    marked = Path(__file__).read_text().splitlines()[int(line) - 1]
    assert (module, error.code, error.awaited) == (__name__, code, name)
    assert marked.endswith("# here")
    assert fix in error.fix
    assert asyncio.all_tasks() == before
    await asyncio.sleep(0)  # the loop is itself again


async def test_one_branch_that_tries_does_not_take_the_others_along():
    """The sibling goes on to its act; the refusal comes out where the branches meet."""

    @process(subject=None)
    async def body() -> None:
        await parallel(_sleep(), fine())

    run = started(body)
    assert run.resting == ["fine"]
    run.give("fine", 1)
    assert isinstance(run.error, ExceptionGroup)
    assert isinstance(run.body.loop.refused, NotDurable)


async def test_a_refusal_that_is_swallowed_is_known_nevertheless():
    """`except Exception` around it hides nothing from whoever drives the body."""

    @process(subject=None)
    async def body() -> int:
        with contextlib.suppress(Exception):
            await asyncio.sleep(1)
        return 1

    run = started(body)
    assert run.value == 1
    assert run.body.loop.refused is not None
    assert run.body.loop.refused.awaited == "asyncio.sleep"
