"""The world outside newel as the demo moves it: simulators by their admin API, newel by its own.

Nothing here looks into newel's tables or a simulator's memory: what the demo does to them, a
person could do with the same requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx2

from newel.base.errors import StoreError
from newel.connectors.trust import public_authorities

__all__ = ["Books", "Newel", "Simulators", "client"]

_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What the simulators wrote down: calls by system and operation, and what was done twice.

    tickets: issues that came into being. sequences: the number of each system's last call.
    """

    calls: Mapping[str, Mapping[str, int]]
    doubled: int
    tickets: int
    sequences: Mapping[str, int]


class Simulators:
    """The six simulators, over their admin API."""

    def __init__(
        self, addresses: Mapping[str, str], token: str, client: httpx2.AsyncClient
    ) -> None:
        """Take their addresses by system and the token of the admin API."""
        self._addresses = addresses
        self._client = client
        self._headers = {"X-Sim-Token": token}

    async def fail(self, system: str, name: str, rule: Mapping[str, object]) -> None:
        """Put a fault into force under a name."""
        await self._ask("PUT", system, f"faults/{name}", rule)

    async def hits(self, system: str, name: str) -> int:
        """Say how often a fault has struck."""
        return int((await self._ask("GET", system, f"faults/{name}"))["hits"])

    async def heal(self, system: str, name: str) -> None:
        """Take a fault out of force."""
        await self._ask("DELETE", system, f"faults/{name}")

    async def act(self, system: str, action: str, **arguments: str) -> None:
        """Let a person in the simulated world do something."""
        await self._ask("POST", system, f"act/{action}", arguments)

    async def move_clock(self, to: datetime) -> None:
        """Make it this moment in all of them; they share one clock."""
        system = next(iter(self._addresses))
        await self._ask("POST", system, "clock", {"now": to.isoformat()})

    async def sequence(self, system: str) -> int:
        """Give the number of the last call in a system's book, 0 for none."""
        calls = (await self._ask("GET", system, "calls"))["calls"]
        return int(calls[-1]["sequence"]) if calls else 0

    async def books(self) -> Books:
        """Read all books."""
        calls: dict[str, Mapping[str, int]] = {}
        doubled = 0
        for system in self._addresses:
            summary = await self._ask("GET", system, "summary")
            calls[system] = summary["calls"]
            doubled += sum(summary["doubled"].values())
        made = await self._ask("GET", "jira", "calls?operation=createIssue&committed=true")
        return Books(
            calls=calls,
            doubled=doubled,
            tickets=sum(call["did"] == "created" for call in made["calls"]),
            sequences={system: await self.sequence(system) for system in self._addresses},
        )

    async def _ask(
        self, method: str, system: str, path: str, body: object = None
    ) -> Mapping[str, Any]:  # Any: JSON
        answer = await self._client.request(
            method, f"{self._addresses[system]}/_sim/{path}", headers=self._headers, json=body
        )
        return _told(answer, f"the {system} simulator")


class Newel:
    """newel's own API, as any program calls it."""

    def __init__(self, address: str, client: httpx2.AsyncClient) -> None:
        """Take the server's address."""
        self.address = address
        self._client = client

    async def start(
        self, process: str, document: Mapping[str, object], *, key: str
    ) -> Mapping[str, Any]:  # Any: JSON
        """Start a run."""
        headers = {"Idempotency-Key": key}
        path = f"processes/{process}/runs"
        return await self._ask("POST", path, document, headers)

    async def tasks(self) -> list[Mapping[str, Any]]:  # Any: JSON
        """List the open tasks."""
        groups = (await self._ask("GET", "tasks"))["groups"]
        return [task for group in groups for task in group["tasks"]]

    async def approve(self, task: str, *, actor: str, comment: str) -> None:
        """Decide a task with yes."""
        body = {"approved": True, "actor": actor, "comment": comment}
        await self._ask("POST", f"tasks/{task}/decide", body)

    async def run(self, run: str) -> Mapping[str, Any]:  # Any: JSON
        """Read one run."""
        return await self._ask("GET", f"runs/{run}")

    async def sentence(self, person: str) -> str:
        """Say where a person stands."""
        return str((await self._ask("GET", f"people/{person}/status"))["sentence"])

    async def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:  # Any: JSON
        answer = await self._client.request(
            method, f"{self.address}/api/v1/{path}", json=body, headers=headers
        )
        return _told(answer, "newel")


def client() -> httpx2.AsyncClient:
    """Make the demo's client; proxies of the environment are not for loopback."""
    return httpx2.AsyncClient(timeout=_TIMEOUT_S, verify=public_authorities(), trust_env=False)


def _told(answer: httpx2.Response, who: str) -> Mapping[str, Any]:  # Any: JSON
    if answer.is_error:
        raise StoreError(f"In the demo {who} answered {answer.status_code}: {answer.text[:400]}")
    return answer.json() if answer.content else {}
