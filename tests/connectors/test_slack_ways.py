"""Slack's three ways to an account, its channels, sessions, error words, and who is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from newel.base.errors import (
    ContractDrift,
    DefinitionError,
    Forbidden,
    Invalid,
    NoCapacity,
    OutcomeUnknown,
    OwnershipConflict,
    StepError,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.connectors import slack_contract
from newel.connectors.answers import Answer, Route
from newel.connectors.capability import ByHand
from newel.connectors.declaring import declared
from newel.connectors.operation import operation as an_operation
from newel.connectors.preview import previewed
from newel.connectors.slack import Plan, Slack
from newel.connectors.slack_contract import INVITE, JOIN, KICK
from newel.domain.people import Person
from newel.domain.values import Absent, Found
from newel.simulators.faults import LoseResponse, RemoveScope, VendorError
from newel.simulators.slack import SlackSimulator
from newel.simulators.slack_world import GENERAL
from tests.connectors.support import JANE, Time, agreed, attempt, effect_of, raised
from tests.simulators.contract import HERE

ENGINEERING = "C0ACME00002"
METHODS: dict[str, Any] = json.loads(
    (HERE / "slack-method-args-errors.json").read_text(encoding="utf-8")
)
ROUTES = [each for each in vars(slack_contract).values() if isinstance(each, Route)]
Made = tuple[Slack, SlackSimulator]
Make = Callable[..., Made]


@pytest.fixture
def make(time: Time, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a workspace on a plan, and a connector to it."""

    def made(plan: Plan = "enterprise", **options: Any) -> Made:
        sim = SlackSimulator(seed=7, plan=plan, clock=time.world, sleep=time.pause, page_size=3)
        monkeypatch.setenv("T_SLACK", sim.credentials()["SLACK_TOKEN"])
        SecretRef("env:T_SLACK").resolve(fresh=True)
        slack = Slack(
            token=SecretRef("env:T_SLACK"),
            plan=plan,
            transport=agreed(sim),
            clock=time.clock,
            pause=time.pause,
            **options,
        )
        return slack, sim

    return made


async def did(time: Time, awaited: Any) -> tuple[bool, str, str]:
    """Do something inside an attempt; give changed, the grant's state, and the way."""
    with attempt(time) as observed:
        await awaited
    effect = effect_of(observed)
    return effect.changed, effect.access, effect.path


# Invitations -----------------------------------------------------------------------------------


async def test_without_scim_an_organization_invites(make: Make, time: Time):
    """The invited person has a prepared grant, once; accepted, it is active and theirs."""
    slack, sim = make(capabilities=("slack.admin",))
    first = await did(time, slack.ensure_account.called(JANE))
    again = await did(time, slack.ensure_account.called(JANE))
    assert not await slack.accepted(JANE)
    sim.accept_in_slack(JANE.email)
    with attempt(time) as observed:
        assert await slack.accepted.called(JANE)
    effect = effect_of(observed)
    assert (first, again) == ((True, "prepared", "invitation"), (False, "prepared", "invitation"))
    assert (effect.changed, effect.access, effect.path) == (True, "active", "invitation")
    assert await did(time, slack.ensure_account.called(JANE)) == (False, "active", "invitation")
    assert sim.channels_of(effect.external_id) == ["general"]
    sim.assert_exactly_once(f"account/{JANE.email}")


async def test_a_lost_invitation_is_not_sent_again(make: Make, time: Time):
    """Nobody sees an invited person; that the redo is told so counts as found."""
    slack, sim = make(capabilities=("slack.admin",))
    sim.fail(INVITE.operation, LoseResponse(), times=1)
    await raised(slack.ensure_account(JANE), OutcomeUnknown)
    assert slack.ensure_account.verify is not None
    with attempt(time):
        assert await slack.ensure_account.verify(JANE) == Absent()
    with attempt(time, follows_doubt=True) as observed:
        account = await slack.ensure_account.called(JANE)
    effect = effect_of(observed)
    assert (account.state, effect.changed) == ("invited", True)
    assert "found after unknown outcome" in effect.evidence
    sim.assert_exactly_once(f"account/{JANE.email}")


async def test_a_deactivated_person_is_not_invited(make: Make):
    """Who was deactivated is for a person to reactivate: the invitation is blocked."""
    slack, sim = make(capabilities=("slack.admin",))
    sim.create_by_hand(JANE.email)
    sim.deactivate_by_hand(JANE.email)
    refused = await raised(slack.ensure_account(JANE), Forbidden)
    assert (refused.reason, refused.code) == ("blocked", "user_disabled")


def test_a_plan_is_not_told_to_do_what_it_has_not(make: Make):
    """Capabilities beyond the plan are refused when the connector is made."""
    with pytest.raises(DefinitionError, match=r"slack\.admin"):
        make("business", capabilities=("slack.admin",))


@pytest.mark.parametrize(
    ("plan", "capabilities"),
    [
        ("pro", ()),
        ("business", ("slack.scim",)),
        ("enterprise", ("slack.scim", "slack.admin")),
    ],
)
async def test_the_check_tells_what_the_plan_can(
    make: Make, plan: Plan, capabilities: tuple[str, ...]
):
    """A good token is proved for what the plan has, and for no more."""
    slack, _ = make(plan)
    check = await slack.check()
    assert (check.ok, check.missing, check.capabilities) == (True, (), capabilities)


async def test_a_plan_that_was_overstated_is_found_by_the_check(make: Make):
    """A workspace whose plan has no SCIM fails the check, which says so."""
    slack, sim = make("business")
    sim.plan = "pro"
    check = await slack.check()
    assert (check.ok, check.capabilities) == (False, ())
    assert "SCIM" in check.notes[0]


# The workspace ---------------------------------------------------------------------------------


async def test_somebody_is_put_into_the_workspace_and_removed(make: Make, time: Time):
    """Assigning and removing change something once, and removal takes the channels along."""
    slack, sim = make()
    await slack.ensure_account(JANE)
    seen = []
    for operation in (slack.remove, slack.assign):
        for _ in range(2):
            seen.append(await did(time, operation.called(JANE)))
            seen.append(sim.accounts()[-1]["access"])
    assert seen == [
        (True, "revoked", "admin_api"),
        [],
        (False, "revoked", "admin_api"),
        [],
        (True, "active", "admin_api"),
        ["general"],
        (False, "active", "admin_api"),
        ["general"],
    ]


async def test_sessions_are_ended(make: Make, time: Time):
    """Signing out ends the session; deactivating does too; the owner is out of reach."""
    slack, sim = make()
    await slack.ensure_account(JANE)
    sim.log_in(JANE.email)
    await slack.end_sessions(JANE)
    assert not sim.is_signed_in(JANE.email)
    sim.log_in(JANE.email)
    await slack.deactivate(JANE)
    assert not sim.is_signed_in(JANE.email)
    await slack.reactivate(JANE)
    sim.make_primary_owner(JANE.email)
    assert (await raised(slack.end_sessions(JANE), Forbidden)).reason == "blocked"
    assert (await raised(slack.remove(JANE), Forbidden)).reason == "blocked"
    await raised(slack.deactivate(JANE), Forbidden)


BY_HAND = {  # an operation, and what a person does in its place
    "ensure_account": lambda sim: sim.accept_in_slack(JANE.email),
    "assign": lambda sim: sim.accept_in_slack(JANE.email),
    "reactivate": lambda sim: sim.accept_in_slack(JANE.email),
    "deactivate": lambda sim: sim.deactivate_by_hand(JANE.email),
    "remove": lambda sim: sim.deactivate_by_hand(JANE.email),
}


@pytest.mark.parametrize("name", BY_HAND)
async def test_what_the_plan_has_not_is_done_by_hand(make: Make, time: Time, name: str):
    """On the smallest plan each says what to do by hand, sends nothing, and sees it done."""
    slack, sim = make("pro")
    operation = getattr(slack, name)
    takes_away = operation.options.revokes is not None
    if takes_away:
        sim.create_by_hand(JANE.email)
    refused = await raised(operation(JANE), Forbidden)
    assert refused.reason == "blocked"
    assert "by hand" in str(refused)
    assert "plan" in str(refused)
    seen = await previewed(operation, JANE)
    assert seen.verdict == "by hand"
    assert "plan" in seen.why
    BY_HAND[name](sim)
    _, access, path = await did(time, operation.called(JANE))
    assert (access, path) == ("revoked" if takes_away else "active", "by_hand")
    assert (await previewed(operation, JANE)).verdict == "nothing to do"
    assert sim.mutations() == []


async def test_what_nobody_can_see_is_believed_only_when_it_was_said(make: Make, time: Time):
    """Ended sessions are not shown: without a person's word nothing says that they are over."""
    slack, sim = make("pro")
    sim.create_by_hand(JANE.email)
    assert "by hand" in str(await raised(slack.end_sessions(JANE), Forbidden))
    with attempt(time, way="by_hand", is_claimed=True) as observed:
        await slack.end_sessions.called(JANE)
    assert effect_of(observed).path == "by_hand"
    assert sim.mutations() == []


async def test_what_was_never_proved_is_stepped_around_and_what_is_lost_is_not(
    make: Make, time: Time
):
    """A plan that never had SCIM goes by the next way; one that has lost it fails, visibly."""
    slack, sim = make("business")
    sim.plan = "pro"
    never = await slack.capabilities()
    assert (never.of("slack.scim").state, never.checked_at) == ("absent", slack.clock.now())
    assert slack.choose(declared(slack.ensure_account)).path == "by_hand"
    other, sim = make("business")
    assert (await other.capabilities()).of("slack.scim").state == "there"
    sim.plan = "pro"
    asked = len(sim.calls())
    assert (await other.capabilities()).of("slack.scim").state == "there"
    assert len(sim.calls()) == asked  # what was found lately is not asked again
    time.clock.move(timedelta(hours=2))
    assert (await other.capabilities()).of("slack.scim").state == "lost"
    refused = await raised(other.ensure_account(JANE), Forbidden)
    assert "by hand" not in str(refused)


def test_instructions_name_nobody():
    """Work by hand that puts a person's name into a task is refused when it is declared."""
    by_hand = ByHand(title="invite {person.name}", how=())
    with pytest.raises(DefinitionError, match="name a person"):
        an_operation(
            idempotency="natural",
            natural_key="x/{person.email}",
            needs=("x",),
            spec=("x",),
            reversible="yes",
            undo="none: test",
            by_hand=by_hand,
        )(_made)


async def _made(slack: Slack, person: Person) -> None:
    """Make nothing."""


async def test_who_is_gone_needs_nothing(make: Make, time: Time):
    """Everything that takes away succeeds where there is no account, and sends nothing."""
    slack, sim = make()
    for awaited in (
        slack.deactivate.called(JANE),
        slack.remove.called(JANE),
        slack.end_sessions.called(JANE),
        slack.leave_channel.called(JANE, ENGINEERING),
    ):
        assert (await did(time, awaited))[:2] == (False, "revoked")
    assert sim.mutations() == []


# Channels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", ["pro", "business"])
async def test_a_channel_is_joined_and_left_once(make: Make, time: Time, plan: Plan):
    """Joining and leaving change something once; the second time nothing is sent."""
    slack, sim = make(plan)
    if plan == "pro":
        sim.create_by_hand(JANE.email)
    else:
        await slack.ensure_account(JANE)
    before = len(sim.mutations())
    seen = []
    for operation in (slack.join_channel, slack.leave_channel):
        for channel in (ENGINEERING, "#engineering"):
            seen.append((await did(time, operation.called(JANE, channel)))[:2])
            seen.append(("engineering" in sim.accounts()[-1]["access"], ""))
    assert seen == [
        (True, "active"),
        (True, ""),
        (False, "active"),
        (True, ""),
        (True, "revoked"),
        (False, ""),
        (False, "revoked"),
        (False, ""),
    ]
    assert len(sim.mutations()) == before + 2


async def test_a_lost_invitation_to_a_channel_is_found(make: Make, time: Time):
    """The answer is lost, and verify sees them among the channel's members, over pages."""
    slack, sim = make("business")
    for number in range(4):
        other = sim.create_by_hand(f"other{number}@acme.example")
        sim.join(ENGINEERING, other["id"])
    await slack.ensure_account(JANE)
    sim.fail(JOIN.operation, LoseResponse(), times=1)
    await raised(slack.join_channel(JANE, ENGINEERING), OutcomeUnknown)
    assert slack.join_channel.verify is not None
    with attempt(time) as observed:
        assert isinstance(await slack.join_channel.verify(JANE, ENGINEERING), Found)
    assert effect_of(observed).changed


async def test_nobody_can_be_taken_out_of_the_general_channel(make: Make, time: Time):
    """The channel that everybody is in is kept, which is a success that changes nothing."""
    slack, sim = make("business")
    await slack.ensure_account(JANE)
    assert (await did(time, slack.leave_channel.called(JANE, GENERAL)))[:2] == (False, "active")
    assert sim.accounts()[-1]["access"] == ["general"]


async def test_a_channel_without_our_app_says_what_to_do(make: Make):
    """Where our app is not a member, a person is told to add it."""
    slack, sim = make("business")
    await slack.ensure_account(JANE)
    foreign = sim.add_channel("foreign")["id"]
    refused = await raised(slack.join_channel(JANE, foreign), Forbidden)
    assert (refused.reason, "add it there" in str(refused)) == ("blocked", True)


async def test_private_channels_need_the_scopes_of_groups(make: Make):
    """A private channel is refused by the scope of groups, a public one is not touched by it."""
    slack, sim = make("business")
    await slack.ensure_account(JANE)
    secret = sim.add_channel("secret", is_private=True)["id"]
    sim.join(secret, next(iter(sim.store.rows("users"))))
    for scope in ("groups:write", "groups:write.invites"):
        sim.fail("*", RemoveScope(scope))
    assert (await raised(slack.join_channel(JANE, secret), Forbidden)).missing == (
        "groups:write.invites"
    )
    await slack.join_channel(JANE, ENGINEERING)


async def test_public_channels_are_found_without_the_scope_of_private_ones(make: Make):
    """A token that may not see private channels still finds a public one by name."""
    slack, sim = make("business")
    for scope in ("groups:read", "groups:history"):
        sim.fail("*", RemoveScope(scope))
    await slack.ensure_account(JANE)
    await slack.join_channel(JANE, "#engineering")
    assert sim.accounts()[-1]["access"] == ["engineering", "general"]


async def test_a_strangers_account_is_put_into_no_channel(make: Make):
    """An account without our mark is a conflict for every operation that finds it."""
    slack, sim = make()
    sim.create_by_hand(JANE.email)
    for call in (
        slack.join_channel(JANE, ENGINEERING),
        slack.leave_channel(JANE, GENERAL),
        slack.remove(JANE),
        slack.end_sessions(JANE),
        slack.accepted(JANE),
    ):
        await raised(call, OwnershipConflict)
    assert sim.mutations() == []


@pytest.mark.parametrize(
    ("operation", "error", "kind"),
    [
        (JOIN, "cant_invite", Forbidden),
        (JOIN, "invitee_cant_see_channel", Forbidden),
        (JOIN, "user_is_restricted", Forbidden),
        (JOIN, "org_user_not_in_team", Forbidden),
        (JOIN, "ura_max_channels", NoCapacity),
        (JOIN, "is_archived", Invalid),
        (KICK, "restricted_action", Forbidden),
        (KICK, "cant_kick_self", Forbidden),
        (KICK, "an_error_of_tomorrow", ContractDrift),
    ],
)
async def test_refusals_of_channels_have_their_class(
    make: Make, operation: Route, error: str, kind: type[StepError]
):
    """What Slack refuses about a channel is the class that is prescribed for it."""
    slack, sim = make("business")
    await slack.ensure_account(JANE)
    sim.fail(operation.operation, VendorError(error))
    if operation is JOIN:
        failed = await raised(slack.join_channel(JANE, ENGINEERING), StepError)
    else:
        sim.join(ENGINEERING, sim.accounts()[-1]["id"])
        failed = await raised(slack.leave_channel(JANE, ENGINEERING), StepError)
    assert type(failed) is kind


# Messages --------------------------------------------------------------------------------------


async def test_a_welcome_is_said_once_by_any_number_of_runs(make: Make, time: Time):
    """What is said once about somebody is found by the next run, behind later messages."""
    slack, sim = make("business")
    with attempt(time):
        first = await slack.say.called("#general", "Welcome Jane!", once="welcome", about=JANE)
    for number in range(4):
        await slack.post("#general", f"Hello {number}", f"key {number}")
    with attempt(time) as observed:
        again = await slack.say.called("#general", "Hello, Jane!", once="welcome", about=JANE)
    assert (again, effect_of(observed).changed) == (first, False)
    other = Person(name="John Roe", email="john.roe@acme.example", ref="per_john")
    assert await slack.say("#general", "Welcome John!", once="welcome", about=other) != first
    (said,) = [each for each in sim.messages() if "Jane" in each["text"]]
    assert "4711" not in json.dumps(said["metadata"])


# Words and limits ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "route", [each for each in ROUTES if each.host == ""], ids=lambda each: each.operation
)
def test_every_documented_error_has_a_class(route: Route):
    """No error of a method's own reference, or of those all share, is taken for drift."""
    shared = {"fatal_error", "team_added_to_org", "not_authed", "token_revoked", "access_denied"}
    for error in sorted({*METHODS[route.operation]["errors"], *shared}):
        body = json.dumps({"ok": False, "error": error}).encode()
        verdict = Slack.judged(Answer(route, 200, {}, body))
        assert verdict is not None
        assert not isinstance(verdict, ContractDrift), error


@pytest.mark.parametrize(
    "route", [each for each in ROUTES if each.host == ""], ids=lambda each: each.operation
)
def test_every_method_draws_on_the_budget_of_its_tier(route: Route):
    """The rate budget of a method is that of the tier in its reference, for it alone."""
    tier = METHODS[route.operation]["rate_tier"]
    expected = {"t5": {"", "slack.post"}}.get(tier, {f"slack.{tier}:{route.operation}"})
    assert route.bucket in expected


async def test_a_failed_reset_is_tried_again(make: Make):
    """Slack's own failure to end sessions passes, and is repeated."""
    slack, sim = make()
    await slack.ensure_account(JANE)
    sim.fail("admin.users.session.reset", VendorError("user_session_reset_failed"), times=1)
    await raised(slack.end_sessions(JANE), Transient)
    await slack.end_sessions(JANE)


# Everybody and scopes --------------------------------------------------------------------------


@pytest.mark.parametrize("plan", ["pro", "business"])
async def test_everybody_is_listed_with_their_channels(make: Make, plan: Plan):
    """All accounts are told over pages, with address, state and channels; reads only."""
    slack, sim = make(plan)
    for number in range(4):
        sim.create_by_hand(f"hand{number}@acme.example")
    sim.deactivate_by_hand("hand3@acme.example")
    found = {each.account.email: each async for each in slack.accounts()}
    assert len(found) == 5
    assert found["hand1@acme.example"].entitlements == (
        "slack:account",
        f"slack:channel/{GENERAL}",
    )
    assert found["hand3@acme.example"].account.state == "suspended"
    assert sim.mutations() == []


NEEDS = sorted({need for step in Slack.operations().values() for need in declared(step).needs})


@pytest.mark.parametrize("need", ["", *NEEDS])
async def test_each_need_serves_the_operations_that_name_it(make: Make, need: str):
    """With all scopes everything works; without those of a need, who names it fails by name."""
    slack, sim = make()
    await slack.ensure_account(JANE)
    sim.join(ENGINEERING, sim.accounts()[-1]["id"])
    sales = sim.add_channel("sales")["id"]
    sim.join(sales, next(iter(sim.store.rows("users"))))
    gone = set(need.split("|"))
    for scope in filter(None, gone):
        sim.fail("*", RemoveScope(scope))
    more = {
        "join_channel": (JANE, sales),
        "leave_channel": (JANE, ENGINEERING),
        "say": ("#general", "Hello"),
    }
    once = {"say": {"once": "welcome", "about": JANE}}
    failed: dict[str, StepError] = {}
    names = [name for name in Slack.operations() if name not in {"remove", "assign"}]
    for name in (*names, "remove", "assign"):
        try:
            await getattr(slack, name)(*more.get(name, (JANE,)), **once.get(name, {}))
        except StepError as refused:
            failed[name] = refused
    listing = {
        name
        for name, step in Slack.operations().items()
        if need and any(set(each.split("|")) <= gone for each in declared(step).needs)
    }
    assert listing <= failed.keys()
    for error in failed.values():
        assert isinstance(error, Forbidden)
        assert error.missing is not None
        assert gone & set(error.missing.replace(", ", "|").split("|"))
    if not need:
        assert failed == {}
