"""A validating proxy that we did not write stands between client and simulator.

`npm`'s Prism refuses requests and answers that disagree with the vendor's document. `make prism`
puts it in its place; where it is not, these tests say so and are left out. They are slow because
each starts a program of node's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from newel.base.secrets import SecretRef
from newel.connectors.bamboohr import BambooHR
from newel.connectors.base import Connector
from newel.connectors.github import GitHub
from newel.connectors.jira import Jira
from newel.connectors.payroll import Gusto
from newel.connectors.slack import Slack
from newel.simulators import World
from newel.simulators.server import serve
from tests.connectors.support import JANE
from tests.patience import PATIENCE_S
from tests.ports import neighbouring
from tests.simulators.conftest import world as world
from tests.simulators.contract import FILES
from tests.simulators.support import signed_in
from tests.simulators.test_contracts import GITHUB, GOOGLE, JIRA, SLACK, Step

pytestmark = pytest.mark.slow
PRISM: Final = Path(os.environ.get("NEWEL_PRISM") or Path(__file__).parent / "prism")
COMMAND: Final = PRISM / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"


def need_prism() -> str:
    """Give the path of node; skip the test, saying why, where Prism cannot run."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Prism needs node, which is not installed")
    if not COMMAND.exists():
        pytest.skip("Prism is not installed: make prism")
    return node


@contextlib.asynccontextmanager
async def proxied(specification: Path, address: str) -> AsyncIterator[str]:
    """Run Prism before an address; gives its own."""
    port = neighbouring(27_000)
    program = await asyncio.create_subprocess_exec(
        need_prism(), str(COMMAND), "proxy", str(specification), address,
        "--errors", "-m", "false", "-h", "127.0.0.1", "-p", str(port),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert program.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for line in program.stdout:
                if b"Prism is listening" in line:
                    break
            else:
                raise AssertionError(f"Prism ended with {await program.wait()}")
        reading = asyncio.create_task(program.stdout.read())  # a full pipe would stop it
        yield f"http://127.0.0.1:{port}"
        reading.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            program.kill()
        await program.wait()


def _own(system: str, steps: list[Step]) -> list[Step]:
    """The steps of a tour that the system's main document knows, in the form that it names."""
    others = ("/admin/datatransfer/", "/api/auth.test")
    return [step for step in steps if not step[1].startswith(others)]


def _is_known(answer: httpx2.Response, status: int) -> bool:
    """Whether a violation is the document's: Jira's declares a body for 204, which HTTP forbids."""
    said = json.loads(answer.headers.get("sl-violations", "[]"))
    return status == HTTPStatus.NO_CONTENT and [
        each["message"].startswith('The received media type ""') for each in said
    ] == [True]


@pytest.mark.parametrize(
    ("system", "steps"),
    [("github", GITHUB), ("jira", JIRA), ("google", GOOGLE), ("slack", SLACK)],
)
async def test_prism_agrees_with_every_answer(world, system: str, steps: list[Step]):
    """C48: each request of a tour passes the proxy, and so does the simulator's answer."""
    need_prism()
    world.google.add_group("staff@acme.example")
    world.google.authorize_app("admin@acme.example", "Notes")
    world.google.make_app_password("admin@acme.example", "Telephone")
    async with (
        serve(world.chosen([system])) as addresses,
        proxied(FILES[system], addresses[system]) as address,
        signed_in(system, world, address=address) as client,
    ):
        for method, path, body, status in _own(system, steps):
            answer = await client.request(method, path, json=body)
            if not _is_known(answer, status):
                assert (method, path, answer.status_code) == (method, path, status), answer.text


@dataclass(frozen=True)
class Through:
    """A connector whose requests go through the proxy, and what it does."""

    make: Callable[[Mapping[str, str], Callable[[str], SecretRef], str], Connector]
    use: Callable[[Any], Awaitable[object]]


def _github(given: Mapping[str, str], secret: Callable[[str], SecretRef], url: str) -> Connector:
    return GitHub(org="acme-example", token=secret("GITHUB_TOKEN"), base_url=url)


async def _join(github: GitHub) -> None:
    await github.check()
    await github.ensure_member(JANE, "jane-doe")
    await github.remove_member(JANE, "jane-doe")


def _jira(given: Mapping[str, str], secret: Callable[[str], SecretRef], url: str) -> Connector:
    return Jira(email=given["JIRA_EMAIL"], token=secret("JIRA_TOKEN"), base_url=url)


async def _open(jira: Jira) -> None:
    await jira.check()
    await jira.ensure_account(JANE, products=("jira-software",))


def _slack(given: Mapping[str, str], secret: Callable[[str], SecretRef], url: str) -> Connector:
    return Slack(team=given["SLACK_TEAM"], token=secret("SLACK_TOKEN"), plan="pro", base_url=url)


async def _say(slack: Slack) -> None:
    await slack.check()
    await slack.find(JANE)


def _bamboohr(given: Mapping[str, str], secret: Callable[[str], SecretRef], url: str) -> Connector:
    return BambooHR(company="acme", key=secret("BAMBOOHR_KEY"), base_url=url)


async def _enter(bamboohr: BambooHR) -> None:
    await bamboohr.check()
    await bamboohr.ensure_employee(JANE)
    await bamboohr.read_employee("1")
    await bamboohr.changed(datetime(2026, 1, 1, tzinfo=UTC))


def _gusto(given: Mapping[str, str], secret: Callable[[str], SecretRef], url: str) -> Connector:
    return Gusto(company=given["GUSTO_COMPANY"], token=secret("GUSTO_TOKEN"), base_url=url)


async def _employ(gusto: Gusto) -> None:
    await gusto.check()
    await gusto.ensure_employee(JANE)


THROUGH: Final[Mapping[str, Through]] = {
    "github": Through(_github, _join),
    "jira": Through(_jira, _open),
    "slack": Through(_slack, _say),
    "bamboohr": Through(_bamboohr, _enter),
    "gusto": Through(_gusto, _employ),
}


@pytest.mark.parametrize("system", sorted(THROUGH))
async def test_prism_agrees_with_every_request_of_a_connector(system: str, monkeypatch):
    """C48: what a connector sends passes the proxy, which would refuse it otherwise."""
    need_prism()
    (simulator,) = World(page_size=3).chosen([system])
    given = simulator.credentials()

    def secret(name: str) -> SecretRef:
        monkeypatch.setenv(f"T_PRISM_{name}", given[name])
        reference = SecretRef(f"env:T_PRISM_{name}")
        reference.resolve(fresh=True)
        return reference

    async with (
        serve([simulator]) as addresses,
        proxied(FILES[system], addresses[system]) as address,
    ):
        connector = THROUGH[system].make(given, secret, address)
        await THROUGH[system].use(connector)
        await connector.aclose()
        assert len(simulator.calls()) > 1
