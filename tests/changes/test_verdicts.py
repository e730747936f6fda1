"""What becomes of a run when the code changes: each verdict, with its sentence."""

from __future__ import annotations

from tests.changes.versions import Life

ONE = """
@step
async def create_acct() -> str:
    return "jane"

@step
async def invite(name: str) -> None: ...

@process(subject=None, owner="it")
async def joining() -> str:
    name = await create_acct()
    decision = await approval("confirmed", by=team("hr"))
    await invite(name)
    return name
"""


def test_a_renamed_step_stops_the_run_and_formerly_lets_it_go_on():
    """A finished step under a new name is not done again; with its former name it is known."""
    life = Life(ONE).go()
    assert life.open == {"confirmed"}
    renamed = ONE.replace("create_acct", "create_account")
    life.deploy(renamed).go()
    assert (life.state, life.reason) == ("parked", "blocked")
    assert "no longer asks for `create_acct`, which this run has finished" in life.why
    assert 'formerly="create_acct"' in life.why
    assert life.world.effects == {"create_acct": 1}
    declared = renamed.replace(
        "@step\nasync def create_account", '@step(formerly="create_acct")\nasync def create_account'
    )
    life.deploy(declared).go()
    assert life.state == "waiting"
    life.decide("confirmed")
    assert life.state == "completed"
    assert life.world.effects == {"create_acct": 1, "invite": 1}
    changed = life.events("run.version_changed")
    assert [(each["data"]["from"], each["data"]["to"]) for each in changed] == [(1, 2), (2, 3)]
