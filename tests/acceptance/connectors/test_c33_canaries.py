"""C33: planted personal values and secrets appear nowhere in clear, whatever fails and how.

Personal columns live in `newel.person` and in sealed payloads, nowhere else: every other table is
read whole, with what was logged, told to trackers, and shown by errors.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

import pytest

from newel import SecretRef, minutes, parallel, process
from newel.connectors.base import Connector
from newel.connectors.github import GitHub
from newel.connectors.google import Google
from newel.connectors.jira import Jira
from newel.connectors.operation import declared
from newel.connectors.slack import Slack
from newel.domain.people import Person
from newel.simulators import Simulator
from newel.simulators.faults import (
    DropField,
    ExpireToken,
    LoseResponse,
    Status,
    Throttle,
)
from newel.testing import Saas, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name

GIVEN, FAMILY, LOGIN, NUMBER = "Zyxelinda", "O'Quillwörth", "quillcanary", "HRCANARY77"
EMAIL = "zyx.quillcanary@acme.example"
PERSON = Person(name=f"{GIVEN} {FAMILY}", email=EMAIL, hr_key=NUMBER)
PERSONAL = (GIVEN, "Quillw", LOGIN, NUMBER, EMAIL, EMAIL.upper())
ECHO = (  # what a system can say: what it was told with the call
    f"The user {GIVEN} {FAMILY} <{EMAIL}> ({NUMBER}) cannot be created: "
    f"https://x.example/users/{EMAIL}?name={quote(FAMILY)}"
)

google = Google(service_account=SecretRef("env:GOOGLE_SERVICE_ACCOUNT"), admin="admin@acme.example")
slack = Slack(token=SecretRef("env:SLACK_TOKEN"))
jira = Jira(
    email="newel@acme.example",
    token=SecretRef("env:JIRA_TOKEN"),
    base_url="https://acme-example.atlassian.net",
)
github = GitHub(org="acme-example", token=SecretRef("env:GITHUB_TOKEN"))
by_hand = Slack(name="chat", token=SecretRef("env:SLACK_TOKEN"), plan="pro")


@process(owner="it")
async def everything(person: Person, login: str) -> None:
    """Make, change and end accounts everywhere, beside each other."""
    await parallel(
        _in_google(person), _in_slack(person), _in_jira(person), _in_github(person, login),
        by_hand.deactivate["gone"](person),
    )  # fmt: skip


async def _in_google(person: Person) -> None:
    await google.ensure_account(person)
    await google.join_group(person, "engineering@acme.example")
    await google.suspend(person)


async def _in_slack(person: Person) -> None:
    await slack.ensure_account(person)
    await slack.say("#general", f"Welcome {person.name}, {person.email}!")
    await slack.deactivate(person)


async def _in_jira(person: Person) -> None:
    await jira.ensure_account(person)


async def _in_github(person: Person, login: str) -> None:
    await github.ensure_member(person, login)
    await github.remove_member(person, login)


def echoed(status: int, said: str = ECHO) -> Status:
    """An answer in which the vendor says everything that it was told."""
    return Status(
        status,
        {
            "message": said,
            "detail": said,
            "ok": False,
            "error": "internal_error",
            "errorMessages": [said],
            "errors": [{"message": said, "field": "email", "code": "custom", "resource": "User"}],
            "error_description": said,
        },
    )


def planted_in(simulator: Simulator, connector: Connector, failure: Any) -> None:  # Any: an effect
    """Let every call fail that is about a person; a probe is told of nobody."""
    if isinstance(failure, Status) and simulator.system == "github":
        failure = echoed(failure.status, f"{ECHO} {LOGIN} is taken")
    operations = {
        name
        for step in connector.operations().values()
        for name in (*declared(step).spec, *declared(step).reads)
    }
    for name in sorted(operations):
        simulator.fail(name, failure, times=None)


FAILURES: dict[str, Any] = {
    "down": echoed(503),
    "a page": Status(200, f"<html>{ECHO}</html>"),
    "invalid": echoed(422),
    "forbidden": echoed(403),
    "not there": echoed(404),
    "conflict": echoed(409),
    "gone": echoed(410),
    "refused": echoed(401),
    "expired": ExpireToken(),
    "lost": LoseResponse(),
    "throttled": Throttle(30),
    "a field": DropField("id"),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_what_was_planted_is_nowhere_in_clear(
    saas: Saas,  # noqa: F811 - as above
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    failure: str,
) -> None:
    """Every table but that of people, every log line, ticket and error: not one planted value."""
    caplog.set_level(logging.DEBUG)
    saas.github.create_by_hand(LOGIN)
    secrets = [each for each in saas.world.credentials().values() if len(each) > 12]
    for connector in (google, slack, jira, github):
        planted_in(saas.simulators[connector.name], connector, FAILURES[failure])
    async with running(everything.request(PERSON, LOGIN)) as run:
        run.clock.advance(minutes(65))
        said = [text for name, text in _rows(run) if name not in {"person", "definition"}]
        said += [f"log: {caplog.text}", "".join(capsys.readouterr())]
        said += [*map(str, vars(run.tickets).values()), run.told()]
        said += [str(each) for each in run.parked().values()]
        _ = run.state
    planted = [*PERSONAL, *secrets]
    found = {
        (word, text.partition(":")[0]): text[max(0, text.index(word) - 150) :][:300]
        for text in said
        for word in planted
        if word in text
    }
    assert found == {}
    is_echo = getattr(FAILURES[failure], "status", 200) >= 400
    assert is_echo is any("<personal>" in text for text in said)


def _rows(run: Any) -> list[tuple[str, str]]:  # Any: a run in memory
    """Every row of every table, as text."""
    tables = run._scene.server.tables
    return [
        (name, f"{name}: { {k: _readable(v) for k, v in row.items()} }")
        for name, table in tables.items()
        for row in table.rows.values()
    ]


def _readable(value: Any) -> Any:  # Any: a column's value
    if isinstance(value, bytes):
        return value.decode("utf-8", "ignore")
    return value
