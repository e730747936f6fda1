"""R27: who had what on a given day, since when, by whose decision, and what proves it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx2
import pytest

from newel import Account, Person, approval, process, step, team
from newel.audit.leaf import leaf_hash
from newel.base.ids import parse_reference, reference
from newel.base.settings import Settings
from newel.people.holdings import ended_between
from newel.web.app import create_app
from tests.browsing import at_home
from tests.engine.house import opened

JANE = {"name": "Jane O'Doe 🦜", "email": "jane.doe@acme.example", "hr_key": "E1"}
BOB = {"name": "Bob Roe", "email": "bob.roe@acme.example", "hr_key": "E2"}
ZONES = ("Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago")


@step(system="wiki", grants="account", in_doubt="repeat")
async def prepare(person: Person) -> Account:
    """Invite somebody who has not accepted yet."""
    return Account(system="wiki", id="1", handle="1", state="invited")


@step(system="wiki", grants="account", in_doubt="repeat")
async def give(person: Person) -> Account:
    """Give the account, or switch it on."""
    return Account(system="wiki", id="1", handle="1")


@step(system="wiki", revokes="account", in_doubt="repeat")
async def take(person: Person) -> None:
    """Take the account away."""


@step(system="forge", grants="team/core", level="admin", in_doubt="repeat")
async def promote(person: Person) -> None:
    """Let somebody into the team."""


@process(owner="it")
async def hired(person: Person) -> None:
    """An invitation that nobody has accepted yet."""
    await prepare(person)


@process(owner="it")
async def began(person: Person) -> None:
    """The account is switched on, by the rules."""
    await give(person)


@process(owner="it")
async def promoted(person: Person) -> None:
    """The team, by somebody's decision."""
    await approval("agreed", by=team("it"))
    await promote(person)


@process(owner="it")
async def left(person: Person) -> None:
    """The account is taken away."""
    await take(person)


class Past:
    """A house with its API; when what began and ended, by who had what."""

    def __init__(self, house, client) -> None:
        self.house, self.client = house, client
        self.had: dict[tuple[str, str], tuple[datetime | None, datetime | None]] = {}

    async def lived(self, name: str, document: dict[str, str], *, is_asked: bool = False) -> UUID:
        """Let a process about somebody be over."""
        run = await self.house.start(name, document)
        if is_asked:
            await self.house.rested(run)
            mary = await self.house.engine.actor("mary@acme.example", via="api")
            await self.house.engine.decide(await self.house.task(run), approved=True, actor=mary)
        assert await self.house.ended(run) == "completed"
        return run

    async def asked(self, **query: object) -> httpx2.Response:
        """Ask the API."""
        return await self.client.get("/api/v1/access", params=query)

    async def access(self, **query: object) -> list[dict[str, object]]:
        """What the API answers, page by page, each of one grant."""
        found: list[dict[str, object]] = []
        after: dict[str, object] = {}
        while True:
            page = (await self.asked(**query, **after, limit=1)).json()
            found += page["access"]
            if page["after"] is None:
                return found
            after = {"after": page["after"]}


@pytest.fixture
async def past(database_url, tmp_path):
    """Jane is hired, begins, is promoted and leaves; Bob leaves whom newel had given nothing."""
    house = await opened(database_url, tmp_path / "kek", [hired, began, promoted, left])
    app = create_app(house.engine, settings=Settings(), zone=ZoneInfo(ZONES[0]))
    async with (
        at_home(app) as client,
        house.worker(),
    ):
        past = Past(house, client)
        await house.move(timedelta(minutes=90 - (await house.now()).minute))  # far from midnight
        moments = []
        for name, who in (
            ("hired", JANE), ("began", JANE), ("promoted", JANE), ("left", JANE), ("left", BOB),
        ):  # fmt: skip
            await past.lived(name, who, is_asked=name == "promoted")
            moments.append(await house.now())
            await house.move(timedelta(days=2, hours=7))
        past.had = {
            (JANE["name"], "wiki:account"): (moments[1], moments[3]),
            (JANE["name"], "forge:team/core"): (moments[2], None),
            (BOB["name"], "wiki:account"): (None, moments[4]),
        }
        yield past
    await house.database.close()


def _expected(had, day: date, zone: ZoneInfo) -> set[tuple[str, str, bool]]:
    """Who had what on a day, and whether it is certain, from when things were done."""
    return {
        (*key, since is not None or until.astimezone(zone).date() == day)
        for key, (since, until) in had.items()
        if (since is None or since.astimezone(zone).date() <= day)
        and (until is None or day <= until.astimezone(zone).date())
    }


async def test_r27_every_day_in_every_zone_is_answered_as_it_was(past):
    """Prepared access is none yet; what ended is; what nobody gave may have been there before."""
    now = await past.house.now()
    for name in ZONES:
        zone = ZoneInfo(name)
        for back in range(15):
            day = now.astimezone(zone).date() - timedelta(days=back)
            found = await past.access(on=day, zone=name)
            told = {(each["name"], each["entitlement"], each["is_certain"]) for each in found}
            assert (len(found), told) == (len(told), _expected(past.had, day, zone)), (name, day)
    refused = await past.asked(on=now.date() + timedelta(days=3))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "on")
    assert (await past.asked(system="\0")).status_code == 400


async def test_r27_each_answer_says_by_whose_decision_and_proves_it(past):
    """An approver by name, the rule of a process, or that nobody knows; the leaf is the log's."""
    (began_at, ended_at), (promoted_at, _) = list(past.had.values())[:2]
    (forge,) = await past.access(
        on=promoted_at.astimezone(ZoneInfo(ZONES[0])).date(), system="forge"
    )
    mary = (await past.house.engine.actor("mary@acme.example", via="api")).person
    assert (forge["level"], forge["decision"]["kind"]) == ("admin", "approval")
    assert forge["decision"]["approver"] == mary
    decided = await past.house.database.fetchval(
        "select entry from newel.event where type = 'task.decided'"
    )
    assert forge["decision"]["event"] in decided.decode()
    day = (began_at + timedelta(days=1)).date()
    (wiki,) = await past.access(on=day, entitlement="wiki:account", person=forge["person"])
    since, until = (datetime.fromisoformat(wiki[each]) for each in ("since", "until"))
    assert abs(since - began_at) < timedelta(minutes=5)
    assert abs(until - ended_at) < timedelta(minutes=5)
    assert (wiki["decision"]["kind"], wiki["decision"]["policy"]) == ("policy", "began")
    for each in (forge, wiki):
        proof = each["proof"]
        entry = await past.house.database.fetchval(
            "select entry from newel.event where stream_id = $1 and seq = $2",
            parse_reference(proof["run"])[1], proof["seq"],
        )  # fmt: skip
        assert leaf_hash(entry).hex() == proof["leaf_hash"]
        assert each["grant"] in entry.decode()
    (bob,) = [each for each in await past.access(on=day) if each["name"] == BOB["name"]]
    assert (bob["since"], bob["decision"], bob["proof"]) == (None, None, None)
    assert not await past.access(on=day, person=reference("per", UUID(int=7)))
    assert not await past.access(on=day, system="o'wiki 🦜")


async def test_r27_how_long_ends_of_access_took_is_told(past):
    """By person and system, from when it was due until it was gone, each with its event."""
    database, (_, ended_at) = past.house.database, past.had[JANE["name"], "wiki:account"]
    begin, until = ended_at - timedelta(days=1), ended_at + timedelta(days=1)
    (jane,) = await ended_between(database, begin, until)
    assert (jane.name, jane.system, jane.process) == (JANE["name"], "wiki", "left")
    assert (jane.grants, jane.cause, jane.ended_at >= jane.due_at) == (1, "other", True)
    assert jane.seconds == round((jane.ended_at - jane.due_at).total_seconds())
    run, seq = parse_reference(jane.proof.run)[1], jane.proof.seq
    entry = await database.fetchval(
        "select entry from newel.event where (stream_id, seq) = ($1, $2)", run, seq
    )
    assert leaf_hash(entry).hex() == jane.proof.leaf_hash
    assert {
        each.name for each in await ended_between(database, begin, until + timedelta(days=9))
    } == {
        JANE["name"],
        BOB["name"],
    }
    assert not await ended_between(database, begin, until, cause="leaver")
    assert not await ended_between(database, begin, until, system="forge")
