"""The simulators as a process of their own."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import httpx2
import pytest

from newel.simulators import World
from newel.simulators.__main__ import main


async def started(*arguments: str) -> tuple[asyncio.subprocess.Process, dict[str, dict[str, str]]]:
    """Start the command and read its one line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "newel.simulators", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    return process, json.loads(await process.stdout.readline())


async def test_another_process_knows_the_credentials_and_keeps_its_state(tmp_path):
    """A seeded process accepts the seed's credentials; after kill -9 its state is there again."""
    arguments = ("--only", "github", "--seed", "11", "--state", str(tmp_path), "--token", "t")
    token = World(seed=11).credentials()["GITHUB_TOKEN"]
    path = "/orgs/acme-example/memberships/jane"
    process, told = await started(*arguments)
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:
        answer = await client.put(told["addresses"]["github"] + path, json={})
        assert (answer.status_code, answer.json()["state"]) == (200, "pending")
        process.kill()
        await process.wait()
        process, told = await started(*arguments)
        answer = await client.get(told["addresses"]["github"] + path)
        assert (answer.status_code, answer.json()["state"]) == (200, "pending")
        page = await client.get(told["pages"]["github"], follow_redirects=True)
        assert "jane" in page.text
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


def test_an_unknown_system_is_refused(capsys):
    """A system there is not is named with those there are, and nothing starts."""
    assert main(["--only", "github,fax"]) == 2
    assert "unknown system fax; known: google, slack" in capsys.readouterr().err


async def test_a_taken_port_is_told(capsys):
    """A port that is taken ends the command with one sentence."""
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        status = await asyncio.to_thread(main, ["--only", "github", "--base-port", str(port)])
    assert status == 1
    assert "cannot listen" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--plan", "free"], ["--now", "yesterday"]])
def test_wrong_options_are_refused(wrong, capsys):
    """Options that make no sense end the command with its usage."""
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
