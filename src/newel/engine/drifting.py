"""Finished acts whose input is another now, and the three ways out of that.

A finished act is never silently reused for another input, and never silently done again. The run
stops there with what has changed, field by field; other branches go on. A person then keeps the
recorded outcome (`keep`), has the step run again (`retry`), or cancels the run. Where the input
was amended, the step itself may have said before what is to happen (`on_amend=`).

The input is kept sealed beside the fingerprint in the event of the attempt: it can be erased with
the run's payloads, and no leaf holds it. Decision 0015 says what that costs.
"""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import NotFound, NotWaiting
from newel.base.ids import reference
from newel.domain.acts import OpenAct
from newel.domain.fingerprint import differences, said
from newel.domain.people import Person, Team
from newel.engine.history import Recorded
from newel.engine.operating import Command, Operating, check_reason
from newel.flow.act import Act, StepAct, WaitAct
from newel.flow.waits import WaitSpec
from newel.store import journal, runs

if TYPE_CHECKING:
    from newel.engine.runner import Runner

DRIFTED: Final = "drifted"
_EMPTY: Final = b"{}"
_OWNER: Final = "maintainers"


def input_of(act: Act[Any]) -> bytes | None:
    """What an act was called with, as canonical JSON; None for acts that have no input."""
    if isinstance(act, StepAct):
        return act.step.arguments(act.args, act.kwargs)
    return _wait_input(act.spec) if isinstance(act, WaitAct) else None


def _wait_input(spec: WaitSpec) -> bytes:
    by = spec.by
    shape = {
        "at": None if spec.at is None else spec.at.astimezone(UTC).isoformat(),
        "after": None if spec.after is None else str(spec.after),
        "within": None if spec.within is None else str(spec.within),
        "by": None if by is None else _asked_of(by),
        "match": spec.match,
        "allows": sorted(each.digest for each in spec.allows) or None,
    }
    known = {name: value for name, value in shape.items() if value is not None}
    return orjson.dumps(known, option=orjson.OPT_SORT_KEYS)


def _asked_of(by: Person | Team | str) -> str:
    """Who is asked, without telling an address."""
    if isinstance(by, str):
        return f"address {hashlib.sha256(by.lower().encode()).hexdigest()[:24]}"
    return (by.ref or by.name) if isinstance(by, Person) else by.name


def is_changed(run: Runner, key: str, act: Act[Any], recorded: Recorded) -> bool:
    """Whether a finished act is called with another input now, as far as that matters."""
    known = run.history.fingerprints.get(key)
    text = None if known is None else input_of(act)
    if text is None or known == run.digest(text).hex():
        return False
    return isinstance(act, StepAct) or _matters(run, key, text, recorded)


def has_drifted(run: Runner, key: str, act: Act[Any], recorded: Recorded) -> bool:
    """Whether a finished act stops its branch, because its input is another than it was."""
    known = run.history.fingerprints.get(key)
    text = None if known is None else input_of(act)
    if run.loaded.cancelling:
        _settled(run, key)  # a run on its way out takes what is recorded
    if text is None or run.loaded.cancelling:
        return False
    seen = run.digest(text).hex()
    if known == seen or (isinstance(act, WaitAct) and not _matters(run, key, text, recorded)):
        _settled(run, key)
        return False
    assert known is not None, "without a fingerprint nothing can have changed"
    if isinstance(act, StepAct) and recorded.seq < run.history.amended_at:
        if act.step.options.on_amend == "keep":
            run.record(facts.StepKept(by="policy", input_fp=seen), key=key)
            run.history.fingerprints[key] = seen
            _settled(run, key)
            return False
        if act.step.options.on_amend == "redo":
            _redo(run, key, act)
            return True
    _stop(run, key, act, known=known, seen=seen, text=text)
    return True


def _matters(run: Runner, key: str, text: bytes, recorded: Recorded) -> bool:
    """Whether what has changed of a closed wait is what its outcome rests on."""
    before = _known_input(run, key)
    if before is None:
        return True
    after = orjson.loads(text)
    if recorded.type == "task.decided":
        rests_on: tuple[str, ...] = ("by",)
    elif recorded.leaf()["data"].get("by") == "event":
        rests_on = ("match",)
    else:
        rests_on = ("at", "after", "within", "by", "match")
    return any(before.get(name) != after.get(name) for name in rests_on)


def _known_input(run: Runner, key: str) -> dict[str, Any] | None:  # Any: JSON
    """The input that a finished act was called with; None where it is no longer kept."""
    fingerprint = run.history.fingerprints[key]
    sealed = run.history.inputs.get((key, fingerprint))
    if sealed is None:
        return {} if run.digest(_EMPTY).hex() == fingerprint else None
    kept: dict[str, Any] = orjson.loads(run.opened(sealed))
    return kept.get("input", kept) if "why" in kept else kept


def _stop(run: Runner, key: str, act: Act[Any], *, known: str, seen: str, text: bytes) -> None:
    before = _known_input(run, key)
    changed = [] if before is None else differences(before, orjson.loads(text))
    what = "step" if isinstance(act, StepAct) else "wait"
    why = f"The input of the finished {what} `{key}` has changed since it ran" + (
        f": {said(changed)}. " if changed else ". "
    )
    why += "Keep the result, or run it again."
    if isinstance(act, StepAct) and before is not None and (gave := _gave(act, before)):
        why += f" What it gave, `{gave}`, stays until it is taken away."
    opened = run.open.get(key)
    if opened is None or opened.fingerprint is None or opened.fingerprint.hex() != seen:
        _say(run, key, act, known=known, seen=seen, why=why, text=text)
    run.drifted[key] = why
    if not isinstance(act, StepAct):
        run.blocked = run.blocked or (DRIFTED, why)


def _gave(act: StepAct[Any], before: dict[str, Any]) -> str | None:  # Any: JSON
    """The access that a step gave by its earlier input; None where it would give the same now."""
    template, system = act.step.options.grants, act.step.options.system
    if template is None:
        return None
    earlier = act.step.remembered(template, before)
    if earlier is None or earlier == act.step.described(template, act.args, act.kwargs):
        return None
    return earlier if ":" in earlier or system is None else f"{system}:{earlier}"


def _say(
    run: Runner, key: str, act: Act[Any], *, known: str, seen: str, why: str, text: bytes
) -> None:
    if run.state == "parked" and (key, seen) in run.history.inputs and key not in run.open:
        return  # a wait: it was said when the run was parked
    payload = run.sealer.seal(orjson.dumps({"why": why, "input": orjson.Fragment(text)}))
    run.record(
        facts.RunDrifted(
            key=key,
            fp_before=known,
            fp_after=seen,
            definition_before=run.loaded.version.definition_sha256,
            definition_after=run.process.definition_sha256,
        ),
        payload=payload,
    )
    run.history.inputs[key, seen] = payload
    if isinstance(act, StepAct):
        opened = OpenAct(
            key=key,
            kind="step",
            state="parked",
            opened_at=run.moment,
            attempt=run.history.attempts.get(key, 0),
            fingerprint=bytes.fromhex(seen),
            system=act.step.options.system,
            credential=getattr(act.step.owner, "credential", None),
            reason=DRIFTED,
            owner=_OWNER,
        )
        run.open[key] = opened
        run.change.also("open_act", opened.row(run.id))


def _settled(run: Runner, key: str) -> None:
    """The input is what it was, or was accepted: what was said of it is over."""
    opened = run.open.get(key)
    if opened is not None and opened.reason == DRIFTED:
        del run.open[key]
        run.change.closed.append(key)


def _redo(run: Runner, key: str, act: StepAct[Any]) -> None:
    """Run a finished step again, because its author said so of an amended input."""
    run.record(facts.StepRetried(by="amend"), key=key, system=act.step.options.system)
    _settled(run, key)
    run.history.outcomes.pop(key, None)
    run.come_to(key, act)


# --- what a person does about it --------------------------------------------------------------


async def keep(operating: Operating, run: UUID, key: str, *, actor: Actor, reason: str) -> None:
    """Let a recorded outcome stand: for an input that has changed, or without a place in the code.

    Raises ReasonMissing, NotFound (nothing of this key was ever finished), NotWaiting (the run
    does not stand at it).
    """
    check_reason("keep", reason)
    async with operating.on(run, actor) as made:
        fingerprint = await _accepted(made, key)
        event_id = made.entries.new_id()
        made.record(
            facts.StepKept(by="person", input_fp=fingerprint),
            key=key,
            reason=made.reason("keep", reason, event_id),
            id_=event_id,
        )
        if key in made.acts:
            made.change.closed.append(key)


async def why_drifted(operating: Operating, run: UUID, key: str) -> str:
    """What has changed of the input of a finished act, in words; empty where nothing is told."""
    async with operating.database.transaction() as connection:
        rows = await runs.load(connection, [run])
        past = await journal.outcomes(connection, [run])
    told = [row for row in past if row["type"] == "run.drifted" and _is_about(row, key)]
    if not rows or not told or told[-1]["payload"] is None:
        return ""
    row = rows[0]
    sealer = operating.vault.sealer(run, row["subject"], row["key_n"], row["wrapped"])
    return str(orjson.loads(sealer.open(told[-1]["payload"]))["why"])


async def _accepted(made: Command, key: str) -> str | None:
    """The fingerprint of the input that an outcome is to stand for; None for one that is gone."""
    opened = made.acts.get(key)
    if opened is not None and opened.reason == DRIFTED and opened.fingerprint is not None:
        return opened.fingerprint.hex()
    if opened is not None:
        raise NotWaiting(verb="keep", what=f"`{key}`", state="not finished")
    past = [
        row for row in await journal.outcomes(made.connection, [made.run]) if _is_about(row, key)
    ]
    if not past:
        raise NotFound(kind="finished act", reference=key)
    if made.row["parked_reason"] not in {DRIFTED, "blocked"}:
        raise NotWaiting(verb="keep", what=reference("run", made.run), state=made.row["state"])
    if past[-1]["type"] != "run.drifted":
        return None
    fingerprint: str = orjson.loads(past[-1]["entry"])["data"]["fp_after"]
    return fingerprint


def _is_about(row: Any, key: str) -> bool:  # Any: a record
    if row["type"] == "run.drifted":
        found: bool = orjson.loads(row["entry"])["data"]["key"] == key
        return found
    return bool(row["key"] == key)


def input_at(act: OpenAct) -> str | None:
    """The fingerprint of what an open act is asked with: that is what its result will be for."""
    return None if act.fingerprint is None else act.fingerprint.hex()


async def asked_again(made: Command, key: str) -> bool:
    """Have a finished wait waited for again, if its run stands at it because of its input."""
    if made.row["parked_reason"] != DRIFTED or await _accepted(made, key) is None:
        return False
    made.record(facts.StepRetried(by="person"), key=key)
    return True
