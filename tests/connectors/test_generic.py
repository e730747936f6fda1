"""A connector that a user writes: small, safe, refused where it could double something."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from newel.base.errors import (
    AuthFailed,
    ContractDrift,
    DefinitionError,
    Forbidden,
    NotReady,
    OutcomeUnknown,
    StepError,
    Throttled,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer, Route
from newel.connectors.contract import Shape
from newel.connectors.ensure import ensured
from newel.connectors.generic import API, HttpApi
from newel.connectors.operation import operation
from newel.domain.people import Person
from newel.domain.values import Account, Found
from tests.connectors.support import JANE, Time, attempt, effect_of, raised

FIND = Route("badges/find", "GET", "/badges", API)
ISSUE = Route("badges/issue", "POST", "/badges", API)
TOKEN = SecretRef("env:T_BADGES_TOKEN")


@dataclass(frozen=True)
class Badge:
    """A badge of the door system."""

    id: str
    holder: str


ONE = Shape(Badge)
ALL = Shape(tuple[Badge, ...])


class Badges(HttpApi):
    """The door system of a company."""

    title = "Door badges"
    routes = (FIND, ISSUE)
    key_header = "Idempotency-Key"

    @operation(
        natural_key="badge/{person.email}",
        idempotency="natural",
        grants="{system}:account",
        undo="none: badges are handed in",
        reversible="with_loss",
        bucket=API,
        needs=("badges:write",),
        spec=(ISSUE.operation,),
        reads=(FIND.operation,),
        title="Issue a badge",
    )
    async def ensure_badge(self, person: Person) -> Account:
        """Issue a badge, or find it."""

        async def look() -> Badge | None:
            found = ALL.read(await self.http.call(FIND, query={"holder": person.email}))
            return found[0] if found else None

        async def issue() -> Badge:
            body = {"holder": person.email}
            return ONE.read(await self.http.call(ISSUE, body=body, headers=self.keyed()))

        reached = await ensured(
            look=look,
            ours=lambda _: "derived",
            create=issue,
            settling=self.settling(0),
            what="badge",
        )
        badge = reached.value
        account = Account(system=self.name, id=badge.id, handle=badge.holder, email=person.email)
        return self.reported(reached, account)


class Door(httpx2.AsyncBaseTransport):
    """The door system itself."""

    def __init__(self) -> None:
        self.badges: list[dict[str, str]] = []
        self.keys: list[str] = []
        self.cuts = 0
        self.status = 200

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        if self.status != 200:
            return httpx2.Response(self.status)
        if request.method == "GET":
            wanted = request.url.params.get("holder")
            held = [badge for badge in self.badges if badge["holder"] == wanted]
            return httpx2.Response(200, json=held)
        badge = {"id": str(len(self.badges) + 1), **json.loads(request.content)}
        self.badges.append(badge)
        self.keys.append(request.headers.get("idempotency-key", ""))
        if self.cuts:
            self.cuts -= 1
            message = "cut"
            raise httpx2.RemoteProtocolError(message)
        return httpx2.Response(201, json=badge)


@pytest.fixture
def door() -> Door:
    """An empty door system."""
    return Door()


@pytest.fixture
def badges(door: Door, time: Time, monkeypatch: pytest.MonkeyPatch) -> Badges:
    """Connect to it."""
    monkeypatch.setenv("T_BADGES_TOKEN", "a token")
    TOKEN.resolve(fresh=True)
    return Badges(
        name="badges",
        base_url="https://door.example",
        token=TOKEN,
        probe=FIND,
        transport=door,
        clock=time.clock,
        pause=time.pause,
    )


async def test_a_written_operation_works_as_a_shipped_one(badges: Badges, door: Door, time: Time):
    """Once and no second time; a lost answer is found; the key travels in the named header."""
    door.cuts = 1
    with attempt(time):
        await raised(badges.ensure_badge.called(JANE), OutcomeUnknown)
    assert badges.ensure_badge.verify is not None
    with attempt(time) as observed:
        assert isinstance(await badges.ensure_badge.verify(JANE), Found)
    assert "found after unknown outcome" in effect_of(observed).evidence
    with attempt(time) as observed:
        await badges.ensure_badge.called(JANE)
    assert not effect_of(observed).changed
    assert (len(door.badges), door.keys) == (1, ["0" * 32])


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthFailed),
        (403, Forbidden),
        (404, ContractDrift),
        (429, Throttled),
        (500, Transient),
        (302, ContractDrift),
    ],
)
async def test_answers_have_their_class(
    badges: Badges, door: Door, status: int, kind: type[StepError]
):
    """Without codes of its own a system's answers are classed by their status."""
    door.status = status
    failed = await raised(badges.ensure_badge(JANE), StepError)
    assert type(failed) is kind
    if isinstance(failed, Forbidden):
        assert failed.missing == "badges:write"
        assert (await badges.check()).missing == ("the right to badges/find",)


async def test_probe_and_check_read_the_named_route(badges: Badges, door: Door, time: Time):
    """The probe route proves the system and the credential; without one nothing is claimed."""
    await badges.probe()
    assert (await badges.check()).ok
    door.status = 503
    await raised(badges.probe(), Transient)
    blind = Badges(
        name="badges",
        base_url="https://door.example",
        token=TOKEN,
        transport=door,
        clock=time.clock,
        pause=time.pause,
    )
    assert (await blind.check()).notes
    await blind.probe()


async def test_only_named_hosts_are_spoken_to(door: Door, time: Time, badges: Badges):
    """A link to another host is drift; a host that is named is reached."""
    far = Badges(
        name="badges",
        base_url="https://door.example",
        token=TOKEN,
        hosts=["files.example"],
        transport=door,
        clock=time.clock,
        pause=time.pause,
    )
    await far.http.call(FIND, url="https://files.example/badges")
    await raised(badges.http.call(FIND, url="https://files.example/badges"), ContractDrift)


GOOD: dict[str, Any] = {
    "natural_key": "badge/{person.email}",
    "idempotency": "natural",
    "undo": "none: handed in",
    "reversible": "no",
    "needs": ("badges:write",),
    "spec": (ISSUE.operation,),
    "reads": (FIND.operation,),
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reads": ()}, "whether a lost one arrived"),
        ({"reads": (), "idempotency": "append", "unclear": "repeat"}, "a lost one arrived"),
        ({"spec": ("badges/print",)}, "which is no route"),
        ({"reads": (ISSUE.operation,)}, "can change the system"),
        ({"reversible": ""}, "taken back"),
        ({"idempotency": "key_header"}, "without naming it"),
    ],
)
def test_what_could_double_is_refused(changes: dict[str, Any], told: str):
    """A class whose operation could not be repeated safely is refused when it is made."""

    async def issue(self: HttpApi, person: Person) -> None:
        """Issue."""

    with pytest.raises(DefinitionError, match=told):
        type(
            "Wrong",
            (HttpApi,),
            {"routes": (FIND, ISSUE), "issue": operation(**{**GOOD, **changes})(issue)},
        )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"reads": (), "idempotency": "append", "unclear": "ask"},
        {"reads": (), "idempotency": "client_id"},
    ],
)
def test_what_is_safe_is_taken(changes: dict[str, Any]):
    """With a look-up, an id of our own, or a person who is asked, a POST is accepted."""

    async def issue(self: HttpApi, person: Person) -> None:
        """Issue."""

    members = {"routes": (FIND, ISSUE), "issue": operation(**{**GOOD, **changes})(issue)}
    made = type("Right", (HttpApi,), members)
    assert issubclass(made, HttpApi) and "issue" in made.operations()


def test_an_object_that_is_not_there_yet_is_waited_for():
    """404 on an object means not there yet; on a route it means that the route is gone."""
    one = Route("badges/get", "GET", "/badges/{id}", API)
    assert isinstance(HttpApi.judged(Answer(one, 404, {})), NotReady)
    assert isinstance(HttpApi.judged(Answer(FIND, 404, {})), ContractDrift)


def test_what_is_wrapped_is_read_where_it_stands():
    """A thing inside others is given alone; drift names its whole place, and so do the fields."""
    wrapped = Shape(Badge, at="data.badge")
    body = b'{"data": {"badge": {"id": "1", "holder": "jane", "colour": "red"}}}'
    assert wrapped.read(Answer(FIND, 200, {}, body)) == Badge(id="1", holder="jane")
    assert set(wrapped.fields()) == {"data.badge.id", "data.badge.holder"}
    with pytest.raises(ContractDrift) as drift:
        wrapped.read(Answer(FIND, 200, {}, b'{"data": {"badge": {"id": "1"}}}'))
    assert drift.value.expected == "data.badge.holder: missing"
    with pytest.raises(ContractDrift) as drift:
        wrapped.read(Answer(FIND, 200, {}, b'{"data": null}'))
    assert (drift.value.seen or "").startswith("data: NoneType")
