"""The log in other forms: from real runs, sealed events alone, the same bytes each time."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest

from newel import Account, Person, approval, process, step, team
from newel.audit.leaf import Actor
from newel.base.errors import InvalidInput, LogInconsistent
from newel.engine.event_export import FORMS, Period
from newel.engine.exporting import Exports
from newel.engine.key_holder import KeyHolder
from newel.engine.sequencer import Sequencer
from tests.engine.test_verifying import unguarded
from tests.unit.audit.test_event_forms import (
    CLASSES,
    SCHEMAS,
    XES,
    rightly_declared,
    valid,
    valid_xes,
)

LEO = {"name": "Leo O'Malley 🦊", "email": "leo@acme.example", "hr_key": "E77"}
ALWAYS = Period(datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
OPERATOR = Actor(type="service", id="svc_test", via="cli")


@step(system="wiki", grants="account", in_doubt="repeat")
async def give(person: Person) -> Account:
    """Give the account."""
    return Account(system="wiki", id="u7", handle="leo")


@step(system="wiki", grants="team/platform", in_doubt="repeat")
async def admit(person: Person) -> None:
    """Let them into the team."""


@step(system="wiki", revokes="account", in_doubt="repeat")
async def suspend(person: Person) -> Account:
    """Lock it."""
    return Account(system="wiki", id="u7", handle="leo", state="suspended")


@process(owner="it")
async def employment(person: Person) -> str:
    """A yes, an account, a team, an end."""
    await approval("agreed", by=team("it"))
    await give(person)
    await admit(person)
    await suspend(person)
    return "left"


@pytest.fixture
async def sealed(build, tmp_path):
    """Two employments that are over, sealed, and one event that is not."""
    async with build([employment]) as house:
        sequencer = Sequencer(house.database, KeyHolder(tmp_path / "log"))
        mary = await house.engine.actor("mary@acme.example", via="api")
        async with house.worker():
            for n in (1, 2):
                person = {**LEO, "hr_key": f"E{n}", "email": f"l{n}@acme.example"}
                run = await house.start("employment", person)
                await house.rested(run)
                note = "Their boss agrees, says O'Hara. 🦊"
                await house.engine.decide(
                    await house.task(run), approved=True, actor=mary, comment=note
                )
                assert await house.ended(run) == "completed"
        await sequencer.seal()
        await house.engine.actor("waits.unsealed@acme.example", via="api")
        yield house


async def exported(house, path, form, period=ALWAYS):
    """Export, and read what was written."""
    exports = Exports(house.database, house.engine.vault)
    done = await exports.events(path, form, period, actor=OPERATOR, reason="for a test")
    return done, path.read_bytes()


async def sealed_entries(house):
    """What the log holds, in its order."""
    rows = await house.database.fetch(
        "select e.entry from newel.audit_leaf l "
        "join newel.event e using (stream_id, seq) order by l.leaf_index"
    )
    return [json.loads(row["entry"]) for row in rows]


async def test_every_form_tells_the_sealed_log_and_nothing_personal(sealed, tmp_path):
    """Valid by its schema, complete, the same bytes again, and no name, address or comment."""
    leaves = await sealed_entries(sealed)
    texts = {}
    for form in FORMS:
        done, texts[form] = await exported(sealed, tmp_path / form, form)
        again, same = await exported(sealed, tmp_path / f"{form}.again", form)
        assert (done, texts[form]) == (again, same)
        assert (tmp_path / form).stat().st_mode & 0o777 == 0o600
        for canary in ("O'Malley", "Malley", "acme.example", "O'Hara", "🦊", "handle", "leo"):
            assert canary.encode() not in texts[form], (form, canary)
    clouds = [json.loads(line) for line in texts["cloudevents"].splitlines()]
    assert [each["id"] for each in clouds] == [each["id"] for each in leaves]
    for each in clouds:
        valid(SCHEMAS / "cloudevents.json", each)
    events = [json.loads(line) for line in texts["ocsf"].splitlines()]
    for each in events:
        valid(CLASSES[each["class_uid"]], each)
    kinds = [(each["class_uid"], each["activity_id"]) for each in events]
    for given in ((3001, 1), (3006, 3), (3001, 5)):
        assert kinds.count(given) == 2, kinds
    document = json.loads(texts["ocel"])
    valid(SCHEMAS / "ocel20.json", document)
    rightly_declared(document)
    assert [each["id"] for each in document["events"]] == [each["id"] for each in leaves]
    many = dict.fromkeys(("run", "person", "grant", "account", "task", "system"), 0)
    for each in document["objects"]:
        many[each["type"]] += 1
    assert many == {"run": 2, "person": 3, "grant": 4, "account": 2, "task": 2, "system": 1}, many
    traces = valid_xes(texts["xes"])
    assert len(traces) == 2
    for trace in traces:
        names = [
            (values["concept:name"], values["lifecycle:transition"])
            for event in trace.iter(f"{XES}event")
            for values in [{each.attrib["key"]: each.attrib["value"] for each in event}]
        ]
        assert names[0] == ("agreed", "schedule")
        assert names[1:5] == [
            ("agreed", "complete"),
            ("give", "start"),
            ("give", "complete"),
            ("admit", "start"),
        ], names


async def test_a_period_is_from_a_moment_to_before_another(sealed, tmp_path):
    """Two periods that meet hold together what the whole holds."""
    leaves = await sealed_entries(sealed)
    middle = datetime.fromisoformat(leaves[len(leaves) // 2]["occurred_at"])
    parts = []
    for name, period in (("a", Period(ALWAYS[0], middle)), ("b", Period(middle, ALWAYS[1]))):
        parts.append((await exported(sealed, tmp_path / name, "cloudevents", period))[1])
    _, whole = await exported(sealed, tmp_path / "all", "cloudevents")
    assert sorted(b"".join(parts).splitlines()) == sorted(whole.splitlines())
    assert all(parts)
    empty = Period(ALWAYS[0], ALWAYS[0] + timedelta(days=1))
    for form in FORMS:
        done, text = await exported(sealed, tmp_path / f"empty.{form}", form, empty)
        assert done.events == 0
        if form == "xes":
            assert valid_xes(text) == []
        if form == "ocel":
            valid(SCHEMAS / "ocel20.json", json.loads(text))


async def test_it_overwrites_nothing_tells_the_log_and_stops_at_a_forgery(
    sealed, tmp_path, database
):
    """Nothing is left of an export that fails; what was exported stands in the log."""
    (tmp_path / "there").write_text("mine")
    with pytest.raises(InvalidInput, match="overwrites nothing"):
        await exported(sealed, tmp_path / "there", "ocsf")
    done, _ = await exported(sealed, tmp_path / "told", "ocsf")
    told = json.loads(
        await sealed.database.fetchval(
            "select convert_from(entry, 'UTF8') from newel.event where type = 'data.exported'"
        )
    )
    assert (told["data"]["kind"], told["data"]["rows"]) == ("events", done.events)
    assert told["data"]["sha256"] == done.sha256
    await unguarded(database)
    await database.execute(
        "update newel.event set entry = convert_to(replace(convert_from(entry, 'UTF8'), "
        "'\"suspended\"', '\"removed\"'), 'UTF8') where type = 'access.revoked'"
    )
    with pytest.raises(LogInconsistent, match="not the one that was sealed"):
        await exported(sealed, tmp_path / "forged", "ocel")
    assert not list(tmp_path.glob("forged*"))


async def test_a_large_log_needs_no_more_memory(sealed, tmp_path, database):
    """Of thousands of events more only a part is ever held."""
    await unguarded(database)
    await database.execute(
        """
        with one as (select * from newel.event where type = 'step.succeeded' limit 1),
        many as (select gen_random_uuid() as id, n from generate_series(1, 2500) n),
        more as (
            insert into newel.event (stream_id, seq, type, key, occurred_at, entry)
            select m.id, 1, o.type, o.key, o.occurred_at, o.entry from many m, one o)
        insert into newel.audit_leaf (log_epoch, leaf_index, stream_id, seq, leaf_hash)
        select 1, 100000 + m.n, m.id, 1, sha256('\\x00'::bytea || o.entry) from many m, one o
        """
    )
    await database.execute(
        "insert into newel.audit_checkpoint (log_epoch, size, root, note) "
        "values (1, 200000, sha256(''), '')"
    )
    for form in ("ocel", "xes"):
        tracemalloc.start()
        done, text = await exported(sealed, tmp_path / form, form)
        peak = tracemalloc.get_traced_memory()[1] - len(text)
        tracemalloc.stop()
        assert done.events > 2_500
        assert peak < len(text) / 2, f"{form}: {peak} of {len(text)} bytes"
