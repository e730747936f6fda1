"""First passwords: handed to their person by a link that shows them once, and nowhere in clear."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import httpx2
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel import Person, hours, process
from newel.base.errors import DefinitionError, LogInconsistent, NotFound
from newel.base.secrets import SecretRef
from newel.base.settings import Settings
from newel.connectors.google import Google
from newel.connectors.reveal_link import reveal_link
from newel.engine.safe import _token
from newel.engine.vault import Vault
from newel.simulators import GoogleSimulator, MailSimulator, Status, serve
from newel.testing.transport import SimulatorTransport
from newel.web.app import create_app
from tests.engine.house import OPERATOR, House

CONSOLE = "https://newel.acme.example/"
LINK = re.compile(r"https://newel\.acme\.example(/reveal/\S+)")
CANARY = "yranac"[::-1]  # the source of a process is kept, and must not have it
SHOWN = re.compile(r'<code class="secret">(.*?)</code>')


@dataclass(frozen=True, kw_only=True)
class Hire(Person):
    """Somebody new, who can be reached before the first day."""

    private_email: str | None = None


JANE = {
    "name": "Jane Doe",
    "email": "jane.doe@acme.example",
    "hr_key": "4711",
    "private_email": "jane@home.example",
}


def welcoming(google: Google) -> Any:
    """A process that makes an account and hands over its first password."""

    @process(owner="hr")
    async def welcome(hire: Hire) -> None:
        await google.ensure_account(hire)
        await google.issue_password(hire)

    return welcome


@dataclass
class Scene:
    """A house with Google, a mail server, and the web around it."""

    house: House
    google: Google
    sim: GoogleSimulator
    mail: MailSimulator

    def client(self, address: str = "192.0.2.7") -> httpx2.AsyncClient:
        """A browser, by default one that is far away."""
        app = create_app(self.house.engine, settings=Settings())
        transport = httpx2.ASGITransport(app=app, client=(address, 50_000))
        return httpx2.AsyncClient(transport=transport, base_url="https://newel.acme.example")

    async def welcomed(self) -> None:
        """Let a run make the account and hand over a password."""
        run = await self.house.start("welcome", JANE)
        assert await self.house.ended_in_time(run) == "completed"

    async def move(self, span: timedelta) -> None:
        """Let time pass, for Google too."""
        self.sim.clock.advance(span)
        await self.house.move(span)

    def links(self) -> list[str]:
        """The links that were mailed, in their order."""
        return [LINK.findall(each["text"])[0] for each in self.mail.mails()]

    async def states(self) -> list[tuple[str, bool]]:
        """What became of each secret, and whether it is still there."""
        rows = await self.house.database.fetch(
            "select state, sealed is not null as is_there from newel.received_secret order by id"
        )
        return [tuple(row) for row in rows]


@pytest.fixture
async def scene(build: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """Give the scene, with a worker at work."""
    sim, server, numbers = GoogleSimulator(seed=7), MailSimulator(), count(1)
    given = sim.credentials()
    monkeypatch.setenv("T_GOOGLE_KEY", given["GOOGLE_SERVICE_ACCOUNT"])
    SecretRef("env:T_GOOGLE_KEY").resolve(fresh=True)
    async with serve([server]):
        google = Google(
            service_account=SecretRef("env:T_GOOGLE_KEY"),
            admin=given["GOOGLE_ADMIN"],
            transport=SimulatorTransport(sim),
            password=lambda: f"{CANARY}-<'🌻'>-{next(numbers)}",
            deliver=reveal_link(
                to=lambda person: getattr(person, "private_email", None),
                sender="newel@acme.example",
                host=server.credentials()["MAIL_HOST"],
                port=int(server.credentials()["MAIL_PORT"]),
            ),
        )
        async with (
            contextlib.aclosing(google),
            build([welcoming(google)], systems=[google], console_url=CONSOLE) as house,
            house.worker(),
        ):
            yield Scene(house, google, sim, server)


async def everything(house: House) -> str:
    """The rows of all tables as text, and the leaves and payloads in them as they are."""
    tables = await house.database.fetch(
        "select table_name from information_schema.tables "
        "where table_schema = 'newel' and table_type = 'BASE TABLE'"
    )
    found = []
    for (table,) in tables:
        for row in await house.database.fetch(f"select * from newel.{table}"):
            found += [
                value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                for value in row
            ]
    return "\n".join(found)


async def test_a_password_is_shown_once_and_lies_nowhere_in_clear(scene, caplog):
    """The mail has a link; looking changes nothing, the button shows the password, once."""
    caplog.set_level(logging.DEBUG)
    await scene.welcomed()
    ((link,), (mail,)) = scene.links(), scene.mail.mails()
    assert mail["to"] == ["jane@home.example"]
    assert CANARY not in mail["source"]
    before = await everything(scene.house)
    assert CANARY not in before and link.rpartition("/")[2] not in before
    async with scene.client() as client:
        for _ in range(3):
            looked = await client.get(link)
            assert (looked.status_code, "Show the password" in looked.text) == (200, True)
            assert "jane.doe@acme.example</b> at Google Workspace" in looked.text
        assert await scene.states() == [("waiting", True)]
        shown = await client.post(link)
        assert SHOWN.findall(shown.text) == [f"{CANARY}-&lt;&#39;🌻&#39;&gt;-2"]
        assert shown.headers["cache-control"] == "no-store"
        for again in (await client.post(link), await client.get(link)):
            assert (again.status_code, CANARY in again.text) == (410, False)
            assert "Somebody opened this link" in again.text
    assert await scene.states() == [("revealed", False)]
    assert CANARY not in await everything(scene.house)
    assert CANARY not in caplog.text and link.rpartition("/")[2] not in caplog.text
    [leaf] = await scene.house.database.fetch(
        "select entry from newel.event where type = 'data.revealed'"
    )
    told = orjson.loads(leaf["entry"])
    assert told["data"] == {"fields": ["first password"], "purpose": "hand over google"}
    assert told["actor"] == {"type": "service", "id": "svc_link", "via": "link"}
    assert told["subject"].startswith("per_")


async def test_the_button_works_in_a_browser(scene):
    """A page without a referrer makes browsers say `Origin: null`, which is another site's word.

    Source: the Fetch standard, "append a request `Origin` header".
    """
    await scene.welcomed()
    [link] = scene.links()
    async with scene.client() as client:
        page = await client.get(link)
        site = str(client.base_url).rstrip("/")
        origin = "null" if page.headers["referrer-policy"] == "no-referrer" else site
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert (await client.post(link, headers=foreign)).status_code == 403
        shown = await client.post(link, headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"})
    assert (shown.status_code, CANARY in shown.text) == (200, True)
    for answer in (page, shown):  # no policy but these keeps the path, which is the secret, back
        assert answer.headers["referrer-policy"] in {"no-referrer", "strict-origin"}


async def test_of_many_who_press_at_once_one_sees_it(scene):
    """Ten requests at the same time show the password in one answer."""
    await scene.welcomed()
    [link] = scene.links()
    async with scene.client() as client:
        answers = await asyncio.gather(*[client.post(link) for _ in range(10)])
    assert sorted(each.status_code for each in answers) == [200] + [410] * 9
    assert sum(CANARY in each.text for each in answers) == 1
    told = "select count(*) from newel.event where type = 'data.revealed'"
    assert await scene.house.database.fetchval(told) == 1


async def test_a_mail_that_failed_leads_to_another_password(scene):
    """What nobody was told is replaced: the newest link shows the newest password."""
    scene.mail.fail("RCPT", Status(451))
    run = await scene.house.start("welcome", JANE)
    await scene.house.rested(run)
    assert (await scene.states())[0] == ("waiting", True)
    scene.mail.heal()
    assert await scene.house.ended_in_time(run) == "completed"
    states = await scene.states()
    assert states[-1] == ("waiting", True)
    assert set(states[:-1]) == {("replaced", False)}
    [link] = scene.links()
    async with scene.client() as client:
        assert f"-{len(states) + 1}" in SHOWN.findall((await client.post(link)).text)[0]


async def test_a_link_that_nobody_opened_ends_and_another_is_sent(scene):
    """After 72 hours the secret is gone; a later run issues another, and no run a third."""
    await scene.welcomed()
    await scene.welcomed()  # the first link can still be opened: nothing happens
    [first] = scene.links()
    await scene.move(timedelta(hours=72))
    async with scene.client() as client:
        late = await client.post(first)
        assert (late.status_code, "The link has ended" in late.text) == (410, True)
        await scene.house.engine.safe.expire()
        assert await scene.states() == [("expired", False)]
        await scene.welcomed()
        [_, second] = scene.links()
        assert (await client.post(second)).status_code == 200
        await scene.move(timedelta(days=30))
        await scene.welcomed()  # it was shown: what its person wrote down must stay good
        assert len(scene.links()) == 2
        assert "The link has ended" in (await client.get(first)).text


async def test_an_older_link_says_that_there_is_a_newer_one(scene):
    """Of two links of one person and system only the newest shows something."""
    await scene.welcomed()
    person = await scene.house.database.fetchval("select ref from newel.person")
    from newel.base.ids import reference
    from newel.base.secrets import Secret

    jane = Hire(name="Jane Doe", email="jane.doe@acme.example", ref=reference("per", person))
    safe = scene.house.engine.safe
    kept = await asyncio.gather(
        *[safe.keep(jane, Secret(f"n{n}"), system="google", lasts=hours(1)) for n in range(5)]
    )
    states = [(await safe.seen(each.address.rpartition("/")[2])).state for each in kept]
    assert sorted(states) == ["replaced"] * 4 + ["waiting"]
    async with scene.client() as client:
        assert "There is a newer link" in (await client.post(scene.links()[0])).text
    assert "reveal" not in repr(kept[0])


async def test_whoever_cannot_be_written_to_gets_no_password(scene):
    """Without a private address the step parks before anything is set."""
    run = await scene.house.start("welcome", {**JANE, "private_email": None})
    assert await scene.house.rested(run) == "parked"
    row = await scene.house.row(run)
    assert row["parked_reason"] == "invalid"
    assert (await scene.states(), scene.mail.mails()) == ([], [])
    assert len(scene.sim.mutations()) == 1  # the account


async def test_a_wrong_key_encryption_key_leaves_the_secret_where_it_is(scene, tmp_path):
    """What cannot be opened is not taken out: with the right key it is still there."""
    await scene.welcomed()
    link = scene.links()[0].rpartition("/")[2]
    operating = scene.house.engine.safe._operating
    right = operating.vault
    object.__setattr__(operating, "vault", Vault.at(tmp_path / "other"))
    with pytest.raises(LogInconsistent):
        await scene.house.engine.safe.reveal(link)
    object.__setattr__(operating, "vault", right)
    revealed = await scene.house.engine.safe.reveal(link)
    assert revealed is not None and repr(revealed.secret) == "***"


async def test_links_tell_strangers_nothing(scene):
    """An unknown link has a page without the console's counts, and only so many are answered."""
    async with scene.client() as client:
        unknown = await client.get(f"/reveal/{'A' * 43}")
        assert (unknown.status_code, "There is no such link" in unknown.text) == (404, True)
        elsewhere = await client.get("/no/such/page")
        assert (elsewhere.status_code, "<nav" in elsewhere.text) == (404, False)
        answers = [(await client.get("/reveal/x")).status_code for _ in range(25)]
        assert (answers.count(404), answers.count(429)) == (19, 6)


async def test_strangers_keep_nobody_from_their_password(scene):
    """Whoever asks for links that are none is slowed down; a link that is one is not."""
    await scene.welcomed()
    [link] = scene.links()
    async with scene.client() as client:
        answers = [(await client.post(f"/reveal/{'A' * 43}")).status_code for _ in range(25)]
        assert answers[-1] == 429
        assert (await client.get(link)).status_code == 200
        assert CANARY in (await client.post(link)).text


async def test_a_run_that_gave_up_before_the_mail_does_not_count_as_handed_over(scene):
    """Cancelled while the mail server refuses, the link is nobody's: the next run mails one."""
    scene.mail.fail("RCPT", Status(550))
    run = await scene.house.start("welcome", JANE)
    await scene.house.rested(run)
    await scene.house.engine.cancel(run, actor=OPERATOR, reason="the mail server")
    await scene.house.ended(run)
    scene.mail.heal()
    await scene.welcomed()
    [link] = scene.links()
    async with scene.client() as client:
        assert CANARY in (await client.post(link)).text
    await scene.welcomed()
    assert len(scene.links()) == 1


async def test_a_deployment_without_an_address_says_so_before_it_starts(build, scene):
    """Links need to lead somewhere: `console_url` is asked for when the engine is put together."""
    with pytest.raises(DefinitionError, match="set `console_url`"):
        async with build([welcoming(scene.google)], systems=[scene.google]):
            pass


@given(st.text(max_size=60))
def test_what_is_no_link_is_not_found(text):
    """Whatever stands in the address, it is 43 letters of the alphabet of links, or no link."""
    try:
        assert len(_token(text)) == 32
    except NotFound:
        return


def test_a_link_is_written_in_one_way_only():
    """The last letter carries four bits; with others in it the link is another text, and none."""
    _token("A" * 42 + "E")
    with pytest.raises(NotFound):
        _token("A" * 42 + "F")


@pytest.mark.parametrize("wrong", [{"lasts": timedelta(days=15)}, {"sender": "nobody"}])
def test_a_link_of_wrong_making_is_refused(wrong):
    """A link lasts 14 days at most, and its mail comes from somebody."""
    with pytest.raises(DefinitionError):
        reveal_link(**{"to": lambda p: p.email, "sender": "a@b.example", "host": "h", **wrong})
