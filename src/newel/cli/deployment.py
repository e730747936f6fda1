"""The deployment of the project in the current directory, as every command opens it.

Settings say where the data lie; there is the database (the embedded server, shared by whoever
uses the same directory and stopped by the last to leave, or the one that the settings name) and
the key-encryption key. Two commands with the same data directory see the same deployment.

    settings -> data directory -> server -> migrations -> database -> project -> engine
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import asyncpg

from newel.base.errors import DefinitionError, InvalidInput, StoreError
from newel.base.secrets import SecretRef
from newel.base.settings import Settings, load_settings
from newel.base.zones import local_zone, zone_named
from newel.cli.project import example_settings, load_project
from newel.domain.calendar import Calendar, holidays_in
from newel.embedded import running_server
from newel.engine import Engine, Vault, WorkerSettings
from newel.engine.anchors import anchor_of
from newel.engine.calls import CallSettings
from newel.engine.desks import TrackerDesk
from newel.engine.key_holder import KeyHolder
from newel.engine.loading import with_former
from newel.engine.planning import Planner
from newel.engine.runner import Limits
from newel.engine.service_events import migrated
from newel.store import deployment as purposes
from newel.store.database import LOST, Database
from newel.store.migrate import check, migrate

__all__ = [
    "Deployment",
    "applied_migrations",
    "carried_out",
    "database_server",
    "engine_of",
    "found_engine",
    "found_here",
    "key_holder",
    "opened",
    "planner_of",
    "vault_of",
]

_KEY_BYTES: Final = 32
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """An open database, the settings it was found by, and what the database is for."""

    settings: Settings
    database: Database
    purpose: purposes.Purpose


def carried_out(work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Run a command's coroutine; SIGTERM ends it as Ctrl-C does, so that nothing stays behind."""

    async def tied() -> _Answer:
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(tied())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, *, new: bool = True, connections: int = 6
) -> AsyncIterator[Deployment]:
    """Open the database, with all migrations where the server is newel's own.

    new: make a deployment where there is none. connections: of the pool, at most.
    Raises StoreError if there is none or the server does not answer, SchemaOutdated where
    somebody else's server lacks migrations.
    """
    async with database_server(settings, new=new) as dsn:
        with _explained(settings):
            if settings.database_url is None:
                await _up_to_date(dsn)
            database = await Database.open(dsn, size=connections)
        try:
            with _explained(settings):
                await check(database.fetch)
                purpose = await purposes.read(database)
            yield Deployment(settings=settings, database=database, purpose=purpose)
        finally:
            await database.close()


@contextlib.asynccontextmanager
async def found_here(*, new: bool = False) -> AsyncIterator[Deployment]:
    """Open the deployment of the current directory; by default one that is there already."""
    async with opened(load_settings(), new=new) as deployment:
        yield deployment


@contextlib.asynccontextmanager
async def found_engine(*, new: bool = True) -> AsyncIterator[Engine]:
    """Open the deployment of the current directory with the project's processes."""
    async with found_here(new=new) as deployment:
        yield await engine_of(deployment)


async def applied_migrations(settings: Settings) -> list[str]:
    """Bring the database to this version; answers with the names of the files applied."""
    async with database_server(settings) as dsn:
        with _explained(settings):
            return await _up_to_date(dsn)


async def _up_to_date(dsn: str) -> list[str]:
    """Apply what is missing, and let the log say so; answers with the names of the files."""
    applied = await migrate(dsn)
    if applied:
        database = await Database.open(dsn, size=1)
        try:
            await migrated(database, applied)
        finally:
            await database.close()
    return applied


async def engine_of(deployment: Deployment) -> Engine:
    """Make the engine of a deployment; processes and systems are written down.

    A demo without a project of its own is about the example company.
    """
    settings = _settings_of(deployment)
    project = load_project(settings)
    engine = Engine(
        deployment.database,
        vault_of(settings),
        project.processes,
        connectors=project.connectors,
        channels=[TrackerDesk(each, console_url=settings.console_url) for each in project.trackers],
        worker=WorkerSettings(
            lease=settings.lease,
            heartbeat=settings.heartbeat,
            concurrency=settings.concurrency,
            grace=settings.grace,
            removals_per_hour=settings.removals_per_hour,
            calls=CallSettings(
                threads=settings.threads,
                processes=settings.processes_for_steps,
                transactions=settings.transactions,
                statement_timeout=settings.transaction_timeout,
                role=settings.transaction_role,
            ),
            limits=Limits(
                outcome_bytes=settings.outcome_bytes,
                outcomes=settings.outcomes_per_run,
                attempt_timeout=settings.attempt_timeout,
                calendar=calendar_of(settings),
            ),
        ),
        schedules=project.schedules,
        hooks=project.hooks,
        feeds=project.feeds,
        endpoints=project.endpoints,
        at_most=settings.at_most,
        keep_payloads=settings.keep_payloads,
        probe_at=settings.probe_at or None,
        second_person=settings.second_person,
        key_holder=key_holder(settings),
        console_url=settings.console_url,
        teams=settings.teams,
    )
    try:
        await engine.register()
    except LOST as cause:
        raise StoreError(
            f"The PostgreSQL went away while newel started ({type(cause).__name__}): start again."
        ) from cause
    return engine


def planner_of(deployment: Deployment) -> Planner | None:
    """Make what plans the runs of a deployment; nothing is written down.

    None where there is no project that could be read, or no key-encryption key.
    """
    settings = _settings_of(deployment)
    if (place := kek_place(settings)) is not None and not place.exists():
        return None  # asking must not make a key
    try:
        project = load_project(settings)
    except DefinitionError:
        return None
    processes = with_former({each.name: each for each in project.processes})
    return Planner(deployment.database, processes, vault_of(settings))


def _settings_of(deployment: Deployment) -> Settings:
    settings = deployment.settings
    if deployment.purpose.kind == "demo" and not settings.processes:
        return example_settings(settings)
    return settings


def zone_of(settings: Settings) -> tzinfo:
    """Give the company's zone. Raises InvalidInput for a name that is none."""
    return local_zone() if settings.zone is None else zone_named(settings.zone)


def calendar_of(settings: Settings) -> Calendar:
    """Read which days the company works. Raises InvalidInput for a file that tells no days."""
    if settings.holidays is None:
        return Calendar(zone=zone_of(settings))
    try:
        text = (settings.project / settings.holidays).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise InvalidInput({"holidays": f"cannot be read ({type(wrong).__name__})"}) from wrong
    return Calendar(zone=zone_of(settings), holidays=holidays_in(text))


def key_holder(settings: Settings) -> KeyHolder:
    """Give what this machine signs the audit log with."""
    host = urlsplit(settings.console_url or "").hostname or "localhost"
    anchors = [anchor_of(each, settings.data_directory) for each in settings.anchors]
    return KeyHolder(
        settings.log_directory,
        host=host,
        key=settings.log_key,
        before=settings.log_key_before,
        anchors=anchors,
        archive=settings.archive_directory,
    )


@contextlib.asynccontextmanager
async def database_server(settings: Settings, *, new: bool = True) -> AsyncIterator[str]:
    """Give the address of the database; the embedded server runs at least while the block does.

    Raises StoreError if there is no embedded server yet, unless it may be `new`.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    directory = settings.data_directory / "postgres"
    if not new and not directory.exists():
        raise StoreError(
            f"There is no deployment in {settings.data_directory}. "
            "`newel dev` makes one of this project, `newel demo` plays one."
        )
    async with running_server(directory) as server:
        yield server.dsn


def vault_of(settings: Settings) -> Vault:
    """Give what keys are wrapped under in a deployment; raises InvalidInput for no key."""
    if (place := kek_place(settings)) is not None:
        return Vault.at(place)
    kek, *before = _referred_keks(settings)
    return Vault(kek, *before, again=partial(_referred_keks, settings))


def kek_place(settings: Settings) -> Path | None:
    """Name the file of the key-encryption key; None where a setting refers to it."""
    if settings.key_encryption_key is not None:
        return None
    return settings.data_directory / "keys" / "kek"


def _referred_keks(settings: Settings) -> list[bytes]:
    """Read the key-encryption keys that settings refer to, the one in force first."""
    keks: list[bytes] = []
    for name in ("key_encryption_key", "key_encryption_key_before"):
        refers: SecretRef | None = getattr(settings, name)
        if refers is not None:
            try:
                kek = base64.b64decode(refers.resolve(fresh=True).reveal(), validate=True)
            except binascii.Error:
                kek = b""
            if len(kek) != _KEY_BYTES:
                raise InvalidInput({name: f"is not {_KEY_BYTES} bytes in base64"})
            keks.append(kek)
    return keks


@contextlib.contextmanager
def _explained(settings: Settings) -> Iterator[None]:
    """Say in a sentence why a database cannot be used; the address itself is never shown."""
    whose = "the settings name" if settings.database_url else "newel brings"
    try:
        yield
    except LOST as cause:
        why = type(cause).__name__
        raise StoreError(f"The PostgreSQL that {whose} does not answer ({why}).") from cause
    except (asyncpg.PostgresError, ValueError) as cause:
        raise StoreError(f"The PostgreSQL that {whose} cannot be used: {cause}.") from cause
