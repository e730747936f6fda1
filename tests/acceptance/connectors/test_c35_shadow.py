"""C35: a whole onboarding in shadow changes nothing, and says what a real run then does."""

from __future__ import annotations

import pytest

from newel import SecretRef, compensation, minutes, parallel, process
from newel.base.errors import Forbidden
from newel.connectors.github import GitHub
from newel.connectors.google import Google
from newel.connectors.jira import Jira
from newel.connectors.looking import WouldChange
from newel.connectors.shadow import supposed
from newel.connectors.slack import Slack
from newel.connectors.slack_contract import INVITE, SAY
from newel.domain.people import Person
from newel.engine.shadow import would_have
from newel.simulators.slack import SlackSimulator
from newel.testing import Saas, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name
from newel.testing.transport import SimulatorTransport

JANE = Person(name="Jane O'Doe 🎉", email="jane.doe@acme.example", hr_key="4711")
LOGIN = "jane-doe"
GROUP = "engineering@acme.example"


def company(mode):
    """The company's systems, all in one mode, and its onboarding."""
    google = Google(
        service_account=SecretRef("env:GOOGLE_SERVICE_ACCOUNT"),
        admin="admin@acme.example",
        mode=mode,
    )
    slack = Slack(token=SecretRef("env:SLACK_TOKEN"), mode=mode)
    jira = Jira(
        email="newel@acme.example",
        token=SecretRef("env:JIRA_TOKEN"),
        base_url="https://acme-example.atlassian.net",
        mode=mode,
    )
    github = GitHub(org="acme-example", token=SecretRef("env:GITHUB_TOKEN"), mode=mode)

    @process(owner="it")
    async def onboarding(person: Person, login: str) -> str:
        """Everything that a colleague needs, one thing building on another."""
        account = await google.ensure_account(person, suspended=True)
        await parallel(
            google.join_group(person, GROUP),
            _chat(person),
            jira.ensure_account(person),
            github.ensure_member(person, login),
        )
        await google.activate(person)
        return account.email

    async def _chat(person: Person) -> None:
        async with compensation() as undo:
            await slack.ensure_account(person)
            undo(slack.deactivate, person)
            await slack.join_channel(person, "#engineering")
            await slack.say("#general", f"Welcome {person.name}!")

    return onboarding, (google, slack, jira, github)


async def test_a_shadow_changes_nothing_and_tells_what_a_run_then_does(saas: Saas) -> None:  # noqa: F811 - as above
    """No mutation anywhere; the first change of each step is the one that the real run makes."""
    saas.google.add_group(GROUP)
    before = [len(each.mutations()) for each in saas.simulators.values()]
    shadowed, systems = company("shadow")
    async with running(shadowed.request(JANE, LOGIN), connectors=systems) as run:
        assert await run.result() == JANE.email
        told = await run.do(would_have(run.engine.database, systems, run.id))
        assert run.intervals() == []  # the ledger hears of nothing
        assert [each["id"] for each in run.tasks()] == []
    assert [len(each.mutations()) for each in saas.simulators.values()] == before

    live, systems = company("live")
    async with running(live.request(JANE, LOGIN), connectors=systems) as run:
        run.clock.advance(minutes(5))  # what was just made is not to be seen at once
        assert await run.result() == JANE.email
        nothing = await run.do(would_have(run.engine.database, systems, run.id))
    done = {
        (name, each.operation)
        for name, simulator in saas.simulators.items()
        for each in simulator.mutations()
        if each.committed
    }
    assert {(each.system, each.call) for each in told if each.call} == done
    assert {each.key.partition(".")[0] for each in told if each.mails == "person"} == {
        "slack", "jira", "github",
    }  # fmt: skip
    assert nothing == ()


async def test_a_shadow_beside_what_is_there_would_do_nothing(saas: Saas) -> None:  # noqa: F811 - as above
    """After the real run a shadow run has nothing to tell but the message.

    It runs where nobody has heard of the real one: whose Jira's account is, a person says.
    """
    saas.google.add_group(GROUP)
    live, systems = company("live")
    async with running(live.request(JANE, LOGIN), connectors=systems) as run:
        run.clock.advance(minutes(5))  # what was just made is not to be seen at once
        assert await run.result() == JANE.email
    shadowed, systems = company("shadow")
    async with running(shadowed.request(JANE, LOGIN), connectors=systems) as run:
        await run.decide("jira.ensure_account", approved=True)
        assert await run.result() == JANE.email
        told = await run.do(would_have(run.engine.database, systems, run.id))
        assert run.intervals() == []  # not even what it has found
    assert [each.call for each in told if each.call] == [SAY.operation]


chat = Slack(name="chat", token=SecretRef("env:SLACK_TOKEN"), plan="pro", mode="shadow")


@process(owner="it")
async def chatting(person: Person) -> str:
    """Give somebody an account that no program can make, in shadow."""
    account = await chat.ensure_account(person)
    return account.state


async def test_in_shadow_nobody_is_asked_to_do_anything_by_hand(saas: Saas) -> None:  # noqa: F811 - as above
    """A plan without a way: the run goes on, and tells what a person would be asked for."""
    simulator = saas.slack.simulator
    assert isinstance(simulator, SlackSimulator)
    simulator.plan = "pro"
    chat.http.wire.transport = SimulatorTransport(simulator)
    async with running(chatting.request(JANE), connectors=[chat]) as run:
        assert await run.result() == "active"
        assert [leaf for leaf in run.audit() if leaf["type"] == "task.opened"] == []
        (told,) = await run.do(would_have(run.engine.database, [chat], run.id))
    assert told.call == INVITE.operation
    assert saas.slack.mutations() == []


async def test_nobody_can_send_a_change_past_the_shadow(saas: Saas) -> None:  # noqa: F811 - as above
    """The client itself refuses, whoever asks it, inside an operation or not."""
    _, (_, slack, *_) = company("shadow")
    saas.wire(slack)
    with pytest.raises(WouldChange):
        await slack.http.call(SAY, body={"channel": "C1", "text": "x"})
    assert saas.slack.mutations() == []


def test_what_cannot_be_supposed_is_refused():
    """A result that is only known once it is done parks the step instead of lying."""
    with pytest.raises(Forbidden, match="shadow"):
        supposed(memoryview, "x", None, gives=True)
