"""`/metrics`: numbers that monitoring reads, of the deployment as a whole and of nobody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml  # type: ignore[import-untyped]  # it brings no types of its own

from newel.base.secrets import SecretRef
from newel.web.app import create_app
from newel.web.metrics import GAUGES, Sample, exposed
from tests.web.conftest import BERLIN

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "monitoring.md"
LINE = re.compile(
    r"(?P<name>newel_[a-z_]+)(?P<labels>\{[^\n]*\})? "
    r"(?P<value>-?[0-9.e+-]+)"
)


def read(text: str) -> dict[str, float]:
    """Read the text format; every line has to be a comment of a gauge, or a sample of it."""
    assert text.endswith("\n")
    found: dict[str, float] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split()[2]
        elif line.startswith("#"):
            assert line == f"# TYPE {name} gauge"
        else:
            match = LINE.fullmatch(line)
            assert match is not None, line
            assert match["name"] == name
            found[name + (match["labels"] or "")] = float(match["value"])
    return found


async def test_what_stands_is_read_at_the_moment_it_is_asked_for(client, house, scene):
    """A waiting run, its task and a pause are numbers; a second look sees what has changed."""
    quiet = read((await client.get("/metrics")).text)
    assert quiet["newel_workers_alive"] == 0
    assert not any(name.startswith(("newel_open_tasks", "newel_paused")) for name in quiet)
    async with house.worker():
        await scene.asked()
        actor = await house.engine.actor("mary@acme.example", via="console")
        await house.engine.systems.pause("jira", actor=actor, reason="it moves")
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    seen = read(answer.text)
    assert seen["newel_workers_alive"] == 1
    assert seen['newel_runs{state="waiting"}'] == 1
    assert (seen["newel_open_tasks"], seen["newel_open_tasks_age_seconds"] >= 0) == (1, True)
    assert seen['newel_paused_systems{system="jira"}'] == 1
    assert seen["newel_unsealed_batches"] >= 1
    assert abs(seen["newel_clock_difference_seconds"]) < 60
    for name in ("Jane", "Doe", "acme.example", "run_", "per_"):
        assert name not in answer.text


async def test_a_worker_that_dies_is_counted_when_another_takes_over(client, house, scene):
    """One that stops orderly is not; the number is that of the rows, so no restart resets it."""
    async with house.worker():
        await scene.asked()
    assert read((await client.get("/metrics")).text)["newel_leases_ended"] == 0
    async with house.doomed() as dead:
        await house.database.execute(
            "update newel.run set worker_id = $1, worker_epoch = 1", dead.worker
        )
    assert read((await client.get("/metrics")).text)["newel_leases_ended"] == 1


async def test_the_token_opens_metrics_and_nothing_else(house, settings, monkeypatch):
    """With a token nobody reads without it, from wherever; without one only this machine does."""
    token = "t0ken-of-monitoring"
    monkeypatch.setenv("T_METRICS", token)
    SecretRef("env:T_METRICS").resolve(fresh=True)
    asked = settings.model_copy(update={"metrics_token": SecretRef("env:T_METRICS")})
    statuses = {}
    for where, host in (("here", "127.0.0.1"), ("elsewhere", "192.0.2.7")):
        for what, chosen in (("open", settings), ("asked", asked)):
            app = create_app(house.engine, settings=chosen, zone=BERLIN)
            transport = httpx2.ASGITransport(app=app, client=(host, 50_000))
            async with httpx2.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as client:
                bearer = {"Authorization": f"Bearer {token}"}
                statuses[where, what] = [
                    (await client.get("/metrics")).status_code,
                    (await client.get("/metrics", headers=bearer)).status_code,
                    (
                        await client.get("/metrics", headers={"Authorization": "Bearer x"})
                    ).status_code,
                ]
                if what == "asked":
                    answer = await client.get("/api/v1/systems", headers=bearer)
                    assert answer.status_code == 401
    assert statuses == {
        ("here", "open"): [200, 200, 200],
        ("here", "asked"): [401, 200, 401],
        ("elsewhere", "open"): [403, 403, 403],
        ("elsewhere", "asked"): [401, 200, 401],
    }


def test_labels_are_written_as_the_format_wants_them():
    """Quotes, backslashes and ends of lines in a label cannot begin a line of their own."""
    text = exposed([Sample("paused_systems", 1, {"system": 'a"b\\c\nd'})])
    assert text.splitlines()[-1] == 'newel_paused_systems{system="a\\"b\\\\c\\nd"} 1'
    with pytest.raises(KeyError):
        exposed([Sample("nothing", 1)])


def test_the_guide_has_every_number_and_no_other():
    """The table of the guide names what can be read, in its order, in the same words."""
    rows = re.findall(r"^\| `(newel_\w+)` \| (.+) \|$", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert rows == [(f"newel_{each.name}", each.told) for each in GAUGES]


def rules() -> list[dict[str, Any]]:
    """The rules that are shipped, as Prometheus reads them."""
    (group,) = yaml.safe_load((DOCS / "alerts.yml").read_text("utf-8"))["groups"]
    return list(group["rules"])


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_is_of_numbers_that_are_given_and_says_what_to_do(rule):
    """Every number is one of `/metrics`; the runbook is a heading of a page that exists."""
    numbers = re.findall(r"newel_\w+", rule["expr"])
    assert numbers
    assert {name.removeprefix("newel_") for name in numbers} <= {each.name for each in GAUGES}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    page, _, heading = rule["annotations"]["runbook"].partition("#")
    text = (DOCS.parent / page).read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert heading in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


def test_the_guide_has_every_alert_and_no_other():
    """The table of the guide is what the rules say."""
    rows = re.findall(
        r"^\| (Newel\w+) \| (.+) \| (\w+) \| \[.+\]\((.+)\) \|$",
        GUIDE.read_text("utf-8"),
        re.MULTILINE,
    )
    assert rows == [
        (
            each["alert"],
            f"`{each['expr']}`" + (f" for {each['for']}" if "for" in each else ""),
            each["labels"]["severity"],
            each["annotations"]["runbook"].removeprefix("docs/"),
        )
        for each in rules()
    ]
