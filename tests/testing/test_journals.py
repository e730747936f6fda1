"""Recorded journals: nothing in them means a person, and they judge code before a deploy does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from newel import Person
from newel.base.errors import DefinitionError
from newel.flow.process import Process
from newel.testing import ReplaysOtherwise, exported, replays, running
from newel.testing.house import House
from tests.changes.versions import module
from tests.testing import hiring as now
from tests.testing.hiring import Hire, Job, hiring

JANE = Hire(
    person=Person(name="Jane Doe", email="jane.doe@acme.example", hr_key="HR4711"),
    job=Job.ENGINEER,
    salary=98_765,
    starts_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    groups=("all-hands", "jane-and-friends"),
)
CANARIES = ("jane", "doe", "acme", "hr4711", "friends")
SOURCE = Path(now.__file__).read_text("utf-8").partition("from newel import")[2].partition("\n")[2]


def edited(before: str, after: str) -> Process[..., Any]:
    """The process with an edit in its source."""
    assert before in SOURCE
    found: Process[..., Any] = module("from enum import Enum\n" + SOURCE.replace(before, after))[
        "hiring"
    ]
    return found


async def journal(hire: Hire = JANE, *, ends: bool = False, **more: Any) -> bytes:
    """The journal of a run that waits for the first day, or has ended."""
    async with running(hiring.request(hire), at="2026-02-02") as run:
        await run.decide("boss-agrees", approved=True, comment="Jane is great")
        assert run.waiting() == {"first-day"}
        if ends:
            run.clock.move_to(hire.starts_at)
            assert run.state == "completed"
        found: bytes = await run.do(exported(run.engine, run.id, **more))
    return found


@pytest.mark.parametrize("ends", [False, True])
async def test_a_journal_is_exported_without_persons_and_replays(tmp_path: Path, ends: bool):
    """No name, address, number of a person or item of a key is left; the code finds its way."""
    text = await journal(ends=ends)
    assert [each for each in CANARIES if each in text.decode().lower()] == []
    keys = {event["key"] for event in orjson.loads(text)["events"]}
    assert {"boss-agrees", "account", "laptop", "first-day"} < keys
    (tmp_path / "one.json").write_bytes(text)
    replays(hiring, tmp_path)
    replays(edited('"""Ask, make, order, wait."""', '"""Hire somebody."""'), tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("await account(", "await account['it'](", "blocked: The new code no longer asks for `acc"),
        ('"heavy")', '"light")', "drifted: The input of the finished step `laptop` has changed"),
        (
            "    await timer(",
            "    await laptop['2'](made.login, '')\n    await timer(",
            "runs now: `",
        ),
        ("return made.mail", "await laptop['end'](made.login, '')\n    return ''", ""),
        ("mail: str\n", "mail: int\n", "blocked: "),
    ],
)
async def test_an_edit_is_judged_by_recorded_journals(tmp_path, before, after, verdict):
    """Renamed, changed, added before its place, unreadable: the test says which."""
    (tmp_path / "one.json").write_bytes(await journal())
    if not verdict:
        replays(edited(before, after), tmp_path)
        return
    with pytest.raises(ReplaysOtherwise) as told:
        replays(edited(before, after), tmp_path)
    assert str(told.value).startswith(f"one.json: {verdict}")


async def test_an_ended_run_must_not_do_more(tmp_path):
    """What is added behind the end of a recorded run would run now."""
    (tmp_path / "one.json").write_bytes(await journal(ends=True))
    with pytest.raises(ReplaysOtherwise, match=r"one.json: runs now: `laptop\[end\]`"):
        replays(
            edited("return made.mail", "await laptop['end'](made.login, '')\n    return ''"),
            tmp_path,
        )


async def test_a_process_that_decides_by_what_was_replaced_says_so(tmp_path):
    """A word that no source holds can be kept by the name of its field."""
    hire = Hire(**{**vars(JANE), "site": "hq7"})
    with pytest.raises(DefinitionError, match="does not replay without what was replaced"):
        await journal(hire)
    text = await journal(hire, kept=["site"], hidden=["salary"])
    assert b"98765" not in text
    (tmp_path / "one.json").write_bytes(text)
    replays(hiring, tmp_path)


async def test_a_folder_without_journals_is_no_proof(tmp_path):
    """Nothing recorded, or only of another process: the test fails."""
    with pytest.raises(ReplaysOtherwise, match="no journal of hiring"):
        replays(hiring, tmp_path)


async def test_a_journal_comes_from_postgresql_as_well(engine: House, tmp_path):
    """The same file from a real database, with two workers and sealed payloads."""
    async with engine.running(hiring.request(JANE), at="2026-02-02") as run:
        await run.decide("boss-agrees", approved=True)
        text = await run.do(exported(run.engine, run.id))
    assert [each for each in CANARIES if each in text.decode().lower()] == []
    (tmp_path / "one.json").write_bytes(text)
    replays(hiring, tmp_path)
