"""C11: an account that nobody has marked is theirs when a person says so, and is marked then."""

from __future__ import annotations

from typing import Any

import pytest

from newel import SecretRef, hours, minutes, process
from newel.base.errors import AlreadyDecided, SelfApproval
from newel.connectors.google import Google
from newel.connectors.google_contract import USER_SCOPE
from newel.connectors.salesforce import Salesforce
from newel.connectors.scim import Scim
from newel.connectors.slack import Slack
from newel.domain.people import Person
from newel.flow.process import Process
from newel.simulators import Simulator
from newel.simulators.scim import ScimSimulator
from newel.testing import Crash, Saas, every_crash, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name
from tests.connectors.support import agreed

google = Google(
    service_account=SecretRef("env:GOOGLE_SERVICE_ACCOUNT"),
    admin="admin@acme.example",
    scopes=(USER_SCOPE,),
)
DIRECTORY = ScimSimulator(seed=7)
directory = Scim(
    name="directory",
    base_url="https://scim.example/scim/v2",
    token=SecretRef("env:SCIM_TOKEN"),
    transport=agreed(DIRECTORY),
)
slack = Slack(token=SecretRef("env:SLACK_TOKEN"), plan="business")
salesforce = Salesforce(
    client_id="set by the test",
    username="set.by@the.test",
    key=SecretRef("env:SALESFORCE_KEY"),
    profile_id="set by the test",
    marker_field="Newel_Id__c",
)
JANE = Person(name="Jane O'Doe 🌻", email="jane.doe@acme.example", hr_key="4711")
KEY = "google.ensure_account"


@process(owner="it")
async def joining(person: Person) -> str:
    """Give somebody a Google account."""
    account = await google.ensure_account(person)
    return account.state


@process(owner="it")
async def listed(person: Person) -> str:
    """Give somebody an account over SCIM."""
    account = await directory.ensure_account(person)
    return account.state


@process(owner="it")
async def chatting(person: Person) -> str:
    """Give somebody a Slack account."""
    account = await slack.ensure_account(person)
    return account.state


@process(owner="it")
async def selling(person: Person) -> str:
    """Give somebody a Salesforce account."""
    account = await salesforce.ensure_account(person)
    return account.state


async def test_hers_is_marked_and_the_step_goes_on(saas: Saas) -> None:  # noqa: F811 - as above
    """C11: conflict at once, one task, no rounds, nothing sent; after "hers" marked and adopted."""
    account = saas.google.create_by_hand(JANE.email)
    other = {"type": "custom", "customType": "badge", "value": "B-7"}
    _identify(saas, account, other)
    async with running(joining.request(JANE)) as run:
        (parked,) = run.parked().values()
        assert parked.reason == "ownership-conflict"
        assert _of(run, "step.round_failed") == []
        (task,) = run.tasks()
        assert (task["kind"], task["owner"]) == ("approval", "it")
        assert task["title"] == "is this Google Workspace account theirs"
        said = task["instructions"]
        assert account in said and "Nobody has ever used it." in said
        assert "Jane" not in said and JANE.email not in said
        assert saas.google.mutations() == []
        subject = await run.engine.actor(JANE.email, via="test")
        with pytest.raises(SelfApproval):  # nobody gives an account to themselves
            await run.decide(KEY, approved=True, actor=subject)
        decider = await run.engine.actor("it-lead@acme.example", via="test")
        await run.decide(KEY, approved=True, comment="She made it herself 🎉", actor=decider)
        assert await run.result() == "active"
        assert run.tasks() == []
        (leaf,) = _of(run, "task.decided")
        assert leaf["data"]["decision"] == "approve"
        assert leaf["actor"]["on_behalf_of"] == decider.on_behalf_of
        (leaf,) = _of(run, "step.succeeded")
        assert (leaf["data"]["changed"], leaf["data"]["adopted"]) == (True, True)
        (grant,) = run.intervals()
        assert (grant["evidence"], grant["state"]) == ("decided by a person", "active")
        again = await run.start(joining.request(JANE))
        assert await again.result() == "active"
    (user,) = [each for each in saas.google.accounts() if each["email"] == JANE.email]
    assert (user["id"], user["marker"]) == (account, JANE.hr_key)
    assert other in saas.google.store.rows("users")[account]["externalIds"]
    assert len(saas.google.mutations()) == 1


async def test_not_hers_stays_parked_and_touches_nothing(saas: Saas) -> None:  # noqa: F811 - as above
    """On "not hers" the step stays parked; a retry asks anew, an amended address asks nobody."""
    saas.google.create_by_hand(JANE.email)
    async with running(joining.request(JANE)) as run:
        (task,) = run.tasks()
        await run.decide(KEY, approved=False, comment="A contractor's, since May")
        (parked,) = run.parked().values()
        assert (parked.reason, run.tasks()) == ("ownership-conflict", [])
        await run.retry(KEY)
        (asked,) = run.tasks()
        assert asked["id"] != task["id"]
        await run.retry(KEY)  # the same account: the question stands
        assert [each["id"] for each in run.tasks()] == [asked["id"]]
        actor = await run.engine.actor("it@acme.example", via="test")
        amended = {"name": JANE.name, "email": "jane.doe2@acme.example", "hr_key": JANE.hr_key}
        change = run.engine.amend(run.id, amended, actor=actor, reason="taken")
        await run.do(change)
        with pytest.raises(AlreadyDecided):
            await run.do(run.engine.decide(asked["id"], approved=True, actor=actor))
        assert await run.result() == "active"
    (first,) = [each for each in saas.google.accounts() if each["email"] == JANE.email]
    assert first["marker"] == ""
    assert len(saas.google.mutations()) == 1


async def test_only_the_account_that_was_asked_about_is_marked(saas: Saas) -> None:  # noqa: F811 - as above
    """Between question and answer the address gets another account: asked anew, never marked."""
    old = saas.google.create_by_hand(JANE.email)
    async with running(joining.request(JANE)) as run:
        moved = {**saas.google.store.rows("users")[old], "primaryEmail": "other@acme.example"}
        saas.google.store.put("users", old, moved)
        new = saas.google.create_by_hand(JANE.email)
        assert new != old
        await run.decide(KEY, approved=True)
        (task,) = run.tasks()
        assert new in task["instructions"]
        assert saas.google.mutations() == []
        _identify(saas, new, {"type": "organization", "value": "4712"})  # somebody else's by now
        await run.decide(KEY, approved=True)
        (parked,) = run.parked().values()
        assert (parked.reason, run.tasks()) == ("ownership-conflict", [])
        assert saas.google.mutations() == []
        _identify(saas, new)
        await run.retry(KEY)
        saas.google.down(hours(2))
        await run.decide(KEY, approved=True)  # kept through the outage
        run.clock.advance(hours(4))
        assert await run.result() == "active"


async def test_a_worker_that_dies_anywhere_asks_once_and_marks_once(saas: Saas) -> None:  # noqa: F811 - as above
    """Whatever boundary a worker dies at: one task, one mark, and the grant says who decided."""

    async def play(crash: Crash | None = None) -> None:
        saas.google.reset()
        saas.google.create_by_hand(JANE.email)
        async with running(joining.request(JANE), crash=crash) as run:
            run.clock.advance(minutes(5))
            await run.decide(KEY, approved=True)
            run.clock.advance(minutes(5))
            assert await run.result() == "active"
            (grant,) = run.intervals()
            assert grant["evidence"].startswith("decided by a person")
            assert [leaf["data"]["adopted"] for leaf in _of(run, "step.succeeded")] == [True]
            assert len(_of(run, "task.opened")) == 1
        assert {each["marker"] for each in saas.google.accounts()} == {"", JANE.hr_key}

    found = await every_crash(play)
    assert len(found) > 6
    for crash in found:
        await play(crash)


async def test_an_account_over_scim_is_marked_too(
    saas: Saas,  # noqa: F811 - as above
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same over SCIM, where the mark is the external id."""
    DIRECTORY.reset()
    monkeypatch.setenv("SCIM_TOKEN", DIRECTORY.credentials()["SCIM_TOKEN"])
    SecretRef("env:SCIM_TOKEN").resolve(fresh=True)
    account = DIRECTORY.create_by_hand(JANE.email, JANE.email)
    async with running(listed.request(JANE)) as run:
        (task,) = run.tasks()
        assert account in task["instructions"]
        assert DIRECTORY.mutations() == []
        await run.decide("directory.ensure_account", approved=True)
        assert await run.result() == "active"
        (grant,) = run.intervals()
        assert grant["evidence"] == "decided by a person"
    (user,) = DIRECTORY.accounts()
    assert (user["id"], user["marker"]) == (account, JANE.hr_key)
    assert len(DIRECTORY.mutations()) == 1


@pytest.mark.parametrize(("system", "given"), [("slack", chatting), ("salesforce", selling)])
async def test_an_account_of_slack_or_salesforce_is_marked_too(
    saas: Saas,  # noqa: F811 - as above
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    given: Process[..., str],
) -> None:
    """Whatever kind of mark it is: asked at once, nothing sent; then marked, and opened if shut."""
    known = saas.world.credentials()
    monkeypatch.setattr(salesforce, "_client_id", known["SALESFORCE_CLIENT_ID"])
    monkeypatch.setattr(salesforce, "_username", known["SALESFORCE_USERNAME"])
    monkeypatch.setattr(salesforce, "_profile_id", known["SALESFORCE_PROFILE_ID"])
    there = saas.simulators[system]
    getattr(saas, system).create_by_hand(JANE.email)
    async with running(given.request(JANE)) as run:
        (parked,) = run.parked().values()
        assert parked.reason == "ownership-conflict"
        (task,) = run.tasks()
        account = _at(there, JANE.email)
        assert account["id"] in task["instructions"]
        assert JANE.email not in task["instructions"]
        assert _of(run, "step.round_failed") == there.mutations() == []
        await run.decide(f"{system}.ensure_account", approved=True)
        assert await run.result() == "active"
        (grant,) = run.intervals()
        assert grant["evidence"] == "decided by a person"
        again = await run.start(given.request(JANE))
        assert await again.result() == "active"
    assert _at(there, JANE.email) == {**account, "marker": JANE.hr_key}
    assert len(there.mutations()) == 1


async def test_a_lost_answer_to_the_marking_marks_once(saas: Saas) -> None:  # noqa: F811 - as above
    """The answer to the marking is lost: the mark is found, and it is there by the decision."""
    account = saas.google.create_by_hand(JANE.email)
    saas.google.lose_answer("directory.users.update")
    async with running(joining.request(JANE)) as run:
        await run.decide(KEY, approved=True)
        run.clock.advance(minutes(10))
        assert await run.result() == "active"
        (grant,) = run.intervals()
        assert grant["evidence"].startswith("decided by a person")
        assert [leaf["data"]["adopted"] for leaf in _of(run, "step.succeeded")] == [True]
    assert len(saas.google.mutations()) == 1
    (user,) = [each for each in saas.google.accounts() if each["id"] == account]
    assert user["marker"] == JANE.hr_key


@pytest.mark.parametrize("verb", ["cancel", "complete"])
async def test_whatever_ends_the_step_takes_the_question_back(saas: Saas, verb: str) -> None:  # noqa: F811 - as above
    """An operator who ends the step by other means leaves nobody with a question."""
    saas.google.create_by_hand(JANE.email)
    async with running(joining.request(JANE)) as run:
        if verb == "cancel":
            await run.cancel()
        else:
            account = {"system": "google", "id": "U1", "handle": "jane", "state": "active"}
            await run.complete_by_hand(KEY, account)
        assert run.tasks() == []
        assert len(_of(run, "task.withdrawn")) == 1


def _at(there: Simulator, email: str) -> dict[str, Any]:
    """Give the only account at an address."""
    (found,) = [each for each in there.accounts() if each["email"] == email]
    return found


def _identify(saas: Saas, account: str, *ids: dict[str, str]) -> None:  # noqa: F811 - as above
    """Let an administrator set the ids of a user in other systems."""
    user = saas.google.store.rows("users")[account]
    saas.google.store.put("users", account, {**user, "externalIds": list(ids)})


def _of(run, kind):
    return [leaf for leaf in run.audit() if leaf["type"] == kind]
