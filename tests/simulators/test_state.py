"""State: the same seed gives the same bytes, refusals leave nothing, snapshots bring all back."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from newel.simulators import SimulatedClock, World
from newel.simulators.book import Call, CallBook
from newel.simulators.clock import milliseconds, moment_from, stamp
from newel.simulators.store import Store
from newel.simulators.wire import Answer, Refused
from tests.simulators.support import START, headers_of, plain, signed_in

SYSTEMS = ("google", "slack", "jira", "github", "gusto", "salesforce")


def standing(seed: int = 0) -> World:
    """Make a world at one moment."""
    return World(seed=seed, clock=SimulatedClock(standing_at=START), page_size=3)


async def tour(world: World) -> list[bytes]:
    """Make one account in every system and give all answers with their headers."""
    requests = {
        "google": (
            "/admin/directory/v1/users",
            {
                "primaryEmail": "jane@acme.example",
                "password": "correct horse",
                "name": {"givenName": "Jane", "familyName": "Doe"},
            },
        ),
        "slack": (
            "/scim/v2/Users",
            {"userName": "jane", "emails": [{"value": "jane@acme.example"}]},
        ),
        "jira": ("/rest/api/3/user", {"emailAddress": "jane@acme.example", "products": []}),
        "github": ("/orgs/acme-example/invitations", {"email": "jane@acme.example"}),
        "gusto": (
            f"/v1/companies/{world.gusto.company}/employees",
            {"first_name": "Jane", "last_name": "Doe"},
        ),
        "salesforce": ("/services/data/v60.0/sobjects/User", {"Username": "jane@acme.example"}),
    }
    answers = []
    for system, (path, body) in requests.items():
        async with signed_in(system, world) as client:
            answer = await client.post(path, json=body)
            answers.append(answer.content + repr(sorted(answer.headers.items())).encode())
    return answers


async def test_the_same_seed_and_calls_give_the_same_bytes():
    """Two worlds of one seed answer the same calls byte for byte, another seed does not."""
    first, second, other = [await tour(standing(seed)) for seed in (3, 3, 4)]
    assert first == second
    assert first != other


def test_credentials_follow_from_the_seed():
    """Credentials, RSA key included, are the same for the same seed and differ for another."""
    same = [World(seed=3).credentials() for _ in range(2)]
    other = World(seed=4).credentials()
    assert same[0] == same[1]
    for name in ("GITHUB_TOKEN", "SLACK_TOKEN", "JIRA_TOKEN", "GUSTO_TOKEN", "SALESFORCE_KEY"):
        assert same[0][name] != other[name]
    key = load_pem_private_key(same[0]["SALESFORCE_KEY"].encode(), None)
    assert key.key_size == 2048  # type: ignore[union-attr]  # an RSA key
    assert json.loads(same[0]["GOOGLE_SERVICE_ACCOUNT"])["private_key"] == same[0]["SALESFORCE_KEY"]


def test_addresses_go_into_the_settings():
    """Given addresses replace the vendors' own in every setting that names one."""
    addresses = {name: f"http://127.0.0.1:{9000 + n}" for n, name in enumerate(SYSTEMS)}
    found = World().credentials(addresses)
    urls = {name: value for name, value in found.items() if name.endswith("_URL")}
    assert all(value.startswith("http://127.0.0.1:900") for value in urls.values())
    assert json.loads(found["GOOGLE_SERVICE_ACCOUNT"])["token_uri"] == "http://127.0.0.1:9000/token"


async def test_a_refused_request_changes_nothing(world, github):
    """A refusal after the first write of a request takes that write back."""
    before = world.github.store.snapshot()
    world.github.store.put(
        "orgs", "acme-example", {**before["tables"]["orgs"]["acme-example"], "seats": 1}
    )
    full = world.github.store.snapshot()
    answer = await github.put("/orgs/acme-example/teams/platform/memberships/jane", json={})
    assert answer.status_code == 422
    assert world.github.store.snapshot() == full


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_restart_finds_everything_in_its_file(system, tmp_path):
    """State, book and faults kept in a file are there again after a restart."""
    file = tmp_path / f"{system}.json"
    first = standing()
    first.simulators[system].keep_in(file)
    headers = await headers_of(system, first)
    await tour(first)
    first.simulators[system].down()
    first.simulators[system].save()
    second = standing()
    second.simulators[system].keep_in(file)
    assert second.simulators[system].snapshot() == first.simulators[system].snapshot()
    assert list(tmp_path.iterdir()) == [file]
    second.heal()
    async with plain(second.simulators[system], headers=headers) as client:
        assert (await client.get("/rate_limit")).status_code in {200, 501}


async def test_each_commit_is_in_the_file_before_its_answer(world, github, tmp_path):
    """A committed change can be read from the file as soon as it is answered."""
    world.github.keep_in(tmp_path / "github.json")
    await github.put("/orgs/acme-example/memberships/jane", json={})
    kept = json.loads((tmp_path / "github.json").read_text(encoding="utf-8"))
    assert kept == world.github.snapshot()
    assert "acme-example/jane" in kept["store"]["tables"]["memberships"]


def test_a_lagging_read_sees_the_past():
    """A lagging read shows a table as it was so long ago: creations, changes, removals."""
    clock = SimulatedClock(standing_at=START)
    store = Store(system="x", seed=0, clock=clock)
    store.put("t", "seeded", {"n": 0})
    with store.transaction(1):
        store.put("t", "a", {"n": 1})
    clock.advance(timedelta(seconds=10))
    with store.transaction(2):
        store.put("t", "a", {"n": 2})
        store.remove("t", "seeded")
    clock.advance(timedelta(seconds=10))

    def seen(seconds: int) -> dict[str, int]:
        rows = store.rows("t", lag=timedelta(seconds=seconds))
        return {key: row["n"] for key, row in rows.items()}

    assert seen(0) == {"a": 2}
    assert seen(10) == {"a": 2}
    assert seen(11) == {"a": 1, "seeded": 0}
    assert seen(21) == {"seeded": 0}


def _refused_if(is_refused: bool) -> None:
    if is_refused:
        raise Refused(Answer(400))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "remove", "fail"]), st.sampled_from("ab"), st.integers(0, 2)
        )
    )
)
@settings(max_examples=60)
def test_history_tells_the_present(steps):
    """Replaying all recorded changes gives the present tables, whatever was refused between."""
    store = Store(system="x", seed=0, clock=SimulatedClock(standing_at=START))
    for number, (verb, key, value) in enumerate(steps, start=1):
        try:
            with store.transaction(number):
                if verb == "remove":
                    store.remove("t", key)
                else:
                    store.put("t", key, {"n": value})
                _refused_if(verb == "fail")
        except Refused:
            assert verb == "fail"
    replayed: dict[str, object] = {}
    for change in store.changes:
        assert replayed.get(change.key) == change.before
        replayed[change.key] = change.after
    assert {k: v for k, v in replayed.items() if v is not None} == store.rows("t")
    assert all(one.call <= two.call for one, two in pairwise(store.changes))


def call(number: int, *, key: str = "account/jane", did: str = "created") -> Call:
    """Make one call of the book."""
    return Call(
        sequence=number,
        time=START.isoformat(),
        operation="create",
        method="POST",
        path="/",
        credential="newel",
        status=201,
        mutating=True,
        committed=did != "nothing",
        did=did,
        natural_key=key,
        effect_key="",
        fault="",
    )


def test_the_book_counts_what_was_made_twice():
    """Made twice is doubled; made, removed and made again is not."""
    book = CallBook()
    for number, did in enumerate(["created", "removed", "created", "nothing"], start=1):
        book.add(call(number, did=did))
    assert book.doubled() == {}
    book.add(call(5))
    assert book.doubled() == {"account/jane": 1}
    with pytest.raises(AssertionError, match="created 3 times, not once"):
        book.assert_exactly_once("account/jane")
    with pytest.raises(AssertionError, match="no call was about it"):
        book.assert_exactly_once("account/joe")


def test_moments_are_written_as_vendors_do():
    """Moments are written in UTC, to the second or the millisecond, and read with any zone."""
    moment = moment_from("2026-01-05T10:00:00.123456+01:00")
    assert (stamp(moment), milliseconds(moment)) == (
        "2026-01-05T09:00:00Z",
        "2026-01-05T09:00:00.123Z",
    )


def test_a_clock_runs_on_from_where_it_was_set():
    """A running clock keeps its distance to the clock it follows; a standing one stands."""
    present = START
    clock = SimulatedClock(source=lambda: present)
    clock.advance(timedelta(hours=2))
    present += timedelta(minutes=1)
    assert clock.now() == START + timedelta(hours=2, minutes=1)
    clock.stand()
    present += timedelta(minutes=1)
    assert clock.now() == START + timedelta(hours=2, minutes=1)
    clock.run()
    present += timedelta(minutes=1)
    assert clock.now() == START + timedelta(hours=2, minutes=2)


async def test_an_application_lives_through_the_lifespan(world):
    """Servers that insist on ASGI's lifespan are answered."""
    sent: list[dict[str, object]] = []
    asked = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive():
        return {"type": next(asked)}

    async def send(message):
        sent.append(message)

    await world.github.app({"type": "lifespan"}, receive, send)
    assert [each["type"] for each in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


@pytest.mark.parametrize("system", SYSTEMS)
async def test_what_a_simulator_does_not_have_is_never_absent(world, system):
    """An unknown path is answered 501 with a clear text, never 404; a wrong method is refused."""
    simulator = world.simulators[system]
    async with signed_in(system, world) as client:
        unknown = await client.get("/no/such/path")
        assert unknown.status_code == 501
        assert f"The {system} simulator has no GET /no/such/path." in unknown.json()["message"]
        fixed = next(route for route in simulator.routes if "{" not in route.template)
        wrong = await client.request("TRACE", fixed.template)
        assert wrong.status_code == 405 or wrong.json()["error"] == "method_not_allowed"
    assert [c.operation for c in simulator.calls("unknown")] == ["unknown", "unknown"]


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_body_that_is_no_json_is_refused(world, system):
    """Broken JSON is refused in the vendor's envelope and commits nothing."""
    simulator = world.simulators[system]
    paths = {
        "google": "/admin/directory/v1/users",
        "slack": "/api/chat.postMessage",
        "jira": "/rest/api/3/issue",
        "github": "/orgs/acme-example/invitations",
        "gusto": f"/v1/companies/{world.gusto.company}/employees",
        "salesforce": "/services/data/v60.0/sobjects/User",
    }
    async with signed_in(system, world) as client:
        headers = {"content-type": "application/json"}
        for content in (b"{", b"[1]", b"\xff"):
            answer = await client.post(paths[system], content=content, headers=headers)
            assert answer.status_code == 400 or answer.json()["error"] == "invalid_json"
    assert simulator.calls(committed=True) == []


async def test_nobody_gets_in_without_a_credential(world):
    """Every route but the token endpoints refuses an unknown and a missing credential."""
    for simulator in world.simulators.values():
        for route in simulator.routes:
            if route.open:
                continue
            method = min(route.methods)
            path = httpx2.URL(route.template.replace("{", "").replace("}", "")).path
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic !"}):
                async with plain(simulator, headers=headers) as client:
                    answer = await client.request(method, path)
                is_refused = answer.status_code == 401 or answer.json().get("ok") is False
                assert is_refused, (simulator.system, route.operation, answer.text)
        assert simulator.calls(committed=True) == []
