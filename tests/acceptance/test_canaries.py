"""Canaries: what is personal is sown through a whole onboarding, and searched where it must not be.

A name, an address, an employee number, a salary go in by inputs, answers, comments, reasons, what
systems say and what exceptions quote. They may stand in clear in the tables that promise to hold
them (the page on data protection), in the systems that need them, and nowhere else.
"""

from __future__ import annotations

import io
import logging
import zipfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from newel import Person, form, process, step, team
from newel.base.log import configure, declare, logger
from newel.engine.event_export import FORMS
from newel.engine.evidence import Package, Sampling
from newel.engine.exporting import Exports
from newel.engine.key_holder import KeyHolder
from newel.engine.sequencer import Sequencer
from newel.engine.shipping import shipped
from newel.engine.told import service
from newel.simulators.world import World
from tests.acceptance.company_house import MANAGER, CompanyHouse, browser
from tests.acceptance.connectors.test_c33_canaries import ECHO, EMAIL, NUMBER, PERSON, echoed
from tests.acceptance.outage import GITHUB, ticketed, until_parked
from tests.engine.house import OPERATOR
from tests.engine.test_erasing import dumped
from tests.engine.test_event_export import ALWAYS, exported

SALARY, IBAN = "123456-canary-euro", "DE89370400440532013000"
COMMENT = f"comment-canary: {PERSON.name} gets {SALARY}"
REASON = f"reason-canary: {PERSON.name} has been paid {SALARY}"
CANARIES = (
    *("Zyxelinda", "Quillw", "quillcanary", NUMBER, SALARY, IBAN),
    *("comment-canary", "reason-canary"),
)
HIRED = {"name": PERSON.name, "email": EMAIL, "hr_key": NUMBER}
IN_CLEAR = ("access_grant", "definition", "inbox", "person", "task")
"""Tables that promise to hold names of people or accounts; and the source of this file."""
MISSES = "select probe_misses from newel.incident"
ODD = declare("something odd", "run")


@dataclass(frozen=True)
class Terms:
    """What is agreed about money."""

    salary: str
    iban: str


@step(in_doubt="repeat")
async def pay(person: Person, terms: Terms) -> None:
    """Fail, and quote everything."""
    logger().warning(ODD, run=f"{person.email} {terms.iban}", salary=terms.salary)
    raise RuntimeError(f"{person.name} <{person.email}>: {terms.salary} to {terms.iban}? {ECHO}")


@process(owner="it")
async def paid(person: Person, salary: str) -> str:
    """Agree about money, and pay it."""
    await pay(person, await form("agreed", Terms, by=team("it")))
    return salary


async def lived(house: CompanyHouse, world: World) -> str:
    """Let somebody be hired through an outage, and paid by code that fails; gives the tickets."""
    run = await house.onboard(**HIRED, github_username="jane-doe")
    await house.rested(run)
    world.github.fail("*", echoed(503), times=None)
    manager = await house.engine.actor(MANAGER, via="api")
    await house.engine.decide(await house.task(run), approved=True, actor=manager, comment=COMMENT)
    house.poke()
    await until_parked(house, run)
    issue = await ticketed(house, world)
    await probed(house)
    world.heal()
    await house.engine.retry(run, GITHUB, actor=OPERATOR)
    house.poke()

    async def gone_on() -> bool:
        return GITHUB not in await house.acts(run)

    await house.until(gone_on)
    assert await house.finish(run) == "completed"
    other = await house.start("paid", {"person": HIRED, "salary": SALARY})
    await house.rested(other)
    task = await house.task(other)
    await house.engine.fill(task, {"salary": SALARY, "iban": IBAN}, actor=manager)
    house.poke()
    await until_parked(house, other)
    await house.engine.skip(other, "pay", actor=OPERATOR, reason=REASON)
    house.poke()
    assert await house.ended(other) == "completed"
    return f"{issue} {[*world.jira.store.rows('issues').values()]}"


async def probed(house: CompanyHouse) -> None:
    """Let the system be asked whether it is well again, which says as much of people as before."""
    misses = int(await house.database.fetchval(MISSES))
    await house.move(timedelta(minutes=16))

    async def missed() -> bool:
        return int(await house.database.fetchval(MISSES)) > misses

    await house.until(missed)


async def refused(house: CompanyHouse) -> str:
    """What pages and the API tell whoever is wrong: not there, not understood."""
    told = []
    async with browser(house) as client:
        for path in ("/runs/run_nobody", f"/people/{NUMBER}", f"/api/v1/runs/{NUMBER}"):
            answer = await client.get(path)
            own = path.rpartition("/")[2]  # who asks is told what was not found
            told.append((answer.status_code, answer.text.replace(own, "")))
        for document in ({"person": SALARY}, {"person": {**HIRED, "iban": IBAN}, "salary": 5}):
            wrong = {"process": "paid", "input": document}
            answer = await client.post("/api/v1/runs", json=wrong)
            told.append((answer.status_code, answer.text))
    assert all(status >= 400 for status, _ in told), told
    return str(told)


async def left(house: CompanyHouse, folder: Path) -> dict[str, str]:
    """Everything that leaves in files: lines of the log, evidence, each form of export."""
    holder = KeyHolder(folder / "log")
    await Sequencer(house.database, holder).seal()
    await shipped(house.database, folder / "lines", service("newel", "here"))
    exports = Exports(house.database, house.engine.vault)
    wanted = Package(ALWAYS, Sampling(2, "dice"))
    await exports.evidence(folder / "zip", wanted, holder, actor=OPERATOR, reason="An audit.")
    with zipfile.ZipFile(folder / "zip") as archive:
        own = "process_definitions/"  # the source of this file, too
        names = [each for each in archive.namelist() if not each.startswith(own)]
        texts = {"evidence": b"".join(map(archive.read, names))}
    texts["shipped lines"] = (folder / "lines").read_bytes()
    for form_ in FORMS:
        _, texts[form_] = await exported(house, folder / form_, form_)
    return {name: text.decode("utf-8", "ignore") for name, text in texts.items()}


def found(places: dict[str, str]) -> dict[str, str]:
    """Which canaries stand where, with what is around them."""
    return {
        f"{canary} in {place}": text[max(0, text.index(canary) - 150) :][:300]
        for place, text in places.items()
        for canary in CANARIES
        if canary in text
    }


@pytest.fixture
def lines():
    """Set up the log as a server does, into memory."""
    stream = io.BytesIO()
    configure(service("worker", "here"), stream=stream, level=logging.DEBUG)
    yield stream
    structlog.reset_defaults()


async def test_what_is_personal_stands_where_it_belongs_and_nowhere_else(
    acme, world, database_url, tmp_path, caplog, capsys, lines
):
    """Log lines, error pages, tickets, leaves, tables, evidence and exports: not one canary."""
    caplog.set_level(logging.DEBUG)
    async with acme(processes=lambda _: [paid]) as house:
        async with house.worker():
            places = {"tickets": await lived(house, world)}
        places["answers"] = await refused(house)
        places |= await left(house, tmp_path)
        rows = await house.database.fetch("select convert_from(entry, 'UTF8') from newel.event")
        places["leaves"] = "\n".join(row[0] for row in rows)
        places["tables"] = await dumped(database_url, but=IN_CLEAR)
        places["log lines"] = lines.getvalue().decode() + caplog.text + str(capsys.readouterr())
        everything = await dumped(database_url, but=("definition",))
    assert found(places) == {}
    assert all(len(text) > 100 for text in places.values()), places
    assert "something odd" in places["log lines"]
    # They were sown, and the search finds them where they may stand.
    assert set(found({"tables": everything})) >= {
        f"{canary} in tables" for canary in ("Zyxelinda", "Quillw", "quillcanary", NUMBER)
    }
