from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
    StepError,
    Throttled,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.capability import Proof
from newel.connectors.github import GitHub, GitHubApp
from newel.connectors.github_contract import (
    INVITATIONS,
    LIMITS,
    MEMBERSHIP,
    SET_MEMBERSHIP,
)
from newel.domain.people import Person
from newel.domain.values import Absent, Effect, Found
from newel.flow.step import Step
from newel.simulators.faults import (
    Down,
    DropField,
    Hang,
    LoseResponse,
    RemoveScope,
    ResetBefore,
    RevokeToken,
    Seats,
    Status,
    Throttle,
    Truncate,
)
from newel.simulators.github import GitHubSimulator
from tests.connectors.support import JANE, START, Time, agreed, attempt, effect_of, raised

SET = SET_MEMBERSHIP.operation
LOOK = MEMBERSHIP.operation


@pytest.fixture
def sim(time: Time) -> GitHubSimulator:
    """GitHub with small pages."""
    return GitHubSimulator(seed=7, clock=time.world, sleep=time.pause, page_size=3)


@pytest.fixture
def github(sim: GitHubSimulator, time: Time, monkeypatch: pytest.MonkeyPatch) -> GitHub:
    """Connect to it."""
    monkeypatch.setenv("T_GITHUB_TOKEN", sim.credentials()["GITHUB_TOKEN"])
    SecretRef("env:T_GITHUB_TOKEN").resolve(fresh=True)
    return GitHub(
        org="acme-example",
        token=SecretRef("env:T_GITHUB_TOKEN"),
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )


async def test_a_new_member_is_invited_once(github: GitHub, sim: GitHubSimulator, time: Time):
    """The first call invites, the second finds the invitation and changes nothing."""
    with attempt(time) as first:
        account = await github.ensure_member.called(JANE, "jane-doe")
    with attempt(time) as second:
        again = await github.ensure_member.called(JANE, "jane-doe")
    assert (account.handle, account.state) == ("jane-doe", "invited")
    assert again == account
    assert effect_of(first) == Effect(
        changed=True,
        access="prepared",
        external_id=account.id,
        account="jane-doe",
        evidence="created",
        is_read=True,
    )
    assert not effect_of(second).changed
    assert len(sim.mutations()) == 1
    sim.assert_exactly_once("org/jane-doe")


async def test_calls_are_recorded_by_template(github: GitHub, time: Time):
    """A recorded call has the template of its path, the request id and no user name."""
    with attempt(time) as observed:
        await github.ensure_member.called(JANE, "jane-doe")
    assert [(call.method, call.path, call.status, call.is_mutating) for call in observed.calls] == [
        ("GET", "/orgs/{org}/memberships/{username}", 404, False),
        ("PUT", "/orgs/{org}/memberships/{username}", 200, True),
    ]
    assert all(call.request_id for call in observed.calls)
    assert "jane" not in repr(observed.calls)


async def test_an_accepted_invitation_makes_the_grant_active(
    github: GitHub, sim: GitHubSimulator, time: Time
):
    """`accepted` is false while the invitation is open and reports an active grant afterwards."""
    await github.ensure_member(JANE, "jane-doe")
    with attempt(time) as before:
        assert await github.accepted.called(JANE, "jane-doe") is False
    sim.accept_invitation("jane-doe")
    time.move(timedelta(seconds=60))  # the listing that all who wait share is that old at most
    with attempt(time) as after:
        assert await github.accepted.called(JANE, "jane-doe") is True
    assert before.effect is None
    assert effect_of(after).access == "active"


async def test_an_expired_invitation_is_told_to_a_person(github: GitHub, sim: GitHubSimulator):
    """Once the invitation is gone, `accepted` says so instead of waiting for ever."""
    await github.ensure_member(JANE, "jane-doe")
    sim.expire_invitations()
    refused = await raised(github.accepted(JANE, "jane-doe"), Forbidden)
    assert refused.reason == "blocked"


async def test_teams_and_repositories_are_given_and_taken_once(
    github: GitHub, sim: GitHubSimulator, time: Time
):
    """Join, grant, revoke and leave each change something once and nothing the second time."""
    await github.ensure_member(JANE, "jane-doe")
    sim.accept_invitation("jane-doe")
    sim.book.clear()
    calls: list[Any] = [
        lambda: github.join_team.called(JANE, "jane-doe", "platform"),
        lambda: github.grant.called(JANE, "jane-doe", "acme-example/api"),
        lambda: github.revoke.called(JANE, "jane-doe", "api"),
        lambda: github.leave_team.called(JANE, "jane-doe", "platform"),
        lambda: github.remove_member.called(JANE, "jane-doe"),
    ]
    seen = []
    for call in calls:
        for _ in range(2):
            with attempt(time) as observed:
                await call()
            seen.append((effect_of(observed).changed, effect_of(observed).access))
    assert seen == [
        (True, "active"),
        (False, "active"),
        (True, "active"),
        (False, "active"),
        (True, "revoked"),
        (False, "revoked"),
        (True, "revoked"),
        (False, "revoked"),
        (True, "revoked"),
        (False, "revoked"),
    ]
    assert len(sim.book.calls(mutating=True, committed=True)) == 5


async def test_an_owner_is_made_and_unmade_once(github: GitHub, sim: GitHubSimulator, time: Time):
    """Ownership is access of its own: a membership gives none of it, and takes none away."""
    await github.ensure_member(JANE, "jane-doe")
    early = await raised(github.make_owner(JANE, "jane-doe"), Invalid)
    assert "no accepted membership" in str(early)
    sim.accept_invitation("jane-doe")
    for changed in (True, False):
        with attempt(time) as made:
            await github.make_owner.called(JANE, "jane-doe")
        assert (effect_of(made).changed, effect_of(made).level) == (changed, "admin")
    await github.ensure_member(JANE, "jane-doe")
    assert [each.entitlements async for each in github.accounts() if each.account.id] == [
        ("github:account", "github:org")
    ] * 2  # and the one who made the organization
    for changed in (True, False):
        with attempt(time) as ended:
            await github.end_ownership.called(JANE, "jane-doe")
        assert (effect_of(ended).changed, effect_of(ended).access) == (changed, "revoked")
    with attempt(time) as still:
        await github.ensure_member.called(JANE, "jane-doe")
    assert not effect_of(still).changed
    assert len(sim.mutations()) == 3


async def test_a_removal_is_proved_by_reading(github: GitHub, time: Time):
    """A removal ends with a read that no longer finds the member."""
    await github.ensure_member(JANE, "jane-doe")
    with attempt(time) as observed:
        await github.remove_member.called(JANE, "jane-doe")
    assert [call.status for call in observed.calls] == [200, 204, 404]
    assert effect_of(observed).evidence == "user name, verified absent"


async def test_a_lost_answer_is_found_by_verify(github: GitHub, sim: GitHubSimulator, time: Time):
    """The answer is lost after the effect: outcome unknown, then verify finds it, one effect."""
    sim.fail(SET, LoseResponse(), times=1)
    await raised(github.ensure_member(JANE, "jane-doe"), OutcomeUnknown)
    assert github.ensure_member.verify is not None
    with attempt(time) as observed:
        verdict = await github.ensure_member.verify(JANE, "jane-doe")
    assert isinstance(verdict, Found)
    assert verdict.value.handle == "jane-doe"
    assert effect_of(observed).changed
    assert "found after unknown outcome" in effect_of(observed).evidence
    sim.assert_exactly_once("org/jane-doe")


async def test_a_request_that_never_arrived_is_redone_once(
    github: GitHub, sim: GitHubSimulator, time: Time
):
    """Verify says absent after the last settle time, and the redo makes exactly one member."""
    sim.fail(SET, ResetBefore(), times=1)
    await raised(github.ensure_member(JANE, "jane-doe"), OutcomeUnknown)
    time.move(timedelta(seconds=16))
    assert github.ensure_member.verify is not None
    with attempt(time, intended=START):
        assert await github.ensure_member.verify(JANE, "jane-doe") == Absent()
    with attempt(time, intended=START, follows_doubt=True) as observed:
        await github.ensure_member.called(JANE, "jane-doe")
    assert effect_of(observed).changed
    assert time.pauses == []
    sim.assert_exactly_once("org/jane-doe")


async def test_a_fresh_doubt_waits_before_it_believes_absence(
    github: GitHub, sim: GitHubSimulator, time: Time
):
    """Short settle times are waited for inside, a longer one is handed back with its moment."""
    assert github.ensure_member.verify is not None
    with attempt(time, intended=START):
        early = await raised(github.ensure_member.verify(JANE, "jane-doe"), NotReady)
    assert time.pauses == [5]
    assert early.retry_at == START + timedelta(seconds=15)
    assert sim.mutations() == []


async def test_verify_never_changes_anything(github: GitHub, sim: GitHubSimulator, time: Time):
    """Looking sends no mutating request, whatever the operation would do."""
    time.move(timedelta(minutes=1))
    operations: list[tuple[Step[..., Any], tuple[Any, ...]]] = [
        (github.ensure_member, (JANE, "jane-doe")),
        (github.join_team, (JANE, "jane-doe", "platform")),
        (github.grant, (JANE, "jane-doe", "api")),
    ]
    for operation, arguments in operations:
        assert operation.verify is not None
        with attempt(time, intended=START):
            assert await operation.verify(*arguments) == Absent()
    await github.ensure_member(JANE, "jane-doe")
    sim.book.clear()
    with attempt(time, intended=START):
        assert await github.remove_member.verify(JANE, "jane-doe") == Absent()  # type: ignore[misc]
    assert sim.mutations() == []


@pytest.mark.parametrize(
    ("operation", "effect", "kind"),
    [
        (LOOK, Down(), Transient),
        (LOOK, Hang(), Transient),
        (LOOK, ResetBefore(), Transient),
        (LOOK, Truncate(), Transient),
        (LOOK, Status(503), Transient),
        (LOOK, Status(500, body="<html>sorry</html>"), Transient),
        (LOOK, Status(200, body="<html>maintenance</html>"), Transient),
        (LOOK, Status(301), ContractDrift),
        (LOOK, Status(410), ContractDrift),
        (SET, Down(), Transient),
        (SET, Hang(), OutcomeUnknown),
        (SET, Truncate(), OutcomeUnknown),
        (SET, Status(502), Transient),
        (SET, Status(200, body="<html>maintenance</html>"), OutcomeUnknown),
        (SET, DropField("state"), ContractDrift),
        (SET, Seats(0), NoCapacity),
        (SET, Throttle(30), Throttled),
        ("*", RevokeToken(), AuthFailed),
        (SET, RemoveScope("members:write"), Forbidden),
    ],
)
async def test_faults_have_their_class(
    github: GitHub, sim: GitHubSimulator, operation: str, effect: Any, kind: type[StepError]
):
    """Each fault of the network or of GitHub leaves as the class that is prescribed for it."""
    sim.fail(operation, effect)
    failed = await raised(github.ensure_member(JANE, "jane-doe"), StepError)
    assert type(failed) is kind
    assert "jane" not in str(failed)


async def test_a_missing_permission_is_named(github: GitHub, sim: GitHubSimulator):
    """The refusal names the permission that the token lacks."""
    sim.fail("*", RemoveScope("members:write"))
    refused = await raised(github.ensure_member(JANE, "jane-doe"), Forbidden)
    assert (refused.missing, refused.reason) == ("members:write", "permission")


async def test_throttling_holds_back_the_whole_credential(
    github: GitHub, sim: GitHubSimulator, time: Time
):
    """After a stated wait nothing is sent to that bucket before the moment is reached."""
    sim.fail(SET, Throttle(30), times=1)
    first = await raised(github.ensure_member(JANE, "jane-doe"), Throttled)
    assert first.retry_at == START + timedelta(seconds=30)
    second = await raised(github.ensure_member(JANE, "john-roe"), Throttled)
    assert second.retry_at == first.retry_at
    assert len(sim.mutations()) == 1
    time.move(timedelta(seconds=30))
    await github.ensure_member(JANE, "jane-doe")
    assert len(sim.mutations()) == 2


async def test_the_hourly_limit_ends_at_its_reset(github: GitHub, sim: GitHubSimulator):
    """A used-up hour is throttled until the reset that the headers name."""
    sim.fail(LOOK, Throttle(120, style="primary"), times=1)
    limited = await raised(github.ensure_member(JANE, "jane-doe"), Throttled)
    assert limited.retry_at == START + timedelta(seconds=120)


async def test_a_spent_day_of_invitations_says_when_it_returns(
    time: Time, monkeypatch: pytest.MonkeyPatch
):
    """The invitation limit is a lack of capacity with a date."""
    sim = GitHubSimulator(seed=1, clock=time.world, invitations_per_day=0)
    monkeypatch.setenv("T_GITHUB_FULL", sim.credentials()["GITHUB_TOKEN"])
    github = GitHub(
        org="acme-example",
        token=SecretRef("env:T_GITHUB_FULL"),
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )
    full = await raised(github.ensure_member(JANE, "jane-doe"), NoCapacity)
    assert full.until == START + timedelta(days=1)


async def test_probe_fails_while_github_is_down(github: GitHub, sim: GitHubSimulator):
    """The probe passes, fails while the system is down, and passes after it has healed."""
    await github.probe()
    sim.down()
    await raised(github.probe(), Transient)
    sim.heal()
    await github.probe()


async def test_check_names_a_missing_permission(github: GitHub, sim: GitHubSimulator):
    """The check passes with the permissions of the inventory and names the one that is gone."""
    assert (await github.check()).ok
    sim.fail("*", RemoveScope("members:write"))
    sim.fail("*", RemoveScope("members:read"))
    check = await github.check()
    assert (check.ok, check.missing) == (False, ("members:read",))


async def test_secrets_stay_inside(github: GitHub, sim: GitHubSimulator, time: Time):
    """Neither the connector, nor its calls, nor its errors show the token."""
    token = sim.credentials()["GITHUB_TOKEN"]
    sim.fail(SET, Status(422, body={"message": f"bad {token} for jane.doe@acme.example"}))
    with attempt(time) as observed:
        failed = await raised(github.ensure_member.called(JANE, "jane-doe"), Invalid)
    texts = [repr(github), repr(vars(github)), repr(observed), str(failed), repr(failed.facts())]
    assert not [text for text in texts if token in text or "jane.doe@" in text]


async def test_a_listing_that_hides_is_a_missing_permission(github: GitHub, sim: GitHubSimulator):
    """GitHub hides what a token may not see behind 404: the check names the permission."""
    sim.fail("orgs/list-pending-invitations", Status(404, body={"message": "Not Found"}))
    check = await github.check()
    assert (check.ok, check.missing) == (False, ("members:read",))


def answered(status: int, message: str = "", *, route: Any = MEMBERSHIP, **headers: str) -> Answer:
    """Make an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(route, status, named, b'{"message": "%s"}' % message.encode())


@pytest.mark.parametrize(
    ("answer", "kind", "facts"),
    [
        (answered(200), None, {}),
        (answered(401, "Bad credentials"), AuthFailed, {"status": 401}),
        (answered(403, "API rate limit exceeded"), Throttled, {"retry_after": timedelta(0, 60)}),
        (answered(403, "no", retry_after="7"), Throttled, {"retry_after": timedelta(0, 7)}),
        (
            answered(403, "no", x_ratelimit_remaining="0", x_ratelimit_reset="1767607200"),
            Throttled,
            {"retry_at": datetime(2026, 1, 5, 10, 0, tzinfo=UTC)},
        ),
        (
            answered(429, "slow", retry_after="Mon, 05 Jan 2026 10:00:00 GMT"),
            Throttled,
            {"retry_at": datetime(2026, 1, 5, 10, 0, tzinfo=UTC)},
        ),
        (
            answered(403, "no", x_accepted_github_permissions="members=write"),
            Forbidden,
            {"missing": "members:write", "reason": "permission"},
        ),
        (answered(403, "Cannot remove the last owner"), Forbidden, {"reason": "blocked"}),
        (answered(404, "Not Found", route=SET_MEMBERSHIP), Forbidden, {"reason": "permission"}),
        (answered(404, "Not Found", route=INVITATIONS), Forbidden, {"reason": "permission"}),
        (answered(404, "Not Found"), NotReady, {"status": 404}),
        (answered(404, "Not Found", route=LIMITS), ContractDrift, {"status": 404}),
        (answered(422, "You must purchase a seat"), NoCapacity, {"what": "GitHub seats"}),
        (answered(422, "Validation Failed"), Invalid, {"status": 422}),
        (answered(500, route=SET_MEMBERSHIP), Transient, {"status": 500}),
    ],
)
def test_answers_have_their_class(
    answer: Answer, kind: type[StepError] | None, facts: dict[str, object]
):
    """GitHub's answers are classed by message and headers first, by status last."""
    verdict = GitHub.judged(answer)
    assert (type(verdict) if verdict else None) is kind
    assert {name: getattr(verdict, name) for name in facts} == facts


# What the company sees: invitations by mail, teams, levels, the App ----------------------------


async def test_an_address_is_invited_once_and_again_after_it_expired(
    github: GitHub, sim: GitHubSimulator, time: Time
):
    """One invitation while it is open, whatever the case of the address; exactly one new later."""
    await github.ensure_invited(JANE, teams=("platform",))
    other = replace(JANE, email=JANE.email.upper())
    with attempt(time) as observed:
        account = await github.ensure_invited.called(other, teams=("platform",))
    assert (account.state, effect_of(observed).changed) == ("invited", False)
    assert (effect_of(observed).path, effect_of(observed).access) == ("invitation", "prepared")
    time.move(timedelta(days=7, seconds=1))
    over = await raised(github.joined(JANE), Forbidden)
    assert over.reason == "blocked"
    for _ in range(2):
        await github.ensure_invited(JANE, teams=("platform",))
    assert len(sim.calls("orgs/create-invitation", committed=True)) == 2


async def test_an_accepted_address_is_a_member_and_stays_one(
    github: GitHub, sim: GitHubSimulator, time: Time
):
    """After they accept, `joined` is true, they have the team, and a second run invites nobody."""
    await github.ensure_invited(JANE, teams=("platform",))
    assert await github.joined(JANE) is False
    sim.accept_invitation(JANE.email, "jane-doe")
    with attempt(time) as observed:
        assert await github.joined.called(JANE) is True
    assert (effect_of(observed).access, effect_of(observed).changed) == ("active", True)
    assert await github.teams_of("jane-doe") == ("platform",)
    sim.book.clear()
    again = await github.ensure_invited(JANE, teams=("platform",))
    assert again.state == "active"
    assert sim.calls(mutating=True, committed=True) == []


async def test_a_lost_invitation_by_mail_is_found(github: GitHub, sim: GitHubSimulator, time: Time):
    """The answer to the invitation is lost: the listing shows it, and no second one is sent."""
    sim.fail("orgs/create-invitation", LoseResponse(), times=1)
    await raised(github.ensure_invited(JANE), OutcomeUnknown)
    assert github.ensure_invited.verify is not None
    with attempt(time, follows_doubt=True) as observed:
        assert isinstance(await github.ensure_invited.verify(JANE), Found)
    assert "found after unknown outcome" in effect_of(observed).evidence
    sim.assert_exactly_once(f"invitation/{JANE.email}")


async def test_an_invitation_is_withdrawn_once(github: GitHub, sim: GitHubSimulator, time: Time):
    """Withdrawing changes something the first time and sends nothing the second."""
    await github.ensure_invited(JANE)
    sim.book.clear()
    seen = []
    for _ in range(2):
        with attempt(time) as observed:
            await github.cancel_invitation.called(JANE)
        seen.append(effect_of(observed).changed)
    assert seen == [True, False]
    assert len(sim.mutations()) == 1


async def test_unknown_teams_are_wrong_input(github: GitHub, sim: GitHubSimulator):
    """A team that is not there is named as such, and not taken for a missing permission."""
    by_mail = await raised(github.ensure_invited(JANE, teams=("unheard-of",)), Invalid)
    assert by_mail.fields == {"unheard-of": "is not known"}
    by_name = await raised(github.join_team(JANE, "jane-doe", "unheard-of"), Invalid)
    assert by_name.fields == {"team": "is not known"}
    assert sim.calls(mutating=True, committed=True) == []


async def test_the_level_of_access_is_what_was_asked(
    github: GitHub, sim: GitHubSimulator, time: Time
):
    """A level that differs is changed, one that agrees is left; what members may anyway is none."""
    sim.create_by_hand("jane-doe")
    seen = []
    for permission in ("pull", "push", "push"):
        with attempt(time) as observed:
            await github.grant.called(JANE, "jane-doe", "api", permission=permission)
        seen.append((effect_of(observed).changed, effect_of(observed).level))
    assert seen == [(True, "pull"), (True, "push"), (False, "push")]
    with attempt(time) as observed:
        await github.revoke.called(JANE, "jane-doe", "api")
    assert effect_of(observed).evidence == "user name, verified absent"
    assert sim.access("jane-doe") == set()


async def test_an_open_invitation_to_a_repository_goes_too(
    github: GitHub, sim: GitHubSimulator, time: Time
):
    """Who was only invited to a repository cannot come in after the access was revoked."""
    account = await github.grant(JANE, "jane-doe", "api")
    assert account.state == "invited"
    seen = []
    for _ in range(2):
        with attempt(time) as observed:
            await github.revoke.called(JANE, "jane-doe", "api")
        seen.append(effect_of(observed).changed)
    assert seen == [True, False]
    assert len(sim.store.rows("repository_invitations")) == 0


async def test_all_accounts_are_listed_page_by_page(github: GitHub, sim: GitHubSimulator):
    """Members, owners among them, and open invitations, though a page holds three."""
    for number in range(5):
        sim.create_by_hand(f"member-{number}")
    await github.ensure_invited(JANE)
    found = [each async for each in github.accounts()]
    assert len(found) == 7
    last = found[-1].account
    assert (last.handle, last.state) == (JANE.email, "invited")
    owners = [each.account.handle for each in found if "github:org" in each.entitlements]
    assert owners == ["acme-owner"]
    assert {each.entitlements[0] for each in found} == {"github:account"}
    for number in range(4):
        person = Person(name="M", email=f"m{number}@acme.example")
        await github.join_team(person, f"member-{number}", "platform")
    held = {
        each.account.handle
        async for each in github.accounts()
        if "github:team/platform" in each.entitlements
    }
    assert held == {f"member-{number}" for number in range(4)}


@pytest.fixture
def app(sim: GitHubSimulator, time: Time, monkeypatch: pytest.MonkeyPatch) -> GitHub:
    """Connect as an App."""
    given = sim.credentials()
    monkeypatch.setenv("T_GITHUB_APP_KEY", given["GITHUB_APP_KEY"])
    SecretRef("env:T_GITHUB_APP_KEY").resolve(fresh=True)
    return GitHub(
        org="acme-example",
        app=GitHubApp(
            app_id=given["GITHUB_APP_ID"],
            installation=int(given["GITHUB_INSTALLATION"]),
            key=SecretRef("env:T_GITHUB_APP_KEY"),
        ),
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )


async def test_an_app_fetches_a_token_for_an_hour(app: GitHub, sim: GitHubSimulator, time: Time):
    """One token serves an hour's calls, then another is fetched; the check knows its rights."""
    token = "apps/create-installation-access-token"
    check = await app.check()
    assert check.ok
    assert "members:write" in check.have
    assert check.quota == "1 of 50 seats in use"
    await app.ensure_member(JANE, "jane-doe")
    assert len(sim.calls(token)) == 1
    time.move(timedelta(minutes=60))
    await app.probe()
    assert len(sim.calls(token)) == 2


@pytest.mark.parametrize("scope", ["members:write", "administration:write"])
async def test_an_app_names_each_missing_permission_before_it_is_needed(
    app: GitHub, sim: GitHubSimulator, scope: str
):
    """The check of an App names the permission that its installation was not granted."""
    sim.fail("*", RemoveScope(scope))
    check = await app.check()
    assert not check.ok
    assert scope in check.missing


async def test_inviting_is_proved_by_the_permission(app: GitHub, sim: GitHubSimulator, time: Time):
    """Never proved it is done by hand; proved once and gone it is lost, and not stepped around."""
    assert (await app.capabilities()).of("github.invitations").state == "there"
    sim.fail("*", RemoveScope("members:write"))
    time.move(timedelta(hours=2))  # the next token has what the App may then
    app.learn(await app.check())
    assert app.known_capabilities.of("github.invitations").state == "lost"
    assert app.way_of(app.ensure_invited).path == "invitation"
    sim.heal()
    time.move(timedelta(hours=2))
    app.learn(await app.check())
    assert app.known_capabilities.of("github.invitations").state == "there"


async def test_a_token_that_may_only_read_does_not_invite(github: GitHub, sim: GitHubSimulator):
    """What a fine-grained token may not shows late; where it was never proved, a person invites."""
    sim.fail("*", RemoveScope("members:write"))
    assert (await github.check()).capabilities == ("github.invitations",)  # it may read
    github.recall([Proof(name="github.invitations", checked_at=START, proved_at=None)])
    assert github.way_of(github.ensure_invited).path == "by_hand"
    refused = await raised(github.ensure_invited(JANE), Forbidden)
    assert "take them into the GitHub organization" in str(refused)
    assert sim.mutations() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"installation": 1}, "no such installation"),
        ({"app_id": "7"}, "App id, key and clock"),
        ({"permissions": {"organization_hooks": "write"}}, "was not granted a permission"),
    ],
)
async def test_a_refused_app_says_what_to_look_at(
    app: GitHub, sim: GitHubSimulator, time: Time, changes: dict[str, Any], said: str
):
    """Each way in which an App gets no token is told apart."""
    given = sim.credentials()
    right: dict[str, Any] = {
        "app_id": given["GITHUB_APP_ID"],
        "installation": int(given["GITHUB_INSTALLATION"]),
        "key": SecretRef("env:T_GITHUB_APP_KEY"),
    }
    wrong = GitHub(
        org="acme-example",
        app=GitHubApp(**{**right, **changes}),
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )
    refused = await raised(wrong.probe(), AuthFailed)
    assert said in str(refused)


def test_one_credential_is_needed():
    """Neither none nor two credentials are accepted."""
    with pytest.raises(DefinitionError):
        GitHub(org="acme-example")
