"""A system that fails as a test says, processes that use it, and moving through its outage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from newel.base.errors import StepError, Transient
from newel.flow.process import Process, process
from newel.flow.step import step
from tests.engine.house import House


class GitHub:
    """A connector whose calls fail with what `failing` gives, and whose probe does as well."""

    name, title, credential = "github", "GitHub", "github:cafe"
    owner = "it"

    def __init__(self) -> None:
        """Begin healthy."""
        self.failing: Callable[[str], StepError | None] = lambda _: None
        self.probe_fails: StepError | None = None
        self.calls: list[str] = []
        self.effects: list[str] = []
        self.failed_probes = 0

    def down(self, error: StepError | None = None) -> None:
        """Fail every call and every probe."""
        self.probe_fails = error or Transient("no answer")
        self.failing = lambda _: error or Transient("503")

    def up(self) -> None:
        """Answer again."""
        self.failing, self.probe_fails = (lambda _: None), None

    async def probe(self) -> None:
        """The cheapest read."""
        if self.probe_fails is not None:
            self.failed_probes += 1
            raise self.probe_fails

    @step(in_doubt="repeat")
    async def invite(self, who: str) -> str:
        """Invite somebody."""
        return await self.call(who)

    async def call(self, who: str) -> str:
        """Call the system as a step does."""
        self.calls.append(who)
        error = self.failing(who)
        if error is not None:
            raise error
        self.effects.append(who)
        return who


def inviting(github: GitHub) -> Process[[str], str]:
    """A process of one step."""

    @process(subject=None, owner="it")
    async def invite(who: str) -> str:
        """Invite somebody."""
        return await github.invite(who)

    return invite


async def one(house: House, what: str, *values: object) -> int:
    """A count."""
    found: int = await house.database.fetchval(what, *values)
    return found


async def incidents(house: House) -> list[tuple[str, str]]:
    """Fingerprint and state of all incidents."""
    rows = await house.database.fetch("select fingerprint, state from newel.incident order by 1")
    return [(row["fingerprint"], row["state"]) for row in rows]


async def opened_circuit(house: House, credential: str = GitHub.credential) -> None:
    """Wait until every worker knows that the system is down."""

    async def known() -> bool:
        found = [worker.incidents.circuits.get(credential) for worker in house.workers]
        return all(each is not None and each.is_open for each in found)

    await house.until(known)


async def rested(house: House, runs: Sequence[UUID]) -> list[str]:
    """Wait until nobody works on any of the runs; answers with their states."""
    return [await house.rested(run) for run in runs]


async def until_parked(house: House, runs: Sequence[UUID]) -> None:
    """Move the clock from moment to moment until all runs are parked."""
    while set(states := await rested(house, runs)) != {"parked"}:
        waiting = [run for run, state in zip(runs, states, strict=True) if state == "waiting"]
        if await one(house, "select count(*) from newel.incident where state = 'watching'"):
            await opened_circuit(house)
        rows = [row for run in waiting if (row := await house.row(run))["wake_at"] is not None]
        if not rows:
            continue  # somebody has woken them meanwhile
        first = min(rows, key=lambda row: row["wake_at"])
        await house.move(first["wake_at"] - first["as_of"] + timedelta(milliseconds=1))


async def healed(house: House, github: GitHub, after: timedelta) -> None:
    """Let the system answer again, and time pass; no probe that failed is still to be noted."""

    async def noted() -> bool:
        misses = await one(house, "select coalesce(sum(probe_misses), 0) from newel.incident")
        return misses >= github.failed_probes

    await house.until(noted)
    github.up()
    await house.move(after)


async def closed(house: House, how_many: int = 1) -> None:
    """Wait until so many tickets are closed."""

    async def are() -> bool:
        return len(house.desk.closed) >= how_many

    await house.until(are)
