"""Moving a company through an outage, and reading what its runs did meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any
from uuid import UUID

import orjson

from newel.simulators.jira_world import plain_text
from newel.simulators.world import World
from tests.acceptance.company_house import CompanyHouse

GITHUB = "github.ensure_member"


async def to_github(house: CompanyHouse, run: UUID) -> None:
    """Approve, and let everything go as far as it can without a moment passing."""
    await house.rested(run)
    await house.approve(await house.task(run))
    await house.rested(run)


async def minutes_pass(house: CompanyHouse, run: UUID, minutes: float) -> None:
    """Let time pass moment by moment, as far as something is due within these minutes."""
    end = await house.now() + timedelta(minutes=minutes)
    while True:
        await _settled(house)
        row = await house.row(run)
        if row["wake_at"] is None or row["wake_at"] >= end:
            await house.move(max(end - await house.now(), timedelta(0)))
            return
        await house.move_to_next(run)
        await house.rested(run)


async def until_parked(house: CompanyHouse, run: UUID) -> None:
    """Let time pass until the run is parked."""
    while await house.rested(run) != "parked":
        await _settled(house)
        if (await house.row(run))["wake_at"] is not None:
            await house.move_to_next(run)


async def _settled(house: CompanyHouse) -> None:
    """Let a probe that is due be made and noted before time goes on."""

    async def noted() -> bool:
        due = await house.database.fetchval(
            "select count(*) from newel.incident where state in ('watching', 'escalated') "
            "and probe_at <= newel.now()"
        )
        return due == 0

    await house.until(noted)


async def ticketed(house: CompanyHouse, world: World) -> dict[str, Any]:
    """Wait for the ticket; answers with the issue."""

    async def there() -> bool:
        return bool(await house.database.fetchval("select count(*) from newel.ticket"))

    await house.until(there)
    (issue,) = world.jira.tickets()
    (kept,) = world.jira.store.rows("issues").values()
    return {**issue, "description": plain_text(kept["fields"]["description"])}


async def closed(house: CompanyHouse) -> None:
    """Wait until every incident is over and its ticket closed."""

    async def over() -> bool:
        return not await house.database.fetchval(
            "select count(*) from newel.ticket t join newel.run r on r.id = t.run_id "
            "where t.state <> 'closed' or r.finished_at is null"
        )

    await house.until(over)


@dataclass(frozen=True)
class Tried:
    """One attempt of a step as the journal has it; again: when the next was to be."""

    at: datetime
    round: int | None
    is_failed: bool
    again: datetime | None


async def attempts(house: CompanyHouse, run: UUID, key: str = GITHUB) -> list[Tried]:
    """When a step was tried."""
    leaves = [
        leaf for leaf in await house.leaves(run) if (leaf.get("step") or {}).get("key") == key
    ]
    begun = [leaf for leaf in leaves if leaf["type"] == "step.started"]
    failed = [leaf for leaf in leaves if leaf["type"] == "step.attempt_failed"]
    return [
        Tried(
            at=_moment(leaf["occurred_at"]),
            round=leaf["step"].get("round"),
            is_failed=failure is not None,
            again=_again(failure),
        )
        for leaf, failure in zip_longest(begun, failed)
    ]


async def rounds(house: CompanyHouse, run: UUID, key: str = GITHUB) -> int:
    """How many counted rounds of a step have failed.

    Of one step: where the clock jumps past both, another may come before the probe that would
    have told it that the system is back, and loses a round without a call.
    """
    return (await house.events(run)).count(("step.round_failed", key))


async def payloads(house: CompanyHouse, run: UUID, kind: str) -> list[dict[str, Any]]:
    """What is kept beside the facts of a kind."""
    rows = await house.database.fetch(
        "select payload from newel.event where stream_id = $1 and type = $2 order by seq", run, kind
    )
    sealer = house.engine.vault.sealer(run, None, None, None)
    return [orjson.loads(sealer.open(row["payload"])) for row in rows]


def counted(world: World) -> dict[str, int]:
    """Requests of any kind, by system."""
    return {name: sum(counts.values()) for name, counts in world.calls().items()}


def _again(failure: dict[str, Any] | None) -> datetime | None:
    promised = None if failure is None else failure["data"].get("next_at")
    return None if promised is None else _moment(promised)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
