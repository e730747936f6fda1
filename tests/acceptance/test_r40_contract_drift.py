"""R40: an answer that has changed parks before it is used, and the run goes on after the fix."""

from __future__ import annotations

import pytest

from newel.simulators.faults import DropField
from tests.acceptance.outage import GITHUB, counted, ticketed, to_github
from tests.engine.house import OPERATOR

GUSTO = "gusto.ensure_employee"
CASES = [
    pytest.param(GITHUB, "github", "orgs/set-membership-for-user", "state", id="put"),
    pytest.param(GUSTO, "gusto", "post-v1-employees", "uuid", id="create"),
]


@pytest.mark.parametrize(("key", "system", "operation", "field"), CASES)
async def test_contract_drift(acme, world, key, system, operation, field):
    """R40, C36: a field is missing once the change was made: parked by name, resumed, one object.

    The servers are real ones on loopback; the vendor makes the change and answers in a new form.
    """
    async with acme() as house, house.worker():
        simulator = world.simulators[system]
        run = await house.reserved()
        simulator.fail(operation, DropField(field))
        await to_github(house, run)
        parked = (await house.acts(run))[key]
        assert (parked["state"], parked["reason"]) == ("parked", "contract-drift")
        assert f"`{field}`" in parked["detail"]["message"]
        assert ("step.succeeded", key) not in await house.events(run)
        issue = await ticketed(house, world)
        assert operation in issue["description"]

        simulator.heal()
        before, changes = counted(world), len(simulator.mutations())
        await house.engine.retry(run, key, actor=OPERATOR)
        house.poke()

        async def gone_on() -> bool:
            return key not in await house.acts(run)

        await house.until(gone_on)
        after = counted(world)
        assert {name for name in before if after[name] != before[name]} <= {system, "jira"}
        assert len(simulator.mutations()) == changes  # what was made is found, not made again
        assert await house.finish(run) == "completed"
        done = [name for kind, name in await house.events(run) if kind == "step.succeeded"]
        assert key in done
        assert len(done) == len(set(done))
        assert world.doubled() == {}
        assert len([each for each in simulator.accounts() if "jane" in str(each).lower()]) == 1
