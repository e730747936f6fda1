"""Rules of faults: whom they strike, how often, and what they look like written down."""

from __future__ import annotations

import random
from datetime import timedelta
from statistics import median

import pytest

from newel.simulators import (
    SYSTEMS,
    AddField,
    ClockSkew,
    Deprecate,
    Down,
    DropField,
    ExpireToken,
    Fault,
    Gone,
    Hang,
    HtmlPage,
    Lag,
    Latency,
    Licences,
    LoseResponse,
    Match,
    NotReady,
    Quota,
    Redirect,
    RemoveScope,
    RenameField,
    ResetBefore,
    RetypeField,
    RevokeToken,
    ScimSimulator,
    Seats,
    Status,
    Throttle,
    Truncate,
    VendorError,
    World,
)
from newel.simulators.alter import bent
from newel.simulators.faults import (
    KINDS,
    WebhookDelay,
    WebhookDrop,
    WebhookDuplicate,
    WebhookReorder,
    effect_from,
    fault_from,
)
from newel.simulators.wire import Answer
from newel.simulators.world import FURTHER
from tests.simulators.support import START, plain, signed_in


class Parking(ScimSimulator):
    """A system that newel has no simulator for."""

    system = "parking"


EFFECTS = [
    Down(),
    ResetBefore(),
    LoseResponse(),
    Truncate(),
    Hang(),
    Status(418, {"tea": True}, {"x": "y"}),
    VendorError("404"),
    HtmlPage(200),
    Redirect(),
    Gone(),
    Throttle(5, "primary"),
    ExpireToken(),
    DropField("a.0.b"),
    RetypeField("a"),
    AddField("a", 1),
    RenameField("a", "b"),
    Deprecate(),
    Latency(p50_ms=350, p99_ms=800),
    Lag("jira.search", 45),
    NotReady(20),
    Seats(0),
    Licences(3),
    ClockSkew(-600),
    Quota(),
    RevokeToken(),
    RemoveScope("members:write"),
    WebhookDuplicate(3),
    WebhookDelay(60),
    WebhookReorder(),
    WebhookDrop(),
]


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: type(effect).__name__)
def test_a_rule_reads_back_as_it_was_written(effect):
    """A rule written as JSON and read again is the same rule."""
    rule = Fault(
        id="r",
        effect=effect,
        match=Match(operation="orgs/*", method="PUT", path="/orgs/{org}", contains="jane"),
        times=2,
        after=1,
        probability=0.5,
        begins=START,
        ends=START + timedelta(hours=2),
        seen=3,
        hits=1,
    )
    assert fault_from("r", rule.document()) == rule


def test_every_kind_of_effect_has_its_case():
    """The cases of this module are all kinds there are."""
    assert {type(effect) for effect in EFFECTS} == set(KINDS.values())


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "needs an effect"),
        ({"effect": "explode"}, "unknown effect 'explode'"),
        ({"effect": "down", "tmies": 1}, "does not know tmies"),
        ({"effect": {"kind": "lag", "view": "x"}}, "incomplete"),
        ({"effect": {"kind": "hang", "for": 1}}, "does not know for"),
        ({"effect": "down", "match": {"route": "x"}}, "match does not know route"),
        ({"effect": "down", "from": "2026-01-05T09:00:00"}, "no time zone"),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused(document, told):
    """A wrong rule is refused with what is wrong in it."""
    with pytest.raises(ValueError, match=told):
        fault_from("r", document)


def test_an_effect_without_fields_may_be_named_alone():
    """The kind alone stands for an effect with its defaults."""
    assert effect_from("throttle") == Throttle(30, "")


async def outcomes(client, count: int) -> list[int]:
    """Give the statuses of so many reads."""
    return [(await client.get("/rate_limit")).status_code for _ in range(count)]


async def test_a_rule_strikes_as_often_as_it_may(world, github):
    """`after` lets the first requests pass, `times` ends the rule."""
    world.github.fail("rate-limit/get", Status(503), after=1, times=2)
    assert await outcomes(github, 5) == [200, 503, 503, 200, 200]


async def test_the_first_matching_rule_wins(world, github):
    """Rules are tried in the order they were made."""
    world.github.fail("rate-*", Status(502), times=1)
    world.github.fail("rate-limit/get", Status(503), times=1)
    assert await outcomes(github, 3) == [502, 503, 200]


async def test_a_rule_can_be_meant_for_one_person(world, github):
    """`contains` narrows a rule to requests with a text in path, query or body."""
    world.github.fail("*", Status(503), contains="jane")
    org = "/orgs/acme-example"
    assert (await github.get(f"{org}/memberships/jane")).status_code == 503
    assert (await github.post(f"{org}/invitations", json={"email": "jane@x.y"})).status_code == 503
    assert (await github.get(f"{org}/memberships/joe")).status_code == 404


async def test_a_rule_begins_and_ends_by_the_simulated_clock(world, github):
    """A rule with an interval is in force inside it only."""
    rule = {"effect": {"kind": "status", "status": 503}, "until": "2026-01-05T11:00:00+00:00"}
    world.github.faults.add(fault_from("two hours", rule))
    assert await outcomes(github, 1) == [503]
    world.clock.advance(timedelta(hours=2))
    assert await outcomes(github, 1) == [200]


async def test_chance_is_the_same_for_the_same_seed():
    """Two worlds of one seed are struck alike by a rule with a probability."""
    struck = []
    for _ in range(2):
        world = World(seed=7)
        world.github.fail("*", Status(503), probability=0.5)
        async with signed_in("github", world) as client:
            struck.append(await outcomes(client, 20))
    assert struck[0] == struck[1]
    assert set(struck[0]) == {200, 503}


async def test_latency_is_awaited_and_adds_to_other_faults():
    """A delay is waited for by the sleep that was passed in, and does not hide other rules."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    world = World(sleep=sleep)
    world.github.fail("*", Latency(fixed_ms=600))
    world.github.fail("*", Status(503), times=1)
    async with signed_in("github", world) as client:
        assert await outcomes(client, 2) == [503, 200]
    assert waited == [0.6, 0.6]


def test_log_normal_delays_have_the_middle_and_the_tail_asked_for():
    """Half of the drawn delays are below p50, and about one in a hundred above p99."""
    chance = random.Random(1)
    drawn = [Latency(p50_ms=350, p99_ms=800).drawn(chance) for _ in range(4000)]
    assert 0.33 < median(drawn) < 0.37
    assert 0.004 < sum(delay > 0.8 for delay in drawn) / len(drawn) < 0.02


@pytest.mark.parametrize(
    ("bend", "body"),
    [
        (DropField("a.0.b"), {"a": [{"c": 2}]}),
        (DropField("a.0"), {"a": []}),
        (RetypeField("a.0.b"), {"a": [{"b": "1", "c": 2}]}),
        (RetypeField("a"), {"a": [[{"b": 1, "c": 2}]]}),
        (AddField("a.0.d", 3), {"a": [{"b": 1, "c": 2, "d": 3}]}),
        (RenameField("a.0.b", "z"), {"a": [{"c": 2, "z": 1}]}),
        (DropField("x.y.z"), {"a": [{"b": 1, "c": 2}]}),
        (RenameField("a.0", "z"), {"a": [{"b": 1, "c": 2}]}),
        (AddField("a.0", 7), {"a": [7, {"b": 1, "c": 2}]}),
        (RetypeField("a.0"), {"a": [[{"b": 1, "c": 2}]]}),
    ],
)
def test_an_answer_is_bent_where_the_path_leads(bend, body):
    """Only the named field is bent; a path that leads nowhere changes nothing."""
    answer = Answer(200, {"a": [{"b": 1, "c": 2}]})
    assert bent(answer, bend).body == body
    assert answer.body == {"a": [{"b": 1, "c": 2}]}


@pytest.mark.parametrize(
    ("system", "path", "status", "told"),
    [
        ("google", "/admin/directory/v1/users?customer=c", 403, "insufficientPermissions"),
        ("slack", "/api/conversations.list", 200, "missing_scope"),
        ("jira", "/rest/api/3/group/bulk", 403, "permission"),
        ("github", "/orgs/acme-example/teams", 403, "Resource not accessible"),
        ("gusto", "/v1/companies/{company}/employees", 403, "employees:read"),
        ("salesforce", "/services/data/v60.0/limits", 403, "API_DISABLED"),
    ],
)
async def test_a_removed_scope_is_refused_in_the_vendors_words(world, system, path, status, told):
    """A credential without a needed scope is refused as the vendor refuses."""
    simulator = world.simulators[system]
    async with signed_in(system, world) as client:
        url = path.format(company=world.gusto.company)
        assert (await client.get(url)).status_code == 200
        for route in simulator.routes:
            for need in route.needs:
                for scope in need.split("|"):
                    simulator.fail("*", RemoveScope(scope), identity=f"without {scope}")
        answer = await client.get(url)
        assert (answer.status_code, told in answer.text) == (status, True), answer.text
        simulator.heal()
        assert (await client.get(url)).text.find("missing_scope") == -1


@pytest.mark.parametrize(
    ("system", "path", "status"),
    [
        ("google", "/admin/directory/v1/users?customer=c", 401),
        ("slack", "/api/auth.test", 200),
        ("jira", "/rest/api/3/myself", 401),
        ("github", "/rate_limit", 401),
        ("gusto", "/v1/token_info", 401),
        ("salesforce", "/services/data/v60.0/limits", 401),
    ],
)
async def test_a_revoked_token_is_refused_until_it_is_restored(world, system, path, status):
    """A revoked credential is refused for as long as the rule stands."""
    simulator = world.simulators[system]
    async with signed_in(system, world) as client:
        good = await client.get(path)
        simulator.fail("*", RevokeToken(), identity="revoked")
        refused = await client.get(path)
        assert refused.status_code == status
        assert refused.text != good.text
        simulator.heal()
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("system", "path", "style", "status", "headers"),
    [
        ("google", "/admin/directory/v1/users?customer=c", "", 403, {}),
        ("google", "/admin/directory/v1/users?customer=c", "429", 429, {}),
        ("slack", "/api/auth.test", "", 429, {"retry-after": "21"}),
        ("slack", "/api/auth.test", "body", 200, {}),
        ("slack", "/scim/v2/Users", "", 429, {"retry-after": "21"}),
        (
            "jira",
            "/rest/api/3/myself",
            "",
            429,
            {
                "retry-after": "21",
                "x-ratelimit-reset": "2026-01-05T09:00:21Z",
                "x-ratelimit-nearlimit": "true",
            },
        ),
        ("github", "/rate_limit", "", 403, {"retry-after": "21"}),
        ("github", "/rate_limit", "429", 429, {"retry-after": "21"}),
        ("github", "/rate_limit", "primary", 403, {"x-ratelimit-remaining": "0"}),
        ("gusto", "/v1/token_info", "", 429, {"retry-after": "21"}),
        ("salesforce", "/services/data/v60.0/limits", "", 403, {}),
    ],
)
async def test_throttling_speaks_the_vendors_dialect(world, system, path, style, status, headers):
    """A throttled request is refused with the vendor's status and headers, and commits nothing."""
    async with signed_in(system, world) as client:
        world.simulators[system].fail("*", Throttle(21, style), times=1)
        answer = await client.get(path)
        assert answer.status_code == status
        assert {name: answer.headers[name] for name in headers} == headers
        assert world.simulators[system].calls(committed=True) == []


PROBES = [
    ("google", "/admin/directory/v1/users?customer=c"),
    ("slack", "/api/auth.test"),
    ("slack", "/scim/v2/Users"),
    ("jira", "/rest/api/3/myself"),
    ("github", "/rate_limit"),
    ("gusto", "/v1/token_info"),
    ("salesforce", "/services/data/v60.0/limits"),
]


@pytest.mark.parametrize(
    ("system", "path", "most", "wait"),
    [
        ("slack", "/api/users.list", 20, 60),
        ("slack", "/scim/v2/Users", 1000, 60),
        ("jira", "/rest/api/3/myself", 20, 1),
        ("gusto", "/v1/token_info", 200, 60),
    ],
)
async def test_the_vendors_own_limits_hold_while_they_are_switched_on(
    world, system, path, most, wait
):
    """So many requests pass, the next is refused with its wait; after that there is room again."""
    simulator = world.simulators[system]
    world.clock.set(START)
    async with signed_in(system, world) as client:
        for _ in range(most + 5):
            assert (await client.get(path)).status_code == 200  # nothing holds without the rule
        simulator.fail("*", Quota())
        for _ in range(most):
            assert (await client.get(path)).status_code == 200
        refused = await client.get(path)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, str(wait))
        (rule,) = simulator.faults.rules()
        assert rule.hits == 1
        world.clock.advance(timedelta(seconds=wait))
        assert (await client.get(path)).status_code == 200


async def test_limits_of_changes_leave_reading_free(world):
    """GitHub's eighty changes a minute: reading passes, and another method of Slack as well."""
    world.clock.set(START)
    world.github.fail("*", Quota())
    world.slack.fail("*", Quota())
    async with signed_in("github", world) as client:
        gone = "/orgs/acme-example/memberships/nobody"
        for _ in range(80):
            assert (await client.delete(gone)).status_code == 404
        assert (await client.delete(gone)).status_code == 403
        assert (await client.get("/orgs/acme-example")).status_code == 200
    async with signed_in("slack", world) as client:
        for _ in range(20):
            await client.get("/api/users.list")
        assert (await client.get("/api/users.list")).status_code == 429
        assert (await client.get("/api/conversations.list")).status_code == 200


@pytest.mark.parametrize(("system", "path"), PROBES)
async def test_a_failing_vendor_keeps_its_envelope(world, system, path):
    """A scripted vendor's error has the asked status and the vendor's own kind of body."""
    envelopes = {"google": "error", "jira": "errorMessages", "github": "message", "gusto": "errors"}
    async with signed_in(system, world) as client:
        world.simulators[system].fail("*", VendorError("503"), times=1)
        answer = await client.get(path)
        body = answer.json()
        assert answer.status_code == 503
        if system == "salesforce":
            assert set(body[0]) == {"message", "errorCode"}
        elif system == "slack":
            assert body.get("ok") is False or body["status"] == "503"
        else:
            assert envelopes[system] in body
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(("system", "path"), PROBES)
async def test_an_expired_token_is_refused_once(world, system, path):
    """A request struck as expired is refused like a bad credential; the next one passes."""
    async with signed_in(system, world) as client:
        world.simulators[system].fail("*", ExpireToken(), times=1)
        refused = await client.get(path)
        assert refused.status_code == 401 or refused.json()["error"] == "token_expired"
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("system", [*SYSTEMS, *FURTHER])
@pytest.mark.parametrize(
    ("effect", "status", "kind"),
    [
        (HtmlPage(200, "a < b"), 200, "text/html"),
        (HtmlPage(), 503, "text/html"),
        (Redirect(), 302, None),
        (Gone(), 410, None),
    ],
    ids=["page", "page_503", "redirect", "gone"],
)
async def test_something_else_can_stand_in_the_place_of_every_vendor(
    world, system, effect, status, kind
):
    """A page, a redirection and a closed route are answered for any path, and commit nothing."""
    simulator = world.everything[system]
    simulator.fail("*", effect)
    async with plain(simulator) as client:
        for method in ("GET", "POST"):
            answer = await client.request(method, "/", json={})
            assert answer.status_code == status
            if kind is not None:
                assert answer.headers["content-type"].startswith(kind)
                assert "<title>" in answer.text
                assert "a < b" not in answer.text
            if status == 302:
                assert answer.headers["location"] == "https://elsewhere.example/sign-in"
    assert simulator.calls(committed=True) == []


async def test_a_clock_that_is_wrong_shows_in_the_date_of_an_answer(world, github):
    """The vendor's date is off by the skew, the world's clock is not."""
    world.clock.set(START)
    world.github.fail("*", ClockSkew(-600))
    assert (await github.get("/rate_limit")).headers["date"] == "Mon, 05 Jan 2026 08:50:00 GMT"
    assert world.github.calls()[-1].time == START.isoformat()


@pytest.mark.parametrize("system", [*SYSTEMS, *FURTHER, "parking"])
async def test_every_system_is_healed_and_made_new_with_its_world(world, system):
    """Those the company does without and those that were added are healed, counted and reset."""
    world.add(Parking(clock=world.clock))
    simulator = world.everything[system]
    first = simulator.snapshot()
    simulator.fail("*", Status(503))
    async with plain(simulator) as client:
        assert (await client.get("/no/such/path")).status_code == 503
        world.heal()
        assert (await client.get("/no/such/path")).status_code != 503
    assert world.calls()[system] == {"unknown": 2}
    with simulator.store.transaction(1):
        simulator.store.put("somewhere", "something", {})
    simulator.down()
    world.reset()
    assert simulator.snapshot() == first
    assert (world.calls()[system], world.doubled()) == ({}, {})


def test_a_system_can_stand_in_the_place_of_another(world):
    """What is added under a known name is what the world gives, heals and resets from then on."""
    other = ScimSimulator(clock=world.clock)
    world.add(other)
    assert (world.scim, world.chosen(["scim"])) == (other, [other])
    with pytest.raises(KeyError):
        world.chosen(["fax"])


async def test_after_a_reset_everything_happens_as_the_first_time(world):
    """Ids, counted calls, spent limits and chance begin anew: the same calls, the same bytes."""
    world.clock.set(START)
    told: list[list[bytes]] = []
    for _ in range(2):
        world.github.fail("*", Quota())
        world.github.fail("*", Status(503), probability=0.5, times=10)
        async with signed_in("github", world) as client:
            answers = [
                await client.put(f"/orgs/acme-example/memberships/jane-{number}", json={})
                for number in range(95)
            ]
        assert {answer.status_code for answer in answers} == {200, 403, 422, 503}
        told.append([each.content + repr(each.headers.multi_items()).encode() for each in answers])
        world.reset()
    assert told[0] == told[1]
