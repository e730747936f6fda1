"""What a test can see of a run: its state, what is open, what is done, what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from newel.base.ids import reference
from newel.flow.process import Process
from newel.flow.reading import result_of
from newel.flow.waits import DECISION
from newel.testing.memory.tables import Row
from newel.testing.scene import Scene

__all__ = ["OUTCOMES", "Failed", "Parked", "Seen"]

OUTCOMES: Final = frozenset(
    {
        "step.succeeded",
        "step.failed",
        "step.skipped",
        "step.completed_by_hand",
        "step.cancelled",
        "wait.closed",
        "task.decided",
    }
)


@dataclass(frozen=True, slots=True)
class Parked:
    """Why something does not go on, and who is asked. sentence: in plain words."""

    reason: str
    owner: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The outcome of a step that answered with an error."""

    error: str
    text: str


class Seen:
    """One run of a scene, as a test reads it; nothing here changes anything."""

    def __init__(self, scene: Scene, id_: UUID, process: Process[..., Any]) -> None:
        """Look at the run with this id; Any: each process has its own result."""
        self._scene = scene
        self.id = id_
        self.process = process
        self._is_looked_at = False

    @property
    def name(self) -> str:
        """The run's reference, as people and systems see it."""
        return reference("run", self.id)

    @property
    def row(self) -> Row:
        """The run's row in `newel.run`."""
        return next(row for row in self._scene.rows("run") if row["id"] == self.id)

    @property
    def state(self) -> str:
        """`running`, `waiting`, `parked`, `completed`, `failed` or `cancelled`."""
        self._is_looked_at = True
        state: str = self.row["state"]
        return state

    def waiting(self) -> set[str]:
        """The keys of the waits that are open."""
        return {
            act["key"] for act in self.acts() if act["kind"] != "step" and act["state"] != "held"
        }

    def retrying(self) -> dict[str, datetime | None]:
        """The keys of steps that will be tried again by themselves, with the moment."""
        return {act["key"]: act["next_at"] for act in self.acts() if act["state"] == "retrying"}

    def tasks(self) -> list[Row]:
        """The rows of what people are asked now, the oldest first."""
        rows = [row for row in self._scene.rows("task") if row["run_id"] == self.id]
        return sorted((row for row in rows if row["state"] == "open"), key=lambda row: row["id"])

    def parked(self) -> dict[str, Parked]:
        """What only a person or a healed system moves on, by key; "" is the run itself."""
        self._is_looked_at = True
        found: dict[str, Parked] = {}
        for act in self.acts():
            if act["state"] == "parked":
                said = (act["detail"] or {}).get("message") or act["reason"]
                found[act["key"]] = Parked(act["reason"], act["owner"], said)
        row = self.row
        if row["state"] == "parked" and not found:
            found[""] = Parked(row["parked_reason"], row["parked_with"], self._why() or "")
        return found

    def done(self) -> list[str]:
        """The keys that have an outcome, in the order of their first ones."""
        keys = [row["key"] for row in self.events() if row["type"] in OUTCOMES]
        return list(dict.fromkeys(keys))

    def outcome(self, key: str) -> Any:  # Any: each key has its own result
        """The outcome of a key as the process sees it.

        Raises KeyError if it has none.
        """
        rows = [row for row in self.events() if row["key"] == key and row["type"] in OUTCOMES]
        if not rows:
            raise KeyError(f"`{key}` has no outcome; done: {', '.join(self.done()) or 'nothing'}")
        decided = [row for row in rows if row["type"] == "task.decided"]
        row = (decided or rows)[-1]
        if row["payload"] is None:
            return None
        text = self._opened(row["payload"])
        if row["type"] == "task.decided":
            is_form = orjson.loads(row["entry"])["data"]["decision"] == "submit"
            return orjson.loads(text) if is_form else DECISION.load(text, key=key)
        if row["type"] == "step.failed":
            shape = orjson.loads(text)
            return Failed(shape["error"], shape.get("text", ""))
        codec = result_of(self.process, key)
        return orjson.loads(text) if codec is None else codec.load(text, key=key)

    def attempts(self, key: str) -> int:
        """How often the code of a step was called, or was about to be."""
        return sum(row["key"] == key and row["type"] == "step.started" for row in self.events())

    def grants(self) -> dict[str, str]:
        """The latest state of each entitlement that the subject holds or held, by entitlement."""
        return {row["entitlement"]: row["state"] for row in self.intervals()}

    def intervals(self) -> list[Row]:
        """The subject's grants, each an unbroken interval, in order for each entitlement."""
        return list(self._scene.of("access_grant", self.row["subject"]))

    def audit(self) -> list[dict[str, Any]]:  # Any: JSON
        """The leaves of the run's events, in order."""
        return [orjson.loads(row["entry"]) for row in self.events()]

    def trace(self) -> list[tuple[str, str | None]]:
        """Type and key of the run's events, in order."""
        return [(row["type"], row["key"]) for row in self.events()]

    def events(self) -> list[Row]:
        """The rows of the run's events, in order."""
        return sorted(self._scene.of("event", self.id), key=lambda row: row["seq"])

    def acts(self) -> list[Row]:
        """The rows of what is open, by key."""
        return sorted(self._scene.of("open_act", self.id), key=lambda row: row["key"])

    def waits_for(self) -> str:
        """In words, what must happen before the run goes on."""
        said = [*self._waits()]
        why = self._why()
        if why is not None:
            said.append(f"is parked as {self.row['parked_reason']}: {why}")
        return "; ".join(said) or f"waits for nothing: it is {self.row['state']}"

    def _waits(self) -> Iterator[str]:
        for act in self.acts():
            since = f"since {act['opened_at']:%-d %b %H:%M}"
            if act["state"] == "parked":
                yield f"`{act['key']}` is parked with {act['owner']}: {act['reason']}"
            elif act["kind"] == "step":
                yield f"`{act['key']}` is tried again at {act['next_at'] or 'once'}"
            else:
                due = "never" if act["due_at"] is None else f"{act['due_at']:%-d %b %H:%M}"
                yield f"waits for `{act['key']}` ({_asked(act)}) {since}, due {due}"

    def _why(self) -> str | None:
        """What stopped the run itself: the traceback of a bug, a drift, a fault of the code."""
        if self.row["state"] != "parked":
            return None
        for row in reversed(self.events()):
            if row["type"] == "run.parked" and row["payload"] is not None:
                why: str = orjson.loads(self._opened(row["payload"])).get("why", "")
                return why
        return None

    def _opened(self, payload: bytes) -> bytes:
        person = self.row["subject"]
        newest = max(self._scene.of("person_key", person), key=lambda row: row["n"], default=None)
        n, wrapped = (None, None) if newest is None else (newest["n"], newest["wrapped"])
        return self._scene.vault.sealer(self.id, person, n, wrapped).open(payload)


def _asked(act: Row) -> str:
    if act["kind"] != "approval":
        return str(act["kind"])
    return "a person" if act["owner"] == "person" else f"team {act['owner']}"
