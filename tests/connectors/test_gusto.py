from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

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
from newel.connectors.declaring import declared
from newel.connectors.payroll import Gusto
from newel.connectors.payroll_contract import CREATE_EMPLOYEE, DELETE_EMPLOYEE, EMPLOYEES
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
    Status,
    Throttle,
    VendorError,
)
from newel.simulators.gusto import GustoSimulator
from tests.connectors.support import JANE, START, Time, agreed, attempt, effect_of, raised

CREATE = CREATE_EMPLOYEE.operation


@pytest.fixture
def sim(time: Time) -> GustoSimulator:
    """Gusto on the standing clock, with small pages."""
    return GustoSimulator(seed=7, clock=time.world, sleep=time.pause, page_size=3)


@pytest.fixture
def gusto(sim: GustoSimulator, time: Time, monkeypatch: pytest.MonkeyPatch) -> Gusto:
    """Connect to it."""
    given = sim.credentials()
    monkeypatch.setenv("T_GUSTO_TOKEN", given["GUSTO_TOKEN"])
    SecretRef("env:T_GUSTO_TOKEN").resolve(fresh=True)
    return Gusto(
        company=given["GUSTO_COMPANY"],
        token=SecretRef("env:T_GUSTO_TOKEN"),
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )


async def test_an_employee_is_added_and_withdrawn_once(
    gusto: Gusto, sim: GustoSimulator, time: Time
):
    """Adding and withdrawing each change something once and nothing the second time."""
    seen = []
    for operation in (gusto.ensure_employee, gusto.withdraw):
        for _ in range(2):
            with attempt(time) as observed:
                account = await operation.called(JANE)
            seen.append((effect_of(observed).changed, effect_of(observed).access, account.state))
    assert seen == [
        (True, "active", "active"),
        (False, "active", "active"),
        (True, "revoked", "absent"),
        (False, "revoked", "absent"),
    ]
    assert len(sim.mutations()) == 2


async def test_an_employee_on_the_last_page_is_found(gusto: Gusto, sim: GustoSimulator):
    """Namesakes on earlier pages do not hide the employee, nor are they taken for her."""
    for number in range(7):
        sim.create_by_hand("Jane", "Doe", f"jane.doe{number}@acme.example")
    mine = await gusto.ensure_employee(JANE)
    again = await gusto.ensure_employee(JANE)
    assert again == mine
    assert len(sim.mutations()) == 1


async def test_two_employees_with_one_address_are_a_conflict(gusto: Gusto, sim: GustoSimulator):
    """Nobody guesses which of two employees with one address is meant."""
    for _ in range(2):
        sim.create_by_hand("Jane", "Doe", JANE.email)
    await raised(gusto.withdraw(JANE), OwnershipConflict)
    assert sim.mutations() == []


async def test_every_employee_at_her_address_is_shown(gusto: Gusto, sim: GustoSimulator):
    """What may have been added twice is looked for by address, on every page."""
    for number in range(4):
        sim.create_by_hand("Jane", "Doe", f"jane.doe{number}@acme.example")
    assert await gusto.doubles(JANE) == ()
    for _ in range(2):
        sim.create_by_hand("Jane", "Doe", JANE.email)
    ids = [
        key for key, row in sim.store.rows("employees").items() if row["work_email"] == JANE.email
    ]
    assert [each.id for each in await gusto.doubles(JANE)] == ids
    assert sim.mutations() == []


async def test_a_lost_answer_is_found(gusto: Gusto, sim: GustoSimulator, time: Time):
    """The answer to the creation is lost: verify finds the one employee."""
    sim.fail(CREATE, LoseResponse(), times=1)
    await raised(gusto.ensure_employee(JANE), OutcomeUnknown)
    assert gusto.ensure_employee.verify is not None
    with attempt(time) as observed:
        assert isinstance(await gusto.ensure_employee.verify(JANE), Found)
    assert effect_of(observed).evidence == "derived, found after unknown outcome"
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_absence_is_believed_only_after_two_minutes(
    gusto: Gusto, sim: GustoSimulator, time: Time
):
    """The list lags 100 s: doubt ends at 120 s with the employee, not before with a second one."""
    sim.fail("*", Lag("gusto.employees", 100))
    sim.fail(CREATE, LoseResponse(), times=1)
    await raised(gusto.ensure_employee(JANE), OutcomeUnknown)
    assert gusto.ensure_employee.verify is not None
    with attempt(time, intended=START):
        early = await raised(gusto.ensure_employee.verify(JANE), NotReady)
    assert early.retry_at == START + timedelta(seconds=30)
    time.move(timedelta(seconds=100))
    with attempt(time, intended=START):
        verdict = await gusto.ensure_employee.verify(JANE)
    assert isinstance(verdict, Found)
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_a_request_that_was_cut_is_redone(gusto: Gusto, sim: GustoSimulator, time: Time):
    """Nothing arrived: absent after the last settle time, and the redo adds one employee."""
    sim.fail(CREATE, ResetBefore(), times=1)
    await raised(gusto.ensure_employee(JANE), OutcomeUnknown)
    time.move(timedelta(seconds=120))
    assert gusto.ensure_employee.verify is not None
    with attempt(time, intended=START):
        assert await gusto.ensure_employee.verify(JANE) == Absent()
    with attempt(time, intended=START, follows_doubt=True):
        await gusto.ensure_employee.called(JANE)
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_an_onboarded_employee_cannot_be_withdrawn(gusto: Gusto, sim: GustoSimulator):
    """Who has completed onboarding has to be terminated instead."""
    account = await gusto.ensure_employee(JANE)
    employee = sim.store.find("employees", account.id)
    assert employee is not None
    sim.store.put(
        "employees", account.id, {**employee, "onboarding_status": "onboarding_completed"}
    )
    refused = await raised(gusto.withdraw(JANE), Forbidden)
    assert refused.reason == "blocked"


async def test_self_onboarding_writes_to_the_private_address(gusto: Gusto, sim: GustoSimulator):
    """With self-onboarding Gusto gets the private address, and the work address stays the key."""
    await gusto.ensure_employee(JANE, private_email="jane@home.example", self_onboarding=True)
    (account,) = sim.accounts()
    assert account["state"] == "self_onboarding_pending_invite"
    assert (await gusto.ensure_employee(JANE)).id == account["id"]


def place_of(sim: GustoSimulator) -> str:
    """Give the company's one place of work."""
    return next(iter(sim.store.rows("locations")))


async def test_position_pay_and_place_are_entered_once(
    gusto: Gusto, sim: GustoSimulator, time: Time
):
    """Each is entered once and nothing the second time; pay is set on the position's own pay."""
    await gusto.ensure_employee(JANE)
    first_day = date(2026, 2, 2)
    position = await gusto.set_job(JANE, "Engineer", first_day)
    steps: list[tuple[Any, tuple[Any, ...]]] = [
        (gusto.set_job, (JANE, "Engineer", first_day)),
        (gusto.set_compensation, (position.uuid, "85000", "Year")),
        (gusto.set_compensation, (position.uuid, "85000.00", "Year")),
        (gusto.set_work_address, (JANE, place_of(sim), first_day)),
        (gusto.set_work_address, (JANE, place_of(sim), first_day)),
        (gusto.update, (JANE,)),
    ]
    seen = []
    for operation, arguments in steps:
        with attempt(time) as observed:
            await operation.called(*arguments)
        seen.append(effect_of(observed).changed)
    assert seen == [False, True, False, True, False, False]
    (pay,) = sim.store.rows("compensations").values()
    assert (pay["rate"], pay["payment_unit"], pay["flsa_status"]) == ("85000.00", "Year", "Exempt")
    assert len(sim.mutations()) == 4


@pytest.mark.parametrize("name", ["set_job", "set_work_address", "terminate", "ensure_employee"])
async def test_each_lost_answer_is_found(gusto: Gusto, sim: GustoSimulator, time: Time, name: str):
    """Committed, and the answer lost: verify finds what was entered, and nothing is doubled."""
    if name != "ensure_employee":
        await gusto.ensure_employee(JANE)
    arguments: dict[str, tuple[Any, ...]] = {
        "ensure_employee": (JANE,),
        "set_job": (JANE, "Engineer", date(2026, 2, 2)),
        "set_work_address": (JANE, place_of(sim), date(2026, 2, 2)),
        "terminate": (JANE, date(2026, 12, 31)),
    }
    step = getattr(gusto, name)
    sim.fail("post-*", LoseResponse(), times=1)
    await raised(step(*arguments[name]), OutcomeUnknown)
    with attempt(time) as observed:
        assert isinstance(await step.verify(*arguments[name]), Found)
    evidence = "derived" if name == "ensure_employee" else "employee id"
    assert effect_of(observed).evidence == f"{evidence}, found after unknown outcome"
    with attempt(time) as observed:
        await step.called(*arguments[name])
    assert not effect_of(observed).changed
    assert sim.book.doubled() == {}


async def test_a_stale_version_is_read_again(gusto: Gusto, sim: GustoSimulator, time: Time):
    """Somebody changes the record in between: it is read again, and the change made on that."""
    account = await gusto.ensure_employee(JANE)
    position = await gusto.set_job(JANE, "Engineer", date(2026, 2, 2))
    for status, operation in (
        ("409", gusto.update(JANE, preferred_name="Janie")),
        ("invalid_resource_version", gusto.set_compensation(position.uuid, "1", "Hour")),
    ):
        sim.heal()
        sim.fail("put-*", VendorError(status), times=1)
        await operation
    employee = sim.store.find("employees", account.id)
    assert employee is not None and employee["preferred_first_name"] == "Janie"
    sim.heal()
    sim.fail("put-*", VendorError("409"))
    await raised(gusto.update(JANE, preferred_name="J"), Transient)


async def test_somebody_leaves_stays_leaves_and_comes_back(
    gusto: Gusto, sim: GustoSimulator, time: Time
):
    """Entered twice, moved, taken back, entered again, past, rehired: each has its effect once."""
    await gusto.ensure_employee(JANE)
    seen = []
    for operation, arguments in (
        (gusto.terminate, (JANE, date(2026, 1, 30))),
        (gusto.terminate, (JANE, date(2026, 1, 30))),
        (gusto.terminate, (JANE, date(2026, 1, 31))),
        (gusto.cancel_termination, (JANE,)),
        (gusto.cancel_termination, (JANE,)),
        (gusto.terminate_with_final_pay, (JANE, date(2026, 1, 31))),
    ):
        with attempt(time) as observed:
            await operation.called(*arguments)
        seen.append((effect_of(observed).changed, effect_of(observed).access))
    assert seen == [
        (True, "revoked"),
        (False, "revoked"),
        (True, "revoked"),
        (True, "active"),
        (False, "active"),
        (True, "revoked"),
    ]
    (leaving,) = sim.store.rows("terminations").values()
    assert leaving["run_termination_payroll"] is True
    time.move(timedelta(days=30))
    refused = await raised(gusto.cancel_termination(JANE), Forbidden)
    assert refused.reason == "blocked"
    for _ in range(2):
        await gusto.rehire(JANE, date(2026, 2, 4), place_of(sim))
    assert len(sim.store.rows("rehires")) == 1
    await gusto.terminate(JANE, date(2026, 12, 31))
    assert len(sim.store.rows("terminations")) == 2


async def test_somebody_is_invited_once(gusto: Gusto, sim: GustoSimulator, time: Time):
    """The invitation goes out once, and not to somebody who is further already."""
    await gusto.ensure_employee(JANE, private_email="jane@home.example")
    for _ in range(2):
        await gusto.invite_self_onboarding(JANE)
    sim.complete_self_onboarding(JANE.email)
    await gusto.invite_self_onboarding(JANE)
    assert len(sim.mutations()) == 2


def test_money_needs_an_approval():
    """Every operation that moves money declares it, and the approval it asks for."""
    facts = {name: declared(step) for name, step in Gusto.operations().items()}
    assert {name: each.approval for name, each in facts.items() if each.moves_money} == {
        "set_compensation": "pay",
        "terminate_with_final_pay": "final pay",
    }


async def test_a_rate_that_is_no_number_is_never_sent(gusto: Gusto, sim: GustoSimulator):
    """A wrong rate, an unknown person: refused before anything is sent."""
    wrong = await raised(gusto.set_compensation("x", "a lot", "Year"), Invalid)
    assert wrong.fields == {"rate": "is no number"}
    await raised(gusto.terminate(JANE, date(2026, 1, 31)), Invalid)
    assert sim.mutations() == []


NEEDED = [
    ("set_job", "jobs:write"),
    ("set_compensation", "compensations:write"),
    ("terminate", "employments:write"),
    ("update", "employees:write"),
    ("invite_self_onboarding", "employees:manage"),
]


@pytest.mark.parametrize(("name", "scope"), NEEDED)
async def test_each_missing_scope_is_named(
    gusto: Gusto, sim: GustoSimulator, name: str, scope: str
):
    """Without a scope exactly the operations that list it fail, and say its name."""
    await gusto.ensure_employee(JANE, private_email="jane@home.example")
    position = await gusto.set_job(JANE, "Engineer", date(2026, 2, 2))
    arguments: dict[str, tuple[Any, ...]] = {
        "set_job": (JANE, "Lead", date(2026, 3, 2)),
        "set_compensation": (position.uuid, "1", "Hour"),
        "terminate": (JANE, date(2026, 12, 31)),
        "update": (JANE,),
        "invite_self_onboarding": (JANE,),
    }
    sim.fail("*", RemoveScope(scope))
    assert scope in declared(getattr(gusto, name)).needs
    more = {"preferred_name": "J"} if name == "update" else {}
    refused = await raised(getattr(gusto, name)(*arguments[name], **more), Forbidden)
    assert refused.missing == scope


@pytest.mark.parametrize("name", ["O'Brien-Łuczak", "Björk", "محمد علي", "🦊 Fox", "A & B"])
async def test_any_name_is_carried(gusto: Gusto, sim: GustoSimulator, name: str):
    """Apostrophes, single words, other scripts and emoji neither fail nor double anybody."""
    person = Person(name=name, email="someone@acme.example", ref="per_x")
    first = await gusto.ensure_employee(person)
    assert await gusto.ensure_employee(person) == first
    assert len(sim.mutations()) == 1


async def test_check_names_missing_scopes(gusto: Gusto, sim: GustoSimulator):
    """The check passes with the scopes of the inventory and names the one that is gone."""
    assert (await gusto.check()).ok
    sim.fail("*", RemoveScope("employees:manage"))
    check = await gusto.check()
    assert (check.ok, check.missing) == (False, ("employees:manage",))
    sim.heal()
    sim.fail("*", RemoveScope("compensations:read"))
    check = await gusto.check()
    assert (check.ok, check.missing) == (True, ("compensations:read",))


@pytest.mark.parametrize(
    ("operation", "effect", "kind"),
    [
        (CREATE, Throttle(30), Throttled),
        (CREATE, Throttle(None), Throttled),
        (CREATE, Status(503), OutcomeUnknown),
        (CREATE, DropField("uuid"), ContractDrift),
        (CREATE, RemoveScope("employees:manage"), Forbidden),
        (EMPLOYEES.operation, Status(500), Transient),
        (EMPLOYEES.operation, Down(), Transient),
        ("*", RevokeToken(), AuthFailed),
    ],
)
async def test_faults_have_their_class(
    gusto: Gusto, sim: GustoSimulator, operation: str, effect: Any, kind: type[StepError]
):
    """Each fault leaves as the class that is prescribed for it, without the address."""
    sim.fail(operation, effect)
    failed = await raised(gusto.ensure_employee(JANE), StepError)
    assert type(failed) is kind
    assert "jane" not in str(failed).lower()
    if isinstance(failed, Forbidden):
        assert failed.missing == "employees:manage"


def answered(
    status: int,
    message: str = "",
    *,
    route: Any = CREATE_EMPLOYEE,
    category: str = "some_category",
    **headers: str,
) -> Answer:
    """Make an answer with Gusto's error envelope."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    error = {"error_key": "email", "category": category, "message": message}
    return Answer(route, status, named, json.dumps({"errors": [error]}).encode())


@pytest.mark.parametrize(
    ("answer", "kind", "facts"),
    [
        (answered(201), None, {}),
        (answered(401), AuthFailed, {"code": "some_category"}),
        (
            answered(403, "The access token is missing the scope employees:manage."),
            Forbidden,
            {"missing": "employees:manage"},
        ),
        (answered(404), NotReady, {}),
        (answered(406, "version"), ContractDrift, {}),
        (answered(409), Transient, {}),
        (answered(422, "is taken"), Invalid, {"fields": {"email": "is taken"}}),
        (answered(422, category="invalid_resource_version"), Transient, {}),
        (answered(429, retry_after="9"), Throttled, {"retry_after": timedelta(seconds=9)}),
        (
            answered(429, x_ratelimit_reset=str(int(START.timestamp()))),
            Throttled,
            {"retry_at": START},
        ),
        (answered(500), OutcomeUnknown, {}),
        (answered(500, route=DELETE_EMPLOYEE), Transient, {}),
    ],
)
def test_answers_have_their_class(
    answer: Answer, kind: type[StepError] | None, facts: dict[str, object]
):
    """Gusto's answers are classed by status, with the category as their code."""
    verdict = Gusto.judged(answer)
    assert (type(verdict) if verdict else None) is kind
    assert {name: getattr(verdict, name) for name in facts} == facts


async def test_all_employees_are_told_page_by_page(gusto: Gusto, sim: GustoSimulator):
    """Whatever they are called; who has no work address is told by the id; reads only."""
    for number in range(4):
        sim.create_by_hand("Jane", f"O'Doe {number} 🌻", f"jane{number}@acme.example")
    unknown = sim.create_by_hand("Max", "Roe")
    found = {each.account.handle: each async for each in gusto.accounts()}
    assert set(found) >= {f"jane{number}@acme.example" for number in range(4)} | {unknown}
    assert {each.entitlements for each in found.values()} == {("gusto:account",)}
    assert sim.mutations() == []
