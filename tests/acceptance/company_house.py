"""The example company over loopback simulators: whole onboardings, driven to their end."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2

from newel.base.secrets import SecretRef
from newel.base.settings import Settings
from newel.connectors.trust import public_authorities
from newel.engine.desks import TrackerDesk
from newel.engine.engine import Engine
from newel.engine.sharing import gates_of
from newel.engine.vault import Vault
from newel.engine.worker import WorkerSettings
from newel.simulators.server import serve
from newel.simulators.world import World
from newel.store.database import Database
from newel.web.app import create_app
from tests.browsing import at_home
from tests.engine.house import House

EXAMPLES = Path(__file__).parents[2] / "examples"
URLS = {
    "google": ("GOOGLE_URL", "GOOGLE_TOKEN_URL"),
    "slack": ("SLACK_URL", "SLACK_SCIM_URL"),
    "jira": ("JIRA_URL",),
    "github": ("GITHUB_URL",),
    "gusto": ("GUSTO_URL",),
    "salesforce": ("SALESFORCE_URL",),
}
TOKEN = "token-of-the-tests"
CONSOLE = "https://newel.acme.example"
MANAGER = "priya.manager@acme.example"


def hire(name: str = "Jane Doe", job: str = "engineer", **more: Any) -> dict[str, Any]:
    """The input of an onboarding, as a caller sends it."""
    handle = name.lower().replace(" ", ".").replace("'", "")
    document: dict[str, Any] = {
        "name": name,
        "email": f"{handle}@acme.example",
        "job": job,
        "team": "platform",
        "starts_at": (datetime.now(UTC) + timedelta(days=10)).isoformat(),
        "manager": {"name": "Priya Manager", "email": MANAGER},
    }
    if job == "engineer":
        login = handle.replace(".", "-")
        document |= {"github_username": login, "repositories": ["acme-example/api"]}
    return document | more


PROBE = "select min(probe_at) from newel.incident where state in ('watching', 'escalated')"


class CompanyHouse(House):
    """A house with the six simulated systems around it."""

    world: World | None = None

    async def onboard(self, **more: Any) -> UUID:
        """Start an onboarding."""
        return await self.start("onboarding", hire(**more))

    async def reserved(self, **more: Any) -> UUID:
        """Start an onboarding whose address is reserved: every system has answered once."""
        run = await self.onboard(**more)
        await self.at_rest(run)
        return run

    async def finish(self, run: UUID) -> str:
        """Do what people and time do, until the run ends: decide, accept, wait."""
        while True:
            await self.at_rest(run)
            row = await self.row(run)
            if row["finished_at"] is not None:
                return str(row["state"])
            if (task := await self.find_task(run)) is not None:
                await self.approve(task)
            elif row["wake_at"] is None:
                return str(row["state"])
            else:
                await self._accept_invitation(run)
                await self._probe_before(row["wake_at"])
                await self.move_to_next(run)

    async def _probe_before(self, moment: datetime) -> None:
        """Let a probe that comes before a moment be made and noted: time that jumps passes it by.

        A step whose round comes at once with it would lose the round without a call.
        """
        due = await self.database.fetchval(PROBE)
        if due is None or due >= moment:
            return

        async def is_noted() -> bool:
            return bool(await self.database.fetchval(PROBE) != due)

        await self.move(max(due - await self.now(), timedelta(0)) + timedelta(milliseconds=1))
        await self.until(is_noted)

    async def approve(self, task: UUID) -> None:
        """Let the manager say yes."""
        actor = await self.engine.actor(MANAGER, via="api")
        await self.engine.decide(task, approved=True, actor=actor)
        self.poke()

    async def at_rest(self, run: UUID) -> None:
        """Wait until nobody works on a run and nothing of it is due."""
        await self.rested(run)

    async def _accept_invitation(self, run: UUID) -> None:
        """Let the new colleague accept the invitation that the run polls for."""
        if not any(key.startswith("invitation-poll") for key in await self.acts(run)):
            return
        await _tell("act/accept_invitation", {"who": "jane-doe"})

    async def move(self, span: timedelta) -> None:
        """Move the clock of the deployment and, with it, that of the world."""
        # The world first: a step that is due then must not meet a world that is behind.
        await _tell("clock", {"now": (await self.now() + span).isoformat()})
        await super().move(span)

    async def passing(self, seconds: float) -> None:
        """Let so much time pass at once, for whoever would sleep for it."""
        await self.move(timedelta(seconds=seconds))

    def accounts(self, email: str) -> dict[str, int]:
        """How many accounts a person has, by system."""
        assert self.world is not None, "only who serves the world can look into it"
        return {
            name: len([each for each in simulator.accounts() if email in str(each)])
            for name, simulator in self.world.simulators.items()
        }


async def _tell(what: str, document: dict[str, Any]) -> None:
    """Speak to the simulators' control; all six share one clock."""
    async with httpx2.AsyncClient(
        headers={"X-Sim-Token": TOKEN}, verify=public_authorities(), trust_env=False
    ) as client:
        await client.post(f"{os.environ['GITHUB_URL']}/_sim/{what}", json=document)


@contextlib.asynccontextmanager
async def company(
    url: str,
    kek: Path,
    base_port: int,
    world: World,
    settings: WorkerSettings | None = None,
    processes: Callable[[Any], Sequence[Any]] = lambda _: (),
    **declared: Any,
) -> AsyncIterator[CompanyHouse]:
    """Serve the world on fixed ports and open the company's house over it.

    processes: what the deployment has beside onboarding, made of the company's systems.
    declared: endpoints and hooks.
    """
    served = list(world.simulators.values())
    before = dict(os.environ)
    async with serve(served, base_port=base_port, token=TOKEN) as addresses:
        module = bound(world, addresses)
        try:
            more = processes(module)
            async with house_over(url, kek, module, world, settings, more, **declared) as house:
                yield house
        finally:
            os.environ.clear()  # other tests must not find systems configured
            os.environ.update(before)
            for connector in connectors_of(module):
                await connector.aclose()


@contextlib.asynccontextmanager
async def house_over(
    url: str,
    kek: Path,
    module: Any,
    world: World | None,
    settings: WorkerSettings | None = None,
    processes: Sequence[Any] = (),
    **declared: Any,
) -> AsyncIterator[CompanyHouse]:
    """Open the company's house over systems that are served already."""
    from company.onboarding import onboarding

    database = await Database.open(url)
    await database.execute("update newel.deployment set kind = 'test'")
    engine = Engine(
        database,
        Vault.at(kek),
        [onboarding, *processes],
        connectors=connectors_of(module),
        channels=[TrackerDesk(each, console_url=CONSOLE) for each in module.tickets],
        worker=settings or WorkerSettings(look=timedelta(milliseconds=20)),
        **declared,
    )
    await engine.register()
    house = CompanyHouse(database, engine, None)  # type: ignore[arg-type]  # the tracker is Jira's
    house.world = world
    for each in connectors_of(module):
        each._pause = house.passing  # for what may still appear, and for a turn at the gate
        each.share(gates_of(database))
    try:
        yield house
    finally:
        await database.close()


def bound(world: World, addresses: dict[str, str]) -> Any:
    """Import the company's systems, pointed at the simulators."""
    for name, address in addresses.items():
        for variable in URLS[name]:
            os.environ[variable] = address
    for name, secret in world.credentials(addresses).items():
        os.environ[name] = secret
        SecretRef(f"env:{name}").resolve(fresh=True)  # another test's may be remembered still
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    for name in [each for each in sys.modules if each.partition(".")[0] == "company"]:
        del sys.modules[name]  # other tests have bound its systems to other addresses
    from company import systems

    return systems


@contextlib.asynccontextmanager
async def browser(house: House) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client of this machine that talks to the house's server in process."""
    app = create_app(house.engine, settings=Settings(company_name="Acme"))
    async with at_home(app) as client:
        yield client


def connectors_of(module: Any) -> list[Any]:
    """The connector instances of the company."""
    return [
        module.google, module.slack, module.jira, module.github, module.payroll, module.salesforce
    ]  # fmt: skip
