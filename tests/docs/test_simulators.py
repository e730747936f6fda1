"""The page on simulators holds: what it names is there, and its rule strikes as it says."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import httpx2
import pytest

from newel.cli.playing import simulators
from newel.simulators import GitHubSimulator
from newel.simulators.faults import KINDS, fault_from
from newel.testing.transport import SimulatorTransport

TEXT = (Path(__file__).parents[2] / "docs" / "simulators.md").read_text("utf-8")


def test_every_effect_and_every_option_is_named():
    """A kind of fault or an option that is added is told of."""
    named = set(re.findall(r"`(\w+)`", TEXT))
    assert set(KINDS) - named == set()
    options = {f"--{name.replace('_', '-')}" for name in inspect.signature(simulators).parameters}
    options = {"--json" if each == "--as-json" else each for each in options}
    assert options == set(re.findall(r"^\| `(--[\w-]+)", TEXT, re.MULTILINE))


async def test_the_rule_of_the_example_strikes_once_and_loses_the_answer():
    """The invitation is made, its answer is lost; the same call again is answered."""
    found = re.search(r"-d '(\{.+\})'", TEXT)
    assert found is not None
    github = GitHubSimulator()
    github.faults.add(fault_from("lost", json.loads(found[1])))
    token = github.credentials()["GITHUB_TOKEN"]
    async with httpx2.AsyncClient(
        transport=SimulatorTransport(github),
        base_url="https://api.github.com",
        headers={"Authorization": f"Bearer {token}"},
    ) as client:
        path = "/orgs/acme-example/memberships/jane"
        with pytest.raises(httpx2.HTTPError):
            await client.put(path, json={})
        assert (await client.put(path, json={})).status_code == 200
    assert github.book.doubled() == {}
