"""R11: engineers get GitHub, sales get Salesforce.

The company of the example hires for three jobs; HR is hired for the office. It knows no
contractors: a job that it does not know is refused before anything runs.
"""

from __future__ import annotations

import pytest

from newel.base.errors import InvalidInput

EVERYBODY = {
    "google:account",
    "slack:account",
    "jira:account",
    "jira:product/jira-software",
    "gusto:account",
}
GRANTS = {
    "engineer": EVERYBODY
    | {"github:account", "github:team/platform", "github:repo/acme-example/api"},
    "sales": EVERYBODY | {"salesforce:account", "salesforce:permission_set/Sales_Console"},
    "office": EVERYBODY,
}
ACCESS = {
    "google": [],
    "slack": ["general"],
    "jira": ["jira-software"],
    "github": ["api"],
    "gusto": [],
    "salesforce": ["Sales_Console"],
}


def _accounts(world):
    return {
        (name, account["id"], account["handle"]): account["access"]
        for name, simulator in world.simulators.items()
        for account in simulator.accounts()
    }


@pytest.mark.parametrize("job", sorted(GRANTS))
async def test_role_matrix(acme, world, job):
    """R11: each job ends with exactly its accounts, each once; no other system is changed."""
    async with acme() as house, house.worker():
        before = _accounts(world)
        run = await house.onboard(job=job)
        assert await house.finish(run) == "completed"
        rows = await house.database.fetch("select entitlement, state from newel.access_grant")
        assert sorted((row["entitlement"], row["state"]) for row in rows) == sorted(
            (entitlement, "active") for entitlement in GRANTS[job]
        )
        systems = {entitlement.partition(":")[0] for entitlement in GRANTS[job]}
        made = [
            (name, access)
            for (name, *who), access in _accounts(world).items()
            if (name, *who) not in before
        ]
        assert sorted(made) == sorted((name, ACCESS[name]) for name in systems)
        changed = {name for name, each in world.simulators.items() if each.mutations()}
        assert changed == systems
        assert world.doubled() == {}


async def test_a_job_that_the_company_does_not_know_is_refused(acme, world):
    """R11: a contractor is refused by name of the field; nothing was called."""
    async with acme() as house, house.worker():
        with pytest.raises(InvalidInput, match="job"):
            await house.onboard(job="contractor")
        assert not any(world.calls().values())
