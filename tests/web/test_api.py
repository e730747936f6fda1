"""The HTTP contract: what is accepted, what comes back, and how errors look."""

from __future__ import annotations

import asyncio
import json

import pytest

from newel.base.ids import parse_reference, reference
from newel.drawing.drawing import drawing_of
from tests.acceptance.company_house import MANAGER, hire

START = "/api/v1/processes/onboarding/runs"


async def started(client, key=None, document=None, **more):
    """Send a start."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post(START, json=document or hire(**more), headers=headers)


def wrong_fields(answer):
    """What an answer says is wrong, by field."""
    assert answer.headers["content-type"] == "application/problem+json"
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


async def run_count(house):
    """How many runs there are."""
    return await house.database.fetchval("select count(*) from newel.run")


async def test_a_start_answers_with_the_run_and_where_it_is(client, house):
    """201, the run's reference, the person's, and the addresses of both."""
    answer = await started(client)
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == body["href"] == f"/api/v1/runs/{body['run']}"
    assert body["status"] == f"/api/v1/people/{body['person']}/status"
    assert (await client.get(body["href"])).json()["person"]["name"] == "Jane Doe"


async def test_the_same_start_again_is_the_same_answer(client, house):
    """With one key: 201 first, 200 afterwards, the same body, one run."""
    document = hire()
    first = await started(client, "k-1", document)
    second = await started(client, "k-1", document)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert await run_count(house) == 1


async def test_the_same_start_in_parallel_is_one_run(client, house):
    """Eight requests with one key at once make one run and give one answer."""
    document = hire()
    answers = await asyncio.gather(*(started(client, "k-1", document) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert await run_count(house) == 1


async def test_a_key_is_not_used_for_another_request(client, house):
    """The same key with another body is 422 and names the run it started."""
    first = await started(client, "k-1")
    other = await started(client, "k-1", name="Tom Alvarez", job="sales")
    assert (other.status_code, other.json()["type"]) == (422, "already-started")
    assert other.json()["run"] == first.json()["run"]
    assert await run_count(house) == 1


async def test_a_second_run_for_one_person_is_a_conflict(client, house):
    """Without a key, a person who has an open onboarding gets no second one: 409 with the first."""
    first = await started(client)
    second = await started(client)
    assert (second.status_code, second.json()["type"]) == (409, "already-started")
    assert second.json()["run"] == first.json()["run"]


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"manager": None}, "manager", "missing"),
        ({"email": None}, "email", "missing"),
        ({"nickname": "JD"}, "nickname", "not known"),
        ({"job": "pirate"}, "job", "engineer"),
        ({"starts_at": "soon"}, "starts_at", "date"),
        ({"ends_at": "2001-01-01T00:00:00+00:00"}, "ends_at", "not after"),
        ({"repositories": "acme/api"}, "repositories", "array"),
        ({"manager": {"name": "Priya"}}, "manager.email", "missing"),
        ({"name": ""}, "name", "empty"),
    ],
)
async def test_bad_input_is_told_by_field_and_makes_nothing(client, house, change, field, said):
    """422 with one entry for the field; no run, no person."""
    document = {name: value for name, value in (hire() | change).items() if value is not None}
    answer = await client.post(START, json=document)
    assert answer.status_code == 422
    assert said in wrong_fields(answer)[field]
    assert answer.json()["type"] == "invalid-input"
    assert await run_count(house) == 0
    assert await house.database.fetchval("select count(*) from newel.person") == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"name": }', b"\xff\xfe", b"NaN", b'"\\ud800"', b"[" * 100_000, b"[1]", b"null"],
)
async def test_what_is_no_input_is_refused(client, house, body):
    """Malformed JSON, foreign bytes, half characters and other shapes are 422 by field."""
    answer = await client.post(START, content=body)
    assert answer.status_code == 422
    assert wrong_fields(answer)
    assert await run_count(house) == 0


@pytest.mark.parametrize(
    "document",
    [
        {"a": "x" * 70_000},
        {str(number): 1 for number in range(1_001)},
        json.loads('{"a":' * 40 + "1" + "}" * 40),
    ],
    ids=["long text", "many members", "deep"],
)
async def test_limits_of_documents_are_told(client, house, document):
    """Too long, too wide and too deep are each named."""
    answer = await client.post(START, json=document)
    assert answer.status_code == 422
    assert "than" in next(iter(wrong_fields(answer).values()))


async def test_an_oversized_body_is_413(client, house):
    """More than a mebibyte is refused, whether its length is declared or not."""

    async def streamed():
        for _ in range(20):
            yield b"x" * 65_536

    declared = await client.post(START, content=b"x" * (1024 * 1024 + 1))
    chunked = await client.post(START, content=streamed())
    assert [declared.status_code, chunked.status_code] == [413, 413]
    assert declared.json()["type"] == "body-too-large"


@pytest.mark.parametrize("name", ["Seán O'Brien", "Zoë 🚀 Müller", "ليلى حداد", "X Æ A-12", "李"])
async def test_any_name_just_works(client, house, name):
    """Apostrophes, emoji and right-to-left names come back as they were sent."""
    answer = await started(client, name=name, job="office", email="someone@acme.example")
    status = (await client.get(answer.json()["status"])).json()
    assert answer.status_code == 201
    assert status["name"] == name
    assert status["sentence"].startswith(f"{name}'s onboarding")
    found = (await client.get("/api/v1/people", params={"q": name})).json()
    assert [each["person"]["name"] for each in found["people"]] == [name]


async def test_an_unknown_process_is_404(client, house):
    """So is newel's own, which nobody starts by hand."""
    for name in ("nothing", "newel.incident"):
        answer = await client.post(f"/api/v1/processes/{name}/runs", json={})
        assert (answer.status_code, answer.json()["type"]) == (404, "not-found")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/runs/run_00000000000000000000000001",
        "/api/v1/runs/nonsense",
        "/api/v1/people/per_00000000000000000000000001",
        "/api/v1/people/run_00000000000000000000000001/status",
        "/api/v1/tasks/1",
        "/api/v1/nothing",
    ],
)
async def test_what_is_not_there_is_a_problem(client, house, path):
    """A missing thing and a mistyped reference are both 404, as problem+json."""
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_parameters_are_checked(client, house):
    """A standing that does not exist, a zone that does not, a limit too large: 422 by name."""
    for query, field in (
        ("state=odd", "state"),
        ("zone=Mars/Base", "zone"),
        ("limit=900", "limit"),
    ):
        answer = await client.get(f"/api/v1/runs?{query}")
        assert (answer.status_code, list(wrong_fields(answer))) == (422, [field])


async def test_a_task_is_decided_once_by_the_person_asked(client, house, scene):
    """No person named, the subject, somebody else: 403; the manager: 200; a second time: 409."""
    async with house.worker():
        run = await scene.asked()
        task = reference("tsk", await house.task(run))
        path = f"/api/v1/tasks/{task}/decide"
        nobody = await client.post(path, json={"approved": True})
        subject = await client.post(path, json={"approved": True, "actor": "jane.doe@acme.example"})
        other = await client.post(path, json={"approved": True, "actor": "tom@acme.example"})
        no = await client.post(path, json={"approved": False, "actor": MANAGER})
        yes = await client.post(path, json={"approved": True, "actor": MANAGER})
        again = await client.post(path, json={"approved": True, "actor": MANAGER})
    types = [(a.status_code, a.json().get("type")) for a in (nobody, subject, other, no, again)]
    assert types == [
        (403, "not-allowed"),
        (403, "self-approval"),
        (403, "not-allowed"),
        (422, "reason-missing"),
        (409, "already-decided"),
    ]
    assert yes.json()["outcome"] == "Priya Manager approved this."
    assert "Priya Manager" in again.json()["detail"]


async def test_a_decision_must_be_said(client, house, scene):
    """`approved` is a flag; text, nothing and unknown members are refused by name."""
    async with house.worker():
        run = await scene.asked()
        path = f"/api/v1/tasks/{reference('tsk', await house.task(run))}/decide"
        for body, field in (({}, "approved"), ({"approved": "yes"}, "approved"), ({"x": 1}, "x")):
            answer = await client.post(path, json=body)
            assert (answer.status_code, list(wrong_fields(answer))) == (422, [field])


async def test_the_operators_verbs_ask_for_reasons_and_open_steps(client, house, scene):
    """Skip and cancel need a reason, what is done by hand its type, a retry an open step."""
    async with house.worker():
        run = f"/api/v1/runs/{reference('run', await scene.parked())}"
        who = {"actor": MANAGER}
        key = {"key": "github.ensure_member"}
        mute = await client.post(f"{run}/skip", json=who | key)
        done = await client.post(f"{run}/retry", json=who | {"key": "slack.ensure_account"})
        wrong = await client.post(
            f"{run}/complete-by-hand", json=who | key | {"value": 7, "evidence": "x", "reason": "y"}
        )
        silent = await client.post(f"{run}/cancel", json=who)
        retried = await client.post(f"{run}/retry", json=who | key)
    assert [mute.status_code, done.status_code, wrong.status_code, silent.status_code] == [
        422,
        404,
        422,
        422,
    ]
    view = retried.json()
    again = next(each for each in view["keys"] if each["key"] == "github.ensure_member")
    assert again["state"] in {"retrying", "running"}
    assert (view["events"][0]["type"], view["events"][0]["actor"]) == (
        "step.retried",
        "Priya Manager",
    )


async def test_a_cancelled_run_is_told_so(client, house, scene):
    """Cancel with a reason ends the run; a second cancel is a conflict."""
    async with house.worker():
        run = await scene.asked()
        path = f"/api/v1/runs/{reference('run', run)}/cancel"
        body = {"actor": MANAGER, "reason": "the offer was rescinded"}
        first = await client.post(path, json=body)
        assert await house.ended(run) == "cancelled"
        second = await client.post(path, json=body)
    assert (first.status_code, second.status_code) == (200, 409)


async def test_the_run_tells_its_attempts_in_rounds(client, house, scene):
    """Three rounds, each with its attempts in plain words, stand with the parked step."""
    async with house.worker():
        run = await scene.parked()
        view = (await client.get(f"/api/v1/runs/{reference('run', run)}")).json()
    parked = {key["key"]: key for key in view["keys"]}["github.ensure_member"]
    assert (view["standing"], parked["state"], parked["ticket"]) == ("parked", "parked", "OPS-1")
    assert [round_["number"] for round_ in parked["rounds"]] == [1, 2, 3]
    assert {each["result"] for round_ in parked["rounds"] for each in round_["attempts"]} == {
        "GitHub did not answer as it should"
    }
    assert [action["verb"] for action in parked["actions"]] == ["retry", "complete-by-hand", "skip"]


async def test_counts_equal_the_lists_they_link_to(client, house, scene):
    """Each standing's count is the number of runs in its list."""
    async with house.worker():
        await scene.asked(name="Tom Alvarez", job="office")
        run = await scene.asked(name="Ines Costa", job="office")
        await house.approve(await house.task(run))
        await house.at_rest(run)
        await scene.parked()
        view = (await client.get("/api/v1/runs")).json()
        counted = {each["standing"]: each["count"] for each in view["counts"]}
        listed = {
            standing: len((await client.get(f"/api/v1/runs?state={standing}")).json()["runs"])
            for standing in counted
        }
    assert counted == listed
    assert {name: n for name, n in counted.items() if n} == {
        "open": 3,
        "parked": 1,
        "task": 1,
        "waiting": 1,
    }


async def test_pages_of_runs_follow_each_other(client, house):
    """Older pages begin where the one before ended; no run stands twice."""
    for number in range(5):
        await started(
            client, name=f"Person {number}", job="office", email=f"p{number}@acme.example"
        )
    first = (await client.get("/api/v1/runs?limit=3")).json()
    before = first["older"].rpartition("before=")[2]
    second = (await client.get(f"/api/v1/runs?limit=3&before={before}")).json()
    runs = [run["run"] for page in (first, second) for run in page["runs"]]
    assert (len(runs), len(set(runs)), second["older"]) == (5, 5, None)
    assert parse_reference(before)[0] == "run"


async def test_people_are_found_although_mistyped(client, house):
    """`jnae deo` finds Jane Doe; nobody fits nonsense."""
    await started(client)
    found = (await client.get("/api/v1/people", params={"q": "Jnae Doe"})).json()["people"]
    assert [each["person"]["name"] for each in found][:1] == ["Jane Doe"]
    assert (await client.get("/api/v1/people", params={"q": "qqqq"})).json()["people"] == []


async def test_processes_tell_what_they_take(client, house):
    """The list has the process with its owner and the schema of its input."""
    listed = (await client.get("/api/v1/processes")).json()["processes"]
    one = (await client.get("/api/v1/processes/onboarding")).json()
    assert listed == [one]
    assert (one["owner"], "manager" in one["input_schema"]["required"]) == ("HR", True)


async def test_health_and_readiness(client, house):
    """Alive asks nothing; ready means that the schema is this version's."""
    assert (await client.get("/health")).json()["status"] == "alive"
    assert (await client.get("/ready")).json()["status"] == "ready"
    await house.database.execute(
        "delete from newel.migration where number = (select max(number) from newel.migration)"
    )
    refused = await client.get("/ready")
    assert (refused.status_code, refused.json()["type"]) == (503, "schema-outdated")


async def test_the_api_describes_itself(client, house):
    """OpenAPI names every route of the API and none of the console's."""
    paths = (await client.get("/api/v1/openapi.json")).json()["paths"]
    assert "/api/v1/processes/{name}/runs" in paths
    assert not [path for path in paths if path.startswith(("/runs", "/people", "/static"))]


async def test_what_nobody_foresaw_gets_a_reference(client, house, monkeypatch):
    """A fault of our own is 500 with a reference number and no traceback."""

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("newel.web.api.people.people_view", fail)
    client._transport.raise_app_exceptions = False
    answer = await client.get("/api/v1/people")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert answer.json()["reference"] in answer.json()["detail"]


async def test_each_version_keeps_its_drawing(client, house):
    """The newest as the code has it, byte by byte; an older one as it was read then."""
    now = drawing_of(house.engine.processes["onboarding"])
    [version] = (await client.get("/api/v1/processes/onboarding/versions")).json()
    newest = await client.get("/api/v1/processes/onboarding/drawing")
    assert (newest.headers["content-type"], newest.content) == ("application/json", now.as_json())
    assert (version["version"], version["open_runs"]) == (1, 0)
    await started(client)
    await house.database.execute(
        "insert into newel.definition (process, sha256, version, source, title, drawing) "
        "values ('onboarding', 'f0', 2, '', 't', '{\"schema\":\"newer\"}')"
    )
    newer, older = (await client.get("/api/v1/processes/onboarding/versions")).json()
    assert [each["open_runs"] for each in (newer, older)] == [0, 1]
    assert (await client.get(newer["drawing"])).json() == {"schema": "newer"}
    assert (await client.get(older["drawing"])).content == now.as_json()
    for wrong in ("?version=3", "?version=0", "?version=99999999999"):
        missing = await client.get(f"/api/v1/processes/onboarding/drawing{wrong}")
        assert missing.status_code in (404, 422)
