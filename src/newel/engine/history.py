"""What the journal says of one run: its input, fingerprints and outcomes, ready for a replay."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from newel.audit.leaf import leaf_hash
from newel.base.errors import PastNotKept

OPENING: Final = frozenset({"run.started", "run.amended"})
BY_PEOPLE: Final = frozenset({"api", "console", "cli"})
"""The sources of starts behind which a person may stand."""

_ASIDE: Final = frozenset(
    {"run.version_changed", "run.drifted", "wait.opened", "step.retried", "step.kept"}
)
_BY_HAND: Final = frozenset({"step.completed_by_hand", "step.skipped"})
STARTED: Final = "started"
RELEASED: Final = "released"
_LATE: Final = b'"late":true'
CONFIRM: Final = "_newel.confirm"
"""Under this stands what a second person is asked; no act of a body can be called so."""
BY_HAND: Final = "_newel.by-hand"
"""Under this stands what a person is asked to do in the place of a step, behind that step's key."""
_BESIDE: Final = frozenset({CONFIRM, BY_HAND})


def inherited(opening: dict[str, Any]) -> Iterator[dict[str, Any]]:  # Any: JSON, then columns
    """What a forked run took from another's journal, as rows; opening: its first payload."""
    for each in opening.get("inherited", ()):
        payload = each["payload"]
        yield {
            **each,
            "occurred_at": datetime.fromisoformat(each["occurred_at"]),
            "entry": each["entry"].encode(),
            "payload": None if payload is None else base64.b64decode(payload),
        }


@dataclass(slots=True)
class Recorded:
    """The outcome of one key, as the journal holds it."""

    seq: int
    type: str
    at: datetime
    entry: bytes
    payload: bytes | None

    def leaf(self) -> dict[str, Any]:  # Any: JSON
        """The leaf's own facts."""
        leaf: dict[str, Any] = orjson.loads(self.entry)
        return leaf

    @property
    def is_late(self) -> bool:
        """Whether its branch was to end already when the outcome came; its run saw `Cancelled`."""
        return _LATE in self.entry

    def verb(self) -> str:
        """What an act of the body's own has decided; empty where this transition recorded it."""
        return self.leaf()["data"]["verb"] if self.entry else ""


@dataclass(slots=True)
class Approval:
    """The latest yes of a person in this run: the authority of what follows it."""

    event: str
    leaf_hash: str
    approver: str


@dataclass(slots=True)
class History:
    """A run's past. fingerprints: by key, of the latest input; outcomes: by key.

    inputs: sealed, by key and fingerprint, as far as they are kept. attempts, editions: how many
    there were of each key; a second edition is an act that was run again after it had finished.
    is_by_person: a person has started the run, neither a feed nor a schedule nor another run.
    waits: kinds of waits. kept: keys whose outcome a person lets stand though the code does not
    ask for them. changed_at, amended_at: where the code or the input was changed last.
    approvals: by key, with the fingerprint of what was asked when it was decided.
    inherited_approvals: of the runs above, as this one was given them.
    """

    arguments: bytes = b"{}"
    secret: bytes = b""
    started_by: str = ""
    is_by_person: bool = False
    fingerprints: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, Recorded] = field(default_factory=dict)
    inputs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    editions: dict[str, int] = field(default_factory=dict)
    waits: dict[str, str] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    changed_at: int = 0
    amended_at: int = 0
    approval: Approval | None = None
    approvals: dict[str, tuple[str, Approval]] = field(default_factory=dict)
    inherited_approvals: tuple[dict[str, str], ...] = ()
    begun_at: dict[str, datetime | None] = field(default_factory=dict)
    intervals: list[tuple[datetime, datetime]] = field(default_factory=list)

    def ended(self, key: str, at: datetime) -> None:
        """Note that the attempt of `key` that was begun last has ended."""
        begun = self.begun_at.pop(key, None)
        if begun is not None:
            self.intervals.append((begun, at))

    def active(self) -> timedelta:
        """How long attempts were running: the union of their intervals."""
        total, end = timedelta(0), None
        for begun, ended in sorted(self.intervals):
            if end is None or begun > end:
                total += ended - begun
                end = ended
            elif ended > end:
                total += ended - end
                end = ended
        return total

    @classmethod
    def of(cls, rows: Iterable[Any], opened: Callable[[bytes], bytes]) -> History:
        """Read a run's rows in order; `opened` gives a payload's plain bytes.

        Raises PastNotKept where they are emptied.
        """
        history = cls()
        for row in rows:
            history._take(row, opened)
        return history

    def _take(self, row: Any, opened: Callable[[bytes], bytes]) -> None:  # Any: a record
        kind: str = row["type"]
        if kind in OPENING:
            if row["payload"] is None:
                raise PastNotKept(run=orjson.loads(row["entry"])["stream"])
            shape = orjson.loads(opened(row["payload"]))
            self.arguments = orjson.dumps(shape["arguments"])
            if kind == "run.started":
                self.secret = base64.b64decode(shape["secret"])
                self.inherited_approvals = tuple(shape.get("approved", ()))
                leaf = orjson.loads(row["entry"])
                self.started_by = leaf["actor"]["id"]
                is_named = leaf["actor"]["type"] == "person" or "on_behalf_of" in leaf["actor"]
                self.is_by_person = is_named and leaf["data"]["source"]["type"] in BY_PEOPLE
                for each in inherited(shape):
                    self._take(each, opened)
                self.begun_at, self.intervals = {}, []  # that work was another run's
            else:
                self.changed_at = self.amended_at = row["seq"]
        elif kind == "step.started":
            leaf = orjson.loads(row["entry"])
            self.took_input(row["key"], leaf["data"]["input_fp"], row["payload"])
            self.attempts[row["key"]] = leaf["step"]["attempt"]
            self.begun_at[row["key"]] = row["occurred_at"]
        elif kind in {"step.attempt_failed", "step.looked"}:
            self.ended(row["key"], row["occurred_at"])
        elif kind in _ASIDE:
            self._take_aside(kind, row)
        else:
            self.ended(row["key"], row["occurred_at"])
            self._take_outcome(row)

    def _take_aside(self, kind: str, row: Any) -> None:  # Any: a record
        """What is no outcome, and yet says what becomes of one."""
        data = orjson.loads(row["entry"])["data"]
        key = row["key"]
        if kind == "run.version_changed":
            self.changed_at = row["seq"]
        elif kind == "wait.opened":
            self.waits[key] = data["kind"]
            if "input_fp" in data:
                self.took_input(key, data["input_fp"], row["payload"])
        elif kind == "step.retried":
            self.outcomes.pop(key, None)
        elif kind == "run.drifted":
            if row["payload"] is not None:
                self.inputs[data["key"], data["fp_after"]] = row["payload"]
        elif "input_fp" in data:  # kept under another input than it was made from
            self.fingerprints[key] = data["input_fp"]
        else:
            self.kept.add(key)

    def took_input(self, key: str, fingerprint: str, payload: bytes | None) -> None:
        """Note what an act was called with; payload: sealed, None where it is known or empty."""
        self.fingerprints[key] = fingerprint
        if payload is not None:
            self.inputs[key, fingerprint] = payload

    def _take_outcome(self, row: Any) -> None:  # Any: a record
        found = Recorded(row["seq"], row["type"], row["occurred_at"], row["entry"], row["payload"])
        if row["key"].partition("/")[0] in _BESIDE:
            return  # neither an approval of the run's own nor the outcome of the step
        if found.type == "wait.closed" and found.leaf()["data"]["by"] == "decision":
            return  # the outcome of a task is its task.decided
        if found.type == "task.decided":
            leaf = found.leaf()
            if leaf["data"]["decision"] == "approve":
                digest = leaf_hash(found.entry).hex()
                approver = leaf["actor"].get("on_behalf_of") or leaf["actor"]["id"]
                self.approval = Approval(leaf["id"], digest, approver)
                asked = self.fingerprints.get(row["key"], "")
                self.approvals[row["key"]] = asked, self.approval
        if found.type in _BY_HAND:
            fingerprint = found.leaf()["data"].get("input_fp")
            if fingerprint is not None:
                self.fingerprints[row["key"]] = fingerprint
        if found.type == "act.recorded" and found.verb() in {STARTED, RELEASED}:
            return  # the outcome is the end of a child that is awaited, or that a lock was given
        self.outcomes[row["key"]] = found
        self.editions[row["key"]] = self.editions.get(row["key"], 0) + 1
