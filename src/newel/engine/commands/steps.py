"""What operators do with a step that is stuck: retry, skip, complete by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import NotFound, NotSkippable, NotWaiting
from newel.base.ids import reference
from newel.domain.acts import OpenAct
from newel.domain.retry import begun
from newel.engine import drifting
from newel.engine.operating import Command, Operating, check_reason
from newel.flow.reading import result_is_unused, result_of


async def retry(
    operating: Operating,
    run: UUID,
    key: str | None = None,
    *,
    actor: Actor,
    by: Literal["person", "probe"] = "person",
) -> None:
    """Try a step again, in a fresh series of rounds; all parked ones without a key.

    On a run that parked by itself (bug, blocked, drifted) it means: replay with today's code. A
    finished step whose input has changed is run again only if it is named.
    Raises NotFound, NotWaiting.
    """
    async with operating.on(run, actor) as made:
        if key is None and made.row["parked_reason"] == "overdue":
            made.change.also("unlimited", {"id": str(run)})  # it goes on, and takes its time
            made.record(facts.RunUnparked(by="release"))
            return
        keys = [key] if key is not None else _parked(made)
        if not keys:
            _replay_parked(made)
        for each in keys:
            if each not in made.acts and await drifting.asked_again(made, each):
                continue
            act = made.act(each, verb="retry")
            if act.kind != "step":
                raise NotWaiting(verb="retry", what=f"`{each}`", state="a wait, not a step")
            _again(made, act, by=by)


def _parked(made: Command) -> list[str]:
    """Steps that wait for a person; a finished one is done again only if it is asked by name."""
    return sorted(
        key
        for key, act in made.acts.items()
        if act.state == "parked" and act.reason != drifting.DRIFTED
    )


def _replay_parked(made: Command) -> None:
    if made.row["state"] != "parked":
        raise NotWaiting(verb="retry", what=reference("run", made.run), state=made.row["state"])
    made.record(facts.RunUnparked(by="retry"))


def _again(made: Command, act: OpenAct, *, by: Literal["person", "probe"]) -> None:
    if by == "probe" and act.trouble.early is None:
        early = "parked" if act.state == "parked" else "retrying"
        act.trouble = replace(act.trouble, early=early, held_at=act.next_at)
    elif by == "person":
        fresh = begun(made.at, series=act.series + 1)
        act.trouble = replace(
            act.trouble,
            progress=fresh,
            failed_rounds=0,
            crashes=0,
            unclear=0,
            early=None,
            parked_at=None,
        )
    act.state, act.next_at = "retrying", made.at
    act.reason = act.owner = None
    made.record(facts.StepRetried(by=by), key=act.key, system=act.system)
    made.change.also("open_act", act.row(made.run))


async def skip(operating: Operating, run: UUID, key: str, *, actor: Actor, reason: str) -> None:
    """Let the body go on without a step: it gets None.

    Raises NotSkippable where the body needs a value, ReasonMissing, NotFound, NotWaiting.
    """
    check_reason("skip", reason)
    async with operating.on(run, actor) as made:
        act = _step(made, key, verb="skip")
        process = operating.processes.get(made.row["process"])
        if process is None or not result_is_unused(process, key):
            raise NotSkippable(key=key, needs="its value is used, or may be")
        event_id = made.entries.new_id()
        made.record(
            facts.StepSkipped(input_fp=drifting.input_at(act)),
            key=key,
            system=act.system,
            reason=made.reason("skip", reason, event_id),
            id_=event_id,
        )
        made.change.closed.append(key)


async def complete_by_hand(
    operating: Operating,
    run: UUID,
    key: str,
    value: object,
    *,
    evidence: str,
    actor: Actor,
    reason: str,
) -> None:
    """Give the result of a step that a person has done; validated against the step's type.

    value: JSON data. Raises InvalidInput by field, ReasonMissing (also for evidence), NotFound,
    NotWaiting.
    """
    check_reason("complete-by-hand", reason)
    check_reason("complete-by-hand", evidence)
    async with operating.on(run, actor) as made:
        act = _step(made, key, verb="complete")
        process = operating.processes.get(made.row["process"])
        codec = None if process is None else result_of(process, key)
        if codec is None:
            raise NotFound(kind="step of the current code", reference=key)
        text = codec.dump(codec.accept(orjson.dumps(value)))
        payload = made.sealer.seal(text)
        proof = made.sealer.seal(evidence.encode())
        event_id = made.entries.new_id()
        made.record(
            facts.StepCompletedByHand(
                outcome_digest=made.sealer.digest(payload),
                evidence_digest=made.sealer.digest(proof),
                input_fp=drifting.input_at(act),
            ),
            key=key,
            system=act.system,
            payload=payload,
            reason=made.reason("complete-by-hand", f"{reason}\n{evidence}", event_id),
            id_=event_id,
        )
        made.change.closed.append(key)


def _step(made: Command, key: str, *, verb: str) -> OpenAct:
    act = made.act(key, verb=verb)
    if act.kind != "step":
        raise NotWaiting(verb=verb, what=f"`{key}`", state="a wait, not a step")
    return act
