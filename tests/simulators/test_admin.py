"""The control of a simulator: token, faults, acts, state, calls, clock, page."""

from __future__ import annotations

import re

import httpx2
import pytest

from newel.simulators import SYSTEMS, Down, LoseResponse, Match, Seats, Status, World, serve
from newel.simulators.world import FURTHER
from tests.simulators.support import START, plain

TOKEN = {"X-Sim-Token": "control"}
MEMBERSHIP = "/orgs/acme-example/memberships/jane"


@pytest.fixture
async def control(world):
    """A client of GitHub's control, in process and without a token."""
    async with plain(world.github) as client:
        yield client


@pytest.fixture
async def guarded(world):
    """A client of GitHub's control on a port, where the token is asked for."""
    async with (
        serve([world.github], token="control") as addresses,
        httpx2.AsyncClient(base_url=addresses["github"]) as client,
    ):
        yield client


async def test_on_a_port_the_token_is_asked_for(guarded):
    """Without the right token nothing but the health of a bound simulator is told."""
    assert (await guarded.get("/_sim/health")).json() == {"ok": True, "system": "github"}
    for headers in ({}, {"X-Sim-Token": "guess"}, {"X-Sim-Token": "contrôle".encode("latin-1")}):
        for path in ("/_sim/", "/_sim/state", "/_sim/calls"):
            assert (await guarded.get(path, headers=headers)).status_code == 401
    assert (await guarded.get("/_sim/calls", headers=TOKEN)).status_code == 200


async def test_the_page_takes_the_token_once_and_keeps_a_cookie(guarded):
    """`?token=` leads to the page, which works from then on without a token in its address."""
    first = await guarded.get("/_sim/?token=control")
    assert (first.status_code, first.headers["location"]) == (303, "/_sim/")
    assert "HttpOnly" in first.headers["set-cookie"]
    assert "SameSite=strict" in first.headers["set-cookie"]
    page = await guarded.get("/_sim/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await guarded.get("/_sim/fragment")).status_code == 200


async def test_the_cookie_alone_changes_nothing(guarded):
    """A change with the page's cookie also needs the header only the page itself can send."""
    await guarded.get("/_sim/?token=control")
    assert (await guarded.put("/_sim/faults/down", json={"effect": "down"})).status_code == 401
    answer = await guarded.put(
        "/_sim/faults/down", json={"effect": "down"}, headers={"X-Sim-Page": "1"}
    )
    assert answer.status_code == 200


async def test_the_token_is_no_key_to_the_vendors_routes(guarded):
    """The control's token signs nobody in to the vendor."""
    assert (await guarded.get("/rate_limit", headers=TOKEN)).status_code == 401


async def test_faults_are_put_listed_read_and_dropped(world, control):
    """Rules are made with or without an id, listed in order, read and dropped."""
    named = await control.put("/_sim/faults/outage", json={"effect": "down"})
    fresh = await control.post("/_sim/faults", json={"effect": {"kind": "seats", "left": 0}})
    assert (named.status_code, fresh.status_code) == (200, 201)
    assert fresh.json()["id"] == "fault-1"
    assert [f.effect for f in world.github.faults.rules()] == [Down(), Seats(0)]
    listed = (await control.get("/_sim/faults")).json()["faults"]
    assert [rule["id"] for rule in listed] == ["outage", "fault-1"]
    assert (await control.get("/_sim/faults/outage")).json() == listed[0]
    assert (await control.delete("/_sim/faults/outage")).status_code == 204
    assert (await control.get("/_sim/faults/outage")).status_code == 404
    assert (await control.delete("/_sim/faults")).status_code == 204
    assert (await control.get("/_sim/faults")).json() == {"faults": []}


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "told"),
    [
        ("PUT", "/_sim/faults/x", b'{"effect": "explode"}', 400, "unknown effect"),
        ("PUT", "/_sim/faults/x", b"{", 400, "not JSON"),
        ("PUT", "/_sim/faults/x", b"[]", 400, "JSON object"),
        ("POST", "/_sim/act/dance", b"", 404, "accept_invitation"),
        ("POST", "/_sim/act/accept_invitation", b"{}", 400, "who"),
        ("POST", "/_sim/act/accept_invitation", b'{"who": "nobody"}', 400, "no open invitation"),
        ("POST", "/_sim/clock", b'{"tomorrow": 1}', 400, "advance_s"),
        ("POST", "/_sim/clock", b'{"now": "2026-01-05"}', 400, "no time zone"),
        ("POST", "/_sim/state", b"{}", 400, "lacks"),
        ("GET", "/_sim/calls?since=never", b"", 400, "never"),
        ("GET", "/_sim/unknown", b"", 404, "Not Found"),
    ],
)
async def test_a_wrong_request_is_told_what_is_wrong(control, method, path, content, status, told):
    """The control refuses what it cannot do with one sentence saying why."""
    answer = await control.request(method, path, content=content)
    assert (answer.status_code, told in answer.json()["message"]) == (status, True), answer.text


async def test_people_act_through_the_control(world, github, control):
    """An invitation is accepted over the admin API, as a person would."""
    await github.put(MEMBERSHIP, json={})
    answer = await control.post("/_sim/act/accept_invitation", json={"who": "jane"})
    assert answer.json() == {"done": {"login": "jane", "state": "active"}}
    assert (await github.get(MEMBERSHIP)).json()["state"] == "active"


async def test_a_failing_act_leaves_nothing_behind(world, github, control):
    """What a person could not finish is taken back whole."""
    org = "/orgs/acme-example/invitations"
    await github.post(org, json={"email": "jane@acme.example"})
    before = world.github.store.snapshot()
    answer = await control.post("/_sim/act/accept_invitation", json={"who": "jane@acme.example"})
    assert answer.status_code == 400
    assert world.github.store.snapshot() == before


async def test_calls_are_listed_with_what_they_did(github, control):
    """The book lists calls by operation, by kind and since a number."""
    await github.get(MEMBERSHIP)
    await github.put(MEMBERSHIP, json={})
    await github.put(MEMBERSHIP, json={})
    every = (await control.get("/_sim/calls")).json()["calls"]
    assert [(c["sequence"], c["status"], c["committed"]) for c in every] == [
        (1, 404, False),
        (2, 200, True),
        (3, 200, False),
    ]
    assert every[1] == {
        "sequence": 2,
        "time": START.isoformat(),
        "operation": "orgs/set-membership-for-user",
        "method": "PUT",
        "path": MEMBERSHIP,
        "credential": "newel",
        "status": 200,
        "mutating": True,
        "committed": True,
        "did": "created",
        "natural_key": "org/jane",
        "effect_key": "",
        "fault": "",
    }

    async def listed(query: str) -> list[int]:
        answer = await control.get(f"/_sim/calls?{query}")
        return [call["sequence"] for call in answer.json()["calls"]]

    assert await listed("operation=orgs/get-*") == [1]
    assert await listed("mutating=true") == [2, 3]
    assert await listed("mutating=false") == [1]
    assert await listed("committed=true") == [2]
    assert await listed("since=2") == [3]


async def test_the_summary_counts_calls_accounts_and_doubles(github, control):
    """The summary counts calls by operation, accounts, and what was made too often."""
    await github.put(MEMBERSHIP, json={})
    assert (await control.get("/_sim/summary")).json() == {
        "system": "github",
        "calls": {"orgs/set-membership-for-user": 1},
        "committed": 1,
        "doubled": {},
        "accounts": 2,
        "now": START.isoformat(),
    }


async def test_accounts_and_history_are_told(github, control):
    """Accounts are listed; each change of one has its time and what was before."""
    await github.put(MEMBERSHIP, json={})
    accounts = (await control.get("/_sim/accounts")).json()["accounts"]
    assert [(a["handle"], a["state"]) for a in accounts] == [
        ("acme-owner", "active"),
        ("jane", "pending"),
    ]
    changes = (await control.get("/_sim/history/acme-example/jane")).json()["changes"]
    assert [(c["call"], c["before"], c["after"]["state"]) for c in changes] == [
        (1, None, "pending")
    ]


async def test_the_clock_follows_the_control(world, control):
    """The clock is set, advanced, offset, stopped and run."""
    moved = await control.post("/_sim/clock", json={"now": "2026-02-01T08:00:00+00:00"})
    assert moved.json()["now"] == "2026-02-01T08:00:00+00:00"
    moved = await control.post("/_sim/clock", json={"advance_s": 3600})
    assert moved.json() == (await control.get("/_sim/clock")).json() | {
        "offset_s": moved.json()["offset_s"]
    }
    assert world.clock.now().isoformat() == "2026-02-01T09:00:00+00:00"
    running = await control.post("/_sim/clock", json={"offset_s": 7200, "standing": False})
    assert running.json()["standing"] is False
    assert 7199 < running.json()["offset_s"] < 7201


async def test_state_is_taken_back_and_reset(world, github, control):
    """A snapshot brings everything back; a reset makes the system new."""
    fresh = world.github.store.snapshot()
    await github.put(MEMBERSHIP, json={})
    world.github.down()
    snapshot = (await control.get("/_sim/state")).json()
    assert (await control.post("/_sim/reset")).status_code == 204
    assert world.github.store.snapshot() == fresh
    assert (world.github.calls(), world.github.faults.rules()) == ([], [])
    assert (await control.post("/_sim/state", json=snapshot)).status_code == 204
    assert world.github.snapshot() == snapshot
    foreign = (await control.post("/_sim/state", json=world.jira.snapshot())).json()
    assert "not of 'github'" in foreign["message"]


@pytest.mark.parametrize("system", [*SYSTEMS, *FURTHER])
async def test_the_page_shows_what_is_there_and_loads_nothing(world, system):
    """Each system's page shows accounts and calls, escapes them, and names no other host."""
    (simulator,) = world.chosen([system])
    async with plain(simulator) as client:
        await client.get("/<script>alert(1)</script>")
        page = await client.get("/_sim/")
    assert page.status_code == 200
    assert simulator.title in page.text
    assert [name for name in simulator.actions() if f'data-act="{name}"' not in page.text] == []
    assert "<script>alert" not in page.text
    assert not re.search(r"""(?:src|href|action)\s*=|url\(|@import|https?://""", page.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_the_page_shows_a_new_account_and_standing_faults(world, github):
    """An account appears on the page, and a switch shows that its fault is in force."""
    await github.put(MEMBERSHIP, json={})
    world.github.down()
    shown = (await github.get("/_sim/fragment")).text
    assert '<td data-head="Login">jane</td>' in shown
    assert '<span class="chip soon">pending</span>' in shown
    assert "Faults in force: down." in shown
    assert re.search(r'data-fault="down"[^>]*aria-pressed="true"', shown)


async def test_every_switch_of_the_page_is_a_rule(world, control):
    """Each rule the page offers is accepted by the control."""
    import html
    import json

    page = (await control.get("/_sim/")).text
    switches = re.findall(r'data-fault="([^"]+)" data-rule="([^"]+)"', page)
    assert len(switches) >= 5
    for identity, rule in switches:
        document = json.loads(html.unescape(rule))
        answer = await control.put(f"/_sim/faults/{identity}", json=document)
        assert answer.status_code == 200


async def test_a_script_of_faults_replaces_all_rules(world, control):
    """What is read can be put back, as it was before any of it struck; a wrong one changes none."""
    world.github.fail("orgs/*", LoseResponse(), times=1, after=2, identity="lost")
    world.github.fail("repos/*", Status(502), probability=0.5)
    script = (await control.get("/_sim/faults")).json()
    world.github.down()
    assert (await control.put("/_sim/faults", json=script)).json() == script
    assert [rule.match for rule in world.github.faults.rules()] == [
        Match(operation="orgs/*"),
        Match(operation="repos/*"),
    ]
    for wrong in ({}, {"faults": ["down"]}, {"faults": [{"effect": "down"}, {"effect": "no"}]}):
        assert (await control.put("/_sim/faults", json=wrong)).status_code == 400
    assert (await control.get("/_sim/faults")).json() == script


async def test_the_page_tells_effects_with_their_keys_and_what_was_made_twice(world):
    """Each effect has the key that its caller gave; what came about twice stands out."""
    zendesk = world.zendesk
    pair = (
        f"{zendesk.credentials()['ZENDESK_EMAIL']}/token:{zendesk.credentials()['ZENDESK_TOKEN']}"
    )
    ticket = {"ticket": {"subject": "Down", "external_id": "x", "comment": {"body": "Down."}}}
    async with plain(zendesk, auth=tuple(pair.split(":", 1))) as client:
        for key in ("one", "two"):
            headers = {"Idempotency-Key": key}
            made = await client.post("/api/v2/tickets", json=ticket, headers=headers)
            assert made.status_code == 201
        shown = (await client.get("/_sim/fragment")).text
    assert "<code>one</code>" in shown
    assert shown.count('<span class="chip bad">made twice</span>') == 2
    assert '<div class="figure wrong"><b>1</b><span>made twice</span>' in shown
    assert shown.count('data-act="resolve_issue"') == 2


async def test_the_page_counts_seats_and_what_runs_out_by_the_clock(world, github, control):
    """Seats are shown as used of bought, and an invitation runs out when the clock says so."""
    await github.put(MEMBERSHIP, json={})
    shown = (await control.get("/_sim/fragment")).text
    assert "<b>2 <small>of 50</small></b><span>seats</span>" in shown
    assert 'data-act="expire_invitation"' in shown
    await control.post("/_sim/clock", json={"advance_s": 8 * 86_400})
    shown = (await control.get("/_sim/fragment")).text
    assert '<span class="chip bad">failed</span>' in shown
    assert "<b>1 <small>of 50</small></b><span>seats</span>" in shown
    assert "data-act=" not in shown
    assert "Tue 13 Jan 2026, 09:00 UTC and stands." in shown


async def test_one_invitation_expires_and_the_others_stay(world, github, control):
    """A person lets their own invitation run out; somebody without one is told so."""
    for login in ("jane", "mario"):
        await github.put(f"/orgs/acme-example/memberships/{login}", json={})
    await control.post("/_sim/act/expire_invitation", json={"who": "jane"})
    assert [each["handle"] for each in world.github.accounts()] == ["acme-owner", "mario"]
    again = await control.post("/_sim/act/expire_invitation", json={"who": "jane"})
    assert (again.status_code, "no open invitation" in again.json()["message"]) == (400, True)


def test_every_act_is_documented(world: World):
    """Each thing a person can do in a simulated system says what it is."""
    for simulator in world.chosen([*SYSTEMS, *FURTHER]):
        for name, act in simulator.actions().items():
            assert act.__doc__, name
