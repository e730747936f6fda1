"""The server on a real port, and the company in the states that pages show."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI

from newel.simulators.faults import fault_from
from tests.acceptance.company_house import CompanyHouse

__all__ = ["Scene", "served"]


@contextlib.asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """Serve an application in this loop; answers with its address."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # the tests' own
        ready = asyncio.Event()
        server.startup = _told(server.startup, ready)  # type: ignore[method-assign]
        task = asyncio.create_task(server.serve(sockets=[bound]))
        await ready.wait()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def _told(startup: Any, ready: asyncio.Event) -> Any:
    async def started(*given: Any, **more: Any) -> None:
        await startup(*given, **more)
        ready.set()

    return started


class Scene:
    """Brings the company into the states that pages show; a worker has to be at work."""

    down = fault_from("down", {"effect": "down"})

    def __init__(self, house: CompanyHouse) -> None:
        self.house = house

    async def asked(self, **more: Any) -> UUID:
        """Start an onboarding whose manager has not answered yet."""
        return await self.house.reserved(**more)

    async def retrying(self, system: str = "github", **more: Any) -> UUID:
        """Start an onboarding that tries one system again, because it is down."""
        assert self.house.world is not None, "the scene is played over simulators"
        run = await self.asked(**more)
        self.house.world.simulators[system].faults.add(self.down)
        await self.house.approve(await self.house.task(run))
        await self.house.at_rest(run)
        return run

    async def parked(self, system: str = "github", **more: Any) -> UUID:
        """Start an onboarding that is parked at one system, with a ticket."""
        run = await self.retrying(system, **more)
        await self.until_parked(run)
        return run

    async def until_parked(self, run: UUID) -> None:
        """Let time pass until the rounds of a run's step are used up and its ticket is open."""
        for _ in range(60):
            acts = await self.house.acts(run)
            if any(act["state"] == "parked" for act in acts.values()):
                await self.house.until(self._is_ticketed)
                return
            await self.house.move(timedelta(minutes=5))
            await self.house.at_rest(run)
        raise AssertionError("the step did not park: " + await self.house.told())

    async def healed(self, run: UUID) -> None:
        """Let all systems answer again, and wait until a run's parked steps have gone on."""
        assert self.house.world is not None, "the scene is played over simulators"
        self.house.world.heal()
        await self.house.move(timedelta(minutes=2))

        async def goes_on() -> bool:
            acts = await self.house.acts(run)
            return all(act["state"] != "parked" for act in acts.values())

        await self.house.until(goes_on)
        await self.house.at_rest(run)

    async def _is_ticketed(self) -> bool:
        return bool(await self.house.database.fetchval("select exists (select from newel.ticket)"))
