from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from newel.base.errors import (
    AuthFailed,
    ContractDrift,
    Forbidden,
    Invalid,
    NoCapacity,
    NotReady,
    OutcomeUnknown,
    OwnershipConflict,
    StepError,
    Throttled,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.google import Google
from newel.connectors.google_contract import (
    GET_USER,
    INSERT_LICENCE,
    INSERT_MEMBER,
    INSERT_USER,
    LICENCE_SCOPE,
    LIST_USERS,
    SCOPES,
    SIGN_OUT,
    TOKEN,
    UPDATE_USER,
)
from newel.domain.people import Person
from newel.domain.values import Absent, Found
from newel.simulators.faults import (
    Down,
    DropField,
    ExpireToken,
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
from newel.simulators.faults import NotReady as Unready
from newel.simulators.google import GoogleSimulator
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

INSERT = INSERT_USER.operation


@pytest.fixture
def sim(time: Time) -> GoogleSimulator:
    """Google Workspace on the standing clock."""
    return GoogleSimulator(seed=7, clock=time.world, sleep=time.pause, page_size=3)


@pytest.fixture
def google(sim: GoogleSimulator, time: Time, monkeypatch: pytest.MonkeyPatch) -> Google:
    """Connect to it."""
    given = sim.credentials()
    monkeypatch.setenv("T_GOOGLE_KEY", given["GOOGLE_SERVICE_ACCOUNT"])
    SecretRef("env:T_GOOGLE_KEY").resolve(fresh=True)
    return Google(
        service_account=SecretRef("env:T_GOOGLE_KEY"),
        admin=given["GOOGLE_ADMIN"],
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )


async def test_an_account_is_prepared_activated_and_withdrawn(
    google: Google, sim: GoogleSimulator, time: Time
):
    """Each switch of the account changes something once and nothing the second time."""
    seen = []
    for call in (
        lambda: google.ensure_account.called(JANE, suspended=True),
        lambda: google.activate.called(JANE),
        lambda: google.suspend.called(JANE),
        lambda: google.restore.called(JANE),
        lambda: google.suspend.called(JANE),
        lambda: google.withdraw_account.called(JANE),
    ):
        for _ in range(2):
            with attempt(time) as observed:
                account = await call()
            effect = effect_of(observed)
            seen.append((effect.changed, effect.access, account.state))
    assert seen == [
        (True, "prepared", "suspended"),
        (False, "prepared", "suspended"),
        (True, "active", "active"),
        (False, "active", "active"),
        (True, "suspended", "suspended"),
        (False, "suspended", "suspended"),
        (True, "active", "active"),
        (False, "active", "active"),
        (True, "suspended", "suspended"),
        (False, "suspended", "suspended"),
        (True, "revoked", "absent"),
        (False, "revoked", "absent"),
    ]
    assert len(sim.mutations()) == 6


async def test_a_used_account_is_suspended_instead_of_deleted(google: Google, sim: GoogleSimulator):
    """Withdrawing an account somebody has logged in to keeps what is in it."""
    await google.ensure_account(JANE)
    sim.log_in(JANE.email)
    assert (await google.withdraw_account(JANE)).state == "suspended"
    assert len(sim.accounts()) == 2


async def test_the_account_carries_the_mark_from_the_start(google: Google, sim: GoogleSimulator):
    """The creating request carries the employee number."""
    await google.ensure_account(JANE)
    call = sim.assert_exactly_once("account/jane.doe@acme.example")
    assert call.effect_key == "4711"


async def test_a_second_run_does_not_suspend_somebody_who_works(
    google: Google, sim: GoogleSimulator
):
    """Preparing an account that is active already leaves it active."""
    await google.ensure_account(JANE)
    account = await google.ensure_account(JANE, suspended=True)
    assert account.state == "active"
    assert len(sim.mutations()) == 1


async def test_somebody_elses_account_is_never_touched(google: Google, sim: GoogleSimulator):
    """Another marker and no marker are both a conflict, and nothing is changed."""
    await google.ensure_account(OTHER_JANE)
    conflict = await raised(google.ensure_account(JANE), OwnershipConflict)
    assert conflict.evidence == "marker of another subject"
    sim.create_by_hand("john.roe@acme.example")
    john = Person(name="John Roe", email="john.roe@acme.example", ref="per_john")
    conflict = await raised(google.ensure_account(john), OwnershipConflict)
    assert conflict.evidence == "no marker"
    await raised(google.suspend(john), OwnershipConflict)
    assert len(sim.mutations()) == 1


async def test_a_person_without_any_mark_gets_no_account(google: Google, sim: GoogleSimulator):
    """An account that could not be attributed is not made."""
    await raised(
        google.ensure_account(Person(name="No One", email="no.one@acme.example")),
        OwnershipConflict,
    )
    assert sim.mutations() == []


async def test_a_lost_answer_is_found(google: Google, sim: GoogleSimulator, time: Time):
    """The answer to the creation is lost: verify finds the account by its mark."""
    sim.fail(INSERT, LoseResponse(), times=1)
    await raised(google.ensure_account(JANE), OutcomeUnknown)
    assert google.ensure_account.verify is not None
    with attempt(time) as observed:
        verdict = await google.ensure_account.verify(JANE)
    assert isinstance(verdict, Found)
    assert effect_of(observed).evidence == "marker, found after unknown outcome"
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_a_lagging_directory_is_waited_for(google: Google, sim: GoogleSimulator, time: Time):
    """With the directory 40 s behind, doubt ends at 60 s with the one account there is."""
    sim.fail("*", Lag("google.user", 40))
    sim.fail(INSERT, LoseResponse(), times=1)
    await raised(google.ensure_account(JANE), OutcomeUnknown)
    assert google.ensure_account.verify is not None
    moments = []
    verdict = None
    while verdict is None:
        with attempt(time, intended=START):
            try:
                verdict = await google.ensure_account.verify(JANE)
            except NotReady as early:
                if early.retry_at is None:
                    raise
                moments.append((early.retry_at - START).total_seconds())
                time.clock.move_to(early.retry_at)
                time.world.set(early.retry_at)
    assert moments == [15, 30, 60]
    assert isinstance(verdict, Found)
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_a_request_that_was_cut_is_redone(google: Google, sim: GoogleSimulator, time: Time):
    """Nothing arrived: absent after the last settle time, and the redo makes one account."""
    sim.fail(INSERT, ResetBefore(), times=1)
    await raised(google.ensure_account(JANE), OutcomeUnknown)
    time.move(timedelta(seconds=61))
    assert google.ensure_account.verify is not None
    with attempt(time, intended=START):
        assert await google.ensure_account.verify(JANE) == Absent()
    with attempt(time, intended=START, follows_doubt=True):
        await google.ensure_account.called(JANE)
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_an_address_said_to_exist_and_not_shown_is_told_apart_by_time(
    google: Google, sim: GoogleSimulator, time: Time
):
    """At first "exists" is taken for lag; after the settle times it is a conflict."""
    sim.fail(INSERT, VendorError("duplicate"))
    with attempt(time):
        early = await raised(google.ensure_account.called(JANE), NotReady)
    assert early.retry_at == START + timedelta(seconds=60)
    with attempt(time, intended=START - timedelta(seconds=60)):
        conflict = await raised(google.ensure_account.called(JANE), OwnershipConflict)
    assert conflict.evidence == "exists but cannot be read"


async def test_one_token_serves_an_hour(google: Google, sim: GoogleSimulator, time: Time):
    """A token is fetched once and again shortly before it expires."""
    await google.probe()
    await google.probe()
    assert len(sim.calls(TOKEN.operation)) == 1
    time.move(timedelta(minutes=59))
    await google.probe()
    assert len(sim.calls(TOKEN.operation)) == 2


async def test_a_refused_token_is_renewed_once(google: Google, sim: GoogleSimulator):
    """A stale token is fetched anew and the request repeated; a second refusal is the end."""
    await google.probe()
    sim.fail("directory.users.list", ExpireToken(), times=1)
    await google.probe()
    assert len(sim.calls(TOKEN.operation)) == 2
    sim.fail("directory.users.list", ExpireToken())
    await raised(google.probe(), AuthFailed)
    assert len(sim.calls("directory.users.list")) == 5


async def test_a_wrong_clock_is_named(google: Google, time: Time):
    """An assertion refused because our clock is wrong says by how much."""
    time.world.advance(timedelta(hours=2))
    refused = await raised(google.probe(), AuthFailed)
    assert "-7200 s" in str(refused)


async def test_the_check_tells_what_works(google: Google):
    """A good credential is checked with its scopes, the customer's id and what it is capable of."""
    check = await google.check()
    assert (check.ok, check.have, check.missing) == (True, SCOPES, ())
    assert check.capabilities == ("google.data_transfer", "google.licensing")
    assert check.notes == ("The customer's id is C01acme7x.",)


async def test_a_missing_delegation_is_named(google: Google, sim: GoogleSimulator):
    """The check fails with exactly the scope that is not delegated."""
    sim.undelegate(LICENCE_SCOPE)
    check = await google.check()
    assert (check.ok, check.missing) == (False, (LICENCE_SCOPE,))
    assert set(check.have) == set(SCOPES) - {LICENCE_SCOPE}


async def test_a_refused_key_misses_no_scope(google: Google, sim: GoogleSimulator, time: Time):
    """A credential that is refused as a whole is not reported as a missing scope."""
    time.world.advance(timedelta(hours=2))
    check = await google.check()
    assert (check.ok, check.have, check.missing) == (False, (), ())


async def test_the_key_stays_inside(google: Google, sim: GoogleSimulator, time: Time):
    """Neither key, nor token, nor password shows in connector, calls or errors."""
    sim.fail(INSERT, Status(400))
    with attempt(time) as observed:
        failed = await raised(google.ensure_account.called(JANE), Invalid)
    text = " ".join([repr(vars(google)), repr(observed), str(failed), repr(failed.facts())])
    key = sim.credentials()["GOOGLE_SERVICE_ACCOUNT"]
    assert "PRIVATE KEY" not in text
    assert "ya29." not in text
    assert key[60:100] not in text


@pytest.mark.parametrize(
    ("operation", "effect", "kind"),
    [
        (INSERT, Throttle(), Throttled),
        (INSERT, Throttle(style="quota"), Throttled),
        (INSERT, Throttle(style="429"), Throttled),
        (INSERT, Seats(0), NoCapacity),
        (INSERT, Status(503), OutcomeUnknown),
        (INSERT, DropField("id"), ContractDrift),
        (INSERT, VendorError("forbidden"), Forbidden),
        (GET_USER.operation, VendorError("503"), Transient),
        (TOKEN.operation, LoseResponse(), Transient),
        (TOKEN.operation, Down(), Transient),
        ("*", RevokeToken(), AuthFailed),
    ],
)
async def test_faults_have_their_class(
    google: Google, sim: GoogleSimulator, operation: str, effect: Any, kind: type[StepError]
):
    """Each fault leaves as the class that is prescribed for it, without the address."""
    sim.fail(operation, effect)
    failed = await raised(google.ensure_account(JANE), StepError)
    assert type(failed) is kind
    assert "jane" not in str(failed)


async def test_a_missing_scope_is_named(google: Google, sim: GoogleSimulator):
    """A token without the scope is refused by the scope's name."""
    sim.fail("*", RemoveScope("https://www.googleapis.com/auth/admin.directory.user"))
    refused = await raised(google.ensure_account(JANE), Forbidden)
    assert refused.missing == "https://www.googleapis.com/auth/admin.directory.user"


async def test_an_unfinished_account_is_not_ready(google: Google, sim: GoogleSimulator):
    """A switch right after the creation is asked to wait."""
    await google.ensure_account(JANE)
    sim.fail("*", Unready(20))
    await raised(google.suspend(JANE), NotReady)


async def test_a_foreign_domain_is_invalid(google: Google):
    """An address outside the customer's domains is refused by its field."""
    stray = Person(name="Ann Other", email="ann@elsewhere.example", ref="per_ann")
    refused = await raised(google.ensure_account(stray), Invalid)
    assert list(refused.fields) == ["primaryEmail"]


def answered(status: int, reason: str, text: str = "", *, route: Any = UPDATE_USER) -> Answer:
    """Make an answer with Google's error envelope."""
    body = '{"error":{"code":%d,"message":"%s","errors":[{"reason":"%s"}]}}'
    return Answer(route, status, {}, (body % (status, text, reason)).encode())


@pytest.mark.parametrize(
    ("answer", "kind", "facts"),
    [
        (answered(200, ""), None, {}),
        (answered(401, "authError"), AuthFailed, {"code": "authError"}),
        (answered(403, "userRateLimitExceeded"), Throttled, {"retry_after": None}),
        (answered(403, "rateLimitExceeded"), Throttled, {}),
        (answered(403, "quotaExceeded"), Throttled, {"retry_after": timedelta(minutes=10)}),
        (answered(403, "forbidden"), Forbidden, {"reason": "permission"}),
        (answered(403, "insufficientPermissions"), Forbidden, {}),
        (answered(404, "notFound"), NotReady, {}),
        (answered(404, "notFound", "Domain not found.", route=LIST_USERS), Invalid, {}),
        (Answer(LIST_USERS, 404, {}, b"<html>Not Found</html>"), ContractDrift, {}),
        (answered(400, "invalid", "Invalid Password"), Invalid, {}),
        (answered(400, "", "User creation is not complete."), NotReady, {}),
        (answered(412, "conditionNotMet", "User creation is not complete."), NotReady, {}),
        (answered(412, "conditionNotMet", "Insufficient archived user licenses."), NoCapacity, {}),
        (
            answered(412, "conditionNotMet", "There are not enough", route=INSERT_LICENCE),
            NoCapacity,
            {},
        ),
        (
            answered(412, "conditionNotMet", "User already has a license", route=INSERT_LICENCE),
            Invalid,
            {"code": "already assigned"},
        ),
        (
            answered(403, "insufficientPermissions", route=SIGN_OUT),
            Forbidden,
            {"missing": "https://www.googleapis.com/auth/admin.directory.user.security"},
        ),
        (answered(429, "rateLimitExceeded"), Throttled, {"retry_after": None}),
        (answered(409, "duplicate"), Invalid, {"status": 409}),
        (
            answered(404, "notFound", "Resource Not Found: memberKey", route=INSERT_MEMBER),
            NotReady,
            {"status": 404},
        ),
        (answered(404, "notFound", "Domain not found.", route=INSERT_USER), Invalid, {}),
        (answered(400, "invalid", "Invalid Input: INVALID_OU_ID", route=INSERT_USER), Invalid, {}),
        (answered(412, "limitExceeded"), NoCapacity, {"what": "Google Workspace licences"}),
        (answered(503, "backendError"), Transient, {}),
        (answered(503, "backendError", route=INSERT_USER), OutcomeUnknown, {}),
        (answered(410, "gone"), ContractDrift, {}),
    ],
)
def test_answers_have_their_class(
    answer: Answer, kind: type[StepError] | None, facts: dict[str, object]
):
    """Google's answers are classed by their reason first, by status last."""
    verdict = Google.judged(answer)
    assert (type(verdict) if verdict else None) is kind
    assert {name: getattr(verdict, name) for name in facts} == facts
