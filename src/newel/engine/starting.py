"""Starting a run: its first event and its row, as one Change."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, ProcessVersion
from newel.base.ids import reference
from newel.domain.change import Change, Entries, Head
from newel.domain.limits import RANKS, Priority, room_of_process
from newel.engine.vault import Sealer
from newel.flow.process import Process
from newel.people.facts import kind_of
from newel.store.changes import RARE_REFUSED

FIRST_CAME_ANOTHER: Final = frozenset({RARE_REFUSED, "23505", "40P01"})
"""Refused rows, a unique violation, a deadlock: the next look sees what the other start made."""

RunKind = Literal["joiner", "mover", "leaver", "request", "review"]
_KINDS: Final[tuple[RunKind, ...]] = ("request", "review")

Source = Literal["api", "console", "webhook", "schedule", "cli", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOf:
    """Whose child a run is; with_parent: whether it is cancelled with that run."""

    run: UUID
    key: str
    with_parent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A start as somebody asks for it; the arguments are checked already.

    priority: None for the process's own. child_of: the run that starts it.
    """

    run: UUID
    process: Process[..., Any]  # Any: each process has its own result
    arguments: dict[str, object]
    actor: Actor
    source: Source
    source_ref: str | None = None
    idempotency_key: str | None = None
    priority: Priority | None = None
    child_of: ChildOf | None = None
    approved: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a run starts from. secret: fingerprints are made under it; 32 random bytes.

    A forked run has the secret of the one it goes on from; inherited: what it takes from that
    run's journal.
    """

    run: UUID
    process: Process[..., Any]  # Any: each process has its own result
    version: int
    arguments: Mapping[str, object]
    subject: UUID | None
    actor: Actor
    source: Source
    at: datetime
    sealer: Sealer
    source_ref: str | None = None
    idempotency_key: str | None = None
    owner: tuple[int, int] | None = None
    parent: tuple[str, str] | None = None
    priority: Priority | None = None
    secret: bytes | None = None
    inherited: Sequence[Mapping[str, Any]] = ()  # Any: JSON
    child_of: ChildOf | None = None
    approved: Sequence[Mapping[str, str]] = ()

    @property
    def definition(self) -> ProcessVersion:
        """The definition that the run goes by."""
        return ProcessVersion(
            name=self.process.name,
            version=self.version,
            definition_sha256=self.process.definition_sha256,
        )


def born(start: Start, new_event_id: Callable[[], str]) -> tuple[Change, Head, bytes, bytes]:
    """Make the Change that starts a run; answers also with its head, arguments and secret."""
    secret = start.secret or start.sealer.entropy(32)
    arguments = start.process.dumped(start.arguments)
    shape: dict[str, object] = {
        "arguments": orjson.Fragment(arguments),
        "secret": base64.b64encode(secret).decode(),
    }
    if start.inherited:
        shape["inherited"] = start.inherited
    if start.approved:
        shape["approved"] = start.approved
    text = orjson.dumps(shape)
    payload = start.sealer.seal(text)
    subject = None if start.subject is None else reference("per", start.subject)
    head = Head(
        id=start.run, stream=f"run/{reference('run', start.run)}", seq=0, hash=b"", last_at=None
    )
    entries = Entries(head, new_event_id)
    parent = None
    if start.parent is not None:
        parent = facts.ParentRun(run=start.parent[0], key=start.parent[1])
    if start.child_of is not None:
        parent = facts.ParentRun(run=reference("run", start.child_of.run), key=start.child_of.key)
    entries.add(
        facts.RunStarted(
            source=facts.Source(type=start.source, ref=start.source_ref),
            requested_by=start.actor.on_behalf_of or start.actor.id,
            input_digest=start.sealer.digest(payload),
            confidential=False,
            effective_at=start.process.access_ends_of(start.arguments),
            kind=_kind_of(start.process.name),
            idempotency_key=start.idempotency_key if start.source == "schedule" else None,
            parent=parent,
        ),
        at=start.at,
        actor=start.actor,
        subject=subject,
        payload=payload,
        process=start.definition,
    )
    change = Change(run=start.run, from_seq=0, born=_row(start))
    change.state, change.wake_at = "running", None if start.owner else start.at
    change.seal(entries, run_state="running")
    return change, head, arguments, secret


def _kind_of(process: str) -> RunKind | None:
    """What kind of process it is, by the words of its name; None where they do not say it."""
    known = kind_of(process)
    if known != "other":
        return known
    words = process.rpartition(".")[2].replace("_", "-").split("-")
    return next((kind for kind in _KINDS if kind in words), None)


def _row(start: Start) -> dict[str, Any]:
    worker, epoch = start.owner or (None, None)
    limits = start.process.limits
    family: dict[str, Any] = {}
    if (parent := start.child_of) is not None:
        family = {
            "parent_run": str(parent.run),
            "parent_key": parent.key,
            "with_parent": parent.with_parent,
        }
    return {
        **family,
        "id": str(start.run),
        "process": start.process.name,
        "version": start.version,
        "subject": start.subject,
        "stint": None if start.subject is None else 1,
        "priority": RANKS[start.priority or limits.priority],
        "room": None if limits.at_most is None else room_of_process(start.process.name),
        "limit_at": limits.ends_at(start.at),
        "is_overdue": False,
        "worker_id": worker,
        "worker_epoch": epoch,
        "cancelling": False,
        "readings": 0,
        "started_at": start.at,
    }
