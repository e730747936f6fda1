"""The judge of a deployment's rows: sound ones pass, a mistake is named with its invariant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest

from newel import approval, days, process, step, team, timer
from newel.audit.leaf import leaf_hash
from newel.store.snapshot import Snapshot
from newel.testing import running
from newel.testing.invariants import at_rest, broken

TABLES = ("run", "event", "audit_stream", "open_act", "worker", "event_batch", "ticket")


@step(in_doubt="repeat")
async def greet(name: str) -> str:
    """Say hello."""
    return name


@process(subject=None, owner="it")
async def visit(name: str) -> None:
    """A step, a moment, and somebody who is asked."""
    await greet(name)
    await timer("pause", after=days(1))
    await approval("agree", by=team("it"))


async def _seen(*, is_over: bool) -> Snapshot:
    """The rows of a run that waits for a person, or has ended, as they were written."""
    async with running(visit.request("Jane")) as run:
        run.clock.advance(days(1))
        if is_over:
            await run.decide("agree", approved=True)
        rows = {
            name: [dict(row) for row in run._scene.rows(name)]
            for name in (
                "run",
                "event",
                "audit_stream",
                "open_act",
                "worker",
                "event_batch",
                "ticket",
            )
        }
        now = run.clock.now()
    events = sorted(rows["event"], key=lambda row: (str(row["stream_id"]), row["seq"]))
    return Snapshot(
        runs=[{**row, "as_of": now} for row in rows["run"]],
        events=events,
        streams=rows["audit_stream"],
        open_acts=rows["open_act"],
        workers=rows["worker"],
        batches=rows["event_batch"],
        tickets=rows["ticket"],
        overlooked=[],
    )


def _rewritten(seen: Any, chosen: Callable[[Any], bool], **facts: Any) -> None:
    """Change facts of a leaf, and chain the stream anew: only the story is wrong then."""
    row = next(each for each in seen.events if chosen(each))
    leaf = orjson.loads(row["entry"])
    leaf["data"] |= facts
    row["entry"] = orjson.dumps(leaf)
    _chained(seen, row["stream_id"])


def _chained(seen: Any, stream: Any) -> None:
    previous = b""
    own = [each for each in seen.events if each["stream_id"] == stream]
    for number, row in enumerate(own, start=1):
        leaf = {**orjson.loads(row["entry"]), "seq": number, "prev": previous.hex()}
        row["entry"], row["seq"] = orjson.dumps(leaf), number
        previous = leaf_hash(row["entry"])
    for head in (*seen.runs, *seen.streams):
        if head["id"] == stream:
            head["seq"], head["head"] = len(own), previous


def _of(seen: Any, kind: str) -> Any:
    return next(each for each in seen.events if each["type"] == kind)


def rests_for_nothing(seen: Any) -> None:
    """Nothing is open of a run that rests."""
    seen.open_acts.clear()


def is_open_after_the_end(seen: Any) -> None:
    """A run has ended, and a wait of it is open."""
    closed = _of(seen, "task.opened")  # stands for the end of the run
    leaf = {**orjson.loads(closed["entry"]), "run_state": "completed"}
    closed["entry"] = orjson.dumps(leaf)
    _chained(seen, closed["stream_id"])
    seen.runs[0]["state"] = "completed"


def begins_without_an_intent(seen: Any) -> None:
    """Something is attempted of which no event tells."""
    begun = {"key": "other", "state": "attempting", "attempt": 1}
    seen.open_acts.append({**seen.open_acts[0], **begun})


def begins_again_after_its_outcome(seen: Any) -> None:
    """A finished step is begun again."""
    begun = _of(seen, "step.started")
    place = seen.events.index(_of(seen, "step.succeeded"))
    seen.events.insert(place + 1, dict(begun))
    _chained(seen, begun["stream_id"])


def has_two_outcomes(seen: Any) -> None:
    """A key has its outcome twice."""
    done = _of(seen, "step.succeeded")
    seen.events.insert(seen.events.index(done), dict(done))
    _chained(seen, done["stream_id"])


def has_a_gap(seen: Any) -> None:
    """An event is gone."""
    seen.events.remove(_of(seen, "step.succeeded"))


def is_told_otherwise(seen: Any) -> None:
    """An event is another than when the next one was chained to it."""
    _of(seen, "step.succeeded")["entry"] += b" "


def is_another_than_its_leaves_say(seen: Any) -> None:
    """The row of a run says another state than its events."""
    seen.runs[0]["state"] = "running"


def is_written_by_a_former_epoch(seen: Any) -> None:
    """A batch came after its worker's epoch was over."""
    last = next(each for each in reversed(seen.batches) if each["worker_id"] is not None)
    last["worker_epoch"] -= 1


def fires_early(seen: Any) -> None:
    """A timer was closed before its moment."""
    late = _of(seen, "wait.closed")["occurred_at"] + timedelta(seconds=1)
    due = late.isoformat(timespec="microseconds").replace("+00:00", "Z")
    _rewritten(
        seen, lambda each: (each["key"], each["type"]) == ("pause", "wait.opened"), due_at=due
    )


def has_two_tickets(seen: Any) -> None:
    """One incident has two issues in one tracker."""
    seen.tickets.extend([{"incident_id": 1, "channel": "jira:OPS"}] * 2)


MISTAKES = {
    rests_for_nothing: "I1",
    is_open_after_the_end: "I1",
    begins_without_an_intent: "I2",
    begins_again_after_its_outcome: "I3",
    has_two_outcomes: "I3",
    has_a_gap: "I4",
    is_told_otherwise: "I4",
    is_another_than_its_leaves_say: "I4",
    is_written_by_a_former_epoch: "I5",
    fires_early: "I6",
    has_two_tickets: "I8",
}
"""What is planted, and the invariant that it breaks."""


@pytest.mark.parametrize("is_over", [False, True])
async def test_sound_rows_pass(is_over):
    """What newel itself has written holds all of it, while the run waits and when it is over."""
    assert at_rest(await _seen(is_over=is_over)) == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each.__name__)
async def test_a_mistake_is_named_with_its_invariant(mistake):
    """One thing is wrong with the rows: what is said of it begins with the invariant's number."""
    seen = await _seen(is_over=False)
    mistake(seen)
    assert {line.partition(":")[0] for line in broken(seen)} == {MISTAKES[mistake]}
