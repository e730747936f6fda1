"""The verbs of operators and deciders in a test: each returns when the run rests again.

They are the engine's own, with somebody who may as the actor unless the test names another, so
that what is refused to others is tested by passing them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, TypeVar

from newel.audit.leaf import Actor
from newel.base.errors import NotFound
from newel.base.ids import parse_reference, reference
from newel.domain.values import File
from newel.engine import by_hand
from newel.engine.commands.amend import Amendment
from newel.engine.engine import Engine
from newel.engine.messages import Sent
from newel.flow.process import Request
from newel.flow.waits import Event
from newel.testing.seeing import Seen

__all__ = ["OPERATOR", "Acted"]

T = TypeVar("T")

OPERATOR: Final = Actor(type="service", id="svc_test", via="api")


class Acted(Seen):
    """A run that people act upon."""

    @property
    def engine(self) -> Engine:
        """The engine of the deployment, with the code that it has now."""
        return self._scene.engine

    async def decide(
        self, key: str, *, approved: bool, comment: str = "", actor: Actor | None = None
    ) -> None:
        """Decide an open approval; as somebody who may, unless an actor is given.

        Raises NotFound if nobody is asked, and whatever the verb refuses with.
        """
        task = self._task(key)
        if not approved and not comment:
            comment = "refused in a test"
        decider = actor or await self._permitted(task)
        self._do(self.engine.decide(task["id"], approved=approved, comment=comment, actor=decider))

    async def fill(
        self,
        key: str,
        value: object = None,
        *,
        note: str = "",
        file: File | None = None,
        actor: Actor | None = None,
    ) -> None:
        """Fill in an open form with JSON data, or say that its work by hand is done.

        key: of the form, or of the step that a person is asked to do in its place.
        Raises NotFound if nobody is asked, InvalidInput by field, and what the verb refuses with.
        """
        task = self._task(key)
        if task["evidence"] == "note" and not note:
            note = "seen in a test"
        if task["evidence"] == "file" and file is None:
            file = File(name="evidence.txt", content=b"seen in a test")
        filler = actor or await self._permitted(task)
        self._do(self.engine.fill(task["id"], value, actor=filler, note=note, file=file))

    async def send(
        self, event: Event[T], payload: T, *, match: str | None = None, event_id: str | None = None
    ) -> Sent:
        """Send an event by its correlation, or to this run without one."""
        number = len(self._scene.rows("inbox")) + 1
        sent: Sent = self._do(
            self.engine.send(
                event,
                payload,
                match=match,
                to=None if match is not None else self.id,
                event_id=event_id or f"message-{number}",
                actor=OPERATOR,
                source="test",
            )
        )
        return sent

    async def retry(self, key: str | None = None, *, actor: Actor = OPERATOR) -> None:
        """Try a parked or waiting step again; all parked ones, or the run, without a key."""
        self._do(self.engine.retry(self.id, key, actor=actor))

    async def skip(self, key: str, *, reason: str = "in a test", actor: Actor = OPERATOR) -> None:
        """Let the process go on without a step."""
        self._do(self.engine.skip(self.id, key, actor=actor, reason=reason))

    async def complete_by_hand(
        self,
        key: str,
        value: object,
        *,
        evidence: str = "done in a test",
        reason: str = "in a test",
        actor: Actor = OPERATOR,
    ) -> None:
        """Give the result of a step that a person has done; value: JSON data."""
        self._do(
            self.engine.complete_by_hand(
                self.id, key, value, evidence=evidence, actor=actor, reason=reason
            )
        )

    async def cancel(self, *, reason: str = "in a test", actor: Actor = OPERATOR) -> None:
        """Ask for the end of the run."""
        self._do(self.engine.cancel(self.id, actor=actor, reason=reason))

    async def amend(
        self,
        request: Request[Any],
        *,
        reason: str = "in a test",
        actor: Actor = OPERATOR,
        dry: bool = False,
    ) -> Amendment:
        """Give the run another input; dry: only say what that would mean."""
        amended: Amendment = self._do(
            self.engine.amend(self.id, request.document, actor=actor, reason=reason, dry=dry)
        )
        return amended

    async def reschedule(
        self, key: str, *, at: datetime, reason: str = "in a test", actor: Actor = OPERATOR
    ) -> None:
        """Move a timer or a deadline to another moment."""
        self._do(self.engine.reschedule(self.id, key, at=at, actor=actor, reason=reason))

    async def pause(self, *, reason: str = "in a test", actor: Actor = OPERATOR) -> None:
        """Let the run begin nothing new; what is on its way is recorded."""
        self._do(self.engine.pause(self.id, actor=actor, reason=reason))

    async def resume(self, *, actor: Actor = OPERATOR) -> None:
        """Let the paused run go on."""
        self._do(self.engine.resume(self.id, actor=actor))

    async def do(self, work: Any) -> Any:  # Any: a verb of `engine`, whatever it answers
        """Carry out a verb of `run.engine`, and let the run rest again."""
        return self._do(work)

    def _do(self, work: Any) -> Any:  # Any: as in `do`
        try:
            return self._scene.run(work)
        finally:
            self._scene.settle()

    def _task(self, key: str) -> dict[str, Any]:  # Any: columns
        for row in self.tasks():
            if row["key"] == key or by_hand.step_of_task(row["key"]) == key:
                return row
        raise NotFound(kind=f"open task (the run {self.waits_for()})", reference=key)

    async def _permitted(self, task: dict[str, Any]) -> Actor:
        """Somebody who may decide: whom the task asks, else a member of the team."""
        if task["assignee"] is not None:
            return Actor(type="person", id=reference("per", task["assignee"]), via="test")
        took_part = {
            row["decided_by"]
            for row in self._scene.rows("task")
            if row["run_id"] == self.id and row["four_eyes"] == task["four_eyes"]
        }
        number = 1
        while True:
            email = f"{task['owner']}-{number}@example.test"
            found = self._scene.run(self.engine.actor(email, via="test"))
            assert found.on_behalf_of is not None, "an address names a person"
            person = parse_reference(found.on_behalf_of)[1]
            if task["four_eyes"] is None or person not in took_part:
                return found
            number += 1
