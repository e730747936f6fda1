"""What a deployment is made of: its purpose, its keys, its stand-ins, and programs tied to it."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, date
from importlib import import_module
from pathlib import Path

import httpx2
import pytest

from newel import Person, SecretRef
from newel.base.errors import InvalidInput
from newel.base.settings import Settings, load_settings
from newel.cli.connectors import written_connector
from newel.cli.demo.scenario import first_monday
from newel.cli.deployment import calendar_of
from newel.cli.stand_ins import missing, stand_ins
from newel.simulators.world import SYSTEMS, World
from newel.store import deployment
from newel.store.database import Database
from newel.store.migrate import migrate
from newel.testing.attempts import Time, attempt, effect_of
from tests.cli.conftest import NOW
from tests.patience import PATIENCE_S

WAITS = "import signal\nprint('ready', flush=True)\nsignal.pause()\n"


async def test_only_an_unused_database_becomes_a_demos(database_url, database):
    """A database in which a run is stays what it is, and nothing in it is deleted."""
    opened = await Database.open(database_url)
    await database.execute(
        "insert into newel.run (id, process, version, state, seq, head, last_at, started_at) "
        "values (gen_random_uuid(), 'p', 1, 'running', 1, sha256('x'), now(), now())"
    )
    assert not await deployment.mark_demo(opened)
    assert not await deployment.forget_demo(opened)
    assert (await deployment.read(opened)).kind == "production"
    assert (await deployment.read(opened)).is_used
    await opened.close()


async def test_a_demos_database_is_emptied(database_url):
    """What a demo left is gone, its clock is not moved any more, and it can be migrated again."""
    opened = await Database.open(database_url)
    assert await deployment.mark_demo(opened)
    moved = await deployment.move_clock(opened, first_monday(NOW, UTC) - NOW)
    assert moved > (await deployment.read(opened)).as_of - (NOW - NOW.replace(hour=8))
    assert await deployment.forget_demo(opened)
    assert not await deployment.forget_demo(opened)
    await opened.close()
    await migrate(database_url)
    again = await Database.open(database_url)
    purpose = await deployment.read(again)
    assert (purpose.kind, purpose.clock_offset.total_seconds()) == ("production", 0)
    await again.close()


def test_the_key_encryption_key_is_for_its_owner_alone(deployed, newel):
    """The first command makes the key, 32 bytes that nobody else may read."""
    newel("key", "new", "x")
    kek = deployed / ".newel" / "keys" / "kek"
    assert (kek.stat().st_size, stat.S_IMODE(kek.stat().st_mode)) == (32, 0o600)


def test_a_key_encryption_key_of_ones_own_is_used(deployed, newel, monkeypatch):
    """A key that the settings refer to is used, and no file is made."""
    monkeypatch.setenv("OUR_OWN_KEY", base64.b64encode(bytes(32)).decode())
    monkeypatch.setenv("NEWEL_KEY_ENCRYPTION_KEY", "env:OUR_OWN_KEY")
    assert newel("start", "onboarding", "--input", "example.json").status == 0
    assert not (deployed / ".newel" / "keys").exists()


@pytest.mark.parametrize(("name", "key"), [("SHORT", "c2hvcnQ="), ("ODD", "no base64")])
def test_a_wrong_key_encryption_key_is_refused(deployed, newel, monkeypatch, name, key):
    """A key that is not 32 bytes in base64 is refused, and not shown."""
    monkeypatch.setenv(name, key)
    monkeypatch.setenv("NEWEL_KEY_ENCRYPTION_KEY", f"env:{name}")
    said = newel("start", "onboarding", "--input", "example.json")
    assert (said.status, "32 bytes" in said.err, key in said.err) == (1, True, False)


def forget(monkeypatch: pytest.MonkeyPatch, names: Iterable[str]) -> None:
    """Let the environment know nothing of these settings, and be as it was at the end."""
    for name in names:
        for each in (name, f"{name}_FILE"):
            monkeypatch.setenv(each, "")
            monkeypatch.delenv(each)


def test_systems_that_the_environment_knows_are_not_played(monkeypatch):
    """A token, or the file of one, makes a system the company's own."""
    world = World()
    every = list(world.simulators.values())
    forget(monkeypatch, world.credentials())
    assert [each.system for each in missing(every)] == list(SYSTEMS)
    monkeypatch.setenv("GITHUB_TOKEN", "ours")
    monkeypatch.setenv("JIRA_TOKEN_FILE", "ours")
    assert [each.system for each in missing(every)] == ["google", "slack", "gusto", "salesforce"]


async def test_a_projects_own_stand_ins_are_played_beside_the_others(project, monkeypatch):
    """What `newel connector new` has written answers its connector, and keeps its state."""
    written_connector(project, "company", "parking")
    (project / "company" / "broken_notes.py").write_text("raise ValueError", "utf-8")
    forget(monkeypatch, [*World().credentials(), "PARKING_TOKEN", "PARKING_URL"])
    settings = load_settings(project)
    jane = Person(name="Jane O'Doe 🎉", email="jane@acme.example", hr_key="4711")
    for changed in (True, False):  # started twice over the same data
        async with stand_ins(settings) as pages:
            assert {"parking", "github"} <= set(pages)
            async with httpx2.AsyncClient(trust_env=False) as client:
                page = await client.get(pages["parking"], follow_redirects=True)
            assert "Parking" in page.text
            token = SecretRef("env:PARKING_TOKEN")
            token.resolve(fresh=True)
            kind = import_module("company.parking").Parking
            parking = kind(token=token, base_url=os.environ["PARKING_URL"])
            assert (await parking.check()).ok
            with attempt(Time()) as observed:
                await parking.ensure_account.called(jane)
            assert effect_of(observed).changed is changed
            await parking.aclose()
        forget(monkeypatch, [*World().credentials(), "PARKING_TOKEN", "PARKING_URL"])


def test_a_tied_program_ends_with_its_owner(tmp_path, monkeypatch):
    """When the pipe that its owner held open closes, a program is told to end."""
    (tmp_path / "waits.py").write_text(WAITS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    tied = subprocess.Popen(
        [sys.executable, "-m", "newel.cli.tied", "waits"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert tied.stdin is not None
    assert tied.stdout is not None
    with tied:
        assert tied.stdout.readline() == "ready\n"
        assert tied.poll() is None
        tied.stdin.close()
        assert tied.wait(PATIENCE_S) == -signal.SIGTERM


def test_a_worker_that_fails_ends_the_command(deployed, monkeypatch):
    """A program that ends by itself is not waited for: what it failed with is raised."""
    from newel.cli.programs import asked_to_stop

    async def fails() -> None:
        raise RuntimeError("broken")

    async def waited() -> None:
        await asked_to_stop(asyncio.create_task(fails()))

    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(waited())


def test_working_days_are_read_from_the_project(tmp_path):
    """The file stands beside the settings; one that is not there, or tells no days, is refused."""
    (tmp_path / "holidays.csv").write_text("day,name\n2026-01-06,Epiphany\n", "utf-8")
    settings = Settings(project=tmp_path, holidays=Path("holidays.csv"), zone="Europe/Berlin")
    calendar = calendar_of(settings)
    assert calendar.shifted(date(2026, 1, 5), 1) == date(2026, 1, 7)
    assert str(calendar.zone) == "Europe/Berlin"
    assert calendar_of(Settings(project=tmp_path)).holidays == frozenset()
    with pytest.raises(InvalidInput, match=r"holidays: cannot be read \(FileNotFoundError\)"):
        calendar_of(Settings(project=tmp_path, holidays=Path("none.ics")))
    (tmp_path / "holidays.csv").write_text("a\nb\n", "utf-8")
    with pytest.raises(InvalidInput, match="line 2 begins with no day"):
        calendar_of(settings)
    with pytest.raises(InvalidInput, match="is no time zone"):
        calendar_of(Settings(project=tmp_path, zone="Acme/Town"))
