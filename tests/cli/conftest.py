"""Fixtures of the command line's tests: a project, a database of its own, commands in process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from newel.cli.app import answered
from newel.cli.scaffold import written_project
from tests.patience import PATIENCE_S, carried_out

COMMAND = [sys.executable, "-m", "newel"]
NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command line answered: its status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document that was printed."""
        return json.loads(self.out)


def command(directory: Path, *arguments: str):
    """Carry out a command to its end, as a program of its own."""
    there = environment(directory / ".newel")
    return carried_out([*COMMAND, *arguments], directory=directory, environment=there)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Iterator[Path]:
    """Give the project that `newel init` writes, as the current directory."""
    directory = tmp_path / "project"
    written_project(directory, now=NOW)
    monkeypatch.chdir(directory)
    monkeypatch.setattr(sys, "path", list(sys.path))
    _forget_company()
    yield directory
    _forget_company()


@pytest.fixture
def newel(capfd):
    """Give a runner of command lines in this process: `newel("runs", "--json")`."""

    def run(*arguments: str) -> Said:
        capfd.readouterr()
        try:
            status = answered(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
        printed = capfd.readouterr()
        return Said(status=status, out=printed.out, err=printed.err)

    return run


@pytest.fixture
def deployed(project, monkeypatch, new_database) -> Iterator[Path]:
    """Give the project over an empty database of the test's own."""
    loop = asyncio.new_event_loop()
    made = new_database()
    url = loop.run_until_complete(made.__aenter__())
    monkeypatch.setenv("NEWEL_DATABASE_URL", url)
    yield project
    loop.run_until_complete(made.__aexit__(None, None, None))
    loop.close()


def unreserved(project: Path) -> Path:
    """Let a project's onboarding begin with the manager, where none of its systems is there."""
    code = project / "company" / "onboarding.py"
    text = code.read_text("utf-8")
    line = "    await google.reserve_address(hire)\n"
    assert line in text
    code.write_text(text.replace(line, ""), "utf-8")
    return project


@pytest.fixture
def work(deployed):
    """Give a way to let a worker drive all runs until nobody has anything to do."""
    unreserved(deployed)

    def until_calm() -> None:
        asyncio.run(_worked())

    return until_calm


async def _worked() -> None:
    from newel.cli.deployment import engine_of, found_here
    from newel.store.deployment import calm

    async with found_here() as deployment:
        engine = await engine_of(deployment)
        worker = engine.new_worker()

        async def is_calm() -> bool:
            return (await calm(deployment.database)).is_calm

        driving = asyncio.create_task(worker.run())
        try:
            await asyncio.wait_for(worker.registered.wait(), PATIENCE_S)
            await asyncio.wait_for(worker.notices.until(is_calm), PATIENCE_S)
            await worker.stop()
        finally:
            driving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await driving


def _forget_company() -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "company"]:
        del sys.modules[name]


def environment(data: Path) -> dict[str, str]:
    """Give the environment of a program over a data directory of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEWEL_")}
    return {**kept, "NEWEL_DATA": str(data)}
