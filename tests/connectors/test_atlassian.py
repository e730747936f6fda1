from __future__ import annotations

from datetime import timedelta

import pytest

from newel.base.errors import AuthFailed, Forbidden, Invalid, OutcomeUnknown, StepError, Throttled
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.atlassian import SUSPEND, USERS, Atlassian
from newel.connectors.jira import Jira
from newel.domain.values import Account, Found
from newel.simulators.faults import LoseResponse, RemoveScope, RevokeToken, Throttle
from newel.simulators.jira import JiraSimulator
from newel.testing.transport import SimulatorTransport
from tests.connectors.support import JANE, START, Time, agreed, attempt, effect_of, raised


@pytest.fixture
def sim(time: Time) -> JiraSimulator:
    """Jira with one seat a product."""
    return JiraSimulator(seed=7, clock=time.world, sleep=time.pause, page_size=3, seats=1)


def secret(sim: JiraSimulator, name: str, monkeypatch: pytest.MonkeyPatch) -> SecretRef:
    """Put a secret of the simulator into the environment."""
    monkeypatch.setenv(f"T_{name}", sim.credentials()[name])
    reference = SecretRef(f"env:T_{name}")
    reference.resolve(fresh=True)
    return reference


@pytest.fixture
def jira(sim: JiraSimulator, time: Time, monkeypatch: pytest.MonkeyPatch) -> Jira:
    """Connect to the site."""
    given = sim.credentials()
    return Jira(
        email=given["JIRA_EMAIL"],
        token=secret(sim, "JIRA_TOKEN", monkeypatch),
        base_url=given["JIRA_URL"],
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )


@pytest.fixture(params=[False, True], ids=["access", "managed"])
def atlassian(
    request: pytest.FixtureRequest,
    sim: JiraSimulator,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> Atlassian:
    """Connect to the organization, in both of its ways."""
    return Atlassian(
        organization=sim.credentials()["ATLASSIAN_ORGANIZATION"],
        key=secret(sim, "ATLASSIAN_KEY", monkeypatch),
        managed=request.param,
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )


async def test_suspending_is_done_once_undone_once_and_frees_the_seat(
    atlassian: Atlassian, jira: Jira, sim: JiraSimulator, time: Time
):
    """Each changes something once; groups stay; the seat is another's meanwhile."""
    account = await jira.ensure_account(JANE)
    groups = sim.groups_of(account.id)
    sim.book.clear()
    seen = []
    for operation in (atlassian.suspend, atlassian.restore):
        for _ in range(2):
            with attempt(time) as observed:
                shown = await operation.called(account)
            effect = effect_of(observed)
            seen.append((effect.changed, effect.access, shown.state))
        if operation is atlassian.suspend:
            assert await jira.find(JANE) is None
            assert sim.used_seats("jira-software") == 0
    assert seen == [
        (True, "suspended", "suspended"),
        (False, "suspended", "suspended"),
        (True, "active", "active"),
        (False, "active", "active"),
    ]
    assert len(sim.mutations()) == 2
    assert sim.groups_of(account.id) == groups


async def test_a_lost_suspension_is_found(
    atlassian: Atlassian, jira: Jira, sim: JiraSimulator, time: Time
):
    """The answer is lost: looking finds them locked out, and nothing is sent again."""
    account = await jira.ensure_account(JANE)
    for route in ("suspendUser", "disableUser"):
        sim.fail(route, LoseResponse(), times=1)
    await raised(atlassian.suspend(account), OutcomeUnknown)
    sim.book.clear()
    assert atlassian.suspend.verify is not None
    with attempt(time, follows_doubt=True):
        assert isinstance(await atlassian.suspend.verify(account), Found)
    assert sim.mutations() == []


async def test_what_is_suspended_is_the_access_to_jira(atlassian: Atlassian):
    """Keys begin with the connector's own name, grants with that of the Jira it belongs to."""
    assert atlassian.suspend.name == "atlassian.suspend"
    assert atlassian.suspend.options.revokes == "jira:account"
    assert atlassian.suspend.options.system == "jira"


async def test_the_check_proves_the_key(atlassian: Atlassian, sim: JiraSimulator):
    """A good key passes, one with scopes is named as too small, a revoked one is refused."""
    assert (await atlassian.check()).ok
    sim.fail("*", RemoveScope("org:admin"))
    check = await atlassian.check()
    assert (check.ok, check.missing) == (False, ("organization admin API key",))
    sim.heal()
    sim.fail("*", RevokeToken())
    await raised(atlassian.check(), AuthFailed)


async def test_the_keys_of_site_and_organization_open_nothing_of_each_other(
    sim: JiraSimulator, time: Time, monkeypatch: pytest.MonkeyPatch
):
    """The organization's key is refused at the site, and a scoped token at the site's address."""
    given = sim.credentials()
    for token, base_url, opens in (
        ("ATLASSIAN_KEY", given["JIRA_URL"], False),
        ("JIRA_SCOPED_TOKEN", given["JIRA_URL"], False),
        (
            "JIRA_SCOPED_TOKEN",
            f"https://api.atlassian.com/ex/jira/{given['JIRA_CLOUD_ID']}",
            True,
        ),
    ):
        jira = Jira(
            email=given["JIRA_EMAIL"],
            token=secret(sim, token, monkeypatch),
            base_url=base_url,
            transport=agreed(sim) if not opens else plain(sim),
            clock=time.clock,
            pause=time.pause,
        )
        if opens:
            assert (await jira.check()).ok
        else:
            await raised(jira.check(), AuthFailed)


def plain(sim: JiraSimulator) -> SimulatorTransport:
    """Reach the simulator without a judge: the specification knows the site's address only."""
    return SimulatorTransport(sim)


async def test_somebody_unknown_is_locked_out_already_and_cannot_be_let_in(atlassian: Atlassian):
    """Suspending who is not there is done; restoring them is wrong input."""
    nobody = Account(system="jira", id="712020:nobody", handle="nobody")
    assert (await atlassian.suspend(nobody)).state == "suspended"
    await raised(atlassian.restore(nobody), Invalid)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"{}", None),
        (401, b'{"errors": [{"title": "Unauthorized"}]}', AuthFailed),
        (403, b'{"errors": [{"detail": "no"}]}', Forbidden),
        (404, b'{"errorKey": "x", "errorDetail": "no such"}', Invalid),
        (429, b"", Throttled),
    ],
)
def test_answers_of_the_organization_have_their_class(
    status: int, body: bytes, kind: type[StepError] | None
):
    """Each answer has the class that is prescribed for it."""
    judged = Atlassian.judged(Answer(SUSPEND, status, {}, body))
    assert judged is None if kind is None else type(judged) is kind


async def test_a_limit_of_the_organization_holds_its_own_key_only(
    atlassian: Atlassian, jira: Jira, sim: JiraSimulator, time: Time
):
    """Throttling above the site does not hold back the site's credential."""
    account = await jira.ensure_account(JANE)
    for route in (USERS.operation, "getManagedProfile"):
        sim.fail(route, Throttle(30), times=1)
    await raised(atlassian.suspend(account), Throttled)
    assert await jira.find(JANE) is not None
    blocked = await raised(atlassian.suspend(account), Throttled)
    assert blocked.retry_at == START + timedelta(seconds=30)
