"""C30, C31: what no program can do a person does, and newel sees it; what is lost is not hidden."""

from __future__ import annotations

import pytest

from newel import SecretRef, hours, minutes, process
from newel.base.errors import AlreadyDecided, InvalidInput
from newel.connectors.google import Google
from newel.connectors.google_contract import USER_SCOPE
from newel.connectors.slack import Plan, Slack
from newel.domain.people import Person
from newel.domain.retry import urgent
from newel.drawing.plan import planned
from newel.simulators.slack import SlackSimulator
from newel.testing import Crash, Saas, every_crash, running
from newel.testing.desk import TicketDesk
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name

slack = Slack(token=SecretRef("env:SLACK_TOKEN"), plan="pro")
JANE = Person(name="Jane Doe", email="jane.doe@acme.example", hr_key="4711")


def on_plan(world: Saas, plan: Plan) -> None:
    """Put Slack on a plan."""
    assert isinstance(world.slack.simulator, SlackSimulator)
    world.slack.simulator.plan = plan


@process(owner="it")
async def joining(person: Person) -> str:
    """Give somebody a Slack account."""
    account = await slack.ensure_account(person)
    return account.state


@process(owner="it")
async def welcoming(person: Person) -> None:
    """Give somebody a Slack account, and go on whatever it is."""
    await slack.ensure_account(person)


@process(owner="it")
async def leaving(person: Person) -> str:
    """Take the Slack account away."""
    account = await slack.deactivate(person)
    return account.state


@pytest.fixture
def pro(saas: Saas) -> Saas:  # noqa: F811 - as above
    """Slack on its smallest plan."""
    on_plan(saas, "pro")
    return saas


KEY = "slack.ensure_account"


async def test_the_step_closes_itself_when_the_account_is_there(pro: Saas) -> None:
    """C30: a task says what to do and why; she accepts, and the next look ends the step."""
    async with running(joining.request(JANE)) as run:
        (task,) = run.tasks()
        assert (task["title"], task["owner"]) == ("invite them to Slack", "it")
        said = task["instructions"]
        assert said.startswith("Slack's plan pro has no SCIM, and Slack lets programs invite")
        assert "So this is done by hand." in said
        assert JANE.name not in said and JANE.email not in said
        assert (run.state, run.parked()) == ("waiting", {})
        (line,) = (await run.do(run.engine.plan(run.id))).lines
        assert (line.state, line.reason) == ("task", "asks it")
        run.clock.advance(minutes(1))  # nobody has done it yet
        pro.slack.accept_in_slack(JANE.email)
        assert run.state == "waiting"
        run.clock.advance(minutes(5))  # at most one poll
        assert await run.result() == "active"
        assert run.tasks() == []
        (grant,) = run.intervals()
        assert (grant["route"], grant["state"]) == ("by_hand", "active")
        assert grant["evidence"] == "asked for, done by hand"
        routes = [leaf["data"]["route"] for leaf in _of(run, "step.started")]
        assert set(routes) == {"by_hand"}
        assert [leaf["data"]["claimed"] for leaf in _of(run, "step.looked")] == [False, False]
    assert pro.slack.mutations() == []


def test_the_plan_says_who_will_do_it() -> None:
    """C30: before anything runs the plan names the step that a person does, and why."""
    (line,) = planned(joining.request(JANE)).lines
    assert (line.key, line.forecast) == (KEY, "will-run")
    assert line.reason.endswith(
        "by hand: Slack's plan pro has no SCIM, and Slack lets programs invite and remove people "
        "only on the plan enterprise."
    )
    (line,) = planned(hired.request(JANE)).lines
    assert "by hand" not in line.reason


async def test_it_looks_seldom_and_asks_once(pro: Saas) -> None:
    """It looks after 1, 5 and 15 minutes, then every hour; one task stays open all the while."""
    async with running(joining.request(JANE)) as run:
        (task,) = run.tasks()
        run.clock.advance(hours(6))
        assert len(_of(run, "step.looked")) == 1 + 3 + 5
        assert len(_of(run, "step.started")) == 1  # one event for each look: nothing has changed
        assert [each["id"] for each in run.tasks()] == [task["id"]]
        assert len(pro.slack.calls("users.lookupByEmail")) == 9
        pro.slack.accept_in_slack(JANE.email)
        run.clock.advance(hours(1))
        assert await run.result() == "active"


async def test_a_persons_word_is_looked_at_before_it_is_believed(pro: Saas) -> None:
    """Said to be done, and not there: the task comes back and says so. Said and there: done."""
    async with running(joining.request(JANE)) as run:
        await run.fill(KEY)
        assert run.tasks() == []
        run.clock.advance(minutes(1))
        (task,) = run.tasks()
        assert task["instructions"].startswith("Somebody said that it was done, and newel does not")
        pro.slack.accept_in_slack(JANE.email)
        await run.fill(KEY)
        assert await run.result() == "active"
        (grant,) = run.intervals()
        assert grant["route"] == "by_hand"
        assert [leaf["data"]["claimed"] for leaf in _of(run, "step.looked")] == [False, True, True]


async def test_of_an_account_that_is_there_somebody_says_whose_it_is(pro: Saas) -> None:
    """Who was invited before newel came to it: nobody is asked to invite, but whose it is."""
    pro.slack.accept_in_slack(JANE.email)
    async with running(joining.request(JANE)) as run:
        (task,) = run.tasks()
        assert task["title"] == "is this Slack account theirs"
        await run.decide(KEY, approved=True)
        assert await run.result() == "active"
        assert len(_of(run, "task.opened")) == 1
        (leaf,) = _of(run, "step.succeeded")
        assert leaf["data"]["adopted"] is True


async def test_access_that_no_program_can_take_is_seen_to_be_gone(pro: Saas) -> None:
    """The same for taking away: the grant ends when newel sees that the account is locked."""
    pro.slack.accept_in_slack(JANE.email)
    async with running(joining.request(JANE), processes=[leaving]) as came:
        await came.decide(KEY, approved=True)
        assert await came.result() == "active"
        run = await came.start(leaving.request(JANE))
        (task,) = run.tasks()
        assert task["title"] == "deactivate their Slack account"
        await run.fill("slack.deactivate")
        run.clock.advance(minutes(1))
        assert run.grants() == {"slack:account": "active"}
        pro.slack.deactivate_by_hand(JANE.email)
        await run.fill("slack.deactivate")
        assert await run.result() == "absent"
        assert run.grants() == {"slack:account": "revoked"}


@process(owner="it", retry=urgent)
async def dismissed(person: Person) -> None:
    """Take the Slack account away at once."""
    await slack.deactivate(person)


async def test_what_is_urgent_is_due_within_the_hour(pro: Saas) -> None:
    """Access that is to be cut at once is asked for within the hour, and looked at every 5 min."""
    pro.slack.accept_in_slack(JANE.email)
    async with running(dismissed.request(JANE)) as run:
        (task,) = run.tasks()
        assert task["due_at"] - task["opened_at"] == hours(1)
        run.clock.advance(minutes(31))
        assert len(_of(run, "step.looked")) == 1 + 1 + 6
        pro.slack.deactivate_by_hand(JANE.email)
        run.clock.advance(minutes(5))
        assert run.state == "completed"


class Chat(TicketDesk):
    """A channel that tells and tracks nothing."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        super().__init__("chat")
        self.is_tracker = False


async def test_the_urgent_channel_is_told_until_it_is_done(pro: Saas) -> None:
    """When somebody is asked to cut access, after 15 and after 60 minutes; then no more."""
    pro.slack.accept_in_slack(JANE.email)
    chat = Chat()
    first = "[newel] slack: access is to be cut by hand"
    async with running(dismissed.request(JANE), desk=chat) as run:
        run.clock.advance(minutes(1))
        assert chat.opened == [f"{first} (asked)"]
        run.clock.advance(minutes(15))
        assert chat.opened[1:] == [f"{first} (15 minutes later)"]
        await run.fill("slack.deactivate")  # it is not: the task comes back, nobody is told anew
        run.clock.advance(minutes(2))
        assert len(run.tasks()) == 1
        assert len(chat.opened) == 2
        run.clock.advance(minutes(45))
        assert chat.opened[2:] == [f"{first} (an hour later)"]
        run.clock.advance(hours(5))
        pro.slack.deactivate_by_hand(JANE.email)
        run.clock.advance(minutes(6))
        assert run.state == "completed"
        assert len(chat.opened) == 3
    assert JANE.email not in str(chat.issues) and JANE.name not in str(chat.issues)


async def test_what_is_done_soon_is_told_of_once(pro: Saas) -> None:
    """Done within the quarter of an hour: one notice; what is not urgent is told to nobody."""
    pro.slack.accept_in_slack(JANE.email)
    chat = Chat()
    async with running(dismissed.request(JANE), desk=chat) as run:
        run.clock.advance(minutes(1))
        pro.slack.deactivate_by_hand(JANE.email)
        run.clock.advance(hours(2))
        assert run.state == "completed"
        assert len(chat.opened) == 1
    leo = Person(name="Leo Late", email="leo.late@acme.example", hr_key="4712")
    async with running(joining.request(leo), desk=chat) as run:
        run.clock.advance(hours(2))
        assert len(run.tasks()) == 1
        assert len(chat.opened) == 1


async def test_a_channel_that_is_down_at_first_is_told_later(pro: Saas) -> None:
    """The first notice of urgent work reaches nobody; the next one does."""
    pro.slack.accept_in_slack(JANE.email)
    chat = Chat()
    chat.is_down = True
    async with running(dismissed.request(JANE), desk=chat) as run:
        run.clock.advance(minutes(10))
        chat.is_down = False
        run.clock.advance(minutes(20))
        assert [each.rpartition(" (")[2] for each in chat.opened] == ["15 minutes later)"]


@pytest.mark.parametrize("verb", ["cancel", "skip", "complete"])
async def test_whatever_ends_the_step_takes_the_task_back(pro: Saas, verb: str) -> None:
    """An operator who ends the step by other means leaves nobody with something to do."""
    async with running(welcoming.request(JANE)) as run:
        match verb:
            case "cancel":
                await run.cancel()
            case "skip":
                await run.skip(KEY)
            case _:
                account = {"system": "slack", "id": "U1", "handle": "jane", "state": "active"}
                await run.complete_by_hand(KEY, account)
        assert run.tasks() == []
        assert run.state in {"cancelled", "completed"}
        assert len(_of(run, "task.withdrawn")) == 1


async def test_an_outage_while_somebody_is_asked_disturbs_nobody(pro: Saas) -> None:
    """Slack is down when newel looks: rounds and a ticket as ever; healed, it looks on."""
    async with running(joining.request(JANE)) as run:
        (task,) = run.tasks()
        pro.slack.down(hours(2))
        run.clock.advance(hours(4))
        assert [each["id"] for each in run.tasks()] == [task["id"]]
        assert run.parked() == {}
        pro.slack.accept_in_slack(JANE.email)
        run.clock.advance(hours(1))
        assert await run.result() == "active"


async def test_nobody_looks_into_a_system_that_is_paused(pro: Saas) -> None:
    """Paused while somebody is asked: not one call until it is resumed, and then newel looks on."""
    async with running(joining.request(JANE)) as run:
        actor = await run.engine.actor("it@acme.example", via="test")
        run.clock.advance(minutes(2))
        calls = len(pro.slack.calls("users.lookupByEmail"))
        await run.do(run.engine.systems.pause("slack", actor=actor, reason="the vendor moves"))
        run.clock.advance(hours(6))
        assert len(pro.slack.calls("users.lookupByEmail")) == calls
        assert len(run.tasks()) == 1
        pro.slack.accept_in_slack(JANE.email)
        await run.do(run.engine.systems.resume("slack", actor=actor, reason="it has moved"))
        run.clock.advance(minutes(1))
        assert await run.result() == "active"
        assert run.tasks() == []


async def test_a_better_plan_is_used_when_an_operator_says_retry(pro: Saas) -> None:
    """The way stands until somebody has it chosen anew; then SCIM does it, and the task goes."""
    async with running(joining.request(JANE)) as run:
        on_plan(pro, "business")
        slack.plan, slack.wanted = business.plan, business.wanted
        try:
            run.clock.advance(hours(3))
            assert len(run.tasks()) == 1
            await run.retry(KEY)
            assert await run.result() == "active"
            assert run.tasks() == []
            assert _of(run, "step.started")[-1]["data"]["route"] == "scim"
        finally:
            slack.plan, slack.wanted = "pro", ()
    pro.slack.assert_exactly_once(f"account/{JANE.email}")


business = Slack(token=SecretRef("env:SLACK_TOKEN"), plan="business")


@process(owner="it")
async def hired(person: Person) -> str:
    """Give somebody an account of a workspace that has SCIM, or is said to."""
    account = await business.ensure_account(person)
    return account.state


async def test_what_is_lost_at_run_time_is_an_incident(saas: Saas) -> None:  # noqa: F811 - as above
    """C31: SCIM was there and is gone: the step parks as forbidden, by its way; nobody is asked."""
    async with running(hired.request(JANE), connectors=[business]) as run:
        assert await run.result() == "active"
        await run.do(business.capabilities())
        on_plan(saas, "pro")
        run.clock.advance(hours(2))
        await run.do(business.capabilities())
        assert business.known_capabilities.of("slack.scim").state == "lost"
        other = Person(name="Leo Lost", email="leo.lost@acme.example", hr_key="4712")
        second = await run.start(hired.request(other))
        (parked,) = second.parked().values()
        assert parked.reason == "forbidden"
        assert second.tasks() == []
        assert [leaf["data"].get("route") for leaf in _of(second, "step.started")] == ["scim"]
        account = {"system": "slack", "id": "U1", "handle": "leo", "state": "active"}
        await second.complete_by_hand(KEY, account)  # what the incident offers
        assert await second.result() == "active"
        assert [each["route"] for each in second.intervals()] == ["by_hand"]


google = Google(
    service_account=SecretRef("env:GOOGLE_SERVICE_ACCOUNT"),
    admin="admin@acme.example",
    scopes=(USER_SCOPE,),
)


@process(owner="it")
async def licensed(person: Person) -> str:
    """Give somebody a licence that newel may not give, and take it back."""
    await google.ensure_account(person)
    await google.assign_licence(person, "1010020020")
    account = await google.remove_licence(person, "1010020020")
    return account.state


async def test_what_newel_cannot_see_is_believed_with_a_note(saas: Saas) -> None:  # noqa: F811 - as above
    """Licences without the scope to read them: whoever did it says so, and that is the record."""
    async with running(licensed.request(JANE)) as run:
        for key, verb in (("google.assign_licence", "Assign"), ("google.remove_licence", "Remove")):
            (task,) = run.tasks()
            assert "the scope apps.licensing is not delegated" in task["instructions"].lower()
            assert f"2. {verb} 1010020020 of Google-Apps." in task["instructions"]
            run.clock.advance(hours(2))
            assert [each["id"] for each in run.tasks()] == [task["id"]]
            with pytest.raises(InvalidInput):
                await run.do(
                    run.engine.fill(
                        task["id"],
                        actor=await run.engine.actor("it@acme.example", via="test"),
                        note="done",
                    )
                )
            await run.fill(key, note="Seen in the administration, O'Brien 🎉")
        assert await run.result() == "active"
        assert run.grants()["google:licence/1010020020"] == "revoked"
        routes = {row["entitlement"]: row["route"] for row in run.intervals()}
        assert routes["google:licence/1010020020"] == "by_hand"
    assert saas.google.calls("licensing.licenseAssignments.insert") == []


@process(owner="it")
async def given(person: Person, sku: str) -> None:
    """Give somebody a licence that newel may not give."""
    await google.ensure_account(person)
    await google.assign_licence(person, sku)


@pytest.mark.parametrize("is_asked_anew", [True, False])
async def test_a_word_about_something_else_is_not_believed(
    saas: Saas,  # noqa: F811 - as above
    *,
    is_asked_anew: bool,
) -> None:
    """Amended while somebody is asked: what they did was another thing, and the task says which."""
    async with running(given.request(JANE, "1010020020")) as run:
        actor = await run.engine.actor("it@acme.example", via="test")
        named = {"name": JANE.name, "email": JANE.email, "hr_key": JANE.hr_key}
        amended = {"person": named, "sku": "1010060001"}
        (old,) = run.tasks()
        change = run.engine.amend(run.id, amended, actor=actor, reason="the smaller one 🌻")
        if is_asked_anew:
            await run.do(change)
            with pytest.raises(AlreadyDecided):
                await run.do(run.engine.fill(old["id"], actor=actor, note="1010020020 it is"))
        else:  # a person who presses the button in the same moment
            await run.do(run.engine.pause(run.id, actor=actor, reason="a moment"))
            await run.do(change)
            await run.fill("google.assign_licence", note="Assigned 1010020020.")
            await run.do(run.engine.resume(run.id, actor=actor))
        assert "google:licence/1010060001" not in run.grants()
        (task,) = run.tasks()
        assert "Assign 1010060001 of" in task["instructions"]
        await run.fill("google.assign_licence", note="Assigned 1010060001.")
        assert run.state == "completed"
        assert run.grants()["google:licence/1010060001"] == "active"


async def test_somebody_elses_account_is_for_a_person_to_decide(saas: Saas) -> None:  # noqa: F811 - as above
    """An account without our mark at her address: nobody is asked for work, the step parks."""
    saas.google.create_by_hand(JANE.email)
    async with running(renewed.request(JANE)) as run:
        (parked,) = run.parked().values()
        assert parked.reason == "ownership-conflict"
        assert run.tasks() == []
    assert saas.google.mutations() == []


@process(owner="it")
async def renewed(person: Person) -> None:
    """Give somebody who has an account a licence."""
    await google.assign_licence(person, "1010020020")


async def test_a_worker_that_dies_anywhere_asks_once(pro: Saas) -> None:
    """Whatever boundary a worker dies at: one task at a time, one outcome, nothing sent."""

    async def play(crash: Crash | None = None) -> None:
        pro.reset()
        on_plan(pro, "pro")
        async with running(joining.request(JANE), crash=crash) as run:
            run.clock.advance(minutes(1))
            assert len(run.tasks()) == 1
            pro.slack.accept_in_slack(JANE.email)
            await run.fill(KEY)
            run.clock.advance(minutes(2))
            assert await run.result() == "active"
            assert len(_of(run, "step.succeeded")) == 1
            assert pro.slack.mutations() == []

    found = await every_crash(play)
    assert len(found) > 10
    for crash in found:
        await play(crash)


def _of(run, kind):
    return [leaf for leaf in run.audit() if leaf["type"] == kind]
