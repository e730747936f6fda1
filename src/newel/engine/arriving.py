"""What becomes of an act to which a branch has come: its kind opens it or goes on with it."""

from __future__ import annotations

from typing import Any

from newel.engine import children, steps, waiting
from newel.engine.runner import Runner
from newel.flow.act import Act, StepAct, WaitAct


def arrive(run: Runner, key: str, act: Act[Any]) -> None:  # Any: each has its own result
    """Open the act, or go on with it as its record says."""
    if isinstance(act, StepAct):
        steps.arrive(run, key, act)
    elif isinstance(act, WaitAct):
        waiting.arrive(run, key, act)
    else:
        children.arrive(run, key, act)
