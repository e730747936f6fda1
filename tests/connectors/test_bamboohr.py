from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from newel.base.errors import (
    AuthFailed,
    ContractDrift,
    Forbidden,
    Invalid,
    InvalidInput,
    NotReady,
    OutcomeUnknown,
    OwnershipConflict,
    StepError,
    Throttled,
    Transient,
)
from newel.base.secrets import Secret, SecretRef
from newel.connectors.answers import Answer
from newel.connectors.bamboohr import BambooHR
from newel.connectors.bamboohr_contract import (
    ADD_ROW,
    CREATE_EMPLOYEE,
    CREATE_WEBHOOK,
    DELETE_WEBHOOK,
    DIRECTORY,
    EMPLOYEE,
    hints_of,
)
from newel.connectors.declaring import declared
from newel.connectors.hr import Fact, Hint, facts_of
from newel.connectors.owning import Owning
from newel.connectors.webhooks import SignatureInvalid
from newel.domain.values import Absent, Found
from newel.simulators.bamboohr import BambooHRSimulator
from newel.simulators.faults import (
    Down,
    LoseResponse,
    RemoveScope,
    ResetBefore,
    RetypeField,
    RevokeToken,
    Status,
    Throttle,
    WebhookDelay,
    WebhookDrop,
    WebhookDuplicate,
    WebhookReorder,
)
from tests.connectors.support import JANE, START, Time, agreed, attempt, effect_of, raised

HOOK = "https://newel.example/api/v1/inbox/bamboohr"


class Kept:
    """A shelf that keeps received secrets in memory."""

    def __init__(self) -> None:
        self.secrets: dict[str, Secret] = {}

    async def has(self, name: str) -> bool:
        """Say whether there is one."""
        return name in self.secrets

    async def put(self, name: str, secret: Secret) -> None:
        """Keep one."""
        self.secrets[name] = secret


@pytest.fixture
def sim(time: Time) -> BambooHRSimulator:
    """BambooHR on the standing clock."""
    return BambooHRSimulator(seed=7, clock=time.world, sleep=time.pause)


@pytest.fixture
def hr(sim: BambooHRSimulator, time: Time, monkeypatch: pytest.MonkeyPatch) -> BambooHR:
    """Connect to it."""
    monkeypatch.setenv("T_HR_KEY", sim.credentials()["BAMBOOHR_KEY"])
    SecretRef("env:T_HR_KEY").resolve(fresh=True)
    return BambooHR(
        company="acme",
        key=SecretRef("env:T_HR_KEY"),
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )


async def test_a_record_becomes_facts(hr: BambooHR, sim: BambooHRSimulator):
    """A record is read by the mapping, and its facts have their days."""
    jane = sim.hire("Jane", "Doe", "jane.doe@acme.example", "2026-02-02")
    sim.change(jane, "department", "Platform")
    sim.terminate(jane, "2026-12-31")
    employee = await hr.read_employee(jane)
    assert employee is not None
    assert (employee.given_name, employee.starts_on) == ("Jane", date(2026, 2, 2))
    number = employee.number
    assert facts_of(employee, today=date(2026, 1, 5)) == (
        Fact(kind="starts", number=number, effective_on=date(2026, 2, 2)),
        Fact(
            kind="is",
            number=number,
            effective_on=date(2026, 2, 2),
            fields={"department": "Platform"},
        ),
        Fact(kind="ends", number=number, effective_on=date(2026, 12, 31)),
    )
    sim.remove(jane)
    assert await hr.read_employee(jane) is None


async def test_somebody_without_a_first_day_has_no_facts(hr: BambooHR, sim: BambooHRSimulator):
    """HR has entered somebody who may come: nothing is known yet."""
    employee = await hr.read_employee(sim.hire("Jane", "Doe"))
    assert employee is not None
    assert facts_of(employee, today=date(2026, 1, 5)) == ()


async def subscribed(hr: BambooHR) -> Kept:
    """Subscribe; gives the shelf with the key."""
    shelf = Kept()
    await hr.subscribe("newel", HOOK, shelf)
    return shelf


async def delivered(hr: BambooHR, sim: BambooHRSimulator, shelf: Kept) -> list[Hint]:
    """Deliver what is due, verify each message, and give the hints as they came."""
    hints: list[Hint] = []

    async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
        assert url == HOOK
        lower = {name.lower(): value for name, value in headers.items()}
        hints.extend(hr.verified(lower, body, shelf.secrets["newel"]))
        return 202

    await sim.deliver(post)
    return hints


@pytest.mark.parametrize(
    ("faults", "kinds"),
    [
        ([], ["created", "updated", "updated"]),
        ([WebhookDuplicate(3)], ["created"] * 3 + ["updated"] * 6),
        ([WebhookReorder()], ["updated", "updated", "created"]),
        ([WebhookDrop()], []),
        ([WebhookDelay(60)], []),
    ],
)
async def test_however_events_come_the_facts_are_the_same(
    hr: BambooHR, sim: BambooHRSimulator, time: Time, faults: list[Any], kinds: list[str]
):
    """Doubled, reordered, lost or late: record and polling lead to the same facts."""
    shelf = await subscribed(hr)
    before = time.clock.now()
    jane = sim.hire("Jane", "Doe", "jane.doe@acme.example", "2026-02-02")
    sim.change(jane, "hireDate", "2026-03-02")
    sim.change(jane, "hireDate", "2026-02-16")
    for fault in faults:
        sim.fail("*", fault)
    hints = await delivered(hr, sim, shelf)
    assert [hint.kind for hint in hints] == kinds
    assert len({hint.event for hint in hints}) == min(len(kinds), 3)
    polled = await hr.changed(before)
    told = {hint.employee for hint in (*hints, *polled.hints)}
    assert jane in told
    employee = await hr.read_employee(jane)
    assert employee is not None
    starts, _ = facts_of(employee, today=date(2026, 1, 5))
    assert starts.effective_on == date(2026, 2, 16)


async def test_a_delayed_event_comes_later(hr: BambooHR, sim: BambooHRSimulator, time: Time):
    """What is late is delivered once its time has come, and still verifies."""
    shelf = await subscribed(hr)
    sim.hire("Jane", "Doe")
    sim.fail("*", WebhookDelay(60))
    assert await delivered(hr, sim, shelf) == []
    time.move(timedelta(seconds=60))
    assert [hint.kind for hint in await delivered(hr, sim, shelf)] == ["created"]


async def test_polling_goes_on_where_it_ended(hr: BambooHR, sim: BambooHRSimulator, time: Time):
    """A change is told again within the overlap of five minutes, and not after it."""
    time.move(timedelta(hours=1))
    began = time.clock.now()
    jane = sim.hire("Jane", "Doe")
    first = await hr.changed(began)
    assert [(hint.employee, hint.kind) for hint in first.hints] == [(jane, "created")]
    again = await hr.changed(first.until)
    assert again.hints == first.hints
    time.move(timedelta(minutes=6))
    sim.remove(sim.hire("Joe", "Roe"))
    later = await hr.changed(time.clock.now())
    assert [hint.kind for hint in later.hints] == ["deleted"]


async def test_a_forged_or_old_event_is_refused(hr: BambooHR, sim: BambooHRSimulator, time: Time):
    """One byte, another key, an old time or none: the message is not accepted."""
    shelf = await subscribed(hr)
    sim.hire("Jane", "Doe")
    sent: list[tuple[dict[str, str], bytes]] = []

    async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
        sent.append(({name.lower(): value for name, value in headers.items()}, body))
        return 202

    await sim.deliver(post)
    ((headers, body),) = sent
    key = shelf.secrets["newel"]
    assert hr.verified(headers, body, key)
    wrong = [
        (headers, body.replace(b"created", b"deleted"), key),
        (headers, body, Secret("another")),
        ({**headers, "x-bamboohr-timestamp": "now"}, body, key),
        ({**headers, "x-bamboohr-signature": ""}, body, key),
    ]
    for forged, raw, used in wrong:
        with pytest.raises(SignatureInvalid):
            hr.verified(forged, raw, used)
    time.move(timedelta(minutes=6))
    with pytest.raises(SignatureInvalid, match="five minutes"):
        hr.verified(headers, body, key)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"type":"employee.created","data":{}}'])
def test_what_is_no_event_is_refused(raw: bytes):
    """A body that tells of no employee is no event."""
    with pytest.raises(InvalidInput):
        hints_of(raw)


def test_events_of_both_families_are_read():
    """Events with fields have no id of their own: the same content has the same name."""
    raw = b'{"employees":[{"id":"5","action":"Updated"},{"id":"6","action":"Created"}]}'
    spaced = raw.replace(b":", b": ")
    assert hints_of(raw) == hints_of(spaced)
    assert [(hint.employee, hint.kind) for hint in hints_of(raw)] == [
        ("5", "updated"),
        ("6", "created"),
    ]


async def test_a_subscription_is_made_once(hr: BambooHR, sim: BambooHRSimulator, time: Time):
    """Subscribing and ending each change something once and nothing the second time."""
    shelf, seen = Kept(), []
    for _ in range(2):
        with attempt(time) as observed:
            await hr.subscribe.called("newel", HOOK, shelf)
        seen.append(effect_of(observed).changed)
    for _ in range(2):
        with attempt(time) as observed:
            await hr.end_subscription.called("newel")
        seen.append(effect_of(observed).changed)
    assert seen == [True, False, True, False]
    assert "T_HR_KEY" not in repr(shelf.secrets) and "***" in repr(shelf.secrets)


async def test_a_subscription_whose_key_was_lost_is_made_anew(
    hr: BambooHR, sim: BambooHRSimulator, time: Time
):
    """The answer with the key is lost: the useless subscription is ended, one with a key stays."""
    shelf = Kept()
    sim.fail(CREATE_WEBHOOK.operation, LoseResponse(), times=1)
    await raised(hr.subscribe("newel", HOOK, shelf), OutcomeUnknown)
    assert hr.subscribe.verify is not None
    with attempt(time, intended=START):
        assert await hr.subscribe.verify("newel", HOOK, shelf) == Absent()
    await hr.subscribe("newel", HOOK, shelf)
    (hook,) = sim.store.rows("webhooks").values()
    assert shelf.secrets["newel"].reveal() == hook["privateKey"]


async def test_an_employee_is_entered_once(hr: BambooHR, sim: BambooHRSimulator, time: Time):
    """Entering somebody twice makes one record; a lost answer is found in the directory."""
    sim.fail(CREATE_EMPLOYEE.operation, LoseResponse(), times=1)
    await raised(hr.ensure_employee(JANE, starts_on=date(2026, 2, 2)), OutcomeUnknown)
    assert hr.ensure_employee.verify is not None
    with attempt(time):
        verdict = await hr.ensure_employee.verify(JANE)
    assert isinstance(verdict, Found)
    assert await hr.ensure_employee(JANE) == verdict.value
    assert sim.assert_exactly_once("employee/jane.doe@acme.example").effect_key == "4711"


async def test_an_employee_cut_off_is_entered_again(
    hr: BambooHR, sim: BambooHRSimulator, time: Time
):
    """Nothing arrived: absent after the last settle time, and the redo makes one record."""
    sim.fail(CREATE_EMPLOYEE.operation, ResetBefore(), times=1)
    await raised(hr.ensure_employee(JANE), OutcomeUnknown)
    assert hr.ensure_employee.verify is not None
    with attempt(time, intended=START):
        await raised(hr.ensure_employee.verify(JANE), NotReady)
    time.move(timedelta(seconds=30))
    with attempt(time, intended=START):
        assert await hr.ensure_employee.verify(JANE) == Absent()
    await hr.ensure_employee(JANE)
    sim.assert_exactly_once("employee/jane.doe@acme.example")


async def test_a_refused_number_is_no_existing_record(hr: BambooHR, sim: BambooHRSimulator):
    """409 alone is no record of hers: somebody else has the number, and she has none."""
    other = sim.hire("Joe", "Roe", "joe.roe@acme.example")
    sim.change(other, "employeeNumber", "4711")
    refused = await raised(hr.ensure_employee(JANE), Invalid)
    assert refused.status == 409


async def test_a_record_at_her_address_is_hers_by_its_number(
    hr: BambooHR, sim: BambooHRSimulator, monkeypatch: pytest.MonkeyPatch
):
    """Of another number it is somebody else's; of none it is nobody's unless she has reserved."""
    record = sim.hire("Jane", "O'Doe 🌻", JANE.email)
    sim.change(record, "employeeNumber", None)
    assert (await hr.ensure_employee(JANE)).id == record
    monkeypatch.setattr(Owning, "_book", None)
    unmarked = await raised(hr.ensure_employee(JANE), OwnershipConflict)
    assert (unmarked.external_id, unmarked.shown) == (record, ("It has no employee number.",))
    sim.change(record, "employeeNumber", "4712")
    other = await raised(hr.ensure_employee(JANE), OwnershipConflict)
    assert (other.evidence, other.shown) == ("marker of another subject", None)
    sim.change(record, "employeeNumber", "4711")
    assert (await hr.ensure_employee(JANE)).id == record
    assert sim.mutations() == []


async def test_every_record_at_her_address_is_shown(hr: BambooHR, sim: BambooHRSimulator):
    """What may have been entered twice is looked for by address; who has left counts too."""
    ids = []
    for number, status in (("4711", "Active"), ("4712", "Inactive")):
        fields = {"firstName": "Jane", "lastName": "Doe", "workEmail": JANE.email.upper()}
        ids.append(sim.new_employee({**fields, "employeeNumber": number, "status": status})["id"])
    sim.new_employee({"firstName": "Jane", "lastName": "Doe", "workEmail": "other@acme.example"})
    assert [each.id for each in await hr.doubles(JANE)] == ids
    assert declared(hr.ensure_employee).doubles == "doubles"
    assert sim.mutations() == []


async def test_everybody_is_listed(hr: BambooHR, sim: BambooHRSimulator):
    """Who works here, who has left, and who has no address; HR is changed by nobody."""
    before = {each.account.id async for each in hr.accounts()}
    ida = sim.hire("Ida", "O'Neil 🌻", "ida@acme.example")
    unknown = sim.hire("Max", "Roe")
    left = sim.hire("Leo", "Late", "leo@acme.example")
    sim.change(left, "status", "Inactive")
    found = {each.account.id: each async for each in hr.accounts() if each.account.id not in before}
    assert {key: each.account.state for key, each in found.items()} == {
        ida: "active", unknown: "active", left: "suspended"
    }  # fmt: skip
    assert [each.account.email for each in found.values()] == [
        "ida@acme.example", "", "leo@acme.example"
    ]  # fmt: skip
    assert {each.entitlements for each in found.values()} == {("bamboohr:account",)}
    assert sim.mutations() == []


async def test_a_row_is_added_once(hr: BambooHR, sim: BambooHRSimulator, time: Time):
    """Rows have no key: date and contents tell whether one is there, after a lost answer too."""
    jane = sim.hire("Jane", "Doe")
    arguments = (jane, "jobInfo", date(2026, 2, 2), {"jobTitle": "Engineer"})
    sim.fail(ADD_ROW.operation, LoseResponse(), times=1)
    await raised(hr.ensure_row(*arguments), OutcomeUnknown)
    with attempt(time) as observed:
        await hr.ensure_row.called(*arguments)
    assert not effect_of(observed).changed
    await hr.ensure_row(jane, "jobInfo", date(2026, 8, 1), {"jobTitle": "Lead"})
    assert len(sim.store.rows("jobInfo")) == 2


@pytest.mark.parametrize("lost", ["field:hireDate", "field:employeeNumber", "employee_directory"])
async def test_check_names_what_is_missing(hr: BambooHR, sim: BambooHRSimulator, lost: str):
    """The check passes with all permissions and names the one that is gone, as reading does."""
    assert (await hr.check()).ok
    sim.fail("*", RemoveScope(lost))
    check = await hr.check()
    assert (check.ok, check.missing) == (False, (lost,))
    if lost.startswith("field:"):
        refused = await raised(hr.read_employee("1"), Forbidden)
        assert refused.missing == lost


@pytest.mark.parametrize(
    ("operation", "effect", "kind"),
    [
        (CREATE_EMPLOYEE.operation, Throttle(30), Throttled),
        (CREATE_EMPLOYEE.operation, Throttle(None, "account"), Throttled),
        (CREATE_EMPLOYEE.operation, Status(500), OutcomeUnknown),
        (CREATE_EMPLOYEE.operation, Status(201), ContractDrift),
        (CREATE_EMPLOYEE.operation, RemoveScope("employees.write"), Forbidden),
        (DIRECTORY.operation, Status(500), Transient),
        (DIRECTORY.operation, RetypeField("employees"), None),
        (DIRECTORY.operation, Down(), Transient),
        ("*", RevokeToken(), AuthFailed),
    ],
)
async def test_faults_have_their_class(
    hr: BambooHR,
    sim: BambooHRSimulator,
    operation: str,
    effect: Any,
    kind: type[StepError] | None,
):
    """Each fault leaves as the class that is prescribed for it, without the address."""
    sim.fail(operation, effect)
    failed = await raised(hr.ensure_employee(JANE), StepError)
    assert type(failed) is (kind or ContractDrift)
    assert "jane" not in str(failed).lower()


def answered(status: int, said: str = "", *, route: Any = CREATE_EMPLOYEE, **more: str) -> Answer:
    """Make an answer with BambooHR's header."""
    headers = {"x-bamboohr-error-message": said}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    return Answer(route, status, headers, b"" if status >= 400 else json.dumps({}).encode())


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (answered(201), None),
        (answered(400, "wrong"), Invalid),
        (answered(401), AuthFailed),
        (answered(403), Forbidden),
        (answered(404, route=EMPLOYEE), NotReady),
        (answered(406), Invalid),
        (answered(409, "is in use"), Invalid),
        (answered(412), Invalid),
        (answered(429, retry_after="9"), Throttled),
        (answered(500), OutcomeUnknown),
        (answered(500, route=DELETE_WEBHOOK), Transient),
        (answered(503), Throttled),
        (answered(301), ContractDrift),
    ],
)
def test_answers_have_their_class(answer: Answer, kind: type[StepError] | None):
    """BambooHR's answers are classed by status; 503 is throttling."""
    verdict = BambooHR.judged(answer)
    assert (type(verdict) if verdict else None) is kind
