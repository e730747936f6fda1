"""Over real connections: what is lost, cut, refused or hung is so for the client as well."""

from __future__ import annotations

import asyncio
import socket

import httpx2
import pytest

from newel.simulators import (
    DropField,
    Hang,
    LoseResponse,
    NotLoopback,
    ResetBefore,
    Status,
    Throttle,
    Truncate,
    serve,
)
from tests.simulators.support import signed_in

MEMBERSHIP = "/orgs/acme-example/memberships/jane"
OPERATION = "orgs/set-membership-for-user"


@pytest.fixture
async def served(world):
    """GitHub on a port of its own, and a client of it."""
    async with (
        serve([world.github], token="control") as addresses,
        signed_in("github", world, address=addresses["github"]) as client,
    ):
        yield client


def states(world) -> dict[str, str]:
    """Give the state of each account by its handle, without the owner."""
    accounts = world.github.accounts()
    return {a["handle"]: a["state"] for a in accounts if a["handle"] != "acme-owner"}


async def test_a_lost_answer_is_committed_and_cut(world, served):
    """A lost answer is committed in the system; the client sees a closed connection."""
    world.github.fail(OPERATION, LoseResponse(), times=1)
    with pytest.raises(httpx2.RemoteProtocolError):
        await served.put(MEMBERSHIP, json={"role": "member"})
    assert states(world) == {"jane": "pending"}
    call = world.github.assert_exactly_once("org/jane")
    assert (call.status, call.committed, call.fault) == (None, True, "fault-1")


async def test_repeating_after_a_lost_answer_changes_nothing(world, served):
    """A repeated PUT after a lost answer finds the membership and commits nothing."""
    world.github.fail(OPERATION, LoseResponse(), times=1)
    with pytest.raises(httpx2.RemoteProtocolError):
        await served.put(MEMBERSHIP, json={"role": "member"})
    again = await served.put(MEMBERSHIP, json={"role": "member"})
    assert again.status_code == 200
    assert [call.did for call in world.github.calls(OPERATION)] == ["created", "nothing"]
    assert world.github.book.doubled() == {}


async def test_a_reset_before_the_commit_leaves_nothing(world, served):
    """A connection cut before the commit leaves no trace but the call."""
    world.github.fail(OPERATION, ResetBefore(), times=1)
    with pytest.raises(httpx2.RemoteProtocolError):
        await served.put(MEMBERSHIP, json={"role": "member"})
    assert states(world) == {}
    assert [call.committed for call in world.github.mutations()] == [False]


async def test_a_system_that_is_down_answers_nobody(world, served):
    """Down resets the connection on every route, the probe included, until it is healed."""
    world.github.down()
    for path in ("/rate_limit", MEMBERSHIP, "/no/such/path"):
        with pytest.raises(httpx2.ReadError):
            await served.get(path)
    with pytest.raises(httpx2.ReadError):
        await served.put(MEMBERSHIP, json={"role": "member"})
    assert states(world) == {}
    world.github.heal()
    assert (await served.get("/rate_limit")).status_code == 200


async def test_what_is_down_can_still_be_controlled(world, served):
    """The admin API answers while the system is down, and heals it."""
    world.github.down()
    answer = await served.delete("/_sim/faults/down", headers={"X-Sim-Token": "control"})
    assert answer.status_code == 204
    assert (await served.get("/rate_limit")).status_code == 200


async def test_a_truncated_answer_ends_in_the_middle(world, served):
    """A truncated answer is committed; half of its body arrives."""
    world.github.fail(OPERATION, Truncate(), times=1)
    with pytest.raises(httpx2.RemoteProtocolError, match="without sending complete message body"):
        await served.put(MEMBERSHIP, json={"role": "member"})
    assert states(world) == {"jane": "pending"}


async def test_a_hung_request_waits_for_the_clients_timeout(world, served):
    """A hung request is never answered and commits nothing; the client gives up by itself."""
    world.github.fail(OPERATION, Hang(), times=1)
    with pytest.raises(httpx2.ReadTimeout):
        await served.put(MEMBERSHIP, json={"role": "member"}, timeout=0.05)
    assert states(world) == {}


async def test_a_server_stops_while_requests_hang(world):
    """Leaving `serve` ends hung requests and frees the port."""
    world.github.fail("*", Hang())
    async with serve([world.github], token="control") as addresses:
        port = int(addresses["github"].rpartition(":")[2])
        async with signed_in("github", world, address=addresses["github"]) as client:
            hung = asyncio.create_task(client.get("/rate_limit"))
            while not world.github.calls():
                await asyncio.sleep(0)
    with pytest.raises(httpx2.TransportError):
        await hung
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


async def test_answers_of_other_systems_are_untouched(world):
    """A fault of one system leaves its neighbour in the same process alone."""
    world.github.down()
    async with (
        serve([world.github, world.jira]) as addresses,
        signed_in("jira", world, address=addresses["jira"]) as client,
    ):
        assert (await client.get("/rest/api/3/myself")).status_code == 200


async def test_scripted_answers_commit_nothing(world, served):
    """A scripted status, a throttled and a bent answer look as the rules say."""
    world.github.fail(OPERATION, Status(502, "<h1>Bad gateway</h1>"), times=1)
    bad = await served.put(MEMBERSHIP, json={})
    assert (bad.status_code, bad.headers["content-type"]) == (502, "text/html; charset=utf-8")
    world.github.fail(OPERATION, Throttle(retry_after=17), times=1)
    limited = await served.put(MEMBERSHIP, json={})
    assert (limited.status_code, limited.headers["retry-after"]) == (403, "17")
    assert states(world) == {}
    world.github.fail(OPERATION, DropField("user.login"), times=1)
    bent = await served.put(MEMBERSHIP, json={})
    assert "login" not in bent.json()["user"]
    assert states(world) == {"jane": "pending"}


async def test_only_loopback_is_bound(world):
    """Simulators refuse to listen where others could reach them."""
    with pytest.raises(NotLoopback, match="loopback only"):
        async with serve([world.github], host="0.0.0.0"):
            pass
