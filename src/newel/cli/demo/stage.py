"""The stage: an empty database marked as a demo's, six simulators, a server and two workers.

One demo at a time plays in a data directory; each begins with an empty database and new
simulators. A deployment in which a company's own runs are is never touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from newel.base.errors import StoreError
from newel.base.ids import parse_reference
from newel.base.settings import Settings
from newel.base.zones import local_zone
from newel.cli.demo.account import account, active_s, systems_of
from newel.cli.demo.outside import Newel, Simulators, client
from newel.cli.demo.programs import Program, started
from newel.cli.demo.scenario import Hired, Scenario
from newel.cli.demo.story import Story
from newel.cli.deployment import Deployment, database_server, opened
from newel.cli.output import say_json
from newel.cli.programs import asked_to_stop
from newel.cli.project import example_project
from newel.simulators.world import SYSTEMS, World
from newel.store import audit_log, journal, ledger
from newel.store import deployment as purposes
from newel.store.database import Database

__all__ = ["played"]

_SEED: Final = 4711
_LEASE_S: Final = 3
_HEARTBEAT_S: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that a scenario needs, running."""

    database: Database
    newel: Newel
    simulators: Simulators
    workers: tuple[Program, ...]
    pages: Mapping[str, str]


async def played(settings: Settings, *, once: bool, as_json: bool) -> None:
    """Set the stage, play the scenario, tell what happened; then go on until Ctrl-C, or end.

    as_json: the last line of standard output is the account; the story goes to standard error.
    """
    began = time.monotonic()
    story = Story(Console(stderr=as_json, highlight=False), local_zone())
    story.begin("The stage is set: a database, six simulated systems, a server, two workers …")
    try:
        async with _set(settings) as stage:
            _introduce(story, stage)
            scenario = Scenario(
                database=stage.database,
                newel=stage.newel,
                simulators=stage.simulators,
                workers=stage.workers,
                story=story,
            )
            jane = await scenario.play()
            told = await _account(stage, scenario, jane, wall=time.monotonic() - began)
            _conclude(story, told, stage, jane)
            if as_json:
                say_json(told, on_one_line=True)
            if not once:
                story.console.print("Ctrl-C ends the demo.")
                await asked_to_stop()
    finally:
        story.end()


@contextlib.asynccontextmanager
async def _set(settings: Settings) -> AsyncIterator[Stage]:
    place = settings.data_directory / "demo"
    place.mkdir(parents=True, exist_ok=True)
    with _alone(place):
        await _emptied(settings)
        async with (
            opened(settings) as deployment,
            _programs(deployment, place) as (newel_at, simulated, workers),
            client() as http,
        ):
            yield Stage(
                database=deployment.database,
                newel=Newel(newel_at, http),
                simulators=Simulators(simulated.told["addresses"], simulated.told["token"], http),
                workers=workers,
                pages=simulated.told["pages"],
            )


async def _emptied(settings: Settings) -> None:
    """Make sure that the database is a demo's, and empty."""
    async with database_server(settings) as dsn:
        database = await Database.open(dsn)
        try:
            await purposes.forget_demo(database)
        finally:
            await database.close()
    async with opened(settings) as deployment:
        if not await purposes.mark_demo(deployment.database):
            raise StoreError(
                f"The deployment in {settings.data_directory} has runs of its own, which a demo "
                "would mix with. Play it in another directory, or set NEWEL_DATA to one."
            )
        if not await audit_log.log_epochs(deployment.database):
            for left in (settings.log_directory, settings.data_directory / "anchors"):
                shutil.rmtree(left, ignore_errors=True)  # of the demo before


@contextlib.asynccontextmanager
async def _programs(
    deployment: Deployment, place: Path
) -> AsyncIterator[tuple[str, Program, tuple[Program, ...]]]:
    kept = _cleared(place / "simulators")
    async with contextlib.AsyncExitStack() as stack:

        async def run(name: str, *arguments: str, tells: bool = False) -> Program:
            program = started(
                name,
                arguments,
                log=place / f"{name.replace(' ', '-')}.log",
                environment=environment,
                directory=example_project(),
                tells=tells,
            )
            return await stack.enter_async_context(program)

        environment: dict[str, str] = {}
        simulated = await run(
            *("simulators", "newel.simulators", "--seed", str(_SEED)),
            *("--state", str(kept), "--only", ",".join(SYSTEMS)),
            tells=True,
        )
        environment = _environment(deployment.settings, simulated.told["addresses"])
        workers = [await run(f"worker {n}", "newel", "worker") for n in (1, 2)]
        port = str(_port(deployment.settings))
        server = await run("server", "newel", "serve", "--port", port, "--json", tells=True)
        yield server.told["address"], simulated, tuple(workers)


def _cleared(state: Path) -> Path:
    """Let the simulators begin anew: what they kept of the last demo goes."""
    for old in state.glob("*.json"):
        old.unlink()
    return state


def _environment(settings: Settings, addresses: Mapping[str, str]) -> dict[str, str]:
    """Say to newel's programs where the data and the systems are; a demo's leases are short."""
    found = {
        **World(seed=_SEED).credentials(addresses),
        "NEWEL_DATA": str(settings.data_directory),
        "NEWEL_LEASE": str(_LEASE_S),
        "NEWEL_HEARTBEAT": str(_HEARTBEAT_S),
    }
    if settings.database_url is not None:
        found["NEWEL_DATABASE_URL"] = settings.database_url
    return found


def _port(settings: Settings) -> int:
    """Give the port that was asked for; the default one only if it is free."""
    if "port" in settings.model_fields_set:
        return settings.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError:
            return 0
    return settings.port


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    handle = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = f"A demo is playing in {place.parent} already. Set NEWEL_DATA for another."
            raise StoreError(said) from None
        yield
    finally:
        os.close(handle)


async def _account(
    stage: Stage, scenario: Scenario, jane: Hired, *, wall: float
) -> dict[str, object]:
    run = await stage.newel.run(jane.run)
    person = parse_reference(jane.person)[1]
    return account(
        state=run["state"],
        systems=systems_of(await ledger.of_person(stage.database, person)),
        books=await stage.simulators.books(),
        killed=scenario.worker_killed,
        active=active_s(await journal.events(stage.database, jane.id)),
        wall=wall,
    )


def _introduce(story: Story, stage: Stage) -> None:
    story.end()
    story.console.print(f"newel is at [bold]{stage.newel.address}[/bold]")
    for name, page in stage.pages.items():
        story.console.print(f"  {name}: {page}", style="dim", soft_wrap=True)
    story.console.print()
    story.begin("It begins …")


def _conclude(story: Story, told: Mapping[str, object], stage: Stage, jane: Hired) -> None:
    systems = told["systems"]
    assert isinstance(systems, dict), "systems by name"
    rows = [(name, state) for name, state in systems.items()]
    story.table("What Jane holds, from the ledger", ("System", "State"), rows)
    story.console.print(
        f"\nOne ticket, no effect twice, one worker killed; played in {told['wall_s']:.0f} s. "
        f"Jane's run: {stage.newel.address}/runs/{jane.run}",
        soft_wrap=True,
    )
