"""What every tracker promises, held against all: one issue an incident, whatever is lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from newel.base.errors import (
    AuthFailed,
    Forbidden,
    Invalid,
    NoCapacity,
    OutcomeUnknown,
    StepError,
    Throttled,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.asana import CREATE as ASANA_CREATE
from newel.connectors.asana import Asana
from newel.connectors.base import Connector
from newel.connectors.github import GitHub
from newel.connectors.jira import Jira
from newel.connectors.linear import COMMENT, CREATE, UPDATE, Linear, id_of
from newel.connectors.trackers.asana import asana_tasks
from newel.connectors.trackers.base import Ticket, Tracker
from newel.connectors.trackers.github_issues import github_issues
from newel.connectors.trackers.jira import jira_issues
from newel.connectors.trackers.linear import linear_issues
from newel.connectors.trackers.zendesk import zendesk_tickets
from newel.connectors.zendesk import CREATE as ZENDESK_CREATE
from newel.connectors.zendesk import Zendesk
from newel.simulators.faults import Lag, LoseResponse, RemoveScope, RevokeToken, Throttle
from newel.simulators.linear import INPUTS
from newel.simulators.world import World
from tests.connectors.support import Time, agreed, raised

TICKET = Ticket(
    incident="inc_01j9",
    title="[newel] github: no answer since 2026-01-05 09:00 UTC",
    body="GitHub does not answer.\n\nOne run waits.",
    url="https://newel.example/incidents/inc_01j9",
)
OTHER = replace(TICKET, incident="inc_02k1", title="[newel] slack: no answer")
SCHEMA = Path(__file__).parents[1] / "contract" / "specs" / "linear-issue.excerpt.graphql"


@dataclass
class Desk:
    """One tracker with its connector and its simulator.

    creates, comments: operations of the simulator by which an issue and a comment come to be,
    with a word of the body where that tells them apart.
    """

    tracker: Tracker
    connector: Connector
    sim: Any
    creates: tuple[str, str]
    comments: tuple[str, str]

    def tickets(self) -> list[dict[str, Any]]:
        """Give what people see in the tracker."""
        found: list[dict[str, Any]] = self.sim.tickets()
        return found


Made = Callable[..., tuple[Tracker, Connector]]


def _jira(given: dict[str, str], secret: Callable[[str], SecretRef], outside: Any) -> Any:
    jira = Jira(
        email=given["JIRA_EMAIL"],
        token=secret("JIRA_TOKEN"),
        base_url=given["JIRA_URL"],
        **outside,
    )
    return jira_issues("OPS", jira=jira), jira


def _github(given: dict[str, str], secret: Callable[[str], SecretRef], outside: Any) -> Any:
    github = GitHub(org=given["GITHUB_ORG"], token=secret("GITHUB_TOKEN"), **outside)
    return github_issues("api", github=github), github


def _linear(given: dict[str, str], secret: Callable[[str], SecretRef], outside: Any) -> Any:
    linear = Linear(key=secret("LINEAR_KEY"), **outside)
    return linear_issues(given["LINEAR_TEAM"], linear=linear), linear


def _asana(given: dict[str, str], secret: Callable[[str], SecretRef], outside: Any) -> Any:
    asana = Asana(token=secret("ASANA_TOKEN"), **outside)
    return asana_tasks(given["ASANA_PROJECT"], asana=asana), asana


def _zendesk(given: dict[str, str], secret: Callable[[str], SecretRef], outside: Any) -> Any:
    zendesk = Zendesk(
        email=given["ZENDESK_EMAIL"],
        token=secret("ZENDESK_TOKEN"),
        base_url=given["ZENDESK_URL"],
        **outside,
    )
    return zendesk_tickets(zendesk=zendesk), zendesk


KINDS: dict[str, tuple[Any, tuple[str, str], tuple[str, str]]] = {
    "jira": (_jira, ("createIssue", ""), ("addComment", "")),
    "github": (_github, ("issues/create", ""), ("issues/create-comment", "")),
    "linear": (_linear, ("graphql", "issueCreate"), ("graphql", "commentCreate")),
    "asana": (_asana, ("createTask", ""), ("createStoryForTask", "")),
    "zendesk": (_zendesk, ("CreateTicket", ""), ("UpdateTicket", "comment")),
}


@pytest.fixture(params=sorted(KINDS))
def desk(request: pytest.FixtureRequest, time: Time, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Each tracker in turn, with small pages and every exchange judged where a file says how."""
    world = World(seed=3, clock=time.world, page_size=3, sleep=time.pause)
    sim = world.chosen([request.param])[0]
    given = sim.credentials()

    def secret(name: str) -> SecretRef:
        monkeypatch.setenv(f"T_{name}", given[name])
        reference = SecretRef(f"env:T_{name}")
        reference.resolve(fresh=True)
        return reference

    made, creates, comments = KINDS[request.param]
    outside = {"transport": agreed(sim), "clock": time.clock, "pause": time.pause}
    tracker, connector = made(given, secret, outside)
    return Desk(tracker, connector, sim, creates, comments)


async def test_one_issue_an_incident(desk: Desk):
    """Asked twice there is one issue; another incident gets its own; both are found again."""
    first = await desk.tracker.ensure_ticket(TICKET)
    assert await desk.tracker.ensure_ticket(TICKET) == first
    other = await desk.tracker.ensure_ticket(OTHER)
    assert other != first
    assert await desk.tracker.find(TICKET.incident) == first
    assert await desk.tracker.find("inc_nothing") is None
    assert [each["summary"] for each in desk.tickets()] == [TICKET.title, OTHER.title]
    assert first.url.startswith("https://")


async def test_a_lost_answer_makes_no_second_issue(desk: Desk):
    """The create is committed and its answer lost: asked again, the issue is found."""
    operation, word = desk.creates
    desk.sim.fail(operation, LoseResponse(), times=1, contains=word)
    await raised(desk.tracker.ensure_ticket(TICKET), OutcomeUnknown)
    again = await desk.tracker.ensure_ticket(TICKET)
    assert [each["key"].rpartition("/")[2] for each in desk.tickets()] == [again.key]


async def test_one_comment_a_key(desk: Desk):
    """A comment is written once per key, though its first answer is lost."""
    ref = await desk.tracker.ensure_ticket(TICKET)
    operation, word = desk.comments
    desk.sim.fail(operation, LoseResponse(), times=1, contains=word)
    await raised(desk.tracker.comment(ref, "k1", "Two runs wait."), OutcomeUnknown)
    for key in ("k1", "k2", "k3", "k4", "k5", "k1", "k5"):
        await desk.tracker.comment(ref, key, "Two runs wait.")
    assert len(desk.tickets()[0]["comments"]) == 5


async def test_an_issue_is_closed_and_opened_once(desk: Desk):
    """Closing and opening again each change something once."""
    ref = await desk.tracker.ensure_ticket(TICKET)
    for change, status in ((desk.tracker.resolve, "Done"), (desk.tracker.reopen, "To Do")):
        before = len(desk.sim.calls(committed=True))
        for _ in range(2):
            await change(ref)
        assert desk.tickets()[0]["status"] == status
        assert len(desk.sim.calls(committed=True)) == before + 1


async def test_a_closed_issue_is_the_incidents_still(desk: Desk):
    """An issue that a person has closed is found, and no second one is opened beside it."""
    ref = await desk.tracker.ensure_ticket(TICKET)
    await desk.tracker.resolve(ref)
    assert await desk.tracker.ensure_ticket(TICKET) == ref


async def test_the_text_is_rewritten_and_links_are_added_once(desk: Desk):
    """A new text and the links of waiting runs reach the issue; repeated, nothing is sent."""
    ref = await desk.tracker.ensure_ticket(TICKET)
    links = {f"run_{n}": f"https://newel.example/runs/run_{n}" for n in range(2)}
    for _ in range(2):
        await desk.tracker.describe(ref, "GitHub does not answer. Two runs wait.")
        await desk.tracker.attach(ref, links)
    shown = desk.tickets()[0]
    if "body" in shown:
        told = "\n".join([shown["body"], *shown["comments"]])
        assert told.count("Two runs wait.") == 1
        assert told.count("runs/run_0") == told.count("runs/run_1") == 1
    assert await desk.tracker.find(TICKET.incident) == ref


@pytest.mark.parametrize("desk", ["github", "jira", "zendesk"], indirect=True)
async def test_duplicates_are_closed_but_the_oldest(desk: Desk):
    """Where a view lags and an issue is opened twice, the sweep leaves one open."""
    views = {"github": "github.issues", "jira": "jira.search", "zendesk": "zendesk.tickets"}
    kind = desk.sim.system
    desk.sim.fail("*", Lag(views[kind], 600))
    first = await desk.tracker.ensure_ticket(TICKET)
    if kind == "zendesk":  # its key makes the second create the first one again
        assert await desk.tracker.ensure_ticket(TICKET) == first
        return
    await desk.tracker.ensure_ticket(TICKET)
    desk.sim.heal()
    assert await desk.tracker.sweep(TICKET.incident, first) == 1
    assert [each["status"] for each in desk.tickets()] == ["To Do", "Done"]
    assert await desk.tracker.find(TICKET.incident) == first


async def test_the_probe_and_the_check_tell_a_refused_credential(desk: Desk):
    """With a good credential both pass; with a revoked one both say so."""
    await desk.connector.probe()
    assert (await desk.connector.check()).ok
    desk.sim.fail("*", RevokeToken())
    await raised(desk.connector.probe(), AuthFailed)
    await raised(desk.connector.check(), AuthFailed)


async def test_throttling_holds_the_credential_back(desk: Desk):
    """The tracker's own dialect of "too many requests" is understood, with its wait."""
    desk.sim.fail("*", Throttle(30), times=1)
    limited = await raised(desk.tracker.find(TICKET.incident), Throttled)
    assert limited.retry_after is not None
    assert limited.retry_after.total_seconds() == 30
    await raised(desk.tracker.find(TICKET.incident), Throttled)
    assert len(desk.sim.calls()) == 1


@pytest.mark.parametrize("desk", ["asana", "linear", "zendesk"], indirect=True)
async def test_a_missing_permission_is_told_before_or_named(desk: Desk):
    """Who may not write is refused as such, and nothing is opened."""
    scope = {"asana": "tasks:write", "linear": "write", "zendesk": "agent"}[desk.sim.system]
    desk.sim.fail("*", RemoveScope(scope))
    await raised(desk.tracker.ensure_ticket(TICKET), Forbidden)
    assert desk.tickets() == []


async def test_checks_look_at_team_and_project(time: Time, monkeypatch: pytest.MonkeyPatch):
    """A team or project that cannot be seen is named by the check."""
    world = World(seed=3, clock=time.world)
    given = world.linear.credentials() | world.asana.credentials()
    for name in ("LINEAR_KEY", "ASANA_TOKEN"):
        monkeypatch.setenv(f"T_{name}", given[name])
        SecretRef(f"env:T_{name}").resolve(fresh=True)
    linear = Linear(
        key=SecretRef("env:T_LINEAR_KEY"), transport=agreed(world.linear), clock=time.clock
    )
    asana = Asana(
        token=SecretRef("env:T_ASANA_TOKEN"), transport=agreed(world.asana), clock=time.clock
    )
    assert (await linear.check(team=given["LINEAR_TEAM"])).ok
    assert (await linear.check(team="nobody")).missing == ("access to team nobody",)
    assert (await asana.check(project=given["ASANA_PROJECT"])).ok
    assert (await asana.check(project="7")).missing == ("tasks:read in project 7",)


def test_ids_for_linear_are_of_version_four_and_stay():
    """An id is a UUID of version 4 that follows from what it is about."""
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-.*", id_of("a"))
    assert id_of("a", "b") == id_of("a", "b") != id_of("ab")


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("issueCreate", "IssueCreateInput"),
        ("issueUpdate", "IssueUpdateInput"),
        ("commentCreate", "CommentCreateInput"),
    ],
)
def test_inputs_for_linear_are_of_its_schema(field: str, kind: str):
    """The stand-in takes no field that Linear's schema does not have."""
    text = re.sub(r'""".*?"""', "", SCHEMA.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.search(rf"input {kind} {{(.*?)}}", text, flags=re.DOTALL)
    assert found is not None
    assert INPUTS[field] <= set(re.findall(r"^\s*(\w+):", found[1], flags=re.MULTILINE))


REFUSED = '{{"errors": [{{"message": "{}", "extensions": {{"code": "{}"}}}}], "data": null}}'


@pytest.mark.parametrize(
    ("judged", "route", "status", "body", "kind"),
    [
        (Linear.judged, CREATE, 200, '{"data": {}}', None),
        (Linear.judged, CREATE, 400, REFUSED.format("slow", "RATELIMITED"), Throttled),
        (Linear.judged, CREATE, 200, REFUSED.format("no", "FORBIDDEN"), Forbidden),
        (Linear.judged, CREATE, 401, REFUSED.format("no", "AUTHENTICATION_ERROR"), AuthFailed),
        (Linear.judged, UPDATE, 200, REFUSED.format("oh", "INTERNAL_ERROR"), Transient),
        (Linear.judged, UPDATE, 200, REFUSED.format("Entity not found: Issue", "X"), Invalid),
        (Linear.judged, COMMENT, 200, REFUSED.format("id already exists", "INPUT_ERROR"), Invalid),
        (Linear.judged, CREATE, 502, "", Transient),
        (Asana.judged, ASANA_CREATE, 201, "{}", None),
        (Asana.judged, ASANA_CREATE, 400, '{"errors": [{"message": "gid in use"}]}', Invalid),
        (Asana.judged, ASANA_CREATE, 401, "{}", AuthFailed),
        (Asana.judged, ASANA_CREATE, 402, "{}", NoCapacity),
        (Asana.judged, ASANA_CREATE, 403, "{}", Forbidden),
        (Asana.judged, ASANA_CREATE, 404, "{}", Invalid),
        (Asana.judged, ASANA_CREATE, 429, "{}", Throttled),
        (Asana.judged, ASANA_CREATE, 500, "{}", OutcomeUnknown),
        (Zendesk.judged, ZENDESK_CREATE, 201, "{}", None),
        (Zendesk.judged, ZENDESK_CREATE, 401, '{"error": "no"}', AuthFailed),
        (Zendesk.judged, ZENDESK_CREATE, 403, '{"error": "Forbidden"}', Forbidden),
        (Zendesk.judged, ZENDESK_CREATE, 422, '{"error": "RecordInvalid"}', Invalid),
        (Zendesk.judged, ZENDESK_CREATE, 429, "", Throttled),
        (Zendesk.judged, ZENDESK_CREATE, 503, "", Transient),
    ],
)
def test_answers_of_trackers_have_their_class(
    judged: Any, route: Any, status: int, body: str, kind: type[StepError] | None
):
    """Each answer has the class that is prescribed for it."""
    verdict = judged(Answer(route, status, {}, body.encode()))
    assert verdict is None if kind is None else type(verdict) is kind


async def test_a_create_is_repeatable_for_two_hours(time: Time):
    """The same key gives the same ticket; with other content it is refused."""
    world = World(seed=3, clock=time.world)
    pair = f"{world.zendesk.credentials()['ZENDESK_EMAIL']}/token"
    token = world.zendesk.credentials()["ZENDESK_TOKEN"]
    fields = {"subject": "s", "comment": {"body": "b"}}
    async with httpx2.AsyncClient(
        transport=agreed(world.zendesk),
        base_url="https://acme-example.zendesk.com",
        auth=(pair, token),
        headers={"Idempotency-Key": "k"},
    ) as client:
        answers = [
            await client.post("/api/v2/tickets", json={"ticket": each})
            for each in (fields, fields, {**fields, "subject": "t"})
        ]
    assert [each.status_code for each in answers] == [201, 201, 400]
    assert answers[0].json() == answers[1].json()
    assert [each.headers.get("x-idempotency-lookup") for each in answers] == ["miss", "hit", None]
