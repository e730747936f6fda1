from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from newel.base.errors import (
    AuthFailed,
    ContractDrift,
    Forbidden,
    Invalid,
    NoCapacity,
    OutcomeUnknown,
    OwnershipConflict,
    StepError,
    Throttled,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.slack import Slack
from newel.connectors.slack_contract import (
    AUTH_TEST,
    LOOK_UP,
    SAY,
    SCIM_CHANGE,
    SCIM_CREATE,
    SCIM_FIND,
)
from newel.domain.values import Absent, Found, Unclear
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
from newel.simulators.slack import SlackSimulator
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

CREATE = SCIM_CREATE.operation


@pytest.fixture
def sim(time: Time) -> SlackSimulator:
    """Slack on the standing clock, with small pages."""
    return SlackSimulator(seed=7, clock=time.world, sleep=time.pause, page_size=3)


@pytest.fixture
def slack(sim: SlackSimulator, time: Time, monkeypatch: pytest.MonkeyPatch) -> Slack:
    """Connect to it."""
    monkeypatch.setenv("T_SLACK_TOKEN", sim.credentials()["SLACK_TOKEN"])
    SecretRef("env:T_SLACK_TOKEN").resolve(fresh=True)
    return Slack(
        token=SecretRef("env:T_SLACK_TOKEN"),
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )


def texts(sim: SlackSimulator) -> list[str]:
    """Give the texts of all messages."""
    return [message["text"] for message in sim.messages()]


# Accounts --------------------------------------------------------------------------------------


async def test_an_account_is_made_locked_and_opened_once(
    slack: Slack, sim: SlackSimulator, time: Time
):
    """Each switch of the account changes something once and nothing the second time."""
    seen, ids = [], set()
    for operation in (
        slack.ensure_account,
        slack.deactivate,
        slack.ensure_account,
        slack.deactivate,
        slack.reactivate,
    ):
        for _ in range(2):
            with attempt(time) as observed:
                account = await operation.called(JANE)
            effect = effect_of(observed)
            ids.add(account.id)
            seen.append((effect.changed, effect.access, account.state, effect.path))
    assert seen == [
        (changed, access, access, "scim")
        for access in ("active", "suspended", "active", "suspended", "active")
        for changed in (True, False)
    ]
    assert len(sim.mutations()) == 5
    assert len(ids) == 1


async def test_the_account_carries_the_mark_from_the_start(slack: Slack, sim: SlackSimulator):
    """The creating request carries the employee number as external id."""
    await slack.ensure_account(JANE)
    assert sim.assert_exactly_once("account/jane.doe@acme.example").effect_key == "4711"


async def test_somebody_elses_account_is_never_touched(slack: Slack, sim: SlackSimulator):
    """Another marker and no marker are both a conflict, and nothing is changed."""
    await slack.ensure_account(OTHER_JANE)
    conflict = await raised(slack.ensure_account(JANE), OwnershipConflict)
    assert conflict.evidence == "marker of another subject"
    sim.reset()
    sim.create_by_hand(JANE.email)
    conflict = await raised(slack.deactivate(JANE), OwnershipConflict)
    assert conflict.evidence == "no marker"
    assert sim.mutations() == []


async def test_a_lost_answer_is_found(slack: Slack, sim: SlackSimulator, time: Time):
    """The answer to the creation is lost: verify finds the account by its mark."""
    sim.fail(CREATE, LoseResponse(), times=1)
    await raised(slack.ensure_account(JANE), OutcomeUnknown)
    assert slack.ensure_account.verify is not None
    with attempt(time) as observed:
        assert isinstance(await slack.ensure_account.verify(JANE), Found)
    assert effect_of(observed).changed
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_a_request_that_was_cut_is_redone(slack: Slack, sim: SlackSimulator, time: Time):
    """Nothing arrived: absent after the settle time, and the redo makes one account."""
    sim.fail(CREATE, ResetBefore(), times=1)
    await raised(slack.ensure_account(JANE), OutcomeUnknown)
    assert slack.ensure_account.verify is not None
    with attempt(time):
        assert await slack.ensure_account.verify(JANE) == Absent()
    await slack.ensure_account(JANE)
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_an_existing_account_hidden_by_lag_is_found(
    slack: Slack, sim: SlackSimulator, time: Time
):
    """A search that lags behind is repeated when the system says that the account exists."""
    await slack.ensure_account(JANE)
    sim.fail("*", Lag("scim.filter", 3))
    with attempt(time) as observed:
        account = await slack.ensure_account.called(JANE)
    assert account.state == "active"
    assert not effect_of(observed).changed
    assert time.pauses == [5]
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_without_scim_the_account_is_made_by_hand(
    time: Time, monkeypatch: pytest.MonkeyPatch
):
    """On a plan without SCIM the step says what to do by hand, and `find` sees the result."""
    sim = SlackSimulator(seed=3, plan="pro", clock=time.world)
    monkeypatch.setenv("T_SLACK_PRO", sim.credentials()["SLACK_TOKEN"])
    slack = Slack(token=SecretRef("env:T_SLACK_PRO"), plan="pro", transport=agreed(sim))
    refused = await raised(slack.ensure_account(JANE), Forbidden)
    assert (refused.reason, sim.mutations()) == ("blocked", [])
    assert await slack.find(JANE) is None
    assert not await slack.accepted(JANE)
    sim.accept_in_slack(JANE.email)
    assert await slack.accepted(JANE)
    with attempt(time) as observed:
        account = await slack.ensure_account.called(JANE)
    effect = effect_of(observed)
    assert (account.state, effect.path, effect.evidence) == ("active", "by_hand", "derived")
    assert sim.mutations() == []


# Messages --------------------------------------------------------------------------------------


async def test_a_lost_message_is_found_in_the_history(
    slack: Slack, sim: SlackSimulator, time: Time
):
    """A message whose answer was lost is found by its key, behind later messages and pages."""
    sim.fail(SAY.operation, LoseResponse(), times=1)
    with attempt(time):
        await raised(slack.say.called("#general", "Welcome Jane!"), OutcomeUnknown)
    channel = sim.store.first("channels", lambda row: row["name"] == "general")
    assert channel is not None
    for number in range(5):
        sim.say(channel, f"Hello {number}", user="U1", metadata=None, blocks=None)
    assert slack.say.verify is not None
    with attempt(time, intended=START) as observed:
        verdict = await slack.say.verify("#general", "Welcome Jane!")
    assert isinstance(verdict, Found)
    assert effect_of(observed).changed
    assert texts(sim).count("Welcome Jane!") == 1


async def test_a_message_that_was_not_said_is_absent(slack: Slack, sim: SlackSimulator, time: Time):
    """After the settle time a message that never arrived counts as absent."""
    sim.fail(SAY.operation, ResetBefore(), times=1)
    with attempt(time):
        await raised(slack.say.called("#general", "Welcome!"), OutcomeUnknown)
    assert slack.say.verify is not None
    with attempt(time):
        assert await slack.say.verify("#general", "Welcome!") == Absent()
    assert time.pauses == [5]
    assert texts(sim) == []


async def test_without_the_history_nobody_can_tell(slack: Slack, sim: SlackSimulator, time: Time):
    """Without the scope to read the history, verify is unclear and the step repeats."""
    for scope in ("channels:history", "groups:history"):
        sim.fail("*", RemoveScope(scope))
    assert slack.say.verify is not None
    with attempt(time):
        assert isinstance(await slack.say.verify("#general", "Welcome!"), Unclear)
    assert slack.say.options.in_doubt == "repeat"


async def test_metadata_holds_an_opaque_key_only(slack: Slack, sim: SlackSimulator, time: Time):
    """What every app of the workspace can read names nobody."""
    with attempt(time):
        await slack.say.called("#general", "Welcome Jane!")
    (message,) = sim.messages()
    assert message["metadata"]["event_type"] == "newel"
    assert list(message["metadata"]["event_payload"]) == ["op_key"]
    assert len(message["metadata"]["event_payload"]["op_key"]) == 32


async def test_an_unknown_channel_is_invalid(slack: Slack, sim: SlackSimulator):
    """A channel that does not exist is refused; nothing is said."""
    await raised(slack.say("#nowhere", "Hello"), Invalid)
    assert texts(sim) == []


# The rest --------------------------------------------------------------------------------------


async def test_check_names_missing_scopes(slack: Slack, sim: SlackSimulator):
    """The check passes with the scopes of the inventory and names the one that is gone."""
    check = await slack.check()
    assert (check.ok, check.capabilities) == (True, ("slack.scim",))
    sim.fail("*", RemoveScope("chat:write"))
    check = await slack.check()
    assert (check.ok, check.missing) == (False, ("chat:write",))


async def test_a_missing_scope_is_named(slack: Slack, sim: SlackSimulator):
    """Slack names the scope; SCIM does not, so the operation's need is named."""
    sim.fail("*", RemoveScope("chat:write"))
    sim.fail("*", RemoveScope("admin"))
    said = await raised(slack.say("#general", "Hello"), Forbidden)
    made = await raised(slack.ensure_account(JANE), Forbidden)
    assert (said.missing, made.missing) == ("chat:write", "admin")


async def test_secrets_stay_inside(slack: Slack, sim: SlackSimulator, time: Time):
    """Neither the connector, nor its calls, nor its errors show token or address."""
    sim.fail(SCIM_FIND.operation, Status(400, body={"detail": "bad jane.doe@acme.example"}))
    with attempt(time) as observed:
        failed = await raised(slack.ensure_account.called(JANE), Invalid)
    token = sim.credentials()["SLACK_TOKEN"]
    text = " ".join([repr(vars(slack)), repr(observed), str(failed), repr(failed.facts())])
    assert token not in text
    assert "jane.doe@" not in text


@pytest.mark.parametrize(
    ("operation", "effect", "kind"),
    [
        (CREATE, Throttle(30), Throttled),
        (CREATE, Status(503), OutcomeUnknown),
        (CREATE, DropField("active"), ContractDrift),
        (CREATE, RemoveScope("admin"), Forbidden),
        (SCIM_FIND.operation, Status(500), Transient),
        (SCIM_FIND.operation, Down(), Transient),
        ("*", RevokeToken(), AuthFailed),
    ],
)
async def test_faults_of_scim_have_their_class(
    slack: Slack, sim: SlackSimulator, operation: str, effect: Any, kind: type[StepError]
):
    """Each fault of SCIM leaves as the class that is prescribed for it."""
    sim.fail(operation, effect)
    failed = await raised(slack.ensure_account(JANE), StepError)
    assert type(failed) is kind
    assert "jane" not in str(failed)


@pytest.mark.parametrize(
    ("effect", "kind"),
    [
        (Throttle(30), Throttled),
        (Throttle(style="body"), Throttled),
        (VendorError("internal_error"), OutcomeUnknown),
        (VendorError("fatal_error"), OutcomeUnknown),
        (VendorError("service_unavailable"), Transient),
        (VendorError("is_archived"), Invalid),
        (VendorError("not_in_channel"), Forbidden),
        (VendorError("message_limit_exceeded"), NoCapacity),
        (VendorError("an_error_of_tomorrow"), ContractDrift),
        (Status(502), OutcomeUnknown),
        (DropField("ts"), ContractDrift),
        (RevokeToken(), AuthFailed),
    ],
)
async def test_faults_of_messages_have_their_class(
    slack: Slack, sim: SlackSimulator, effect: Any, kind: type[StepError]
):
    """Each fault of the Web API leaves as the class that is prescribed for it."""
    sim.fail(SAY.operation, effect)
    failed = await raised(slack.say("#general", "Hello"), StepError)
    assert type(failed) is kind


async def test_a_limit_stated_in_the_body_alone_lasts_thirty_seconds(
    slack: Slack, sim: SlackSimulator
):
    """`ratelimited` on HTTP 200 without a header means thirty seconds."""
    sim.fail(SAY.operation, Throttle(style="body"), times=1)
    limited = await raised(slack.say("#general", "Hello"), Throttled)
    assert limited.retry_at == START + timedelta(seconds=30)
    assert limited.bucket == "slack.post:#general"


def answered(document: dict[str, Any], *, status: int = 200, route: Any = SAY) -> Answer:
    """Make an answer."""
    return Answer(route, status, {}, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("answer", "kind", "facts"),
    [
        (answered({"ok": True}), None, {}),
        (answered({"ok": False, "error": "invalid_auth"}), AuthFailed, {"code": "invalid_auth"}),
        (answered({"ok": False, "error": "account_inactive"}), AuthFailed, {}),
        (
            answered({"ok": False, "error": "missing_scope", "needed": "chat:write"}),
            Forbidden,
            {"missing": "chat:write", "reason": "permission"},
        ),
        (answered({"ok": False, "error": "not_an_admin"}), Forbidden, {"reason": "permission"}),
        (answered({"ok": False, "error": "restricted_action"}), Forbidden, {"reason": "blocked"}),
        (
            answered({"ok": False, "error": "rate_limited"}),
            Throttled,
            {"retry_after": timedelta(seconds=30)},
        ),
        (answered({"ok": False, "error": "fatal_error"}), OutcomeUnknown, {}),
        (answered({"ok": False, "error": "fatal_error"}, route=LOOK_UP), Transient, {}),
        (answered({"ok": False, "error": "request_timeout"}), Transient, {}),
        (answered({"ok": False, "error": "invalid_arguments"}), Invalid, {}),
        (answered({"ok": False}), ContractDrift, {}),
        (answered({"ok": False, "error": "no_such"}, route=AUTH_TEST), ContractDrift, {}),
        (answered({"detail": "missing_scope"}, status=403, route=SCIM_CREATE), Forbidden, {}),
        (answered({"detail": "username_taken"}, status=409, route=SCIM_CREATE), Invalid, {}),
        (answered({}, status=500, route=SCIM_CHANGE), Transient, {}),
        (answered({}, status=500, route=SCIM_CREATE), OutcomeUnknown, {}),
    ],
)
def test_answers_have_their_class(
    answer: Answer, kind: type[StepError] | None, facts: dict[str, object]
):
    """Slack's answers are classed by `error`, those of SCIM by their status."""
    verdict = Slack.judged(answer)
    assert (type(verdict) if verdict else None) is kind
    assert {name: getattr(verdict, name) for name in facts} == facts


async def test_a_channel_may_be_named_by_its_id(slack: Slack, sim: SlackSimulator, time: Time):
    """An id is used as it stands, without listing channels."""
    with attempt(time):
        await slack.say.called("C0ACME00001", "Hello")
        assert slack.say.verify is not None
        assert isinstance(await slack.say.verify("C0ACME00001", "Hello"), Found)
    assert sim.calls("conversations.list") == []


async def test_find_shows_whoever_has_the_address(slack: Slack, sim: SlackSimulator):
    """A look-up tells of any account at the address, ours or not, and changes nothing."""
    assert await slack.find(JANE) is None
    sim.create_by_hand(JANE.email)
    found = await slack.find(JANE)
    assert found is not None
    assert (found.email, found.state) == (JANE.email, "active")
    assert sim.mutations() == []
