"""New keys, lost memories and restores: what was signed stays signed, and the log says the rest."""

from __future__ import annotations

import asyncio
import json

import pytest

from newel import process, step
from newel.audit.checkpoint import Checkpoint
from newel.audit.note import Note
from newel.base.errors import LogInconsistent, NotWaiting, ReasonMissing
from newel.engine.anchoring import Anchoring
from newel.engine.anchors import anchor_of
from newel.engine.key_holder import KeyHolder
from newel.engine.log_export import written_log
from newel.engine.log_keeping import LogKeeping
from newel.engine.restore_check import recorded, restore_checked
from newel.engine.verifying import Trusted, verified, verifier
from newel.store import audit_log
from newel.store.export import snapshot
from tests.engine.house import OPERATOR, opened

TABLES = (
    "event", "event_default", "audit_leaf", "audit_checkpoint", "audit_anchor", "audit_head"
)  # fmt: skip
WHY = {"actor": OPERATOR, "reason": "The yearly change. O'Hara 🦊"}


@step
async def ask() -> str:
    """Ask something of a system."""
    return "asked"


@process(subject=None)
async def asking() -> None:
    """Ask once."""
    await ask()


class Kept:
    """A house whose log is sealed, with one copy elsewhere."""

    def __init__(self, house, folder):
        self.house, self.folder = house, folder
        self.holder = KeyHolder(folder / "log", anchors=[anchor_of("directory:drawer", folder)])
        self.sequencer = house.engine.sequencer
        self.keeping = LogKeeping(house.database, house.engine.vault, self.holder)
        self.many = 0

    async def written(self, many):
        """Write events, and seal them."""
        for _ in range(many):
            self.many += 1
            await self.house.engine.actor(f"person.{self.many}@acme.example", via="api")
        return await self.sequencer.seal()

    async def report(self, *anchors):
        """Verify the database, with the policy of the first day."""
        trusted = Trusted(policy=self.holder.policy, anchors=[*anchors, self.folder / "drawer"])
        async with snapshot(self.house.database) as seen:
            return await verified(seen.connection, trusted)

    async def exported(self, name):
        """Export, and verify that with the policy of the first day."""
        (self.folder / name).mkdir()
        async with snapshot(self.house.database) as seen:
            await written_log(seen.connection, self.folder / name, name=name)
        its = verifier()
        arguments = [str(self.folder / name), "--policy", str(self.holder.policy)]
        return await asyncio.to_thread(its.verify, its._parser().parse_args(arguments))


@pytest.fixture
async def kept(database_url, tmp_path):
    """A log of some entries, sealed and anchored."""
    holder = KeyHolder(tmp_path / "log", anchors=[anchor_of("directory:drawer", tmp_path)])
    house = await opened(database_url, tmp_path / "kek", [], key_holder=holder)
    made = Kept(house, tmp_path)
    await made.written(2)
    await made.sequencer.anchoring.anchor()
    yield made
    await house.database.close()


async def test_a_new_key_takes_the_place_of_the_old_one(kept, monkeypatch):
    """Both sign until a copy elsewhere has both; who believed the first believes the second."""
    with pytest.raises(ReasonMissing):
        await kept.keeping.rotate(actor=OPERATOR, reason=" ")
    monkeypatch.setattr(KeyHolder, "promote_next", lambda _: None)  # it dies after the commit
    old, new = (kept.folder / "log/key").read_text(), await kept.keeping.rotate(**WHY)
    assert new not in kept.holder.policy.read_text()
    monkeypatch.undo()
    size = await kept.written(1)
    assert (await kept.report()).code() == 0
    with pytest.raises(NotWaiting, match="a rotation already"):
        await kept.keeping.rotate(**WHY)
    assert (kept.folder / "log/key.old").read_text() == old
    with pytest.raises(NotWaiting, match="no copy has both"):
        await kept.keeping.retire()
    await kept.written(1)
    await kept.sequencer.anchoring.anchor()
    assert await kept.keeping.retire() >= size
    assert await kept.written(1) > size
    assert not (kept.folder / "log/key.old").exists()
    note = Note.parsed((kept.folder / "log/checkpoint.1").read_text())
    assert len(note.signatures) == 1
    report = await kept.report()
    assert report.code() == 0, report.as_text()
    assert (await kept.exported("after")).code() == 0


async def test_a_rotation_that_fails_before_its_commit_is_done_again(kept, database, monkeypatch):
    """The key that was made and not told of takes nobody's place: the old one is still needed."""

    async def cut(*_):
        raise ConnectionError

    monkeypatch.setattr(audit_log, "rekey", cut)
    own = (kept.folder / "log/key").read_text()
    with pytest.raises(ConnectionError):
        await kept.keeping.rotate(**WHY)
    monkeypatch.undo()
    await kept.written(1)
    await kept.sequencer.anchoring.anchor()
    with pytest.raises(NotWaiting, match="no copy has both"):
        await kept.keeping.retire()
    assert (kept.folder / "log/key").read_text() == own
    new = await kept.keeping.rotate(**WHY)
    assert await database.fetchval("select vkey from newel.audit_head") == new
    size = await kept.written(1)
    await kept.sequencer.anchoring.anchor()
    assert await kept.keeping.retire() >= size
    assert await kept.written(1) > size
    assert (await kept.report()).code() == 0


async def test_a_rotation_that_dies_behind_its_commit_destroys_the_right_key(kept, monkeypatch):
    """Its files are moved by whatever is done next; the old key is gone when that is said."""
    monkeypatch.setattr(KeyHolder, "promote_next", lambda _: None)
    old = (kept.folder / "log/key").read_text()
    await kept.keeping.rotate(**WHY)
    monkeypatch.undo()
    size = await kept.written(1)
    await kept.sequencer.anchoring.anchor()
    await kept.keeping.retire()
    assert old not in {path.read_text() for path in (kept.folder / "log").glob("key*")}
    assert await kept.written(1) > size


async def test_a_key_that_was_stolen_signs_nothing_any_more(kept, database):
    """After the leaf that says so, a head that only the old key signed is refused by name."""
    old = kept.holder.signing_keys("x")[0]
    await kept.keeping.rotate(**WHY, is_compromised=True)
    size = await kept.written(2)
    assert (await kept.report()).code() == 0
    note = await database.fetchval("select note from newel.audit_checkpoint where size = $1", size)
    text = note.partition("\n\n")[0] + "\n"
    old = next(
        key
        for key in kept.holder.signing_keys(Checkpoint.parsed(text).origin)
        if key.verifier().public == old.verifier().public
    )
    await database.execute("alter table newel.audit_checkpoint disable trigger all")
    await database.execute(
        "update newel.audit_checkpoint set note = $1 where size = $2",
        str(Note(text, (old.signed(text),))),
        size,
    )
    report = await kept.report()
    assert report.code() == 1
    assert "given up as compromised" in report.as_text()


async def test_a_machine_without_memory_goes_on_when_a_person_says_so(kept):
    """The head it adopts is that of the tree; the log tells who said so."""
    with pytest.raises(NotWaiting):
        await kept.keeping.adopt(**WHY)
    (kept.folder / "log/checkpoint.1").unlink()
    with pytest.raises(LogInconsistent):
        await kept.written(1)
    await kept.keeping.adopt(**WHY)
    assert await kept.written(1) > 5
    assert (await kept.report()).code() == 0
    row = await kept.house.database.fetchrow(
        "select entry from newel.event where type = 'log.head_adopted'"
    )
    leaf = json.loads(row["entry"])
    assert (leaf["data"]["cause"], leaf["reason"]["code"]) == ("memory_lost", "memory_lost")


async def restored(database, size, streams):
    """Make the database what an older backup has: everything after a head is gone."""
    for table in TABLES:
        await database.execute(f"alter table newel.{table} disable trigger all")
    await database.execute("delete from newel.audit_anchor where size > $1", size)
    await database.execute(
        "delete from newel.event e where not exists (select 1 from newel.audit_leaf l where "
        "l.leaf_index < $1 and (l.stream_id, l.seq) = (e.stream_id, e.seq))", size
    )  # fmt: skip
    await database.execute("delete from newel.audit_leaf where leaf_index >= $1", size)
    await database.execute("delete from newel.audit_checkpoint where size > $1", size)
    await database.execute("delete from newel.event_batch")
    await database.execute("update newel.audit_head set size = $1, frontier = $2", size, streams[1])
    await database.executemany(
        "update newel.audit_stream set seq = $2, head = $3, last_at = $4 where id = $1", streams[0]
    )
    for table in TABLES:
        await database.execute(f"alter table newel.{table} enable trigger all")


async def test_after_a_restore_the_log_goes_on_and_says_what_was_lost(kept, database):
    """Nothing is signed until a person begins a new log epoch; all of it verifies, with a word."""
    with pytest.raises(NotWaiting):
        await kept.keeping.begin_anew(**WHY)
    size = await database.fetchval("select size from newel.audit_head")
    rows = await database.fetch("select id, seq, head, last_at from newel.audit_stream")
    frontier = await database.fetchval("select frontier from newel.audit_head")
    lost = await kept.written(3) - size
    await kept.sequencer.anchoring.anchor()
    await restored(database, size, ([tuple(row) for row in rows], frontier))
    with pytest.raises(LogInconsistent, match="were signed"):
        await kept.written(1)
    assert (await kept.report()).code() == 1, "a copy elsewhere knows more"
    await kept.house.engine.actor("waits.in.the.queue@acme.example", via="api")
    begun = await kept.keeping.begin_anew(**WHY)
    assert (begun.kept_size, begun.lost_leaves) == (size, lost)
    assert begun.origin.endswith("/2")
    await kept.written(2)
    await kept.sequencer.anchoring.anchor()
    report = await kept.report(kept.folder / "log/checkpoint.1")
    assert report.code() == 0, report.as_text()
    assert "the rest is lost" in report.as_text()
    assert report.logs[0]["size"] == size
    exported = await kept.exported("after")
    assert exported.code() == 0, exported.as_text()
    first = (kept.folder / "after/2/tile/entries").rglob("*")
    assert any(b"log.epoch_opened" in path.read_bytes() for path in first if path.is_file())


async def test_a_restore_is_noticed_and_what_was_lost_is_named(kept, database):
    """A copy of a checkpoint says how much is missing, a mirror what; nothing before a restore."""
    heads, mirror = [kept.folder / "log/checkpoint.1"], anchor_of("mirror:mirror 🦊", kept.folder)
    folders = [kept.folder / "mirror 🦊", kept.folder / "nowhere"]

    async def checked():
        async with snapshot(kept.house.database) as seen:
            return await restore_checked(seen.connection, [*heads, kept.holder.policy], folders)

    size = await database.fetchval("select size from newel.audit_head")
    rows = await database.fetch("select id, seq, head, last_at from newel.audit_stream")
    frontier = await database.fetchval("select frontier from newel.audit_head")
    many = await kept.written(3) - size
    assert await Anchoring(kept.house.database, [mirror]).anchor() == 1
    before = await checked()
    assert (before.short, before.lost) == ({}, [])
    await restored(database, size, ([tuple(row) for row in rows], frontier))
    found = await checked()
    (missing,) = found.short.values()
    assert missing == many
    assert [each.leaf_index for each in found.lost] == list(range(size, size + many))
    assert {each.type for each in found.lost} >= {"person.registered"}
    assert await recorded(kept.house.database, found)
    said = await database.fetchval(
        "select convert_from(entry, 'UTF8')::jsonb ->> 'data' from newel.event "
        "where type = 'service.restore_checked'"
    )
    assert json.loads(said) == {
        "compared": 1,
        "missing": many,
        "lost": many,
        "outside": len(found.outside),
        "other": 0,
    }
    await kept.keeping.begin_anew(**WHY)
    await kept.written(2)
    assert len((await checked()).lost) == many, "what is lost stays lost"


async def test_a_restored_log_that_has_grown_since_is_noticed_by_its_roots(kept, database):
    """A worker that was not stopped gives places to new events: as many as before say nothing."""
    heads = [kept.folder / "log/checkpoint.1"]
    size = await database.fetchval("select size from newel.audit_head")
    rows = await database.fetch("select id, seq, head, last_at from newel.audit_stream")
    frontier = await database.fetchval("select frontier from newel.audit_head")
    signed = await kept.written(3)
    await restored(database, size, ([tuple(row) for row in rows], frontier))
    with pytest.raises(LogInconsistent):
        await kept.written(9)
    async with snapshot(kept.house.database) as seen:
        found = await restore_checked(seen.connection, heads, [])
    (here,) = found.here.values()
    assert here > signed
    assert found.short == {}
    assert list(found.other.values()) == [signed]


async def test_what_was_done_outside_is_named_with_its_key(build, tmp_path):
    """A step that only a mirror knows of: the key, and under which key the system was asked."""
    async with build([asking], key_holder=KeyHolder(tmp_path / "log")) as house:
        run = await house.start("asking")
        async with house.worker():
            assert await house.ended(run) == "completed"
        await house.engine.sequencer.seal()
        mirror = anchor_of("mirror:mirror", tmp_path)
        assert await Anchoring(house.database, [mirror]).anchor() == 1
        async with house.database.transaction() as connection:
            for table in ("event", "event_default", "audit_leaf"):
                await connection.execute(f"alter table newel.{table} disable trigger all")
            await connection.execute("delete from newel.audit_leaf where stream_id = $1", run)
            await connection.execute("delete from newel.event where stream_id = $1", run)
        async with snapshot(house.database) as seen:
            found = await restore_checked(seen.connection, [], [tmp_path / "mirror"])
        outside = [each for each in found.lost if each.is_outside]
        assert [each.type for each in outside] == ["step.started", "step.succeeded"]
        assert (outside[0].key, outside[0].stream) == ("ask", f"run/{house.reference(run)}")
        assert outside[0].idempotency_key
        assert len(found.lost) == 4
