"""Acts that wait for other runs, as the runner sees them: children, and locks that all share.

The runner does no I/O: what it needs of other runs was read with its own (`Relatives`), and what
must be done about them becomes an errand, carried out once the Change that speaks of it is
durable. Each errand may be carried out twice without harm: whoever loads the run again asks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.base.errors import ChildFailed
from newel.base.ids import parse_reference
from newel.domain.acts import OpenAct
from newel.engine.allowing import handed_down
from newel.engine.branches import Ready
from newel.engine.history import RELEASED, Recorded
from newel.flow.act import Act
from newel.flow.children import ChildAct, ResultAct, SpawnAct
from newel.flow.locks import Acquiring
from newel.flow.process import Process

if TYPE_CHECKING:
    from newel.engine.runner import Runner

AGAIN: Final = timedelta(seconds=30)
"""When it is looked again, should whoever was to do an errand have died before it was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnd:
    """How another run has ended; text: its result as JSON, or why it has none."""

    state: Literal["completed", "failed", "cancelled"]
    text: bytes


@dataclass(frozen=True, slots=True)
class Relatives:
    """What was read of other runs: ends by reference, and keys whose lock is free for this run."""

    ends: Mapping[str, ChildEnd] = field(default_factory=dict[str, ChildEnd])
    free: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What is to be done outside of the run: start the child of an act, end one, look somebody up.

    process: of the child that is started; else `cancel` names a child, `address` a person, or the
    run itself is to end because its time is over, and all that live with it. is_last: whether the
    act is one that a run still does on its way out.
    """

    key: str = ""
    process: Process[..., Any] | None = None  # Any: a child has its own result
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    is_awaited: bool = False
    with_parent: bool = False
    cancel: UUID | None = None
    address: str = ""
    approved: tuple[dict[str, str], ...] = ()
    is_last: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether the run is not put down before: its child has to be there, its person known."""
        return self.process is not None or self.address != ""


def arrive(run: Runner, key: str, act: Act[Any]) -> None:
    """Open the act, or go on with it if it is open."""
    if isinstance(act, Acquiring):
        _arrive_at_lock(run, key, act)
    elif isinstance(act, ResultAct):
        _arrive_at_end(run, key, act)
    else:
        assert isinstance(act, (ChildAct, SpawnAct)), "nothing else waits for another run"
        _arrive_at_start(run, key, act)


def _arrive_at_start(run: Runner, key: str, act: ChildAct[Any] | SpawnAct[Any]) -> None:
    opened = run.open.get(key)
    if opened is None:
        opened = _open(run, key, "child")
    if opened.match is not None:
        _look(run, opened)
        return
    run.errands.append(  # the run is not put down before the child exists
        Errand(
            key=key,
            process=act.process,
            arguments=act.arguments(),
            is_awaited=isinstance(act, ChildAct),
            with_parent=isinstance(act, ChildAct) or act.with_parent,
            approved=handed_down(run),
            is_last=run.loaded.cancelling,
        )
    )


def _arrive_at_end(run: Runner, key: str, act: ResultAct[Any]) -> None:
    opened = run.open.get(key)
    if opened is None:
        # whether it has ended is not known here: the run is due at once, and read with it
        opened = _open(run, key, "child", match=act.child.run)
        opened.next_at = run.moment
        return
    _look(run, opened)


def _look(run: Runner, opened: OpenAct) -> None:
    """Close the act if the run it waits for has ended; that end wakes this run."""
    assert opened.match is not None, "a child that was started is known"
    end = run.loaded.relatives.ends.get(opened.match)
    opened.next_at = None
    if end is not None:
        _close(run, opened, end)


def _close(run: Runner, opened: OpenAct, end: ChildEnd) -> None:
    if run.is_leaving(opened.key):
        run.stop(opened.key)
        return
    act = run.acts[opened.key]
    assert isinstance(act, (ChildAct, ResultAct)), "only a child's end is waited for"
    if end.state == "completed":
        shape: dict[str, Any] = {"value": orjson.Fragment(end.text)}
    else:
        shape = {"run": opened.match, "failed": end.state, "cause": end.text.decode()}
    text = orjson.dumps(shape)
    payload = run.sealer.seal(text)
    fact = facts.WaitClosed(by="child", outcome_digest=run.sealer.digest(payload))
    value, error = ended(act, opened.key, text)
    seq = run.record(fact, key=opened.key, payload=payload)
    del run.open[opened.key]
    run.change.closed.append(opened.key)
    run.history.outcomes[opened.key] = Recorded(seq, "wait.closed", run.entries.latest, b"", None)
    run.resume(opened.key, Ready(value, error, run.entries.latest), seq)


def ended(
    act: ChildAct[Any] | ResultAct[Any], key: str, text: bytes
) -> tuple[object, BaseException | None]:
    """What the parent is given of a child's end; raises OutcomeUnreadable."""
    shape = orjson.loads(text)
    if "failed" in shape:
        return None, ChildFailed(run=shape["run"], cause=shape["cause"])
    process = act.process if isinstance(act, ChildAct) else act.child.process
    return process.result.load(orjson.dumps(shape["value"]), key=key), None


def cancel(run: Runner, opened: OpenAct) -> bool:
    """End the child of an act that is cancelled; False where the act may be closed at once."""
    act = run.acts.get(opened.key)
    if not isinstance(act, ChildAct) or opened.match is None:
        return False
    _, child = parse_reference(opened.match)
    if opened.match not in run.loaded.relatives.ends:
        opened.next_at = run.moment + AGAIN
        run.errands.append(Errand(cancel=child))
    return True


# --- locks ------------------------------------------------------------------------------------


def _arrive_at_lock(run: Runner, key: str, act: Acquiring) -> None:
    opened = run.open.get(key)
    if opened is None:
        # whether it is free is not known here: the run is due at once, and read with it
        opened = _open(run, key, "lock", match=act.lock.held_as)
        opened.next_at = run.moment
    elif key in run.loaded.relatives.free and run.may_take and not run.is_leaving(key):
        _acquire(run, opened)
    else:
        opened.next_at = run.moment + AGAIN


def _acquire(run: Runner, opened: OpenAct) -> None:
    opened.state, opened.next_at = "held", None
    seq = run.record(facts.WaitClosed(by="lock"), key=opened.key)
    run.change.also("open_act", opened.row(run.id))
    run.history.outcomes[opened.key] = Recorded(seq, "wait.closed", run.entries.latest, b"", None)
    run.resume(opened.key, Ready(None, None, run.entries.latest), seq)


def give_back(run: Runner, key: str) -> None:
    """Give back a lock that the run holds, and let the next in order look for it."""
    held = run.open.get(key)
    if held is None or held.state != "held":
        return
    del run.open[key]
    run.record(facts.ActRecorded(kind="lock", verb=RELEASED), key=key)
    run.change.closed.append(key)
    run.change.forget("open_act", key)
    run.change.also("unlock", {"key": held.match})


def _open(
    run: Runner, key: str, kind: Literal["child", "lock"], *, match: str | None = None
) -> OpenAct:
    opened = OpenAct(key=key, kind=kind, state="open", opened_at=run.moment, match=match)
    run.open[key] = opened
    run.record(facts.WaitOpened(kind="event", matches=match if kind == "lock" else None), key=key)
    run.change.also("open_act", opened.row(run.id))
    return opened
