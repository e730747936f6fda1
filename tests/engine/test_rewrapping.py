"""Another key-encryption key: everything opens with it, nothing is lost wherever it stops."""

from __future__ import annotations

import base64
import fcntl
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from newel.base.clock import FakeClock
from newel.base.errors import LogInconsistent, NotWaiting, ReasonMissing, StoreError
from newel.base.ids import reference
from newel.base.settings import load_settings
from newel.cli.deployment import vault_of
from newel.engine import rewrapping, whole_files
from newel.engine.engine import Engine
from newel.engine.key_holder import KeyHolder
from newel.engine.rewrapping import NOBODY, Rewrapped, load_marks
from newel.engine.sequencer import Sequencer
from newel.engine.vault import Vault, old_key
from newel.engine.verifying import Trusted, verified
from newel.store import kept_tokens, received_secrets, registry, webhooks
from newel.store.export import snapshot
from tests.engine.test_erasing import BOB, IBAN, JANE, employment, lived, told

WHY = "The monthly change: reason-canary."
BODY = UUID(int=7)
PEOPLE = 4
"""Jane and Bob, Mary who decides, Ann who changes the key."""


class Deployment:
    """A deployment with a past, and its key-encryption key in a file."""

    def __init__(self, house, place, runs):
        self.house, self.place, self.runs = house, place, runs
        self.address = house.engine.vault.mark_of(JANE["email"])

    def again(self, vault=None):
        """Give the engine of another process."""
        return Engine(self.house.database, vault or Vault.at(self.place), [employment, told])

    async def rotate(self, engine=None):
        """Let another key take over."""
        engine = engine or self.house.engine
        actor = await engine.actor("ann@acme.example", via="cli")
        return await engine.rewrapping(self.place).rotate(actor=actor, reason=WHY)

    async def readable(self, vault):
        """Everything opens with a vault: keys, bodies, secrets; addresses have their marks."""
        async with self.house.database.transaction() as connection:
            await load_marks(connection, vault)
            keys = await connection.fetch("select person, n, wrapped from newel.person_key")
            for row in keys:
                assert vault.key(f"{reference('per', row['person'])}/{row['n']}", row["wrapped"])
            sealed = [
                row
                for table in (webhooks, received_secrets, kept_tokens)
                for row in await table.sealed_after(connection, NOBODY, 10)
            ]
        texts = {vault.opened(row["sealed"], row["id"]) for row in sealed}
        assert texts == {b"a body", b"a secret", b"a token"}
        assert vault.mark_of(JANE["email"]) == self.address
        return sum(row["person"] != NOBODY for row in keys)

    async def events(self):
        """What the log says of changes."""
        rows = await self.house.database.fetch(
            "select entry from newel.event where type = 'setting.changed' order by occurred_at"
        )
        facts = [json.loads(row["entry"])["data"] for row in rows]
        return [each for each in facts if each["name"] == "key_encryption_key"]


@pytest.fixture
async def deployment(build, tmp_path):
    """Two people have a past; a body and a secret wait, sealed."""
    async with build([employment, told]) as house:
        async with house.worker():
            runs = [await lived(house, JANE, IBAN), await lived(house, BOB, "other")]
        jane = (await house.row(runs[0]))["subject"]
        vault, now = house.engine.vault, datetime.now(UTC)
        async with house.database.transaction() as connection:
            await webhooks.keep_received(
                connection,
                delivery=BODY,
                source="hr",
                event_id="1",
                digest=b"d",
                body=vault.sealed(b"a body", BODY),
                at=now,
            )
            await received_secrets.keep(
                connection,
                id_=BODY,
                person=jane,
                system="wiki",
                token_sha256=bytes(32),
                sealed=vault.sealed(b"a secret", BODY),
                lasts=timedelta(days=1),
            )
            await kept_tokens.await_turn(connection, BODY, "gusto:1")
            await kept_tokens.keep(connection, BODY, vault.sealed(b"a token", BODY))
        yield Deployment(house, tmp_path / "kek", runs)


async def test_everything_is_under_the_new_key_and_the_old_one_goes(deployment, tmp_path):
    """Told once; a backup from before opens with the old key alone, which is then destroyed."""
    before = deployment.place.read_bytes()
    backup = await deployment.house.database.fetch(
        "select person, n, wrapped from newel.person_key"
    )
    assert await deployment.rotate() == Rewrapped(PEOPLE, rows=3)
    after = deployment.place.read_bytes()
    assert (old_key(deployment.place).read_bytes(), after != before) == (before, True)
    assert (old_key(deployment.place).stat().st_mode & 0o777) == 0o600
    assert await deployment.readable(Vault(after)) == PEOPLE
    with pytest.raises(LogInconsistent):
        await deployment.readable(Vault(before))
    (event,) = await deployment.events()
    assert (event["before"], event["after"]) == (Vault(before).kek_id, Vault(after).kek_id)
    assert before.hex()[:8] not in json.dumps(event)
    assert await deployment.rotate() == Rewrapped(0, 0)  # it is under way: no third key
    keys = deployment.house.engine.rewrapping(deployment.place)
    with pytest.raises(NotWaiting, match="seconds more"):
        await keys.retire()
    await keys.retire(settled=timedelta(0))
    assert not old_key(deployment.place).exists()
    with pytest.raises(NotWaiting, match="destroyed already"):
        await keys.retire(settled=timedelta(0))
    for row in backup:
        with pytest.raises(LogInconsistent):
            Vault.at(deployment.place).key(f"{reference('per', row['person'])}/1", row["wrapped"])
    assert await deployment.rotate() == Rewrapped(PEOPLE, rows=3)
    assert await deployment.readable(Vault.at(deployment.place)) == PEOPLE
    assert len(await deployment.events()) == 2
    await _is_clean(deployment, tmp_path)


async def _is_clean(deployment, folder):
    holder = KeyHolder(folder / "log")
    await Sequencer(deployment.house.database, holder).seal()
    async with snapshot(deployment.house.database) as seen:
        report = await verified(seen.connection, Trusted(policy=holder.policy))
        entries = await seen.connection.fetch("select entry from newel.event")
    assert report.code() == 0, report.as_text()
    assert not any(b"reason-canary" in row["entry"] for row in entries)


class Died(BaseException):
    """The process is gone."""


async def test_wherever_it_dies_everything_opens_and_it_goes_on(deployment, monkeypatch):
    """After each of its acts in turn: another process reads all, and ends what was begun."""
    monkeypatch.setattr(rewrapping, "_BATCH", 1)
    left = [0]

    def dying(act):
        async def later(*given, **more):
            await act(*given, **more)
            count()

        def now(*given, **more):
            act(*given, **more)
            count()

        return later if act.__module__.startswith("newel.store") else now

    def count():
        left[0] -= 1
        if left[0] == 0:
            raise Died

    for module, name in (
        *((registry, each) for each in ("keep_key", "rewrap")),
        *((table, "reseal") for table in (webhooks, received_secrets, kept_tokens)),
        (rewrapping, "write_once"),
        (Path, "replace"),
    ):
        monkeypatch.setattr(module, name, dying(getattr(module, name)))
    deaths = 0
    while True:
        events = len(await deployment.events())
        left[0] = deaths + 1
        try:
            await deployment.rotate()
            break
        except Died:
            deaths += 1
        left[0] = -1
        assert await deployment.readable(Vault.at(deployment.place)) == PEOPLE
        other = deployment.again()
        await other.register()
        await deployment.rotate(other)
        assert await deployment.readable(Vault(deployment.place.read_bytes())) == PEOPLE
        assert len(await deployment.events()) == events + 1
        await other.rewrapping(deployment.place).retire(settled=timedelta(0))
    assert deaths == 12  # marks, two files written, one moved, five keys, a body, a secret, a token


async def test_a_change_that_is_ended_an_hour_later_waits_from_then_on(deployment):
    """It died with both files written and none moved: others use the old key until it is ended."""
    place = deployment.place
    for name, key in (("kek.next", os.urandom(32)), ("kek.old", place.read_bytes())):
        path = place.with_name(name)
        path.write_bytes(key)
        os.utime(path, (0, 0))
    assert await deployment.rotate() == Rewrapped(PEOPLE, rows=3)
    with pytest.raises(NotWaiting, match="seconds more"):
        await deployment.house.engine.rewrapping(place).retire()


async def test_of_two_at_once_the_second_waits_while_files_are_moved(deployment, monkeypatch):
    """None makes a key in the place of one that the other has begun to wrap under."""
    made = []

    def write_once(path, data):
        handle = os.open(path.parent, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
        made.append(path.name)
        whole_files.write_once(path, data)

    monkeypatch.setattr(rewrapping, "write_once", write_once)
    await deployment.rotate()
    assert made == ["kek.next", "kek.old"]


async def test_who_has_the_old_key_in_memory_reads_the_new_one(deployment):
    """At once where something does not open; after five minutes for what is new."""
    clock = FakeClock(datetime(2026, 3, 1, tzinfo=UTC))
    there = deployment.place
    stale = Vault(there.read_bytes(), again=Vault.at(there)._again, clock=clock)
    await deployment.rotate()
    _, key = stale.new_key(UUID(int=9))
    wrapped = stale.wrapped(key)
    assert Vault.at(there).key(key.kid, wrapped) == key  # the old one is there, too
    with pytest.raises(LogInconsistent):
        Vault(there.read_bytes()).key(key.kid, wrapped)
    clock.move(timedelta(minutes=6))
    assert Vault(there.read_bytes()).key(key.kid, stale.wrapped(key)) == key
    again = Vault(old_key(there).read_bytes(), again=Vault.at(there)._again, clock=clock)
    assert await deployment.readable(again) == PEOPLE


async def test_a_key_that_a_setting_refers_to_changes_with_the_settings(
    deployment, tmp_path, monkeypatch
):
    """Two settings while it changes; with one too few nothing starts, or nothing is to be done."""
    old, new = deployment.place.read_bytes(), os.urandom(32)
    monkeypatch.setenv("OLD", base64.b64encode(old).decode())
    monkeypatch.setenv("NEW", base64.b64encode(new).decode())

    def engine(**references):
        given = {f"key_encryption_key{which}": place for which, place in references.items()}
        return deployment.again(vault_of(load_settings(tmp_path, **given)))

    async def rotate(given):
        await given.register()
        actor = await given.actor("ann@acme.example", via="cli")
        return await given.rewrapping(None).rotate(actor=actor, reason=WHY)

    with pytest.raises(StoreError, match="bring back the right key"):
        await engine(**{"": "env:NEW"}).register()
    both = engine(**{"": "env:NEW", "_before": "env:OLD"})
    assert (await rotate(both)).keys == PEOPLE - 1  # Ann comes under the new one
    assert (await rotate(both)).keys == 0
    assert len(await deployment.events()) == 1
    with pytest.raises(StoreError, match="out of the settings"):
        await both.rewrapping(None).retire()
    alone = engine(**{"": "env:NEW"})
    await alone.register()
    assert await deployment.readable(alone.vault) == PEOPLE
    with pytest.raises(NotWaiting, match="have to refer to two"):
        await rotate(alone)
    actor = await alone.actor("ann@acme.example", via="cli")
    with pytest.raises(ReasonMissing):
        await alone.rewrapping(None).rotate(actor=actor, reason=" ")
