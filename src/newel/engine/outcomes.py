"""Outcomes as the journal keeps them: written from values and errors, read back as both."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import datetime
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
from newel.engine.children import ended
from newel.engine.history import Recorded
from newel.flow.act import Act, StepAct, WaitAct
from newel.flow.children import Child, ChildAct, ResultAct, SpawnAct
from newel.flow.locks import Acquiring

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
            return None, answer(key, act, opened(recorded.payload or b""))
        case "step.cancelled":
            return None, Cancelled()
        case "task.decided" | "step.completed_by_hand" if isinstance(act, WaitAct):
            return act.spec.result.load(opened(recorded.payload or b""), key=key), None
        case "wait.closed" if isinstance(act, WaitAct):
            return _closed(key, act, recorded, opened)
        case "wait.closed" if isinstance(act, Acquiring):
            return None, None if recorded.leaf()["data"]["by"] == "lock" else Cancelled()
        case "wait.closed" if isinstance(act, (ChildAct, ResultAct)):
            if recorded.payload is None:
                return None, Cancelled()
            return ended(act, key, opened(recorded.payload))
        case "act.recorded" if isinstance(act, SpawnAct):
            child = recorded.leaf()["data"].get("run")
            if child is None:
                return None, Cancelled()
            return Child(child, act.base, act.process), None
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
        if recorded.payload is None:
            return None, Overdue(key, recorded.at)
        due = orjson.loads(opened(recorded.payload))["due"]
        return None, Overdue(key, datetime.fromisoformat(due))
    if recorded.payload is None:
        return None, None
    return act.spec.result.load(opened(recorded.payload), key=key), None


def answer_payload(error: Exception, declared: tuple[type[Exception], ...]) -> bytes:
    """Write an exception that is a step's answer: the declared class and the facts in it.

    An exception of a subclass is written as the class that the author declared: that one a
    replay can name.
    """
    kind = next((each for each in declared if isinstance(error, each)), type(error))
    shape = {
        "error": kind.__qualname__,
        "args": list(error.args),
        "facts": vars(error),
        "text": str(error),
    }
    try:
        return orjson.dumps(shape, default=str)
    except TypeError:  # half a surrogate pair, or a fact whose name is no text
        return orjson.dumps({**shape, "args": [_storable(str(error))], "facts": {}, "text": ""})


def answer(key: str, act: StepAct[Any], text: bytes) -> Exception:
    """Give the exception that `answer_payload` wrote; its constructor is not called again.

    Raises OutcomeUnreadable if the code no longer declares that class.
    """
    shape = orjson.loads(text)
    if shape["error"] == StepFailed.__qualname__:
        return StepFailed(key=key, failures=tuple(shape["facts"]["failures"]))
    for kind in act.step.options.raises:
        if kind.__qualname__ == shape["error"]:
            found = kind.__new__(kind, *shape["args"])
            vars(found).update(shape["facts"])
            return found
    declared = ", ".join(kind.__qualname__ for kind in act.step.options.raises)
    raise OutcomeUnreadable(
        key=key, found=f"the answer {shape['error']}", expected=declared or "no answer"
    )


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\0", "?")


def is_declared(error: BaseException, raises: tuple[type[Exception], ...]) -> bool:
    """Whether an exception that left the body is a business end (authoring document, §3)."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_declared(each, raises) for each in error.exceptions)
    return isinstance(error, (*_DECLARED, *raises))


def failure_of(error: BaseException) -> str:
    """Class and traceback of a fault in the code, for whoever mends it; may hold personal data."""
    return "".join(traceback.format_exception(error, limit=-8)).strip()
