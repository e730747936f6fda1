"""R18: "under 5 seconds".

A time on a shared machine decides no test. What makes the figure possible is asserted here: how
few levels an onboarding has, and how few requests one after another. The figure itself, p95 of
100 onboardings against slow systems with the machine stated, belongs to the benchmark.
"""

from __future__ import annotations

import pytest

LEVELS = {
    "office": ["google", "slack jira gusto", "google", "slack"],
    "sales": ["google", "slack jira gusto salesforce", "salesforce", "google", "slack"],
}
IN_TURN = {"office": 10, "sales": 12}
"""Requests that wait for one another, tokens included; at 150 to 800 ms each, some seconds."""


@pytest.mark.parametrize("job", sorted(LEVELS))
async def test_five_seconds(acme, world, job):
    """R18: from the decision to the last step it takes few levels, and nobody but systems."""
    async with acme() as house, house.worker():
        started = (await house.now()).isoformat()
        run = await house.reserved(job=job, starts_at=started)
        asked = {name: sum(counts.values()) for name, counts in world.calls().items()}
        before = len(await house.events(run))
        await house.approve(await house.task(run))
        assert await house.ended(run) == "completed"
        events = (await house.events(run))[before:]
        assert _levels(events) <= len(LEVELS[job])
        assert {kind for kind, _ in events if "retry" in kind or "failed" in kind} == set()
        counted = world.calls().items()
        calls = {name: sum(counts.values()) - asked[name] for name, counts in counted}
        beside = max(calls["jira"], calls["gusto"], calls["slack"] - 1, calls["salesforce"])
        assert calls["google"] + beside + 1 <= IN_TURN[job]


def _levels(events) -> int:
    """The longest chain of steps of which each began after the one before had ended."""
    depth: dict[str, int] = {}
    deepest = 0
    for kind, key in events:
        if kind == "step.started":
            depth[key] = deepest + 1
        elif kind == "step.succeeded":
            deepest = max(deepest, depth[key])
    return deepest
