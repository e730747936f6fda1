"""What the long-lived commands are made of: a server, a worker, and the wish to stop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from newel.base import log
from newel.base.errors import StoreError
from newel.base.settings import Settings
from newel.cli.deployment import Deployment, engine_of, key_holder, zone_of
from newel.domain.change import Change
from newel.engine import Engine, Worker
from newel.engine.log_targets import lines_to
from newel.engine.sequencer import Sequencer
from newel.engine.service_events import on_record
from newel.engine.told import Teller, service
from newel.store.database import Database

if TYPE_CHECKING:
    from newel.connectors.base import Connector

__all__ = ["asked_to_stop", "log_lines", "served", "tells", "web_server", "working"]

_WEB: Final = "newel.web.app"
_LAST_ANSWERS_S: Final = 3
_QUEUE: Final = 2048  # connections that wait to be accepted, as many as the server asks for


@contextlib.contextmanager
def log_lines(name: str, settings: Settings) -> Iterator[Teller]:
    """Set up the log of a program while the block runs; gives its teller of committed events."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    whose = service(name, socket.gethostname())
    lines = lines_to(settings.logs, settings.data_directory, whose.server)
    log.configure(whose, stream=lines, level=level)
    try:
        yield Teller(whose, lines.write)
    finally:
        lines.close()


async def asked_to_stop(*programs: asyncio.Task[Any]) -> None:
    """Wait for Ctrl-C or SIGTERM; ends early if a program does, and raises what it failed with."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    waiting = asyncio.create_task(asked.wait())
    done, _ = await asyncio.wait({waiting, *programs}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for program in done - {waiting}:
        program.result()


@contextlib.asynccontextmanager
async def web_server(engine: Engine, settings: Settings) -> AsyncIterator[str]:
    """Serve API and console while the block runs; gives the address.

    The web is started by its import string: command line and web do not import each other.
    Raises StoreError if the port is taken.
    """
    create_app = importlib.import_module(_WEB).create_app
    app = create_app(engine, settings=settings, zone=zone_of(settings))
    async with served(app, settings.host, settings.port) as address:
        yield address


@contextlib.asynccontextmanager
async def served(app: Any, at: str, port: int) -> AsyncIterator[str]:  # Any: of ASGI
    """Serve an application while the block runs; gives the address. Errors as `web_server`."""
    listener = _bound(at, port)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_LAST_ANSWERS_S,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        host = f"[{at}]" if ":" in at else at
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()


@contextlib.asynccontextmanager
async def working(
    deployment: Deployment, *, engine: Engine | None = None, teller: Teller | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """Drive runs while the block runs; gives the task, which ends only if the worker fails.

    teller: who is told of each committed event.
    """
    engine = engine or await engine_of(deployment)
    async with (
        _sealing(engine, deployment.settings),
        _at_work(engine, deployment, teller) as driving,
    ):
        yield driving


@contextlib.asynccontextmanager
async def _sealing(engine: Engine, settings: Settings) -> AsyncIterator[None]:
    """Let another role seal the log, if the settings name one."""
    if settings.sealing_url is None:
        yield
        return
    told = engine.database.listeners
    database = await Database.open(settings.sealing_url, size=2, listeners=told)
    try:
        engine.sequencer = Sequencer(database, key_holder(settings))
        yield
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def _at_work(
    engine: Engine, deployment: Deployment, teller: Teller | None
) -> AsyncIterator[asyncio.Task[None]]:
    worker = engine.new_worker()
    if teller is not None:
        worker.teller = engine.teller = teller
    if deployment.purpose.kind != "production":
        _follow(engine, worker)
    driving = asyncio.create_task(_driven(worker))
    try:
        async with on_record(engine.database, "worker", tells(engine)):
            try:
                yield driving
            finally:
                if not driving.done():
                    await worker.stop()
                with contextlib.suppress(asyncio.CancelledError):
                    await driving
    finally:
        if engine.sequencer is not None:
            await engine.sequencer.leave()
        for connector in _connectors(engine):
            await connector.aclose()


def tells(engine: Engine) -> Callable[[Change], None]:
    """Tell the log of lines of this program, if it has one."""

    def tell(change: Change) -> None:
        if engine.teller is not None:
            engine.teller.tell(change)
            engine.teller.flush()

    return tell


async def _driven(worker: Worker) -> None:
    await worker.run()
    if worker.failure is not None:
        raise worker.failure


class _Server(uvicorn.Server):
    """A server that leaves signals to the command that runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


class _WorkerClock:
    """The clock of the database as a worker knows it; seconds are the host's."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def now(self) -> datetime:
        """Give the database's time."""
        return self._worker.now()

    def monotonic(self) -> float:
        """Give the host's monotonic seconds."""
        return asyncio.get_running_loop().time()


def _follow(engine: Engine, worker: Worker) -> None:
    """Let connectors share a clock that is moved; assertions of another hour would be refused."""
    clock = _WorkerClock(worker)
    for connector in _connectors(engine):
        connector.clock = connector.http.clock = clock


def _connectors(engine: Engine) -> list[Connector]:
    from newel.connectors.base import Connector

    return [each for each in engine.connectors if isinstance(each, Connector)]


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_QUEUE)  # from now on, so that nobody who is told the address is refused
    except OSError as cause:
        listener.close()
        why = os.strerror(cause.errno) if cause.errno else str(cause)
        fix = "`--port 0` takes a free one." if port else "Check the setting `host`."
        raise StoreError(f"Cannot listen on {host}:{port}: {why}. {fix}") from cause
    return listener
