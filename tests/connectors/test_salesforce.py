from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from newel.base.errors import (
    AuthFailed,
    ContractDrift,
    DefinitionError,
    Forbidden,
    Invalid,
    NoCapacity,
    NotReady,
    OutcomeUnknown,
    OwnershipConflict,
    StepError,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.salesforce import Salesforce
from newel.connectors.salesforce_contract import (
    ASSIGN,
    CREATE_USER,
    QUERY,
    TOKEN,
    UPDATE_USER,
    UPSERT_USER,
    selected,
)
from newel.domain.people import Person
from newel.domain.values import Absent, Found
from newel.simulators.faults import (
    Down,
    DropField,
    Lag,
    LoseResponse,
    RemoveScope,
    ResetBefore,
    RevokeToken,
    Seats,
    Status,
    Throttle,
    VendorError,
)
from newel.simulators.salesforce import SalesforceSimulator
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

EXTERNAL = "Newel_Id__c"
FEDERATION = "FederationIdentifier"


@pytest.fixture
def sim(time: Time) -> SalesforceSimulator:
    """Salesforce on the standing clock, with small pages."""
    return SalesforceSimulator(seed=7, clock=time.world, sleep=time.pause, page_size=3)


def connected(
    sim: SalesforceSimulator,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
    marker_field: str = EXTERNAL,
) -> Salesforce:
    """Connect to it, with the mark in this field."""
    given = sim.credentials()
    monkeypatch.setenv("T_SALESFORCE_KEY", given["SALESFORCE_KEY"])
    SecretRef("env:T_SALESFORCE_KEY").resolve(fresh=True)
    return Salesforce(
        client_id=given["SALESFORCE_CLIENT_ID"],
        username=given["SALESFORCE_USERNAME"],
        key=SecretRef("env:T_SALESFORCE_KEY"),
        profile_id=given["SALESFORCE_PROFILE_ID"],
        marker_field=marker_field,
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )


@pytest.fixture(params=[EXTERNAL, FEDERATION])
def salesforce(
    request: pytest.FixtureRequest,
    sim: SalesforceSimulator,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> Salesforce:
    """Connect to it both ways: with upserts on an External-ID field, and with plain creates."""
    return connected(sim, time, monkeypatch, request.param)


@pytest.fixture
def plain(sim: SalesforceSimulator, time: Time, monkeypatch: pytest.MonkeyPatch) -> Salesforce:
    """Connect to it with plain creates."""
    return connected(sim, time, monkeypatch, FEDERATION)


async def test_an_account_is_made_locked_and_opened_once(
    salesforce: Salesforce, sim: SalesforceSimulator, time: Time
):
    """Each switch of the account changes something once and nothing the second time."""
    seen = []
    for operation in (
        salesforce.ensure_account,
        salesforce.deactivate,
        salesforce.reactivate,
        salesforce.deactivate,
        salesforce.ensure_account,
    ):
        for _ in range(2):
            with attempt(time) as observed:
                account = await operation.called(JANE)
            effect = effect_of(observed)
            seen.append((effect.changed, effect.access, account.state))
    assert seen == [
        (changed, access, access)
        for access in ("active", "suspended", "active", "suspended", "active")
        for changed in (True, False)
    ]
    frozen = [call for call in sim.mutations() if call.operation == "updateUserLogin"]
    assert len(sim.mutations()) - len(frozen) == 5


async def test_the_account_carries_the_mark_from_the_start(
    salesforce: Salesforce, sim: SalesforceSimulator
):
    """The creating request carries the employee number."""
    await salesforce.ensure_account(JANE)
    assert sim.assert_exactly_once("account/jane.doe@acme.example").effect_key == "4711"


async def test_somebody_elses_account_is_never_touched(
    salesforce: Salesforce, sim: SalesforceSimulator
):
    """Another marker and no marker are both a conflict, and nothing is changed."""
    await salesforce.ensure_account(OTHER_JANE)
    conflict = await raised(salesforce.ensure_account(JANE), OwnershipConflict)
    assert conflict.evidence == "marker of another subject"
    sim.create_by_hand("john.roe@acme.example")
    john = Person(name="John Roe", email="john.roe@acme.example", ref="per_john")
    conflict = await raised(salesforce.deactivate(john), OwnershipConflict)
    assert conflict.evidence == "no marker"
    assert len(sim.mutations()) == 1


async def test_a_name_taken_elsewhere_is_explained(
    plain: Salesforce, sim: SalesforceSimulator, time: Time
):
    """A user name of another organization is invalid data, with a way out."""
    sim.take_username_elsewhere(JANE.email)
    refused = await raised(plain.ensure_account(JANE), Invalid)
    assert "username_suffix" in refused.fields["Username"]


async def test_a_lost_answer_is_found(salesforce: Salesforce, sim: SalesforceSimulator, time: Time):
    """The answer to the creation is lost: verify finds the account by its mark."""
    for operation in (CREATE_USER.operation, UPSERT_USER.operation):
        sim.fail(operation, LoseResponse(), times=1)
    await raised(salesforce.ensure_account(JANE), OutcomeUnknown)
    assert salesforce.ensure_account.verify is not None
    with attempt(time):
        assert isinstance(await salesforce.ensure_account.verify(JANE), Found)
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_a_lagging_query_is_waited_for(
    salesforce: Salesforce, sim: SalesforceSimulator, time: Time
):
    """With queries 4 s behind, doubt ends at 5 s with the one account there is."""
    sim.fail("*", Lag("salesforce.query", 4))
    for operation in (CREATE_USER.operation, UPSERT_USER.operation):
        sim.fail(operation, LoseResponse(), times=1)
    await raised(salesforce.ensure_account(JANE), OutcomeUnknown)
    assert salesforce.ensure_account.verify is not None
    with attempt(time):
        assert isinstance(await salesforce.ensure_account.verify(JANE), Found)
    assert time.pauses == [2, 3]


async def test_a_request_that_was_cut_is_redone(
    salesforce: Salesforce, sim: SalesforceSimulator, time: Time
):
    """Nothing arrived: absent after the last settle time, and the redo makes one account."""
    for operation in (CREATE_USER.operation, UPSERT_USER.operation):
        sim.fail(operation, ResetBefore(), times=1)
    await raised(salesforce.ensure_account(JANE), OutcomeUnknown)
    time.move(timedelta(seconds=30))
    assert salesforce.ensure_account.verify is not None
    with attempt(time, intended=START):
        assert await salesforce.ensure_account.verify(JANE) == Absent()
    with attempt(time, intended=START, follows_doubt=True):
        await salesforce.ensure_account.called(JANE)
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_permission_sets_are_given_and_taken_once(
    plain: Salesforce, sim: SalesforceSimulator, time: Time
):
    """Assigning and removing each change something once and nothing the second time."""
    account = await plain.ensure_account(JANE)
    sim.book.clear()
    seen = []
    for operation in (plain.assign_permission_set, plain.remove_permission_set):
        for _ in range(2):
            with attempt(time) as observed:
                await operation.called(account, "Sales_Console")
            seen.append(effect_of(observed).changed)
    assert seen == [True, False, True, False]
    assert len(sim.mutations()) == 2


async def test_an_unknown_permission_set_is_invalid(plain: Salesforce):
    """A permission set that does not exist is refused by its field."""
    account = await plain.ensure_account(JANE)
    refused = await raised(plain.assign_permission_set(account, "No_Such"), Invalid)
    assert list(refused.fields) == ["permission_set"]


async def test_a_blocked_deactivation_freezes_first(plain: Salesforce, sim: SalesforceSimulator):
    """Where Salesforce still needs the user, the login is frozen and a person is told."""
    await plain.ensure_account(JANE)
    sim.make_default_owner(JANE.email)
    refused = await raised(plain.deactivate(JANE), Forbidden)
    assert refused.reason == "blocked"
    states = {account["handle"]: account["state"] for account in sim.accounts()}
    assert states[JANE.email] == "frozen"
    assert "default lead owner" in str(refused)


async def test_requests_go_where_the_token_says(plain: Salesforce, sim: SalesforceSimulator):
    """A token that names a stranger's address is not followed."""
    await plain.probe()
    sim.fail(
        TOKEN.operation,
        Status(200, body={"access_token": "t", "instance_url": "https://evil.example"}),
    )
    plain.http._credential.renew()
    refused = await raised(plain.probe(), Forbidden)
    assert refused.reason == "blocked"


async def test_a_refused_assertion_gives_advice(plain: Salesforce, sim: SalesforceSimulator):
    """A user that was not approved is told what to set, a wrong clock by how much it is off."""
    sim.fail("*", RevokeToken())
    refused = await raised(plain.probe(), AuthFailed)
    assert "Pre-authorize" in str(refused)
    assert refused.code == "invalid_grant"


async def test_check_reads_the_daily_limit(plain: Salesforce):
    """The check says how many requests are left today."""
    check = await plain.check()
    assert check.ok
    assert check.quota == "99999 of 100000 requests left today, 49 licences free"


async def test_the_end_of_a_days_requests_is_kept_for_what_cuts_access(
    plain: Salesforce, sim: SalesforceSimulator, time: Time
):
    """From nine tenths on only urgent steps ask; when the day's count falls, all go on."""
    await plain.ensure_account(JANE)
    sim.requests = 100
    while sim.requests_used < 90:
        await plain.find(JANE)
    before = len(sim.calls())
    full = await raised(plain.find(JANE), NoCapacity)
    assert (full.what, len(sim.calls())) == ("api requests", before)
    (room,) = await plain.capacity()
    assert (room.what, room.left, room.is_short) == ("api requests", 0, True)
    with attempt(time, is_urgent=True):
        assert (await plain.deactivate.called(JANE)).state == "suspended"
    sim.requests = 1000
    assert (await plain.capacity())[0].left > 0
    assert await plain.find(JANE) is not None


async def test_what_was_read_of_a_days_requests_is_asked_anew(
    plain: Salesforce, sim: SalesforceSimulator, time: Time
):
    """After a quarter of an hour one request goes through, and tells how it stands."""
    sim.requests = 1
    assert await plain.find(JANE) is None
    await raised(plain.find(JANE), NoCapacity)
    sim.requests = 100
    await raised(plain.find(JANE), NoCapacity)
    time.move(timedelta(minutes=15))
    assert await plain.find(JANE) is None


@pytest.mark.parametrize(
    ("scope", "permission"),
    [
        ("manage_users", "Manage Users"),
        ("assign_permission_sets", "Assign Permission Sets"),
        ("freeze_users", "Freeze Users"),
    ],
)
async def test_check_names_the_missing_permission(
    plain: Salesforce, sim: SalesforceSimulator, scope: str, permission: str
):
    """A permission that is taken away is named as the set-up pages name it."""
    sim.fail("*", RemoveScope(scope))
    check = await plain.check()
    assert (check.ok, check.missing) == (False, (permission,))


async def test_a_login_is_frozen_and_opened_once(
    plain: Salesforce, sim: SalesforceSimulator, time: Time
):
    """Freezing and unfreezing change something once, keep the user, and are read back."""
    await plain.ensure_account(JANE)
    seen = []
    for operation in (plain.freeze, plain.unfreeze):
        for _ in range(2):
            with attempt(time) as observed:
                await operation.called(JANE)
            seen.append((effect_of(observed).changed, effect_of(observed).access))
    assert seen == [
        (True, "suspended"),
        (False, "suspended"),
        (True, "active"),
        (False, "active"),
    ]
    assert len(sim.mutations()) == 3
    await raised(plain.freeze(OTHER_JANE), OwnershipConflict)


async def test_a_user_is_found_by_the_mark_under_another_name(
    salesforce: Salesforce, sim: SalesforceSimulator
):
    """Somebody renamed the user: the mark finds it, and no second one is made."""
    account = await salesforce.ensure_account(JANE)
    user = sim.store.find("User", account.id)
    assert user is not None
    sim.store.put("User", account.id, {**user, "Username": "jane.roe@acme.example"})
    again = await salesforce.ensure_account(JANE)
    assert (again.id, again.handle) == (account.id, "jane.roe@acme.example")
    assert len(sim.mutations()) == 1


def test_a_marker_field_must_be_a_name(
    sim: SalesforceSimulator, time: Time, monkeypatch: pytest.MonkeyPatch
):
    """A marker field that is no field name is refused when the connector is made."""
    with pytest.raises(DefinitionError):
        connected(sim, time, monkeypatch, "Id FROM User --")


def test_values_are_escaped_in_queries():
    """Quotes and backslashes of a value stay inside its quotes."""
    assert selected("Id", "User", {"Username": "o'brien\\@x"}) == (
        "SELECT Id FROM User WHERE Username = 'o\\'brien\\\\@x'"
    )


@pytest.mark.parametrize(
    ("operation", "effect", "kind"),
    [
        (CREATE_USER.operation, Seats(0), NoCapacity),
        (CREATE_USER.operation, Throttle(), NoCapacity),
        (CREATE_USER.operation, Status(500), OutcomeUnknown),
        (CREATE_USER.operation, VendorError("UNABLE_TO_LOCK_ROW"), Transient),
        (CREATE_USER.operation, VendorError("503"), Transient),
        (CREATE_USER.operation, DropField("id"), ContractDrift),
        (CREATE_USER.operation, VendorError("INSUFFICIENT_ACCESS"), Forbidden),
        (QUERY.operation, Status(500), Transient),
        (QUERY.operation, DropField("records.0.Id"), ContractDrift),
        (QUERY.operation, Down(), Transient),
        (TOKEN.operation, Status(500), Transient),
        ("*", RevokeToken(), AuthFailed),
    ],
)
async def test_faults_have_their_class(
    plain: Salesforce,
    sim: SalesforceSimulator,
    operation: str,
    effect: Any,
    kind: type[StepError],
):
    """Each fault leaves as the class that is prescribed for it, without the address."""
    if operation == QUERY.operation and isinstance(effect, DropField):
        await plain.ensure_account(JANE)
    sim.fail(operation, effect)
    failed = await raised(plain.ensure_account(JANE), StepError)
    assert type(failed) is kind
    assert "jane" not in str(failed)


def answered(status: int, code: str, *, route: Any = CREATE_USER) -> Answer:
    """Make an answer with Salesforce's error array."""
    error = {"message": "about jane.doe@acme.example", "errorCode": code, "fields": ["Email"]}
    return Answer(route, status, {}, json.dumps([error]).encode())


@pytest.mark.parametrize(
    ("answer", "kind", "facts"),
    [
        (Answer(CREATE_USER, 201, {}, b"{}"), None, {}),
        (answered(300, ""), OwnershipConflict, {"evidence": "several hits"}),
        (answered(401, "INVALID_SESSION_ID"), AuthFailed, {"code": "INVALID_SESSION_ID"}),
        (answered(403, "REQUEST_LIMIT_EXCEEDED"), NoCapacity, {"what": "api requests"}),
        (answered(400, "LICENSE_LIMIT_EXCEEDED"), NoCapacity, {"what": "Salesforce licences"}),
        (answered(400, "UNABLE_TO_LOCK_ROW"), Transient, {}),
        (answered(503, "SERVER_UNAVAILABLE"), Transient, {}),
        (answered(403, "API_DISABLED_FOR_ORG"), Forbidden, {}),
        (answered(400, "STRING_TOO_LONG"), Invalid, {"fields": {"Email": "about <address>"}}),
        (answered(404, "NOT_FOUND", route=UPDATE_USER), NotReady, {}),
        (answered(500, "UNKNOWN_EXCEPTION"), OutcomeUnknown, {}),
        (answered(500, "UNKNOWN_EXCEPTION", route=ASSIGN), OutcomeUnknown, {}),
    ],
)
def test_answers_have_their_class(
    answer: Answer, kind: type[StepError] | None, facts: dict[str, object]
):
    """Salesforce's answers are classed by their error code first, by status last."""
    verdict = Salesforce.judged(answer)
    assert (type(verdict) if verdict else None) is kind
    assert {name: getattr(verdict, name) for name in facts} == facts


async def test_all_users_are_told_with_mark_and_permission_sets(
    salesforce: Salesforce, sim: SalesforceSimulator
):
    """Over pages of three: ours with the mark, others without; reads only."""
    account = await salesforce.ensure_account(JANE)
    await salesforce.assign_permission_set(account, "Sales_Console")
    for number in range(4):
        sim.create_by_hand(f"hand{number}@acme.example")
    before = len(sim.mutations())
    found = {each.account.id: each async for each in salesforce.accounts()}
    assert len(found) == len(sim.accounts()) > 4
    assert found[account.id].marker == JANE.hr_key
    assert found[account.id].entitlements == (
        "salesforce:account",
        "salesforce:permission_set/Sales_Console",
    )
    assert sum(not each.marker for each in found.values()) >= 4
    assert len(sim.mutations()) == before
