"""Pages without a browser: what they say, what they link, what their forms do."""

from __future__ import annotations

import re
from html import unescape

import pytest

from newel.base.ids import reference
from newel.store.database import Database
from tests.acceptance.company_house import MANAGER, hire

FORM = {
    "name": "Jane Doe",
    "email": "jane.doe@acme.example",
    "manager.name": "Priya Manager",
    "manager.email": MANAGER,
    "job": "office",
    "team": "people",
    "starts_at": "2031-03-10T09:00",
    "zone": "Europe/Berlin",
    "actor": "hr@acme.example",
}


def text_of(page):
    """The words of a page, as they are read."""
    bare = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+([.,;:])", r"\1", " ".join(unescape(bare).split()))


def sentence_on(page):
    """The words of the verdict card."""
    marked = re.search(r"<p class=\"sentence\" data-sentence>(.*?)</p>", page, re.DOTALL)
    assert marked is not None
    return unescape(re.sub(r"<[^>]+>", "", marked[1]))


def hidden(page, name):
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None
    return unescape(found[1])


async def run_count(house):
    """How many runs there are."""
    return await house.database.fetchval("select count(*) from newel.run")


async def test_the_person_page_prints_the_sentence_of_the_api(client, house, scene):
    """At every moment of an onboarding the page's sentence is the API's, character by character."""
    async with house.worker():
        run = await scene.asked()
        person = (await client.get(f"/api/v1/runs/{reference('run', run)}")).json()["person"]["ref"]

        async def told():
            return (await client.get(f"/api/v1/people/{person}/status")).json()["sentence"]

        async def same():
            before, page = await told(), (await client.get(f"/people/{person}")).text
            if await told() != before:  # the worker went on while the page was read
                return await same()
            assert sentence_on(page) == before
            return before

        said = [await same()]
        house.world.simulators["github"].faults.add(scene.down)
        await house.approve(await house.task(run))
        await house.at_rest(run)
        said.append(await same())
        await scene.until_parked(run)
        said.append(await same())
        await scene.healed(run)
        assert await house.finish(run) == "completed"
        said.append(await same())
    assert [bool(re.search(part, one)) for part, one in zip(
        ("waits for Priya", "being tried again", "GitHub is parked since .* OPS-1", "completed"),
        said,
        strict=True,
    )] == [True] * 4  # fmt: skip


async def test_each_page_names_its_twin(client, house):
    """The head of a page links to the same as JSON, and that answers."""
    await client.post("/api/v1/processes/onboarding/runs", json=hire())
    for path in ("/runs", "/people", "/tasks", "/start", "/start/onboarding"):
        page = (await client.get(path)).text
        twin = re.search(r'type="application/json" href="([^"]+)"', page)
        assert twin is not None
        assert (await client.get(unescape(twin[1]))).status_code == 200


async def test_only_pages_that_exist_are_linked(client, house, scene):
    """Every link inside the console leads somewhere."""
    async with house.worker():
        await scene.asked(name="Tom Alvarez", job="sales")
        await scene.parked()
        seen, todo = set(), ["/"]
        while todo:
            path = todo.pop()
            if path in seen or path.startswith(("http", "#", "/api", "/static")):
                continue
            seen.add(path)
            answer = await client.get(path, follow_redirects=True)
            assert answer.status_code == 200, path
            links = re.findall(r'(?:href|action)="([^"#]+)', answer.text)
            todo += [
                unescape(link)
                for link in links
                if not link.endswith(("/decide", "onboarding/runs", "/test", "/ping", "/again"))
            ]
    assert {"/runs", "/people", "/tasks", "/start", "/systems/github", "/webhooks/siem"} <= seen


async def test_a_form_starts_a_run(client, house):
    """What was typed starts the run, the browser is led to it, who acted is remembered."""
    page = (await client.get("/start/onboarding")).text
    key = hidden(page, "idempotency")
    answer = await client.post("/start/onboarding/runs", data=FORM | {"idempotency": key})
    run = (await client.get(f"/api/v1{answer.headers['location']}")).json()
    assert answer.status_code == 303
    assert (run["title"], run["started_by"]) == ("Onboarding: Jane Doe", "Hr")
    assert "newel-acting" in answer.headers["set-cookie"]
    assert "hr@acme.example" in (await client.get("/start/onboarding")).text


async def test_a_form_sent_twice_starts_one_run(client, house):
    """A double click, a reload and going back lead to the same run."""
    key = hidden((await client.get("/start/onboarding")).text, "idempotency")
    places = {
        (await client.post("/start/onboarding/runs", data=FORM | {"idempotency": key})).headers[
            "location"
        ]
        for _ in range(3)
    }
    assert (len(places), await run_count(house)) == (1, 1)


async def test_a_used_form_with_other_answers_starts_nothing(client, house):
    """Going back and changing a field does not make a second run: the page says so."""
    key = hidden((await client.get("/start/onboarding")).text, "idempotency")
    first = await client.post("/start/onboarding/runs", data=FORM | {"idempotency": key})
    again = await client.post(
        "/start/onboarding/runs", data=FORM | {"idempotency": key, "team": "it"}
    )
    assert again.status_code == 422
    assert first.headers["location"] in again.text
    assert await run_count(house) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"email": ""}, "Work e-mail is missing"),
        ({"manager.name": "", "manager.email": ""}, "Manager is missing"),
        ({"starts_at": ""}, "Starts at is missing"),
        ({"job": "pirate"}, "Job input should be"),
        ({"actor": ""}, "Your work e-mail is missing: what you do"),
        ({"job": "engineer"}, "GitHub user name an engineer needs one"),
    ],
)
async def test_errors_stand_first_and_at_their_field_and_input_is_kept(client, house, change, said):
    """422, a summary with links, the message under the field, every other value kept; no run."""
    answer = await client.post("/start/onboarding/runs", data=FORM | change)
    assert answer.status_code == 422
    assert said in text_of(answer.text)
    assert 'role="alert"' in answer.text
    assert 'value="Jane Doe"' in answer.text
    assert await run_count(house) == 0


async def test_every_error_link_leads_to_a_field(client, house):
    """The summary's links name controls that are on the page."""
    answer = await client.post("/start/onboarding/runs", data={})
    summary = re.search(r'<div class="summary".*?</div>', answer.text, re.DOTALL)
    assert summary is not None
    targets = re.findall(r'href="#([^"]+)"', summary[0])
    assert len(targets) >= 6
    assert [target for target in targets if f'id="{target}"' not in answer.text] == []


async def test_a_list_grows_without_script(client, house):
    """The button beside a list gives another row and starts nothing."""
    answer = await client.post(
        "/start/onboarding/runs", data=FORM | {"repositories": "acme/api", "more": "repositories"}
    )
    assert answer.status_code == 200
    assert answer.text.count('name="repositories"') == 2
    assert await run_count(house) == 0


async def test_a_task_is_decided_from_its_page(client, house, scene):
    """A no needs a reason and a person; a yes leads back to the task, which says who decided."""
    async with house.worker():
        run = await scene.asked()
        path = f"/tasks/{reference('tsk', await house.task(run))}"
        page = (await client.get(path)).text
        assert "Manager confirms: Jane Doe?" in text_of(page)
        mute = await client.post(f"{path}/decide", data={"answer": "reject", "actor": MANAGER})
        nobody = await client.post(f"{path}/decide", data={"answer": "approve", "comment": "fine"})
        subject = await client.post(
            f"{path}/decide", data={"answer": "approve", "actor": "jane.doe@acme.example"}
        )
        yes = await client.post(f"{path}/decide", data={"answer": "approve", "actor": MANAGER})
        after = text_of((await client.get(path)).text)
        late = await client.post(f"{path}/decide", data={"answer": "approve", "actor": MANAGER})
    assert [a.status_code for a in (mute, nobody, subject, yes, late)] == [422, 422, 403, 303, 409]
    assert "Comment is needed for a no" in text_of(mute.text)
    assert 'dir="auto">fine</textarea>' in nobody.text
    assert "is the person it is about" in text_of(subject.text)
    assert "Priya Manager approved this." in after


async def test_the_verbs_have_forms_that_ask(client, house, scene):
    """Skip asks for a reason, cancel for the name; retry acts, and the run says who asked."""
    async with house.worker():
        run = f"/runs/{reference('run', await scene.parked())}"
        at = "?key=github.ensure_member"
        who = {"actor": "it@acme.example"}
        form = text_of((await client.get(f"{run}/skip{at}")).text)
        mute = await client.post(f"{run}/skip{at}", data=who)
        wrong = await client.post(
            f"{run}/cancel", data=who | {"reason": "rescinded offer", "confirm": "Jane"}
        )
        shown = (await client.get(f"{run}/complete-by-hand{at}")).text
        retried = await client.post(f"{run}/retry{at}", data=who)
        page = text_of((await client.get(run)).text)
    assert "Skip “Ensure member” for Jane Doe" in form
    assert (mute.status_code, wrong.status_code) == (422, 422)
    assert "Reason needs 8 to 500 characters" in text_of(mute.text)
    assert "must be “Jane Doe”, exactly" in text_of(wrong.text)
    assert 'name="evidence"' in shown
    assert (retried.status_code, retried.headers["location"]) == (
        303,
        f"{run}#github.ensure_member",
    )
    assert "asked for by a person" in page


async def test_a_step_done_by_hand_lets_the_run_go_on(client, house, scene):
    """The form is made from the step's result; its value is checked like any answer."""
    async with house.worker():
        run = await scene.parked(system="slack", job="office")
        path = f"/runs/{reference('run', run)}/complete-by-hand?key=slack.ensure_account"
        page = (await client.get(path)).text
        assert 'name="value.handle"' in page
        typed = {
            "actor": "it@acme.example",
            "reason": "Slack cannot be reached today",
            "evidence": "screenshot in the ticket",
            "value.system": "slack",
            "value.id": "U123",
        }
        lacking = await client.post(path, data=typed)
        done = await client.post(path, data=typed | {"value.handle": "jane.doe"})
        house.poke()
        await house.at_rest(run)
        view = (await client.get(f"/api/v1/runs/{reference('run', run)}")).json()
    key = {each["key"]: each for each in view["keys"]}["slack.ensure_account"]
    assert (lacking.status_code, done.status_code) == (422, 303)
    assert 'id="field-value-handle-error"' in lacking.text
    assert key["state"] == "by-hand"
    assert key["chip"]["word"] == "Done by hand by It"


async def test_cancelling_needs_the_persons_name(client, house, scene):
    """With the name typed the run ends, and its page says so."""
    async with house.worker():
        run = await scene.asked(name="Zoë O'Brien", job="office", email="zoe@acme.example")
        path = f"/runs/{reference('run', run)}/cancel"
        typed = {
            "actor": "hr@acme.example",
            "reason": "the offer was rescinded",
            "confirm": "Zoë O'Brien",
        }
        assert (await client.post(path, data=typed)).status_code == 303
        assert await house.ended(run) == "cancelled"
        page = text_of((await client.get(f"/runs/{reference('run', run)}")).text)
    assert "Cancelled" in page
    assert "Cancel…" not in page


async def test_live_content_is_sent_only_when_it_changed(client, house):
    """The fragment has the content alone; asked again with its tag it is 304, after a start not."""
    live = {"Newel-Live": "1"}
    first = await client.get("/people", headers=live)
    tag = {"If-None-Match": first.headers["etag"]}
    same = await client.get("/people", headers=live | tag)
    await client.post("/api/v1/processes/onboarding/runs", json=hire())
    changed = await client.get("/people", headers=live | tag)
    assert [first.status_code, same.status_code, changed.status_code] == [200, 304, 200]
    assert "<html" not in first.text
    assert 'id="content"' in first.text
    assert "Jane Doe" in changed.text


async def test_pages_need_few_statements_however_many_rows(client, house, monkeypatch):
    """No page asks the database more than eight times, with one run or with twelve."""
    counted = []
    original = Database._run

    async def counting(self, act):
        counted.append(1)
        return await original(self, act)

    await client.post("/api/v1/processes/onboarding/runs", json=hire())
    person = (await client.get("/api/v1/people")).json()["people"][0]["person"]["href"]
    run = (await client.get("/api/v1/runs")).json()["runs"][0]["href"]
    drawing = run + "?view=plan"
    monkeypatch.setattr(Database, "_run", counting)
    for more in range(2):
        for path in ("/runs", "/people", "/tasks", "/people?q=jane", person, run, drawing):
            counted.clear()
            assert (await client.get(path)).status_code == 200
            assert len(counted) <= 8, path
        if more == 0:
            for number in range(11):
                document = hire(name=f"P {number}", job="office", email=f"p{number}@acme.example")
                await client.post("/api/v1/processes/onboarding/runs", json=document)


async def test_errors_are_pages(client, house):
    """A missing run and an unknown filter are pages in the shell, with the right status."""
    missing = await client.get("/runs/run_00000000000000000000000001")
    odd = await client.get("/runs?state=odd")
    assert (missing.status_code, odd.status_code) == (404, 422)
    assert "Not found" in text_of(missing.text)
    assert "Runs in flight" in text_of(odd.text)


async def test_the_viewers_zone_is_used(client, house):
    """Times are written in the zone the browser told; an unknown one is left aside."""
    client.cookies.set("newel-zone", "America/New_York")
    assert "(America/New_York)" in (await client.get("/runs")).text
    client.cookies.set("newel-zone", "Mars/Base")
    assert "(Europe/Berlin)" in (await client.get("/runs")).text


async def test_empty_pages_say_why_and_what_to_do(client, house):
    """Nothing in flight, nobody known, no task: each page says so and offers the next act."""
    said = {path: text_of((await client.get(path)).text) for path in ("/runs", "/people", "/tasks")}
    assert "No run is in flight. Start a process" in said["/runs"]
    assert "No person is known yet." in said["/people"]
    assert "No task is open." in said["/tasks"]


async def test_without_a_database_pages_and_api_say_so(client, house):
    """503 with a plain page or a problem, and word that runs are safe; health still answers."""
    await house.database.close()
    page = await client.get("/runs")
    api = await client.get("/api/v1/runs")
    assert (page.status_code, api.status_code) == (503, 503)
    assert "Runs are safe" in text_of(page.text)
    assert api.json()["type"] == "database-not-reachable"
    assert (await client.get("/health")).status_code == 200


async def test_static_files_are_kept_for_a_year_and_lead_nowhere_else(client, house):
    """The build's files are immutable and compressed; another name, or a way out, is 404."""
    page = (await client.get("/runs")).text
    sheet = re.search(r'href="(/static/[^"]+/newel.css)"', page)
    assert sheet is not None
    answer = await client.get(sheet[1])
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    plain = await client.get(sheet[1], headers={"Accept-Encoding": "identity"})
    assert plain.text == answer.text
    old = await client.get("/static/000000000000/newel.css")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-store")
    for path in ("x/css/base.css", "x/..%2F..%2Fpages.py", "x/font/OFL.txt"):
        assert (await client.get(f"/static/{path}")).status_code == 404


async def test_an_address_that_was_kept_leads_to_the_form(client, house):
    """The address a form posts to, opened by itself, shows the form."""
    answer = await client.get("/start/onboarding/runs")
    assert (answer.status_code, answer.headers["location"]) == (303, "/start/onboarding")
