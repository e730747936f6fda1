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
from newel.connectors.jira import Jira
from newel.connectors.jira_contract import (
    ADD_COMMENT,
    CREATE_ISSUE,
    CREATE_USER,
    FIND_USERS,
    MOVE,
    PERMISSION_NAMES,
    FieldValue,
)
from newel.connectors.jira_document import document_of, text_of
from newel.connectors.trackers.base import Ticket, label_of
from newel.connectors.trackers.jira import JiraTickets, jira_issues
from newel.domain.people import Person
from newel.domain.values import Absent, Found
from newel.simulators.faults import (
    DropField,
    Lag,
    LoseResponse,
    Quota,
    RemoveScope,
    ResetBefore,
    RevokeToken,
    Seats,
    Status,
    Throttle,
    VendorError,
)
from newel.simulators.jira import JiraSimulator
from tests.connectors.support import JANE, START, Time, agreed, attempt, effect_of, raised

INCIDENT = "inc_01j9"
TICKET = Ticket(
    incident=INCIDENT,
    title="[newel] github: no answer since 2026-01-05 09:00 UTC",
    body="GitHub does not answer.\n\nOne run waits: https://newel.example/runs/run_1",
    url="https://newel.example/incidents/inc_01j9",
)


@pytest.fixture
def sim(time: Time) -> JiraSimulator:
    """Jira with small pages."""
    return JiraSimulator(seed=7, clock=time.world, sleep=time.pause, page_size=3)


@pytest.fixture
def jira(sim: JiraSimulator, time: Time, monkeypatch: pytest.MonkeyPatch) -> Jira:
    """Connect to it."""
    given = sim.credentials()
    monkeypatch.setenv("T_JIRA_TOKEN", given["JIRA_TOKEN"])
    SecretRef("env:T_JIRA_TOKEN").resolve(fresh=True)
    return Jira(
        email=given["JIRA_EMAIL"],
        token=SecretRef("env:T_JIRA_TOKEN"),
        base_url=given["JIRA_URL"],
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )


@pytest.fixture
def tickets(jira: Jira) -> JiraTickets:
    """Tickets in the project OPS."""
    return jira_issues("OPS", jira=jira)


def issues(sim: JiraSimulator) -> list[str]:
    """Give the keys of all issues."""
    return [ticket["key"] for ticket in sim.tickets()]


# Accounts --------------------------------------------------------------------------------------


async def test_products_are_told_of_by_the_call_that_asked_for_them(
    jira: Jira, sim: JiraSimulator, time: Time
):
    """Also where its answer was lost; an account that was there says nothing of its products."""
    told = []
    with attempt(time) as observed:
        await jira.ensure_account.called(JANE, products=("jira-software", "jira-servicedesk"))
    told.append(effect_of(observed).also)
    with attempt(time) as observed:
        await jira.ensure_account.called(JANE)
    told.append(effect_of(observed).also)
    await jira.remove_account.called(JANE)
    sim.fail(CREATE_USER.operation, LoseResponse(), times=1)
    await raised(jira.ensure_account(JANE), OutcomeUnknown)
    assert jira.ensure_account.verify is not None
    with attempt(time) as observed:
        await jira.ensure_account.verify(JANE)
    told.append(effect_of(observed).also)
    assert told == [
        ("product/jira-software", "product/jira-servicedesk"),
        (),
        ("product/jira-software",),
    ]


async def test_an_account_is_made_once_and_removed_once(jira: Jira, sim: JiraSimulator, time: Time):
    """Creating and removing each change something once and nothing the second time."""
    seen = []
    for operation in (jira.ensure_account, jira.remove_account):
        for _ in range(2):
            with attempt(time) as observed:
                account = await operation.called(JANE)
            effect = effect_of(observed)
            seen.append((effect.changed, effect.access, account.state))
    assert seen == [
        (True, "active", "active"),
        (False, "active", "active"),
        (True, "revoked", "absent"),
        (False, "revoked", "absent"),
    ]
    assert len(sim.mutations()) == 2


async def test_an_account_that_cannot_be_told_apart_is_a_conflict(jira: Jira, sim: JiraSimulator):
    """Two hits with hidden addresses are never guessed between."""
    for name in ("jane.doe@acme.example.org", "jane.doe@acme.example.net"):
        user = sim.new_user(name, display_name="Jane", products=[])
        sim.store.put("users", user["accountId"], {**user, "email_hidden": True})
    await raised(jira.ensure_account(JANE), OwnershipConflict)
    assert sim.mutations() == []


async def test_without_permission_nothing_is_believed(jira: Jira, sim: JiraSimulator):
    """A credential that cannot browse users is refused before an empty search could lie."""
    sim.fail("*", RemoveScope("USER_PICKER"))
    refused = await raised(jira.ensure_account(JANE), Forbidden)
    assert refused.missing == "USER_PICKER"
    assert sim.mutations() == []
    check = await jira.check()
    assert (check.ok, check.missing) == (False, ("USER_PICKER (Browse users and groups)",))


async def test_the_proof_of_permission_lasts_a_day(jira: Jira, sim: JiraSimulator, time: Time):
    """The permission is read once a day, not with every search."""
    await jira.find(JANE)
    await jira.find(JANE)
    assert len(sim.calls("getMyPermissions")) == 1
    time.move(timedelta(hours=24))
    await jira.find(JANE)
    assert len(sim.calls("getMyPermissions")) == 2


async def test_a_lost_answer_is_found(jira: Jira, sim: JiraSimulator, time: Time):
    """A lost answer to the creation is found by verify; there is one account."""
    sim.fail(CREATE_USER.operation, LoseResponse(), times=1)
    await raised(jira.ensure_account(JANE), OutcomeUnknown)
    assert jira.ensure_account.verify is not None
    with attempt(time):
        assert isinstance(await jira.ensure_account.verify(JANE), Found)
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_a_request_cut_before_it_arrived_is_redone(
    jira: Jira, sim: JiraSimulator, time: Time
):
    """Nothing arrived: absent after the settle time, and the redo makes one account."""
    sim.fail(CREATE_USER.operation, ResetBefore(), times=1)
    await raised(jira.ensure_account(JANE), OutcomeUnknown)
    assert jira.ensure_account.verify is not None
    with attempt(time, intended=START):
        assert await jira.ensure_account.verify(JANE) == Absent()
    assert time.pauses == [5]
    await jira.ensure_account(JANE)
    sim.assert_exactly_once("account/jane.doe@acme.example")


async def test_groups_are_joined_and_left_once(jira: Jira, sim: JiraSimulator, time: Time):
    """Joining and leaving a group change something once and nothing the second time."""
    account = await jira.ensure_account(JANE)
    sim.book.clear()
    seen = []
    for operation in (jira.join_group, jira.leave_group):
        for _ in range(2):
            with attempt(time) as observed:
                await operation.called(account, "site-admins")
            seen.append(effect_of(observed).changed)
    assert seen == [True, False, True, False]
    assert len(sim.mutations()) == 2


@pytest.mark.parametrize(
    ("operation", "effect", "kind"),
    [
        (CREATE_USER.operation, Seats(0), NoCapacity),
        (CREATE_USER.operation, Throttle(30), Throttled),
        (CREATE_USER.operation, Throttle(None), Throttled),
        (CREATE_USER.operation, Status(503), OutcomeUnknown),
        (CREATE_USER.operation, VendorError("409"), Transient),
        (CREATE_USER.operation, DropField("accountId"), ContractDrift),
        (CREATE_USER.operation, RemoveScope("ADMINISTER"), Forbidden),
        (FIND_USERS.operation, Status(503), Transient),
        (FIND_USERS.operation, Status(410), ContractDrift),
        ("*", RevokeToken(), AuthFailed),
    ],
)
async def test_faults_have_their_class(
    jira: Jira, sim: JiraSimulator, operation: str, effect: Any, kind: type[StepError]
):
    """Each fault leaves as the class that is prescribed for it, without the address."""
    sim.fail(operation, effect)
    failed = await raised(jira.ensure_account(JANE), StepError)
    assert type(failed) is kind
    assert "jane" not in str(failed)


async def test_a_refusal_names_what_the_operation_needs(jira: Jira, sim: JiraSimulator):
    """Jira does not say what is missing, so the operation's own needs are named."""
    sim.fail("*", RemoveScope("ADMINISTER"))
    refused = await raised(jira.ensure_account(JANE), Forbidden)
    assert refused.missing == "USER_PICKER, ADMINISTER"
    assert "ADMINISTER" in str(refused)


# Issues ----------------------------------------------------------------------------------------


async def test_an_issue_is_created_once_per_act(jira: Jira, sim: JiraSimulator, time: Time):
    """The same act finds its issue again after a lost answer, by its mark."""
    sim.fail(CREATE_ISSUE.operation, LoseResponse(), times=1)
    with attempt(time):
        await raised(
            jira.create_issue.called("OPS", "Order a laptop", "For the new colleague."),
            OutcomeUnknown,
        )
    assert jira.create_issue.verify is not None
    with attempt(time):
        verdict = await jira.create_issue.verify("OPS", "Order a laptop", "For the new colleague.")
    assert isinstance(verdict, Found)
    assert issues(sim) == [verdict.value.key]
    assert verdict.value.url == f"https://acme-example.atlassian.net/browse/{verdict.value.key}"


async def test_an_issue_not_yet_searchable_is_waited_for(
    jira: Jira, sim: JiraSimulator, time: Time
):
    """While the index lags, verify hands back the moment to look again, and finds it then."""
    sim.fail("*", Lag("jira.search", 15))
    sim.fail(CREATE_ISSUE.operation, LoseResponse(), times=1)
    with attempt(time):
        await raised(jira.create_issue.called("OPS", "Order", "Text"), OutcomeUnknown)
    assert jira.create_issue.verify is not None
    with attempt(time, intended=START):
        early = await raised(jira.create_issue.verify("OPS", "Order", "Text"), NotReady)
    assert early.retry_at == START + timedelta(seconds=20)
    time.move(timedelta(seconds=20))
    with attempt(time, intended=START):
        assert isinstance(await jira.create_issue.verify("OPS", "Order", "Text"), Found)
    assert len(issues(sim)) == 1


# Tickets ---------------------------------------------------------------------------------------


async def test_a_ticket_is_opened_once(tickets: JiraTickets, sim: JiraSimulator):
    """Asking twice gives the same issue, with its marks and one link to the console."""
    first = await tickets.ensure_ticket(TICKET)
    changes = len(sim.mutations())
    assert await tickets.ensure_ticket(TICKET) == first
    assert len(sim.mutations()) == changes
    (shown,) = sim.tickets()
    assert shown["summary"] == TICKET.title
    assert shown["labels"] == ["newel", label_of(INCIDENT)]
    assert shown["properties"] == {"newel.incident": INCIDENT}
    assert len(sim.calls("createOrUpdateRemoteIssueLink", committed=True)) == 1


async def test_a_lost_ticket_is_found_before_another_is_opened(
    tickets: JiraTickets, sim: JiraSimulator
):
    """The answer to the creation is lost: `find` shows the issue, nothing is created again."""
    sim.fail(CREATE_ISSUE.operation, LoseResponse(), times=1)
    await raised(tickets.ensure_ticket(TICKET), OutcomeUnknown)
    found = await tickets.find(INCIDENT)
    assert found == await tickets.ensure_ticket(TICKET)
    assert len(issues(sim)) == 1


async def test_a_lagging_search_hides_the_ticket_only_for_a_while(
    tickets: JiraTickets, sim: JiraSimulator, time: Time
):
    """With the index 45 seconds behind, the search at 60 seconds finds the only issue."""
    sim.fail("*", Lag("jira.search", 45))
    sim.fail(CREATE_ISSUE.operation, LoseResponse(), times=1)
    await raised(tickets.ensure_ticket(TICKET), OutcomeUnknown)
    seen = []
    for wait in (0, 20, 40):
        time.move(timedelta(seconds=wait))
        seen.append(await tickets.find(INCIDENT) is not None)
    assert seen == [False, False, True]
    assert len(issues(sim)) == 1


async def test_a_label_of_another_incident_is_not_taken(
    tickets: JiraTickets, jira: Jira, sim: JiraSimulator
):
    """An issue with the same label whose property names another incident is ignored."""
    fields: dict[str, object] = {
        "issuetype": {"name": "Task"},
        "summary": "Another",
        "labels": ["newel", label_of(INCIDENT)],
    }
    other = await jira.create("OPS", fields, "newel.incident", "inc_other")
    assert await tickets.find(INCIDENT) is None
    assert (await tickets.ensure_ticket(TICKET)).key != other.key
    assert len(issues(sim)) == 2


async def test_without_permission_to_search_no_ticket_is_opened(
    tickets: JiraTickets, sim: JiraSimulator
):
    """A search that cannot see the project is refused instead of opening a second issue."""
    sim.fail("*", RemoveScope("BROWSE_PROJECTS"))
    refused = await raised(tickets.ensure_ticket(TICKET), Forbidden)
    assert refused.missing == "BROWSE_PROJECTS"
    assert issues(sim) == []


async def test_a_comment_is_written_once_per_key(tickets: JiraTickets, sim: JiraSimulator):
    """A comment whose answer was lost is found by its last line, also behind several pages."""
    ref = await tickets.ensure_ticket(TICKET)
    sim.fail(ADD_COMMENT.operation, LoseResponse(), times=1)
    await raised(tickets.comment(ref, "healed", "GitHub answers again."), OutcomeUnknown)
    for number in range(5):
        await tickets.comment(ref, f"joined-{number}", "Another run waits.")
    await tickets.comment(ref, "healed", "GitHub answers again.")
    (shown,) = sim.tickets()
    assert shown["comments"][0] == "GitHub answers again. newel comment healed"
    assert len(shown["comments"]) == 6


async def test_a_ticket_is_closed_once(tickets: JiraTickets, sim: JiraSimulator):
    """Closing moves the issue to a done status; closing again sends nothing."""
    ref = await tickets.ensure_ticket(TICKET)
    await tickets.resolve(ref)
    await tickets.resolve(ref)
    assert [ticket["status"] for ticket in sim.tickets()] == ["Done"]
    assert len(sim.calls(MOVE.operation)) == 1


async def test_a_named_transition_closes_the_ticket(jira: Jira, sim: JiraSimulator):
    """A configured transition goes before the first that leads to done."""
    tickets = jira_issues("OPS", jira=jira, resolve_by="start work")
    await tickets.resolve(await tickets.ensure_ticket(TICKET))
    assert [ticket["status"] for ticket in sim.tickets()] == ["In Progress"]


async def test_a_ticket_that_cannot_be_closed_gets_a_comment(
    tickets: JiraTickets, sim: JiraSimulator
):
    """Without a transition to done, one comment says that the incident is over."""
    ref = await tickets.ensure_ticket(TICKET)
    sim.fail("*", RemoveScope("TRANSITION_ISSUES"))
    await tickets.resolve(ref)
    await tickets.resolve(ref)
    (shown,) = sim.tickets()
    assert shown["status"] == "To Do"
    assert len(shown["comments"]) == 1


async def test_the_description_can_be_rewritten(tickets: JiraTickets, sim: JiraSimulator):
    """Rewriting the description with the same text leaves the issue as it is."""
    ref = await tickets.ensure_ticket(TICKET)
    await tickets.describe(ref, "Two runs wait.")
    await tickets.describe(ref, "Two runs wait.")
    assert len(sim.calls("editIssue", committed=True)) == 1


def test_text_survives_the_document_format():
    """Text, line breaks and links come back from an Atlassian document as they were."""
    text = "One.\nSee https://newel.example/x now\n\nTwo."
    assert text_of(document_of(text)) == "One.\nSee https://newel.example/x now\nTwo.\n"


def answered(
    status: int, body: bytes = b"{}", *, route: Any = CREATE_USER, **headers: str
) -> Answer:
    """Make an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(route, status, named, body)


@pytest.mark.parametrize(
    ("answer", "kind", "facts"),
    [
        (answered(201), None, {}),
        (answered(401), AuthFailed, {}),
        (answered(403), Forbidden, {"reason": "permission", "missing": None}),
        (answered(409), Transient, {}),
        (answered(413), Invalid, {}),
        (answered(429, retry_after="9"), Throttled, {"retry_after": timedelta(seconds=9)}),
        (
            answered(429, x_ratelimit_reset="2026-01-05T09:01:00Z"),
            Throttled,
            {"retry_at": START + timedelta(minutes=1)},
        ),
        (
            answered(400, b'{"errorMessages":["The license user limit is exceeded"]}'),
            NoCapacity,
            {"what": "Jira seats"},
        ),
        (
            answered(400, b'{"errors":{"summary":"You must specify a summary"}}'),
            Invalid,
            {"fields": {"summary": "You must specify a summary"}},
        ),
        (answered(500), OutcomeUnknown, {}),
        (answered(500, route=FIND_USERS), Transient, {}),
        (answered(404), ContractDrift, {}),
    ],
)
def test_answers_have_their_class(
    answer: Answer, kind: type[StepError] | None, facts: dict[str, object]
):
    """Jira's answers are classed by message first, by status last."""
    verdict = Jira.judged(answer)
    assert (type(verdict) if verdict else None) is kind
    assert {name: getattr(verdict, name) for name in facts} == facts


async def test_near_its_limit_jira_is_asked_half_as_fast(
    jira: Jira, sim: JiraSimulator, time: Time
):
    """Less than a fifth of the limit is left: Jira says so, and each request counts twice."""
    sim.fail("*", Quota())
    for _ in range(19):
        await jira.probe()
    assert time.pauses == pytest.approx([0.1, 0.2, 0.2])


async def test_a_member_the_list_does_not_show_is_found_by_the_refusal(
    jira: Jira, sim: JiraSimulator
):
    """Told "already a member", the operation looks again instead of failing."""
    account = await jira.ensure_account(JANE)
    await jira.join_group(account, "site-admins")
    sim.fail("getUserGroups", Status(200, body=[]), times=1)
    assert await jira.join_group(account, "site-admins") == account


async def test_an_unknown_group_is_invalid(jira: Jira):
    """A group that does not exist is refused by its field."""
    account = await jira.ensure_account(JANE)
    refused = await raised(jira.join_group(account, "no-such-group"), Invalid)
    assert list(refused.fields) == ["group"]


async def test_an_account_that_is_gone_is_in_no_group(jira: Jira, sim: JiraSimulator, time: Time):
    """Leaving a group is done without a request; joining one names the account, and is no drift."""
    account = await jira.ensure_account(JANE)
    await jira.join_group(account, "site-admins")
    await jira.remove_account(JANE)
    sim.book.clear()
    with attempt(time) as observed:
        await jira.leave_group.called(account, "site-admins")
    effect = effect_of(observed)
    assert (effect.changed, effect.access, sim.mutations()) == (False, "revoked", [])
    refused = await raised(jira.join_group(account, "site-admins"), Invalid)
    assert list(refused.fields) == ["account"]


# What a company sees -----------------------------------------------------------------------------


async def test_an_issue_is_commented_once_per_act(jira: Jira, sim: JiraSimulator, time: Time):
    """Two attempts of one act leave one comment; the answer of the first was lost."""
    issue = await jira.create_issue("OPS", "A laptop", "For the first day.")
    sim.fail(ADD_COMMENT.operation, LoseResponse(), times=1)
    with attempt(time):
        await raised(jira.comment.called(issue.key, "It is here."), OutcomeUnknown)
    with attempt(time, follows_doubt=True) as observed:
        await jira.comment.called(issue.key, "It is here.")
    assert effect_of(observed).changed
    assert len(sim.tickets()[0]["comments"]) == 1


async def test_an_issue_is_moved_once(jira: Jira, sim: JiraSimulator, time: Time):
    """By status, transition or `done`; where it is already nothing is sent; unknown ways fail."""
    issue = await jira.create_issue("OPS", "A laptop", "For the first day.")
    seen = []
    for to in ("Start work", "In Progress", "done", "Done"):
        with attempt(time) as observed:
            await jira.transition.called(issue.key, to)
        seen.append(effect_of(observed).changed)
    assert seen == [True, False, True, False]
    assert sim.tickets()[0]["status"] == "Done"
    unknown = await raised(jira.transition(issue.key, "Ordered"), Invalid)
    assert "Start work" in str(unknown)


async def test_all_people_are_listed(jira: Jira, sim: JiraSimulator, time: Time):
    """Accounts come page by page, locked ones too; without permission it refuses."""
    for number in range(5):
        sim.create_by_hand(f"user-{number}@acme.example")
    sim.deactivate_user("user-3@acme.example")
    sim.add_group("Büro 🌻 & O'Neil")
    for number in range(4):
        account = await jira.find(Person(name="U", email=f"user-{number}@acme.example"))
        if account is not None:
            await jira.join_group(account, "Büro 🌻 & O'Neil")
    found = {each.account.email: each async for each in jira.accounts()}
    assert len(found) == 6
    assert found["user-3@acme.example"].account.state == "suspended"
    group = "jira:group/Büro 🌻 & O'Neil"
    held = {email for email, each in found.items() if group in each.entitlements}
    assert held == {f"user-{number}@acme.example" for number in range(3)}
    assert {each.entitlements[0] for each in found.values()} == {"jira:account"}
    sim.fail("*", RemoveScope("USER_PICKER"))
    time.move(timedelta(hours=25))
    await raised(anext(jira.accounts()), Forbidden)


async def test_a_user_beyond_the_first_page_is_found(jira: Jira, sim: JiraSimulator):
    """Others whose address begins alike do not hide the account."""
    for number in range(4):
        sim.create_by_hand(f"jane.doe@acme.example.{number}")
    sim.create_by_hand(JANE.email)
    found = await jira.find(JANE)
    assert found is not None
    assert found.email == JANE.email


async def test_the_check_looks_at_the_project_of_tickets(jira: Jira):
    """The project, its issue type and its permissions are proved before a ticket is needed."""
    assert (await jira.check(project="OPS")).ok
    check = await jira.check(project="OPS", issue_type="Incident")
    assert check.missing == ("issue type Incident in OPS",)
    await raised(jira.check(project="NONE"), Invalid)


async def test_a_project_with_fields_of_its_own_takes_issues(
    jira: Jira, sim: JiraSimulator, time: Time
):
    """A required field is named by the check before an issue is refused, and sent where it is told.

    Tickets send theirs, too; labels of one's own stand beside newel's.
    """
    sim.required = {"priority": "Priority"}
    told = "a value for Priority (priority), which OPS requires"
    assert (await jira.check(project="OPS")).missing == (told,)
    refused = await raised(jira_issues("OPS", jira=jira).ensure_ticket(TICKET), Invalid)
    assert list(refused.fields) == ["priority"]
    more: dict[str, FieldValue] = {"priority": {"name": "High"}, "labels": ["access"]}
    assert (await jira.check(project="OPS", fields=more)).ok
    with attempt(time):
        await jira.create_issue.called("OPS", "Order a laptop", "Soon.", fields=more)
    await jira_issues("OPS", jira=jira, fields=more).ensure_ticket(TICKET)
    rows = list(sim.store.rows("issues").values())
    assert [row["fields"]["priority"] for row in rows] == [{"name": "High"}] * 2
    assert all(row["fields"]["labels"][:2] == ["access", "newel"] for row in rows)


@pytest.mark.parametrize("permission", sorted(PERMISSION_NAMES))
async def test_the_check_names_each_missing_permission(
    jira: Jira, sim: JiraSimulator, permission: str
):
    """Whatever is taken away is named by key and by the name that administrators read."""
    sim.fail("*", RemoveScope(permission))
    assert (await jira.check()).missing == (f"{permission} ({PERMISSION_NAMES[permission]})",)


async def test_a_token_that_ends_soon_is_told(
    sim: JiraSimulator, time: Time, monkeypatch: pytest.MonkeyPatch
):
    """Thirty days ahead the check says when the token ends, and not before."""
    given = sim.credentials()
    monkeypatch.setenv("T_JIRA_TOKEN", given["JIRA_TOKEN"])
    SecretRef("env:T_JIRA_TOKEN").resolve(fresh=True)
    jira = Jira(
        email=given["JIRA_EMAIL"],
        token=SecretRef("env:T_JIRA_TOKEN"),
        base_url=given["JIRA_URL"],
        token_expires=START + timedelta(days=31),
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )
    early = await jira.check()
    time.move(timedelta(days=2))
    late = await jira.check()
    assert (early.notes, early.expires_at) == ((), jira.token_expires)
    assert late.notes == ("The API token ends on 2026-02-05: make a new one in time.",)


async def test_all_duplicates_are_seen_though_a_page_holds_three(
    jira: Jira, tickets: JiraTickets, sim: JiraSimulator
):
    """The sweep finds every issue of an incident, page by page, and leaves one open."""
    refs = []
    for _ in range(5):
        sim.fail("searchAndReconsileIssuesUsingJql", Lag("jira.search", 600))
        refs.append(await tickets.ensure_ticket(TICKET))
    sim.heal()
    assert await tickets.sweep(INCIDENT, refs[0]) == 4
    assert [ticket["status"] for ticket in sim.tickets()] == ["To Do", *["Done"] * 4]
