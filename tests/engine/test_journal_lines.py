"""The log: one JSON line for each committed event, after its commit, and nothing personal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from newel.base.errors import Transient
from newel.domain.people import Person
from newel.engine.told import Teller, service
from newel.flow.process import process
from newel.flow.step import step
from newel.flow.waits import approval
from newel.testing.desk import TicketDesk
from newel.testing.stage import Stage
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


class Ailing:
    """A system that is down for as long as a test says so."""

    name = "ailing"
    title = "Ailing"
    owner = "it"
    credential = "ailing:1"
    is_down = False

    async def probe(self) -> None:
        """Answer, unless it is down."""
        if self.is_down:
            raise Transient("down")

    @step(system="ailing", in_doubt="repeat")
    async def call(self, name: str) -> str:
        """Answer, unless it is down."""
        await self.probe()
        return name


ailing = Ailing()


@process(subject=None)
async def calling(name: str) -> str:
    """Call the system once."""
    return await ailing.call(name)


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


def _leaf_ids(stage: Stage) -> set[str]:
    return {orjson.loads(row["entry"])["id"] for row in stage.rows("event")}


def test_an_incident_is_told_from_its_opening_to_its_end() -> None:
    """Also what another commit carries with it, and the run that the ticket comes from."""
    ailing.is_down = True
    lines: list[bytes] = []
    stage = Stage(
        [calling],
        begins=datetime(2026, 1, 5, tzinfo=UTC),
        connectors=[ailing],
        desk=TicketDesk("tracker"),
        reads=False,
    )
    with stage.open():
        before = _leaf_ids(stage)
        stage.engine.teller = Teller(service("serve", "here"), lines.append)
        for staff in stage.staff:
            staff.worker.teller = Teller(service("worker", "here"), lines.append)
        for name in ("a", "b"):
            stage.run(stage.engine.start("calling", name, actor=OPERATOR))
        stage.loop.drive(lambda: _states(stage) == {"escalated"}, deadline=4500)
        ailing.is_down = False
        stage.loop.drive(lambda: b"incident.closed" in b"".join(lines), deadline=9000)
        assert _states(stage) == {"closed"}
        told = [orjson.loads(line) for line in b"".join(lines).splitlines()]
        ids = [each["audit"]["id"] for each in told]
        assert sorted(ids) == sorted(_leaf_ids(stage) - before)
        assert {"incident.opened", "incident.closed"} <= {each["event"] for each in told}


def _states(stage: Stage) -> set[str]:
    return {row["state"] for row in stage.rows("incident")}
