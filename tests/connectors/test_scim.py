from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from scim2_models import UnauthorizedException
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.requests import ScimRequest
from scim2_server.utils import load_default_provider

from newel.base.errors import (
    AuthFailed,
    ContractDrift,
    Forbidden,
    Invalid,
    NotReady,
    OutcomeUnknown,
    OwnershipConflict,
    StepError,
    Throttled,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.scim import Quirks, Scim
from newel.connectors.scim_contract import (
    CREATE_USER,
    DELETE_USER,
    PATCH_GROUP,
    PATCH_USER,
    USERS,
    equal,
)
from newel.domain.people import Person
from newel.domain.values import Absent, Account, Found
from newel.simulators.faults import (
    Down,
    DropField,
    Lag,
    LoseResponse,
    RemoveScope,
    ResetBefore,
    RevokeToken,
    Status,
    Throttle,
)
from newel.simulators.scim import ScimSimulator
from newel.simulators.scim_world import Quirks as Server
from newel.testing.transport import SimulatorTransport
from tests.connectors.support import (
    JANE,
    OTHER_JANE,
    START,
    Time,
    agreed,
    attempt,
    effect_of,
    raised,
)

JANES = "account/jane.doe@acme.example"
TOKEN = SecretRef("env:T_SCIM_TOKEN")


@pytest.fixture
def sim(time: Time) -> ScimSimulator:
    """A directory on the standing clock, with small pages."""
    return ScimSimulator(seed=7, clock=time.world, sleep=time.pause, page_size=3)


@pytest.fixture
def made(time: Time, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scim]:
    """Connect to a simulator, or by any transport."""

    def make(to: ScimSimulator | httpx2.AsyncBaseTransport, quirks: Quirks | None = None) -> Scim:
        token, url, transport = "a token", "https://scim.example/v2", to
        if isinstance(to, ScimSimulator):
            given, transport = to.credentials(), agreed(to)
            token, url = given["SCIM_TOKEN"], given["SCIM_URL"]
        assert isinstance(transport, httpx2.AsyncBaseTransport)
        monkeypatch.setenv("T_SCIM_TOKEN", token)
        TOKEN.resolve(fresh=True)
        return Scim(
            name="okta",
            base_url=url,
            token=TOKEN,
            quirks=quirks,
            transport=transport,
            clock=time.clock,
            pause=time.pause,
        )

    return make


@pytest.fixture
def scim(made: Callable[..., Scim], sim: ScimSimulator) -> Scim:
    """Connect to the directory that follows the standard."""
    return made(sim)


DIALECTS = [
    (Server(), Quirks()),
    (Server(patch_style="no_path"), Quirks(patch_style="no_path")),
    (Server(patch_style="put"), Quirks()),
    (
        Server(bool_style="text", lookup="externalId"),
        Quirks(bool_style="text", lookup="externalId"),
    ),
    (
        Server(member_patch="replace", lookup="emails.value"),
        Quirks(member_patch="replace", lookup="emails.value"),
    ),
    (
        Server(delete_means="deactivate", etag=False, content_type="application/json"),
        Quirks(delete_means="deactivate", content_type="application/json"),
    ),
]


@pytest.mark.parametrize(("server", "quirks"), DIALECTS)
async def test_every_dialect_is_spoken(
    made: Callable[..., Scim], time: Time, server: Server, quirks: Quirks
):
    """With each quirk, every operation changes something once and nothing the second time."""
    sim = ScimSimulator(seed=7, clock=time.world, sleep=time.pause, page_size=3, quirks=server)
    scim = made(sim, quirks)
    account = await scim.ensure_account(JANE)
    seen = []
    steps: list[tuple[Any, tuple[Any, ...]]] = [
        (scim.join_group, (account, "Staff")),
        (scim.deactivate, (JANE,)),
        (scim.reactivate, (JANE,)),
        (scim.leave_group, (account, "Staff")),
        (scim.delete_account, (JANE,)),
    ]
    for operation, arguments in steps:
        for _ in range(2):
            with attempt(time) as observed:
                await operation.called(*arguments)
            effect = effect_of(observed)
            name = operation.name.removeprefix("okta.")
            seen.append((name, effect.changed, effect.access, effect.path))
    assert seen == [
        ("join_group", True, "active", "scim"),
        ("join_group", False, "active", "scim"),
        ("deactivate", True, "suspended", "scim"),
        ("deactivate", False, "suspended", "scim"),
        ("reactivate", True, "active", "scim"),
        ("reactivate", False, "active", "scim"),
        ("leave_group", True, "revoked", "scim"),
        ("leave_group", False, "revoked", "scim"),
        ("delete_account", True, "revoked", "scim"),
        ("delete_account", False, "revoked", "scim"),
    ]
    assert len(sim.mutations()) == 6
    assert all(call.committed for call in sim.mutations())


async def test_a_wrong_quirk_is_named(made: Callable[..., Scim], time: Time):
    """A server that takes no paths refuses one; the failure says what to look at."""
    sim = ScimSimulator(seed=7, clock=time.world, quirks=Server(patch_style="no_path"))
    scim = made(sim)
    await scim.ensure_account(JANE)
    refused = await raised(scim.deactivate(JANE), Invalid)
    assert (refused.code, "quirks" in refused.message) == ("invalidPath", True)


async def test_whole_lists_need_entity_tags(made: Callable[..., Scim], time: Time):
    """Where members go as a whole list and nothing guards it, nothing is sent."""
    sim = ScimSimulator(seed=7, clock=time.world, quirks=Server(member_patch="replace", etag=False))
    scim = made(sim, Quirks(member_patch="replace"))
    account = await scim.ensure_account(JANE)
    refused = await raised(scim.join_group(account, "Staff"), Forbidden)
    assert refused.reason == "blocked"
    assert len(sim.mutations()) == 1


async def test_another_members_change_is_kept(made: Callable[..., Scim], time: Time):
    """Somebody joins between reading and sending the whole list: both are members in the end."""
    sim = ScimSimulator(seed=7, clock=time.world, quirks=Server(member_patch="replace"))
    account = await made(sim, Quirks(member_patch="replace")).ensure_account(JANE)
    (group,) = sim.store.rows("Groups").values()
    others = {**group["resource"], "members": [{"value": "somebody"}]}

    class Between(SimulatorTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            """Let somebody else join the group just before the first change arrives."""
            if request.method == "PATCH" and not sim.calls("scim/groups/patch"):
                sim.keep("Groups", group, others)
            return await super().handle_async_request(request)

    racing = Scim(
        name="okta",
        base_url=sim.credentials()["SCIM_URL"],
        token=TOKEN,
        quirks=Quirks(member_patch="replace"),
        transport=Between(sim),
        clock=time.clock,
        pause=time.pause,
    )
    await racing.join_group(account, "Staff")
    (group,) = sim.store.rows("Groups").values()
    assert {each["value"] for each in group["resource"]["members"]} == {"somebody", account.id}


async def test_accounts_of_others_are_not_touched(scim: Scim, sim: ScimSimulator):
    """Unmarked or marked for another, an account with her address is a conflict."""
    sim.create_by_hand("jane.doe@acme.example", "jane.doe@acme.example")
    conflict = await raised(scim.ensure_account(JANE), OwnershipConflict)
    assert conflict.evidence == "no marker"
    sim.reset()
    await scim.ensure_account(JANE)
    conflict = await raised(scim.deactivate(OTHER_JANE), OwnershipConflict)
    assert conflict.evidence == "marker of another subject"
    assert len(sim.mutations()) == 1


async def test_a_lost_answer_is_found(scim: Scim, sim: ScimSimulator, time: Time):
    """The answer to the creation is lost: verify finds the one account."""
    sim.fail(CREATE_USER.operation, LoseResponse(), times=1)
    await raised(scim.ensure_account(JANE), OutcomeUnknown)
    assert scim.ensure_account.verify is not None
    with attempt(time) as observed:
        assert isinstance(await scim.ensure_account.verify(JANE), Found)
    assert effect_of(observed).evidence == "marker, found after unknown outcome"
    sim.assert_exactly_once(JANES)


async def test_a_lagging_filter_makes_no_second_account(scim: Scim, sim: ScimSimulator, time: Time):
    """The filter shows her four seconds late: the doubt waits for it and finds her."""
    sim.fail("*", Lag("scim.filter", 4))
    sim.fail(CREATE_USER.operation, LoseResponse(), times=1)
    await raised(scim.ensure_account(JANE), OutcomeUnknown)
    assert scim.ensure_account.verify is not None
    with attempt(time, intended=START):
        assert isinstance(await scim.ensure_account.verify(JANE), Found)
    sim.assert_exactly_once(JANES)


async def test_a_request_that_was_cut_is_redone(scim: Scim, sim: ScimSimulator, time: Time):
    """Nothing arrived: absent after the last settle time, and the redo makes one account."""
    sim.fail(CREATE_USER.operation, ResetBefore(), times=1)
    await raised(scim.ensure_account(JANE), OutcomeUnknown)
    assert scim.ensure_account.verify is not None
    with attempt(time, intended=START):
        assert await scim.ensure_account.verify(JANE) == Absent()
    await scim.ensure_account(JANE)
    sim.assert_exactly_once(JANES)


async def test_an_account_that_is_taken_and_not_shown_is_a_conflict(
    made: Callable[..., Scim], sim: ScimSimulator
):
    """Found by mark only, a name taken by hand refuses the creation; nobody's account is used."""
    sim.create_by_hand("jane.doe@acme.example")
    scim = made(sim, Quirks(lookup="externalId"))
    conflict = await raised(scim.ensure_account(JANE), OwnershipConflict)
    assert conflict.evidence == "exists but cannot be read"
    assert [call for call in sim.mutations() if call.committed] == []


@pytest.mark.parametrize("name", ["O'Brien-Łuczak", "Björk", "محمد علي", '"]} eq or', "A\\B"])
async def test_any_name_and_address_is_carried(
    made: Callable[..., Scim], sim: ScimSimulator, time: Time, name: str
):
    """Quotes and backslashes in names and addresses are values, never a filter."""
    here: dict[str, Any] = {
        "base_url": sim.credentials()["SCIM_URL"],
        "token": TOKEN,
        "clock": time.clock,
    }
    # A server may take for an address what the judge does not.
    unjudged = Scim(name="okta", transport=SimulatorTransport(sim), **here)
    for number, (scim, address) in enumerate(((made(sim), "somebody"), (unjudged, name))):
        person = Person(name=name, email=f"{address}@acme.example", ref=f"per_{number}")
        first = await scim.ensure_account(person)
        assert await scim.ensure_account(person) == first
    assert len(sim.mutations()) == 2


async def test_all_accounts_are_listed_over_pages(scim: Scim, sim: ScimSimulator):
    """The listing goes on to the last page, and shows marks and groups."""
    for number in range(7):
        sim.create_by_hand(f"user{number}@acme.example")
    account = await scim.ensure_account(JANE)
    await scim.join_group(account, "Staff")
    held = [each async for each in scim.accounts()]
    assert (len(held), [each.marker for each in held]) == (8, [""] * 7 + ["4711"])
    assert held[-1].account == account
    assert held[-1].entitlements == ("okta:account", "okta:group/Staff")


async def test_check_names_what_may_not_be_read(scim: Scim, sim: ScimSimulator):
    """The check passes with all permissions, tells capabilities, and names the missing one."""
    check = await scim.check()
    assert check.ok
    assert check.capabilities == ("okta.patch", "okta.filter", "okta.etag")
    sim.fail("*", RemoveScope("scim:groups:read"))
    check = await scim.check()
    assert (check.ok, check.missing) == (False, ("scim:groups:read",))


@pytest.mark.parametrize(
    ("operation", "effect", "kind"),
    [
        (CREATE_USER.operation, Throttle(30), Throttled),
        (CREATE_USER.operation, Status(503), OutcomeUnknown),
        (CREATE_USER.operation, DropField("id"), ContractDrift),
        (CREATE_USER.operation, RemoveScope("scim:users:write"), Forbidden),
        (USERS.operation, DropField("totalResults"), ContractDrift),
        (USERS.operation, Status(500), Transient),
        (USERS.operation, Down(), Transient),
        ("*", RevokeToken(), AuthFailed),
    ],
)
async def test_faults_have_their_class(
    scim: Scim, sim: ScimSimulator, operation: str, effect: Any, kind: type[StepError]
):
    """Each fault leaves as the class that is prescribed for it, without the address."""
    sim.fail(operation, effect)
    failed = await raised(scim.ensure_account(JANE), StepError)
    assert type(failed) is kind
    assert "jane" not in str(failed).lower()
    if isinstance(failed, Forbidden):
        assert "scim:users:write" in str(failed.missing)


def answered(status: int, kind: str = "", *, route: Any = CREATE_USER, **headers: str) -> Answer:
    """Make an answer with SCIM's error."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"status": str(status), "scimType": kind, "detail": "said"}
    return Answer(route, status, named, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (answered(201), None, None),
        (answered(400, "invalidValue"), Invalid, "invalidValue"),
        (answered(400, "invalidFilter", route=USERS), Invalid, "invalidFilter"),
        (answered(401), AuthFailed, None),
        (answered(403), Forbidden, None),
        (answered(404, route=PATCH_USER), NotReady, None),
        (answered(404), ContractDrift, None),
        (answered(409, "uniqueness"), Invalid, "uniqueness"),
        (answered(412, route=PATCH_GROUP), Transient, None),
        (answered(429, retry_after="9"), Throttled, None),
        (answered(500), OutcomeUnknown, None),
        (answered(500, route=DELETE_USER), Transient, None),
        (answered(501, route=PATCH_USER), ContractDrift, None),
        (answered(503, route=USERS), Transient, None),
    ],
)
def test_answers_have_their_class(answer: Answer, kind: type[StepError] | None, code: str | None):
    """Answers are classed by scimType and status."""
    verdict = Scim.judged(answer)
    assert (type(verdict) if verdict else None) is kind
    assert (verdict.code if verdict else None) == code


def test_a_filter_holds_its_value():
    """Quotes and backslashes in a value are escaped."""
    assert equal("userName", 'a"b\\') == 'userName eq "a\\"b\\\\"'


# A server that was not written here ------------------------------------------------------------


class Guarded(ASGIApplication):
    """The independent server, behind the token of these tests."""

    def check_auth(self, request: ScimRequest) -> None:
        """Refuse every other token."""
        if request.header("Authorization") != "Bearer a token":
            raise UnauthorizedException


class Cutting(httpx2.AsyncBaseTransport):
    """Delivers requests, and cuts the connection instead of the answer when told to."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx2.ASGITransport(app)
        self.cuts = 0
        self.changes: list[int] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Deliver one request."""
        answer = await self._inner.handle_async_request(request)
        if request.method != "GET":
            self.changes.append(answer.status_code)
            if self.cuts:
                self.cuts -= 1
                message = "server disconnected without sending a response"
                raise httpx2.RemoteProtocolError(message)
        return answer


@pytest.fixture
def independent() -> Cutting:
    """The server of the python-scim project, in memory."""
    return Cutting(Guarded(AsyncInMemoryStorage(), load_default_provider()))


async def staff(independent: Cutting) -> None:
    """Make the group Staff on the independent server."""
    async with httpx2.AsyncClient(transport=independent) as client:
        answer = await client.post(
            "https://scim.example/v2/Groups",
            json={
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                "displayName": "Staff",
            },
            headers={"Authorization": "Bearer a token", "Content-Type": "application/scim+json"},
        )
    assert answer.status_code == 201, answer.text
    independent.changes.clear()


@pytest.mark.parametrize(
    "quirks",
    [Quirks(), Quirks(patch_style="no_path", lookup="externalId"), Quirks(patch_style="put")],
)
async def test_an_independent_server_is_served(
    made: Callable[..., Scim], independent: Cutting, quirks: Quirks
):
    """Against scim2-server every operation has its effect once, by patches and by PUT."""
    scim = made(independent, quirks)
    await staff(independent)
    assert (await scim.check()).ok
    assert await scim.find(JANE) is None
    seen: list[Account] = [await scim.ensure_account(JANE) for _ in range(2)]
    for _ in range(2):
        seen += [await scim.join_group(seen[0], "Staff")]
        seen += [await scim.leave_group(seen[0], "Staff")]
    for operation in (scim.deactivate, scim.reactivate, scim.delete_account):
        seen += [await operation(JANE) for _ in range(2)]
    assert [each.state for each in seen[6:]] == [
        "suspended",
        "suspended",
        "active",
        "active",
        "absent",
        "absent",
    ]
    assert len(independent.changes) == 1 + 4 + 3
    assert await scim.find(JANE) is None


async def test_an_independent_server_loses_answers(
    made: Callable[..., Scim], independent: Cutting, time: Time
):
    """Each lost answer of scim2-server is found again, or the change is simply made again."""
    scim = made(independent)
    await staff(independent)
    account = Account(system="okta", id="", handle="")
    for name in ("ensure_account", "join_group", "leave_group", "deactivate", "delete_account"):
        step = getattr(scim, name)
        arguments: tuple[Any, ...] = (account, "Staff") if "group" in name else (JANE,)
        independent.cuts = 1
        await raised(step(*arguments), OutcomeUnknown)
        with attempt(time, intended=time.clock.now()):
            verdict = await step.verify(*arguments)
        assert isinstance(verdict, Found), name
        if name == "ensure_account":
            account = verdict.value
    assert independent.changes == [201, 204, 204, 204, 204]


async def test_an_independent_server_refuses_a_wrong_token(
    made: Callable[..., Scim], independent: Cutting, monkeypatch: pytest.MonkeyPatch
):
    """A token scim2-server does not know is an auth failure."""
    scim = made(independent)
    monkeypatch.setenv("T_SCIM_TOKEN", "another")
    TOKEN.resolve(fresh=True)
    await raised(scim.find(JANE), AuthFailed)
