"""A task for people: its fact in the journal and its row for the inbox, always together.

Waits of the body and steps that need a person ask in the same way; what they ask, and of whom, is
theirs to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.base.ids import reference
from newel.engine.runner import Runner

__all__ = ["open_task"]


def open_task(
    run: Runner,
    key: str,
    *,
    kind: Literal["approval", "form"],
    title: str,
    instructions: str | None,
    owner: str,
    due_at: datetime | None,
    assignee: UUID | None = None,
    excluded: Sequence[UUID] = (),
    schema: dict[str, Any] | None = None,  # Any: JSON
    evidence: str | None = None,
    four_eyes: str | None = None,
) -> UUID:
    """Ask from this moment on; gives the id of the task.

    owner: the team, or `person` where there is an assignee. excluded: persons who may not decide.
    schema: of what is to be filled in.
    """
    task = run.host.new_uuid()
    run.record(
        facts.TaskOpened(
            task=reference("tsk", task),
            kind=kind,
            assignees=() if assignee is None else (reference("per", assignee),),
            deputies=(),
            role=owner,
            due_at=due_at,
            excluded=tuple(reference("per", person) for person in excluded),
            form_sha256=None if schema is None else _sha256_hex(schema),
        ),
        key=key,
    )
    run.change.also(
        "task",
        {
            "id": str(task),
            "run_id": str(run.id),
            "key": key,
            "kind": kind,
            "title": title,
            "instructions": instructions,
            "form": None if schema is None else orjson.dumps(schema).decode(),
            "evidence": evidence,
            "subject": run.loaded.subject,
            "owner": owner,
            "assignee": assignee,
            "excluded": list(excluded),
            "four_eyes": four_eyes,
            "opened_at": run.moment,
            "due_at": due_at,
            "state": "open",
            "version": 1,
        },
    )
    return task


def _sha256_hex(schema: dict[str, Any]) -> str:  # Any: JSON
    """The digest of a form's schema, as the leaf of its task says it."""
    return hashlib.sha256(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)).hexdigest()
