"""Outcomes as the journal keeps them: written from values and errors, read back as both."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import orjson

from newel.base.errors import (
    Cancelled,
    ChildFailed,
    OutcomeUnreadable,
    Overdue,
    Rejected,
    StepFailed,
)
from newel.engine.history import Recorded
from newel.flow.act import Act, StepAct, WaitAct

_DECLARED = (Rejected, Overdue, StepFailed, ChildFailed)


def decoded(
    key: str, act: Act[Any], recorded: Recorded, opened: Callable[[bytes], bytes]
) -> tuple[object, BaseException | None]:
    """Give the value or the exception that an act's outcome is for the body.

    Raises OutcomeUnreadable if the value does not fit the type the code now expects.
    """
    match recorded.type:
        case "step.succeeded" | "step.completed_by_hand" if isinstance(act, StepAct):
            if recorded.payload is None:
                return None, None
            return act.step.result.load(opened(recorded.payload), key=key), None
        case "step.skipped":
            return None, None
        case "step.failed" if isinstance(act, StepAct):
            return None, _answer(key, act, opened(recorded.payload or b""))
        case "step.cancelled":
            return None, Cancelled()
        case "task.decided" if isinstance(act, WaitAct):
            return act.spec.result.load(opened(recorded.payload or b""), key=key), None
        case "wait.closed" if isinstance(act, WaitAct):
            return _closed(key, act, recorded, opened)
        case _:
            raise OutcomeUnreadable(
                key=key, found=f"an outcome of kind {recorded.type}", expected=type(act).__name__
            )


def _closed(
    key: str, act: WaitAct[Any], recorded: Recorded, opened: Callable[[bytes], bytes]
) -> tuple[object, BaseException | None]:
    by = recorded.leaf()["data"]["by"]
    if by == "cancel":
        return None, Cancelled()
    if by == "timer" and act.spec.kind != "timer":
        return None, Overdue(key, recorded.at)
    if recorded.payload is None:
        return None, None
    return act.spec.result.load(opened(recorded.payload), key=key), None


def answer_payload(error: Exception) -> bytes:
    """Write an exception that is a step's answer: its class and the facts it was made from."""
    shape = {"error": type(error).__qualname__, "args": list(error.args), "text": str(error)}
    return orjson.dumps(shape, default=str)


def _answer(key: str, act: StepAct[Any], text: bytes) -> BaseException:
    shape = orjson.loads(text)
    for kind in act.step.options.raises:
        if kind.__qualname__ == shape["error"]:
            return kind(*shape["args"])
    return StepFailed(key=key, failures=(shape["text"],))


def is_declared(error: BaseException, raises: tuple[type[Exception], ...]) -> bool:
    """Whether an exception that left the body is a business end (authoring document, §3)."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_declared(each, raises) for each in error.exceptions)
    return isinstance(error, (*_DECLARED, *raises))


def failure_of(error: BaseException) -> str:
    """Class and traceback of a fault in the code, for whoever mends it; may hold personal data."""
    return "".join(traceback.format_exception(error, limit=-8)).strip()
