"""Which approval allows a step: one that named this very call, in this run or in those above it.

Some operations (money, deleting for good) are sent only with an approval of exactly what they do.
`approval(…, allows=[gusto.terminate_with_final_pay(person, day)])` names the calls; their digests
stand, sealed, with what the wait was asked for, as it was when the person decided. A child run is
given what its parents were allowed when it is started, and keeps it in its own first event: a call
with another person or another amount has another digest, and is allowed by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from newel.engine.history import Approval
from newel.flow.waits import digest_of

if TYPE_CHECKING:
    from newel.engine.runner import Runner
    from newel.flow.act import StepAct

__all__ = ["allowed_by", "handed_down"]


def allowed_by(run: Runner, act: StepAct[Any]) -> Approval | None:  # Any: its own result
    """The approval that named this call; None if there is none."""
    digest = digest_of(act)
    return next((approval for each, approval in _allowed(run) if each == digest), None)


def handed_down(run: Runner) -> tuple[dict[str, str], ...]:
    """What a child of this run is allowed from its start, as its first event keeps it."""
    return tuple(
        {
            "digest": digest,
            "event": approval.event,
            "leaf_hash": approval.leaf_hash,
            "approver": approval.approver,
        }
        for digest, approval in _allowed(run)
    )


def _allowed(run: Runner) -> Iterator[tuple[str, Approval]]:
    for given in run.history.inherited_approvals:
        named = {name: given[name] for name in ("event", "leaf_hash", "approver")}
        yield given["digest"], Approval(**named)
    for key, (fingerprint, approval) in run.history.approvals.items():
        sealed = run.history.inputs.get((key, fingerprint))
        if sealed is not None:
            for digest in orjson.loads(run.sealer.open(sealed)).get("allows", ()):
                yield digest, approval
