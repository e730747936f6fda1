"""Every verb reaches the same function of the engine, from the API, the command line and a page."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from newel.audit.leaf import Actor
from newel.base.ids import Ids, reference
from newel.cli.app import answered
from newel.engine.commands import Amendment
from newel.engine.engine import Engine, Started
from newel.engine.messages import Sent
from newel.engine.systems import Systems

MARY = "mary@example.com"
WHY = "as HR has asked for"
AT = "2026-03-01T09:00:00+00:00"
RUN, TASK, OTHER = (Ids().new() for _ in range(3))
R, T = reference("run", RUN), reference("tsk", TASK)
ANSWERS: dict[str, Any] = {
    "start": Started(run=OTHER, is_new=True, person=None),
    "amend": Amendment(fields=("name",)),
    "fork": OTHER,
    "bulk": OTHER,
    "send_document": Sent(fate="kept", is_new=True),
}

# verb, API (path, body), page (path, form) or None, command line, the engine's method
TABLE: list[tuple[str, tuple[str, Any], tuple[str, dict[str, str]] | None, list[str], str]] = [
    ("decide", (f"tasks/{T}/decide", {"approved": True, "comment": "fine"}),
     (f"tasks/{T}/decide", {"answer": "approve", "comment": "fine"}),
     ["decide", T, "--yes", "--comment", "fine"], "decide"),
    ("fill", (f"tasks/{T}/fill", {"note": "seen by her"}), None,
     ["fill", T, "--note", "seen by her"], "fill"),
    ("retry", (f"runs/{R}/retry", {"key": "make"}), (f"runs/{R}/retry?key=make", {}),
     ["retry", R, "make"], "retry"),
    ("skip", (f"runs/{R}/skip", {"key": "make", "reason": WHY}),
     (f"runs/{R}/skip?key=make", {"reason": WHY}), ["skip", R, "make", "--reason", WHY], "skip"),
    ("complete-by-hand",
     (f"runs/{R}/complete-by-hand", {"key": "x", "value": None, "evidence": "e", "reason": WHY}),
     (f"runs/{R}/complete-by-hand?key=x", {"evidence": "e", "reason": WHY}),
     ["complete-by-hand", R, "x", "--value", "null", "--evidence", "e", "--reason", WHY],
     "complete_by_hand"),
    ("cancel", (f"runs/{R}/cancel", {"reason": WHY}),
     (f"runs/{R}/cancel", {"reason": WHY, "confirm": "Jane Doe"}),
     ["cancel", R, "--reason", WHY], "cancel"),
    ("pause", (f"runs/{R}/pause", {"reason": WHY}), (f"runs/{R}/pause", {"reason": WHY}),
     ["pause", R, "--reason", WHY], "pause"),
    ("resume", (f"runs/{R}/resume", {}), (f"runs/{R}/resume", {}), ["resume", R], "resume"),
    ("reschedule", (f"runs/{R}/reschedule", {"key": "day", "at": AT, "reason": WHY}),
     (f"runs/{R}/reschedule?key=day", {"at": "2026-03-01T09:00", "zone": "UTC", "reason": WHY}),
     ["reschedule", R, "day", "--at", AT, "--reason", WHY], "reschedule"),
    ("fork", (f"runs/{R}/fork", {"key": "make"}), (f"runs/{R}/fork?key=make", {}),
     ["fork", R, "make"], "fork"),
    ("keep", (f"runs/{R}/keep", {"key": "make", "reason": WHY}), None,
     ["keep", R, "make", "--reason", WHY], "keep"),
    ("acknowledge", (f"runs/{R}/acknowledge", {"reason": WHY}),
     (f"runs/{R}/acknowledge", {"reason": WHY}),
     ["acknowledge", R, "--reason", WHY], "acknowledge"),
    ("amend", (f"runs/{R}/amend", {"input": {"name": "b"}, "reason": WHY}), None,
     ["amend", R, "--input", '{"name": "b"}', "--reason", WHY], "amend"),
    ("bulk", ("bulk", {"verb": "skip", "items": [{"run": R, "key": "x"}], "reason": WHY}), None,
     ["bulk", "skip", f"{R}=x", "--reason", WHY], "bulk"),
    ("send", ("events/paid", {"payload": {"n": 1}, "match": "m", "event_id": "e1"}), None,
     ["send", "paid", "--payload", '{"n": 1}', "--match", "m", "--event-id", "e1"],
     "send_document"),
]  # fmt: skip


@pytest.fixture
def calls(monkeypatch, house):
    """Record what reaches the engine instead of carrying it out."""
    seen: list[tuple[str, dict[str, Any]]] = []
    for name in {row[-1] for row in TABLE}:
        signature = inspect.signature(getattr(Engine, name))

        async def record(*args: Any, _name: str = name, _of: Any = signature, **more: Any) -> Any:
            bound = _of.bind(*args, **more)
            bound.apply_defaults()
            given = dict(bound.arguments)
            del given["self"]
            given["actor"] = given["actor"].on_behalf_of
            given.pop("source", None)
            seen.append((_name, given))
            return ANSWERS.get(_name)

        monkeypatch.setattr(Engine, name, record)

    async def actor(self: Engine, named: str | None, *, via: str, key: str | None = None) -> Actor:
        return Actor(type="service", id=f"svc_{via}", via=via, on_behalf_of=named)

    monkeypatch.setattr(Engine, "actor", actor)

    @contextlib.asynccontextmanager
    async def found(**_: Any):
        yield house.engine

    monkeypatch.setattr("newel.cli.deployment.found_engine", found)
    monkeypatch.setattr("newel.cli.deployment.carried_out", asyncio.run)  # no signals in a thread
    return seen


@pytest.fixture
def shown(monkeypatch):
    """Let pages and answers be about a run and a task that are nowhere."""
    row = {"id": RUN, "process": "gone", "display_name": "Jane Doe"}

    async def read(*_: object) -> dict[str, Any]:
        return row

    monkeypatch.setattr("newel.web.console.routes.run_verbs.runs", SimpleNamespace(read=read))


async def test_api_command_line_and_pages_reach_one_function(client, calls, shown):
    """The same method with the same arguments, whoever it came from; verb by verb."""
    del shown
    headers = {"Newel-Actor": MARY, "Origin": "http://127.0.0.1"}
    for verb, (path, body), form, argv, method in TABLE:
        calls.clear()
        await client.post(f"/api/v1/{path}", json=body, headers=headers)
        status = await asyncio.to_thread(answered, [*argv, "--actor", MARY])
        assert status == 0, verb
        if form is not None:
            await client.post(f"/{form[0]}", data={**form[1], "actor": MARY}, headers=headers)
        assert [name for name, _ in calls] == [method] * (2 if form is None else 3), verb
        first = normal(calls[0][1])
        assert [normal(given) for _, given in calls] == [first] * len(calls), verb


async def test_a_system_is_paused_by_one_function(client, calls, monkeypatch):
    """From the API, the command line and the page: the same method with the same arguments."""
    seen: list[tuple[str, str, str | None, str]] = []
    for verb in ("pause", "resume"):

        async def record(
            self: object, name: str, *, actor: Actor, reason: str, _verb: str = verb
        ) -> None:
            seen.append((_verb, name, actor.on_behalf_of, reason))

        monkeypatch.setattr(Systems, verb, record)
    headers = {"Newel-Actor": MARY, "Origin": "http://127.0.0.1"}
    for verb in ("pause", "resume"):
        seen.clear()
        await client.post(f"/api/v1/systems/github/{verb}", json={"reason": WHY}, headers=headers)
        argv = ["systems", verb, "github", "--reason", WHY, "--actor", MARY]
        assert await asyncio.to_thread(answered, argv) == 0
        form = {"reason": WHY, "actor": MARY}
        await client.post(f"/systems/github/{verb}", data=form, headers=headers)
        assert seen == [(verb, "github", MARY, WHY)] * 3


def normal(given: dict[str, Any]) -> str:
    """The arguments as text, moments in UTC."""

    def told(value: object) -> object:
        if isinstance(value, datetime):
            return value.astimezone(UTC).isoformat()
        return str(value) if isinstance(value, UUID) else repr(value)

    return json.dumps(given, default=told, sort_keys=True)
