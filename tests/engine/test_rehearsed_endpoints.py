"""Endpoints in a rehearsal: the inbox among the simulators is told as another system would be."""

from __future__ import annotations

from datetime import timedelta

import httpx2

from newel import SecretRef, endpoint
from newel.connectors.signatures import StandardWebhooks
from newel.simulators import InboxSimulator, Status, serve
from tests.engine.test_endpoints import greeting


async def test_a_rehearsal_sees_what_another_system_would(build, monkeypatch):
    """The inbox among the simulators has each event once after an outage, and shows it."""
    inbox = InboxSimulator()
    async with serve([inbox]) as addresses:
        given = inbox.credentials(addresses["inbox"])
        monkeypatch.setenv("INBOX_SECRET", given["INBOX_SECRET"])
        declared = endpoint(
            "inbox",
            given["INBOX_URL"],
            events="run.*",
            signed=StandardWebhooks(SecretRef("env:INBOX_SECRET")),
            network="127.0.0.0/8",
        )
        inbox.fail("deliver", Status(503), times=1)
        async with build([greeting], endpoints=[declared]) as house, house.worker():
            run = await house.start("greeting", "Zoë")
            await house.ended(run)
            wanted = [each["id"] for each in await house.leaves(run) if "run." in each["type"]]
            for _ in range(60):
                if len(inbox.messages()) == len(wanted):
                    break
                await house.move(timedelta(seconds=10))
                await house.engine.endpoints.send_due("inbox")
        assert sorted(each["id"] for each in inbox.messages()) == sorted(wanted)
        for each in wanted:
            inbox.assert_exactly_once(f"message/{each}")
        async with httpx2.AsyncClient(trust_env=False) as client:
            page = await client.get(
                f"{addresses['inbox']}/_sim/", headers={"X-Sim-Token": str(inbox.admin_token)}
            )
    assert f"run/{house.reference(run)}" in page.text and "newel.run.completed.v1" in page.text
    assert "Zoë" not in page.text
