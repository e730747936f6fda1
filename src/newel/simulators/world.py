"""The demo company's systems and all others there are: one seed, one clock, known credentials.

The same seed gives the same organization, ids and credentials in every process, so the process that
runs the simulators and the one that connects to them need not exchange anything but addresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from .asana import AsanaSimulator
from .bamboohr import BambooHRSimulator
from .clock import SimulatedClock
from .core import Simulator
from .github import GitHubSimulator
from .google import GoogleSimulator
from .gusto import GustoSimulator
from .inbox import InboxSimulator
from .jira import JiraSimulator
from .linear import LinearSimulator
from .mail import MailSimulator
from .salesforce import SalesforceSimulator
from .scim import ScimSimulator
from .slack import SlackSimulator
from .slack_world import Plan
from .zendesk import ZendeskSimulator

SYSTEMS: tuple[str, ...] = ("google", "slack", "jira", "github", "gusto", "salesforce")
# Systems that the demo company does without; they run when they are asked for.
FURTHER: tuple[str, ...] = ("asana", "bamboohr", "inbox", "linear", "mail", "scim", "zendesk")


class World:
    """All simulators, as attributes and by name: the six of Acme and those it does without."""

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: SimulatedClock | None = None,
        page_size: int | None = None,
        seats: int | None = 50,
        plan: Plan = "business",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Make them all.

        page_size: the longest page of any listing; tests use 3. seats: licences in every system
        that counts them, None for no limit. plan: Slack's. sleep: what waits for a latency.
        """
        self.seed = seed
        self.clock = clock or SimulatedClock()
        shared: dict[str, Any] = {
            "seed": seed,
            "clock": self.clock,
            "page_size": page_size,
            "sleep": sleep,
        }
        self.google = GoogleSimulator(licences=seats, **shared)
        self.slack = SlackSimulator(plan=plan, **shared)
        self.jira = JiraSimulator(seats=seats, **shared)
        self.github = GitHubSimulator(seats=seats, **shared)
        self.gusto = GustoSimulator(**shared)
        self.salesforce = SalesforceSimulator(licences=seats, **shared)
        self.bamboohr = BambooHRSimulator(**shared)
        self.scim = ScimSimulator(**shared)
        self.linear = LinearSimulator(**shared)
        self.asana = AsanaSimulator(**shared)
        self.inbox = InboxSimulator(**shared)
        self.mail = MailSimulator(**shared)
        self.zendesk = ZendeskSimulator(**shared)
        self._names = [*SYSTEMS, *FURTHER]

    @property
    def simulators(self) -> dict[str, Simulator]:
        """The six of the company by the name of the system."""
        return {name: getattr(self, name) for name in SYSTEMS}

    @property
    def everything(self) -> dict[str, Simulator]:
        """Every simulator by the name of the system, those included that were added."""
        return {name: getattr(self, name) for name in self._names}

    def add(self, simulator: Simulator) -> None:
        """Take in a system of one's own, or another in the place of one that is here."""
        if simulator.system not in self._names:
            self._names.append(simulator.system)
        setattr(self, simulator.system, simulator)

    def chosen(self, only: Iterable[str]) -> list[Simulator]:
        """Give some of the simulators; raises KeyError for a system there is not."""
        known = self.everything
        return [known[name] for name in only]

    def credentials(self, addresses: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give every secret and setting a connector needs, by environment-like names.

        addresses: base URLs by system, as `serve` gives them; without, the vendors' own.
        """
        addresses = addresses or {}
        found: dict[str, str] = {}
        for name, simulator in self.simulators.items():
            found |= simulator.credentials(addresses.get(name))
        return found

    def heal(self) -> None:
        """Take all faults of all systems out of force."""
        for simulator in self.everything.values():
            simulator.heal()

    def reset(self) -> None:
        """Make all systems new; the clock stays as it is."""
        for simulator in self.everything.values():
            simulator.reset()

    def calls(self) -> dict[str, dict[str, int]]:
        """Count the calls of each operation by system."""
        return {name: each.book.counts() for name, each in self.everything.items()}

    def doubled(self) -> dict[str, dict[str, int]]:
        """Give what was created too often, by system; empty if nothing was."""
        found = {name: each.book.doubled() for name, each in self.everything.items()}
        return {name: doubles for name, doubles in found.items() if doubles}
