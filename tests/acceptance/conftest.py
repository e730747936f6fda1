"""Fixtures of the acceptance tests: the example company with its simulated systems."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from newel.simulators.world import World
from tests.acceptance.company_house import CompanyHouse, company
from tests.patience import PATIENCE_S
from tests.ports import neighbouring

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def base_port() -> int:
    """Give the first of six neighbouring free ports, to which the company's systems are bound."""
    return neighbouring(20_000)


@pytest.fixture(scope="session")
def world() -> World:
    """Give the world of this session; `acme` makes it new for every test."""
    return World()


@pytest.fixture
def acme(
    database_url: str, tmp_path: Path, base_port: int, world: World
) -> Callable[..., AbstractAsyncContextManager[CompanyHouse]]:
    """Give a maker of the company's house, for `async with`."""

    @contextlib.asynccontextmanager
    async def made(**more: Any) -> AsyncIterator[CompanyHouse]:
        world.reset()
        world.heal()
        async with company(database_url, tmp_path / "kek", base_port, world, **more) as house:
            world.clock.set(await house.now())
            yield house

    return made


class Mortal:
    """A process that works on a run and dies where it is told to."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def work(self, **order: Any) -> dict[str, Any]:
        """Work on a run until the boundary; answers with how it ended."""
        return await self.told(json.dumps(order))

    async def told(self, line_to_it: str) -> dict[str, Any]:
        """Write a line to it; answers with the next line from it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line_to_it.encode() + b"\n")
        await self._process.stdin.drain()
        line = await asyncio.wait_for(self._process.stdout.readline(), 90)
        answer: dict[str, Any] = json.loads(line)
        return answer


@pytest.fixture
async def mortal() -> AsyncIterator[Mortal]:
    """Give a process whose children die at boundaries."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.acceptance.dying_worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
    )
    try:
        yield Mortal(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), PATIENCE_S)
