"""Old events leave the database for an archive, and archive and database verify as one."""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from newel import process, step
from newel.audit.catalogue import LogAnchorRecovered
from newel.base.errors import (
    InvalidInput,
    LogInconsistent,
    NotAllowed,
    NotFound,
    NotWaiting,
    ReasonMissing,
    StoreError,
)
from newel.base.ids import parse_reference, reference
from newel.base.settings import load_settings
from newel.domain.change import Beside
from newel.engine import archiving, whole_files
from newel.engine.anchoring import Anchoring
from newel.engine.anchors import anchor_of
from newel.engine.archive import Archive
from newel.engine.archiving import Archiving, Pruned
from newel.engine.event_export import Period, written_events
from newel.engine.evidence import Package
from newel.engine.exporting import Exports
from newel.engine.four_eyes import Ordered
from newel.engine.key_holder import KeyHolder
from newel.engine.log_export import written_log
from newel.engine.operating import write_aside
from newel.engine.proving import proved
from newel.engine.verifying import Trusted, verified, verifier
from newel.store import audit_log, invariants, journal
from newel.store.export import snapshot
from tests.engine.house import OPERATOR, opened
from tests.engine.meeting import late, waits

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
KEEP = timedelta(days=400)
WHY = "Older than we keep it. O'Hara 🦊"
ARCHIVE = "O'Hara's archive 🦊"


@step
async def say(what: int) -> int:
    """Say a number."""
    return what


@process(subject=None)
async def counting(many: int) -> None:
    """Take so many steps."""
    for n in range(many):
        await say(n)


class Old:
    """A deployment with runs that ended 401 days ago, sealed and anchored, and one of today."""

    def __init__(self, house, folder):
        self.house, self.folder = house, folder
        self.holder = holder_in(folder)
        self.ann = None
        self.old, self.new = [], []

    async def filled(self):
        """Let the log grow by more than a bundle."""
        async with self.house.database.transaction() as connection:
            fact = LogAnchorRecovered(target="drawer")
            told = Beside("log", fact, await self.house.now(), OPERATOR, None)
            ids = self.house.engine.vault.ids()
            await write_aside(connection, [told] * 256, id_=ids.new(), new_event_id=ids.event_id)
        await self.sealed()

    async def count(self, many, steps=10):
        """Run something, and seal what it has left."""
        runs = [await self.house.start("counting", steps) for _ in range(many)]
        async with self.house.worker():
            for run in runs:
                assert await self.house.ended(run) == "completed"
        await self.sealed()
        return runs

    async def sealed(self):
        """Seal, and keep the head elsewhere, too."""
        await self.house.engine.sequencer.seal()
        await self.house.engine.sequencer.anchoring.anchor()

    def archiving(self, keep=KEEP):
        """What the command line does it with."""
        return self.house.engine.archiving(self.holder, keep)

    async def archive(self):
        """Bring all that is anchored into the archive."""
        done = await self.archiving().archive(
            actor=self.ann, reason=WHY, before=await self.house.now()
        )
        await self.sealed()
        return done

    async def prune(self, keep=KEEP, **more):
        """Remove what is old."""
        done = await self.archiving(keep).prune(actor=self.ann, reason=WHY, **more)
        await self.sealed()
        return done

    async def events(self):
        """How many events the journal has."""
        return await self.house.database.fetchval("select count(*) from newel.event")

    async def report(self, archive=None):
        """Verify the database, with what the archive has, or with nothing."""
        trusted = Trusted(
            policy=self.holder.policy, anchors=[self.folder / "drawer"], archive=archive
        )
        async with snapshot(self.house.database) as seen:
            return await verified(seen.connection, trusted)

    def alone(self, folder):
        """Verify a folder as an auditor does, with the verifier alone."""
        its = verifier()
        return its.main([str(folder), "--policy", str(self.holder.policy)])


def holder_in(folder):
    """The key, the drawer and the archive of a deployment."""
    return KeyHolder(
        folder / "log", anchors=[anchor_of("directory:drawer", folder)], archive=folder / ARCHIVE
    )


@pytest.fixture
async def old(database_url, tmp_path):
    """Three runs that ended long ago and have no payloads, one of today, and a bundle of events."""
    house = await opened(
        database_url,
        tmp_path / "kek",
        [counting],
        key_holder=holder_in(tmp_path),
        keep_payloads=timedelta(days=90),
    )
    made = Old(house, tmp_path)
    made.ann = await house.engine.actor("ann@acme.example", via="api")
    made.old = await made.count(3)
    await house.move(timedelta(days=200))
    while await house.engine.retention.expire():
        pass
    await made.filled()
    await house.move(timedelta(days=401))
    made.new = await made.count(1, steps=3)
    yield made
    await house.database.close()


async def test_r29_retention(old):
    """A log aged 400 days verifies; archived and pruned it does as one, and alone it says so."""
    assert (await old.report()).code() == 0
    before = await old.events()
    (archived,) = await old.archive()
    assert archived.size == await old.house.database.fetchval(
        "select (convert_from(entry, 'UTF8')::jsonb -> 'data' ->> 'to')::int from newel.event "
        "where type = 'log.archived'"
    )
    assert old.alone(old.folder / ARCHIVE) == 0
    done = await old.prune()
    assert done.runs == 3
    assert list(done.min_index.values()) == [256]
    assert done.events == 3 * 20, "of each step that it began, and that it succeeded"
    assert await old.events() < before
    whole = await old.report(old.holder.archive)
    assert whole.code() == 0, whole.as_text()
    alone = await old.report()
    assert alone.code() == 2, alone.as_text()
    assert "were pruned, as the log says" in alone.as_text()
    assert not any(result == "fail" for result in alone.results.values())


async def test_what_is_left_of_a_pruned_run_answers_whoever_asks(old):
    """How it began and ended stays; invariants hold; an export and a mirror read the archive."""
    run = old.old[0]
    await old.archive()
    await old.prune()
    assert [type_ for type_, _ in await old.house.events(run)] == [
        "run.started",
        "run.completed",
        "run.payload_expired",
    ]
    assert await invariants.broken(old.house.database, since=EPOCH) == []
    with pytest.raises(NotWaiting, match="pruned up to"):
        async with snapshot(old.house.database) as seen:
            await written_events(
                seen, old.folder / "all", "cloudevents", Period(EPOCH, await old.house.now())
            )
    (old.folder / "export").mkdir()
    async with snapshot(old.house.database) as seen:
        with pytest.raises(NotFound):
            await proved(seen.connection, f"run/{reference('run', run)}", 3)
        await written_log(
            seen.connection, old.folder / "export", name="export", archive=old.holder.archive
        )
    assert old.alone(old.folder / "export") == 0
    exports = Exports(old.house.database, old.house.engine.vault)
    wanted = Package(Period(EPOCH, await old.house.now()))
    why = {"actor": old.ann, "reason": WHY}
    await exports.evidence(old.folder / "evidence.zip", wanted, old.holder, **why)
    assert old.alone(old.folder / "evidence.zip") == 0
    mirror = anchor_of("mirror:mirror", old.folder)
    anchoring = Anchoring(old.house.database, [mirror], archive=old.holder.archive)
    assert await anchoring.anchor() == 1
    assert old.alone(old.folder / "mirror") == 0


async def test_the_minimum_of_retention_is_insisted_on(old):
    """For ever, less than a year, nothing archived, no reason, nobody: each refuses to prune."""
    nobody = await old.house.engine.actor(None, via="cli")
    kept = old.archiving()
    with pytest.raises(NotWaiting, match="kept for ever"):
        await old.prune(keep=None)
    with pytest.raises(StoreError, match="cannot be read"):
        await old.prune()  # there is no archive
    await old.archive()
    with pytest.raises(NotAllowed, match="less than a year"):
        await old.prune(keep=timedelta(days=300))
    with pytest.raises(ReasonMissing):
        await kept.prune(actor=old.ann, reason=" ")
    with pytest.raises(NotAllowed, match="name a person"):
        await kept.prune(actor=nobody, reason=WHY)
    with pytest.raises(NotFound, match="archived bundle"):
        await old.prune(keep=timedelta(days=900))
    assert (await old.prune(keep=timedelta(days=300), is_forced=True)).runs == 3
    rows = await old.house.database.fetch(
        "select entry from newel.event where type in ('log.pruned', 'log.retention_changed') "
        "order by occurred_at, seq"
    )
    changed, pruned = [json.loads(row["entry"]) for row in rows]
    assert changed["data"] == {"after": 300}
    assert (pruned["data"]["days"], pruned["data"]["forced"]) == (300, True)
    assert not any(WHY.encode() in row["entry"] for row in rows), "a reason is sealed"


async def test_under_the_strict_rule_two_agree_on_pruning(old):
    """One orders and somebody else confirms exactly that; until then nothing is removed."""
    ben = await old.house.engine.actor("ben@acme.example", via="api")
    operating = replace(old.house.engine._operating, second_person="strict")
    strict = Archiving(operating, old.holder, KEEP)
    await old.archive()
    before = await old.events()
    assert isinstance(await strict.prune(actor=old.ann, reason=WHY), Ordered)
    with pytest.raises(NotAllowed, match="a second person"):
        await strict.prune(actor=old.ann, confirms=True)
    shorter = Archiving(operating, old.holder, timedelta(days=380))
    with pytest.raises(NotWaiting, match="not ordered"):
        await shorter.prune(actor=ben, confirms=True)
    async with old.house.database.transaction() as connection:
        assert await audit_log.may_seal(connection), "as a sequencer does once a second"
        with pytest.raises(NotWaiting, match="being sealed: try again"):
            await strict.prune(actor=ben, confirms=True)
    assert await old.events() == before + 1, "the order itself"
    done = await strict.prune(actor=ben, confirms=True)
    assert isinstance(done, Pruned)
    assert done.runs == 3
    await old.sealed()
    assert (await old.report(old.holder.archive)).code() == 0


@pytest.mark.parametrize("days", ["399", "1"])
def test_a_setting_below_the_minimum_needs_its_reason(days, tmp_path):
    """Below 400 days the setting is refused, unless it says why."""
    with pytest.raises(InvalidInput, match="keep_log_reason"):
        load_settings(tmp_path, keep_log=days)
    given = load_settings(tmp_path, keep_log=days, keep_log_reason="The works council asks for it.")
    assert given.keep_log == timedelta(days=int(days))
    assert load_settings(tmp_path, keep_log="400").keep_log == KEEP


async def test_what_may_stay_is_not_removed(old):
    """Not of a run under hold, of one with payloads, of an open one's child, nor of today."""
    held, full, child = old.old
    parent = await old.house.start("counting", 3)
    await old.archive()
    person = parse_reference(old.ann.person)[1]
    database = old.house.database
    await database.execute("update newel.run set subject = $2 where id = $1", held, person)
    await database.execute("update newel.run set payload_expired_at = null where id = $1", full)
    await database.execute(
        "update newel.run set parent_run = $2, parent_key = 'k', with_parent = true where id = $1",
        child,
        parent,
    )
    ben = await old.house.engine.actor("ben@acme.example", via="api")
    await old.house.engine.legal_hold.set(person, actor=ben, reason="Case 12.")
    assert (await old.prune()).runs == 0
    await old.house.engine.legal_hold.release(person, actor=ben, reason="It is over.")
    assert (await old.prune()).runs == 1


async def test_only_what_the_log_gave_up_may_be_deleted(old):
    """The trigger refuses any other event, whoever owns the table."""
    await old.archive()
    await old.prune()
    await old.house.database.execute(
        "update newel.run set payload_expired_at = newel.now(), pruned_at = newel.now() "
        "where id = $1",
        old.new[0],
    )
    for statement in (
        f"delete from newel.event where stream_id = '{old.new[0]}'",
        "delete from newel.event where type = 'log.pruned'",
        "update newel.audit_head set min_index = 0",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await old.house.database.execute(statement)
    with pytest.raises(asyncpg.CheckViolationError):
        await old.house.database.execute("update newel.audit_head set min_index = 1024")


async def test_what_was_taken_out_or_changed_is_found(old):
    """An event that the log did not give up, one that stayed, and one of the archive."""
    await old.archive()
    await old.prune()
    await old.house.database.execute("alter table newel.event disable trigger all")
    await old.house.database.execute(
        "update newel.event set entry = convert_to(replace(convert_from(entry, 'UTF8'), "
        "'counting', 'Counting'), 'UTF8') where stream_id = $1 and seq = 1",
        old.old[0],
    )
    for archive in (None, old.holder.archive):
        report = await old.report(archive)
        assert report.results["V05"] == "fail", report.as_text()
    await old.house.database.execute(
        "delete from newel.event where stream_id = $1 and type = 'step.succeeded'", old.new[0]
    )
    for archive in (None, old.holder.archive):
        assert "the event is gone from the journal" in (await old.report(archive)).as_text()
    bundle = old.folder / ARCHIVE / "1/tile/entries/000"
    bundle.write_bytes(bundle.read_bytes().replace(b"step.started", b"step.Started"))
    with pytest.raises(LogInconsistent, match="archive"):
        await old.prune()
    assert (await old.report(Archive(old.folder / ARCHIVE))).code() == 1


async def test_cut_off_anywhere_it_is_done_again(old, monkeypatch):
    """A full disk, a death behind any batch, a folder of another log: nothing is lost or left."""
    before = await old.events()
    whole = whole_files._synced

    def full(folder):
        if folder.name == "entries":
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(folder)

    monkeypatch.setattr(whole_files, "_synced", full)
    with pytest.raises(StoreError, match="No space left"):
        await old.archive()
    monkeypatch.undo()
    assert await old.events() == before, "the log says nothing of it"
    (old.folder / ARCHIVE / "1" / "checkpoint").unlink(missing_ok=True)
    await old.archive()
    assert not list((old.folder / ARCHIVE).rglob(".*")), "a draft was left"

    async def dies(*_):
        raise ConnectionError

    monkeypatch.setattr(archiving, "_BATCH", 1)
    monkeypatch.setattr(journal, "prune", dies)
    with pytest.raises(ConnectionError):
        await old.prune()
    monkeypatch.undo()
    await old.sealed()
    assert (await old.report()).code() == 0, "what it gave up is still there"
    assert (await old.prune()).runs == 3
    assert (await old.report(old.holder.archive)).code() == 0
    other = old.folder / ARCHIVE / "1"
    for each in other.glob("checkpoint.*"):
        each.write_bytes(each.read_bytes().replace(b"localhost", b"elsewhere"))
    with pytest.raises(LogInconsistent, match="elsewhere"):
        await old.archive()


async def test_twice_at_once_it_happens_once(old):
    """Two archive, and two prune, at the same time: one archive, each event removed once."""
    await asyncio.gather(old.archive(), old.archive())
    assert old.alone(old.folder / ARCHIVE) == 0
    done = await asyncio.gather(old.prune(), old.prune(), return_exceptions=True)
    pruned = [each for each in done if not isinstance(each, BaseException)]
    assert all(isinstance(each, NotWaiting) for each in done if each not in pruned)
    assert sum(each.runs for each in pruned) == 3
    assert (await old.report(old.holder.archive)).code() == 0


async def test_an_archive_grows_and_may_be_rebuilt_only_from_both(old):
    """A year later it is brought up to date; a new folder lacks what was pruned, and says so."""
    await old.archive()
    await old.prune()
    (again,) = await old.archive()
    assert again.size > 300
    assert old.alone(old.folder / ARCHIVE) == 0
    moved = old.folder / "moved"
    shutil.move(old.folder / ARCHIVE, moved)
    with pytest.raises(LogInconsistent, match="neither database nor archive"):
        await old.archive()
    shutil.rmtree(old.folder / ARCHIVE)
    shutil.move(moved, old.folder / ARCHIVE)
    assert (await old.report(Archive(old.folder / ARCHIVE))).code() == 0


async def test_what_the_archive_has_lost_since_is_not_removed(old):
    """Of a run that was held when its events were given up, the bundle has to be there later."""
    run, hold = old.old[0], old.house.engine.legal_hold
    ben = await old.house.engine.actor("ben@acme.example", via="api")
    await hold.set(run, actor=ben, reason="Case 12.", is_run=True)
    await old.archive()
    assert (await old.prune()).runs == 2
    await old.archive()  # it has `log.pruned` now, which tells the verifier what need not be there
    (old.folder / ARCHIVE / "1/tile/entries/000").unlink()
    assert old.alone(old.folder / ARCHIVE) == 0
    await hold.release(run, actor=ben, reason="It is over.", is_run=True)
    with pytest.raises(LogInconsistent, match="lacks"):
        await old.prune()
    assert len(await old.house.events(run)) == 23


@pytest.mark.parametrize("when", ["looked", "locked"])
async def test_a_hold_on_a_person_and_pruning_come_one_after_the_other(old, monkeypatch, when):
    """Set while runs are looked for, it is respected; set once they are locked, it waits."""
    run, database = old.old[0], old.house.database
    await old.archive()
    person = parse_reference(old.ann.person)[1]
    await database.execute("update newel.run set subject = $2 where id = $1", run, person)
    ben = await old.house.engine.actor("ben@acme.example", via="api")
    remove, holding, waited = journal.prune, [], []

    async def held():
        await old.house.engine.legal_hold.set(person, actor=ben, reason="Case 12.")

    async def locked(connection, found):
        holding.append(asyncio.create_task(held()))
        waited.append(await waits(database, holding[0]))
        return await remove(connection, found)

    if when == "looked":
        late(monkeypatch, "prunable", held)
        assert (await old.prune()).runs == 2
    else:
        monkeypatch.setattr(journal, "prune", locked)
        monkeypatch.setattr(archiving, "_BATCH", 9)
        assert (await old.prune()).runs == 3
        assert waited == [True], "it says so only when it holds"
    await asyncio.gather(*holding)
