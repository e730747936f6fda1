"""What is open of a run: intents, retries and waits, as the runner sees their rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from newel.domain.change import Row
from newel.domain.retry import Progress

ActKind = Literal["step", "timer", "approval", "form", "event", "child", "lock"]
ActState = Literal["attempting", "retrying", "parked", "open", "held"]


@dataclass(slots=True, kw_only=True)
class Trouble:
    """What a step has been through; kept with its open act until it has an outcome.

    progress: its rounds. failed_rounds: counted ones of the current series.
    doubt: why the last attempt's effect is unknown (`crash`, `timeout`, `lost_answer`), or None;
    doubted_at: when the intent of that attempt was recorded.
    redone: after a doubt it was made once more, or may have been by a worker that died of it.
    crashes: workers that died in the same attempt, one after another.
    unclear: how often `verify` could not tell.
    early: what the step was doing (`retrying`, `parked`) when an uncounted attempt was asked of
    it, or None; held_at: when its next counted attempt is due.
    failure_class, message, status, operation, request_id: of the last failure, in plain words,
    nothing personal; failed_at: when it came.
    parked_at: since when it is parked. is_urgent: it keeps trying while it is parked.
    asks: a person says whether it goes on when the outage is over. gives: it gives access.
    looks: `verify` can see whether it is done.
    way: that was chosen for it, where plan and token decide. seen: how often it was looked whether
    a person has done it, since one was asked; is_claimed: somebody has said since that it is done.
    found: the account of which a person is asked whose it is; adopts: the one that a person has
    said is the subject's.
    released: the effect that somebody has let go past the guard, in hex. refused: somebody has
    said that it is not to go.
    """

    progress: Progress | None = None
    failed_rounds: int = 0
    doubt: str | None = None
    doubted_at: datetime | None = None
    redone: bool = False
    crashes: int = 0
    unclear: int = 0
    early: str | None = None
    held_at: datetime | None = None
    failure_class: str | None = None
    message: str | None = None
    status: int | None = None
    failed_at: datetime | None = None
    operation: str | None = None
    request_id: str | None = None
    parked_at: datetime | None = None
    is_urgent: bool = False
    asks: bool = False
    gives: bool = False
    looks: bool = False
    way: str | None = None
    seen: int = 0
    is_claimed: bool = False
    found: str | None = None
    adopts: str | None = None
    released: str | None = None
    refused: bool = False

    @property
    def was_asked(self) -> bool:
        """Whether a person was asked to do it by hand, because it was looked for in vain."""
        return self.seen > 0 or self.is_claimed

    def row(self) -> Row:
        """The trouble as JSON, without what is absent; empty for a step without any."""
        shape: Row = {}
        for name in _FACTS:
            value = getattr(self, name)
            if value:
                shape[name] = asdict(value) if name == "progress" else value
        return shape

    @classmethod
    def of(cls, detail: dict[str, Any] | None) -> Trouble:  # Any: JSON
        """The trouble that `row` wrote; an untroubled one for None."""
        if not detail:
            return cls()
        known = {name: value for name, value in detail.items() if name in cls.__slots__}
        if (progress := known.get("progress")) is not None:
            known["progress"] = Progress(
                **{name: _moment(value) for name, value in progress.items()}
            )
        for name in ("doubted_at", "failed_at", "held_at", "parked_at"):
            if name in known:
                known[name] = _moment(known[name])
        return cls(**known)


_FACTS: Final = tuple(each.name for each in fields(Trouble))


def _moment(value: Any) -> Any:  # Any: JSON
    return datetime.fromisoformat(value) if isinstance(value, str) else value


@dataclass(slots=True, kw_only=True)
class OpenAct:
    """One open act of a run; the columns of `newel.open_act`.

    asked: what the author asked of a wait, as it was last seen; a moment that an operator has
    moved stands in `due_at` alone. reminders: how many were sent. Both are kept in `detail`, as
    the trouble of a step is.
    """

    key: str
    kind: ActKind
    state: ActState
    opened_at: datetime
    attempt: int = 0
    next_at: datetime | None = None
    due_at: datetime | None = None
    intended_at: datetime | None = None
    worker_id: int | None = None
    worker_epoch: int | None = None
    fingerprint: bytes | None = None
    effect_key: bytes | None = None
    system: str | None = None
    credential: str | None = None
    incident_id: UUID | None = None
    reason: str | None = None
    owner: str | None = None
    task_id: UUID | None = None
    event: str | None = None
    match: str | None = None
    asked: Row | None = None
    reminders: int = 0
    trouble: Trouble = field(default_factory=Trouble)

    @classmethod
    def of(cls, row: Any) -> OpenAct:  # Any: a database record
        """The act of a row."""
        columns = {name: row[name] for name in _COLUMNS}
        detail = row["detail"] or {}
        return cls(
            **columns,
            asked=detail.get("asked"),
            reminders=detail.get("reminders", 0),
            trouble=Trouble.of(detail),
        )

    def row(self, run: UUID) -> Row:
        """The act as a row of `newel.open_act`."""
        shape: Row = {name: getattr(self, name) for name in _COLUMNS}
        shape["run_id"] = str(run)
        detail = self.trouble.row()
        if self.asked is not None:
            detail["asked"] = self.asked
        if self.reminders:
            detail["reminders"] = self.reminders
        shape["detail"] = detail or None
        return shape

    @property
    def series(self) -> int:
        """Which series of rounds is running, from 1."""
        return 1 if self.trouble.progress is None else self.trouble.progress.series

    @property
    def round(self) -> int:
        """Which round is running, from 1."""
        return 1 if self.trouble.progress is None else self.trouble.progress.round


_COLUMNS: Final = tuple(
    each.name for each in fields(OpenAct) if each.name not in {"asked", "reminders", "trouble"}
)
