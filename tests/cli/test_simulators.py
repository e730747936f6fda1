"""`newel simulators`: servers to watch and to break, and the environment that leads to them."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from typing import Any

import httpx2
import pytest

from newel.cli.app import answered

COMMAND = (sys.executable, "-m", "newel", "simulators")


async def started(*arguments: str) -> tuple[asyncio.subprocess.Process, str]:
    """Start the command, and read what it prints before it waits."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines: list[bytes] = []
    while not (lines and lines[-1] in {b"# Ctrl-C ends them.\n", b"}\n", b""}):
        lines.append(await process.stdout.readline())
    return process, b"".join(lines).decode()


async def ended(process: asyncio.subprocess.Process) -> int:
    """End the command as Ctrl-C does."""
    process.send_signal(signal.SIGINT)
    return await process.wait()


async def test_the_environment_that_is_printed_leads_to_them(tmp_path):
    """A shell that has read it calls GitHub; a fault is scripted, an invitation accepted, state
    survives.
    """
    more = ("--only", "github", "--token", "t", "--state", str(tmp_path))
    process, told = await started(*more)
    exports = "\n".join(re.findall(r"^export .+$", told, re.MULTILINE))
    shown = subprocess.run(
        ["bash", "-c", f"{exports}\nenv -0 -u _"],
        stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip
    environment = dict(each.split("=", 1) for each in shown.decode().split("\0") if "=" in each)
    assert environment["GITHUB_APP_KEY"].startswith("-----BEGIN PRIVATE KEY-----\n")
    url, key = environment["GITHUB_URL"], environment["GITHUB_TOKEN"]
    control = {"X-Sim-Token": "t"}
    one = f"{url}/orgs/{environment['GITHUB_ORG']}/memberships/jane"
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as client:
        rule: Any = {"effect": "lose_response", "times": 1}
        await client.put(f"{url}/_sim/faults/lost", json=rule, headers=control)
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.put(one, json={})
        assert (await client.get(one)).json()["state"] == "pending"
        who = {"who": "jane"}
        await client.post(f"{url}/_sim/act/accept_invitation", json=who, headers=control)
        assert (await client.get(one)).json()["state"] == "active"
        page = re.search(r"http://\S+/_sim/\?token=t", told)
        assert page is not None
        assert "jane" in (await client.get(page[0], follow_redirects=True)).text
    assert await ended(process) == 0
    process, told = await started(*more, "--json")
    found = json.loads(told)
    async with httpx2.AsyncClient(headers=control) as client:
        state = (await client.get(f"{found['addresses']['github']}/_sim/state")).text
        assert "jane" in state
    assert found["environment"]["GITHUB_TOKEN"] == key
    assert await ended(process) == 0


@pytest.mark.usefixtures("project")
async def test_a_system_is_asked_whether_it_answers_as_agreed(monkeypatch, capsys):
    """Yes; then a field that is read is gone: drift, with the field's name, and status 1."""
    process, told = await started("--only", "github", "--token", "t", "--json")
    found = json.loads(told)
    for name, value in found["environment"].items():
        monkeypatch.setenv(name, value)
    probe = ["contracts", "probe", "--system", "github"]
    assert await asyncio.to_thread(answered, probe) == 0
    assert re.search(r"^github +yes", capsys.readouterr().out, re.MULTILINE)
    rule = {"effect": {"kind": "drop_field", "path": "login"}}
    url = found["addresses"]["github"]
    async with httpx2.AsyncClient(headers={"X-Sim-Token": "t"}) as client:
        assert (await client.put(f"{url}/_sim/faults/gone", json=rule)).is_success
        assert await asyncio.to_thread(answered, probe) == 1
        assert re.search(r"^github +contract-drift .*login", capsys.readouterr().out, re.MULTILINE)
        calls = (await client.get(f"{url}/_sim/calls", params={"mutating": "true"})).json()
        assert calls == {"calls": []}
    assert await asyncio.to_thread(answered, ["contracts", "probe", "--system", "fax"]) == 1
    assert await ended(process) == 0


def test_an_unknown_system_is_named_with_those_there_are(capsys):
    """Where a name is of no system, nothing starts, and the sentence tells what there is."""
    assert answered(["simulators", "--only", "github,fax"]) == 1
    assert "does not know fax; known: google, slack" in capsys.readouterr().err
