"""What tests of connectors share: two people of one name, and the vendors as judges."""

from __future__ import annotations

import httpx2

from newel.domain.people import Person
from newel.simulators.core import Simulator
from newel.testing.attempts import START as START
from newel.testing.attempts import Time as Time
from newel.testing.attempts import attempt as attempt
from newel.testing.attempts import effect_of as effect_of
from newel.testing.attempts import raised as raised
from newel.testing.transport import SimulatorTransport
from tests.simulators import scim_judge
from tests.simulators.contract import FILES, UNCOVERED, judge

JANE = Person(name="Jane Doe", email="jane.doe@acme.example", ref="per_jane", hr_key="4711")
OTHER_JANE = Person(name="Jane Doe", email="jane.doe@acme.example", ref="per_other", hr_key="4712")


class Notebook:
    """A deployment's book in which everybody has reserved their address, and no account stands."""

    async def bound(self, person: Person, system: str, account: str) -> None:
        """Nobody is known to have an account."""
        del person, system, account

    async def reserved(self, person: Person) -> str | None:
        """Whatever they come with."""
        return person.email.lower() or None

    async def is_free(self, person: Person, email: str) -> bool:
        """As above."""
        return person.email == email

    async def reserve(self, person: Person, email: str) -> bool:
        """As above."""
        return person.email == email


def agreed(simulator: Simulator) -> SimulatorTransport:
    """Reach a simulator in process; each exchange must agree with what the vendor documents.

    That is its OpenAPI file, or the standard where it speaks SCIM. Left out are answers that a
    fault has made, and what neither covers: token endpoints, Google's licences, Salesforce.
    """
    system = simulator.system

    def observe(request: httpx2.Request, response: httpx2.Response) -> None:
        last = simulator.calls()[-1]
        if scim_judge.is_scim(request):
            scim_judge.judge_request(request)
            if not last.fault:
                scim_judge.judge_answer(request, response)
            return
        if system not in FILES or last.fault or simulator.faults.rules():
            return
        if last.operation in UNCOVERED.get(system, set()):
            return
        if request.url.path.startswith(("/token", "/apps/licensing/")):
            return
        judge(system, request, response, last.operation)

    return SimulatorTransport(simulator, observer=observe)
