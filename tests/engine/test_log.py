"""`log.info` in a body: each line once, after what it follows from is durable."""

from __future__ import annotations

import io
import json

import pytest
from structlog.testing import capture_logs

from newel import approval, log, parallel, process, step, team
from newel.base.log import Service, configure
from tests.engine.house import House, named


@step(in_doubt="repeat")
async def count(number: int) -> int:
    """Count."""
    return number


async def _asked(key: str) -> bool:
    decision = await approval(key, by=team("hr"))
    log.info("decided", about=key)
    return decision.approved


@process(subject=None, owner="it")
async def talking() -> int:
    """Say something after everything that happens."""
    log.info("begun")
    number = await count(1)
    log.info("counted", number=number)
    await parallel(_asked("one"), _asked("two"))
    log.info("both decided")
    return number


async def _decide(house: House, run, key: str) -> None:
    task = await house.database.fetchval(
        "select id from newel.task where run_id = $1 and key = $2 and state = 'open'", run, key
    )
    mary = await house.engine.actor("mary@example.test", via="api")
    await house.engine.decide(task, approved=True, actor=mary)
    house.poke()


@pytest.fixture
def lines():
    """Give the lines that are written while the test runs."""
    with capture_logs() as written:
        yield written


async def test_each_line_is_written_once_however_often_the_body_is_replayed(build, lines):
    """Three workers after one another, a decision between each; every line names run and key."""
    async with build([talking]) as house:
        async with house.worker() as worker:
            run = await house.start("talking")
            assert await house.rested(run) == "waiting"
            await worker.stop()  # what is durable is said a moment later
        async with house.worker() as worker:
            await _decide(house, run, "two")
            assert await house.rested(run) == "waiting"
            await worker.stop()
        async with house.worker() as worker:
            assert await house.rested(run) == "waiting"
            await house.database.execute(
                "update newel.run set wake_at = newel.now() where id = $1", run
            )
            house.poke()
            await house.rested(run)
            await _decide(house, run, "one")
            assert await house.ended(run) == "completed"
            await worker.stop()
    said = [(line["event"], line.get("key"), line["facts"]) for line in lines if "facts" in line]
    assert said == [
        ("begun", None, {}),
        ("counted", "count", {"number": 1}),
        ("decided", "two", {"about": "two"}),
        ("decided", "one", {"about": "one"}),
        ("both decided", "one", {}),
    ]
    assert {line["run"] for line in lines if "facts" in line} == {named(run)}


async def test_a_pass_that_is_thrown_away_has_said_nothing(build, lines):
    """Somebody else wrote first: the body runs again, and its line is written with what holds."""

    @process(subject=None, owner="it")
    async def telling() -> None:
        await count(1)
        log.info("counted")
        await count["again"](2)

    async with build([telling]) as house, house.worker() as worker:
        real = worker.committer.submit
        met: list[int] = []

        def submit(change):
            if change.said and not met:
                met.append(1)
                worker.refused(change.run, "moved")
            else:
                real(change)

        worker.committer.submit = submit
        run = await house.start("telling")
        assert await house.ended(run) == "completed"
    assert [line["event"] for line in lines if "facts" in line] == ["counted"]


def test_a_line_is_json_without_secrets():
    """What an author gives stands under `facts`, redacted by name and by pattern, and bounded."""
    from newel.base.log import logger

    stream = io.BytesIO()
    configure(Service(service="worker", version="1", server="here"), stream=stream)
    try:
        facts = {
            "mail": "jane@example.test",
            "token": "abc",
            "note": "a jane@example.test",
            "n": 1,
        }
        logger().info("asked jane@example.test", run="run_1", key="ask", facts=facts)
    finally:
        import structlog

        structlog.reset_defaults()
    line = json.loads(stream.getvalue())
    assert (line["event"], line["run"], line["key"]) == ("asked ***", "run_1", "ask")
    assert line["facts"] == {"mail": "***", "token": "***", "note": "a ***", "n": 1}
