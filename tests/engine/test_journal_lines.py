"""The log: one JSON line for each committed event, after its commit, and nothing personal."""

from __future__ import annotations

from typing import Any

import orjson

from newel.domain.people import Person
from newel.engine.told import Teller, service
from newel.flow.process import process
from newel.flow.step import step
from newel.flow.waits import approval
from tests.engine.house import OPERATOR


@step(in_doubt="repeat")
async def greet(person: Person) -> str:
    """Greet somebody."""
    return f"Hello {person.name}"


@process(owner="hr")
async def greeting(person: Person) -> str:
    """Ask, then greet."""
    assert person.manager is not None
    await approval("may-we", by=person.manager)
    return await greet(person)


async def test_every_committed_event_is_told_once_with_its_leaf_hash(build: Any) -> None:
    """Worker and operator tell each event of the run once, by reference, never by name."""
    lines: list[bytes] = []
    async with build([greeting]) as house, house.worker() as worker:
        house.engine.teller = Teller(service("serve", "here"), lines.append)
        worker.teller = Teller(service("worker", "here"), lines.append)
        boss = {"name": "Mary Specimen", "email": "mary@example.test"}
        run = await house.start(
            "greeting", {"name": "Jane Doe", "email": "jane@example.test", "manager": boss}
        )
        await house.rested(run)
        actor = await house.engine.actor("mary@example.test", via="api")
        await house.engine.decide(await house.task(run), approved=True, actor=actor)
        house.poke()
        assert await house.ended(run) == "completed"
        leaves = await house.leaves(run)
        told = [orjson.loads(line) for line in b"".join(lines).splitlines()]
        mine = {
            each["audit"]["id"]: each for each in told if each["run"] == leaves[0]["stream"][4:]
        }
        assert sorted(mine) == sorted(leaf["id"] for leaf in leaves)
        assert len(mine) == len([each for each in told if each["run"] is not None])
        assert {each["subject"] for each in mine.values()} == {leaves[0]["subject"]}
        assert leaves[0]["actor"]["id"] == OPERATOR.id
        text = b"".join(lines)
        for secret in (b"Jane", b"Specimen", b"example.test"):
            assert secret not in text
