"""The process in which a step's function runs: reads one order after another, and answers each.

It loads what the step's module loads and nothing of the engine, so that it is there quickly.

What a step prints goes to standard error: standard output belongs to the answers.
"""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import IO, Any, Final

from newel.base.errors import Bug, NewelError
from newel.domain.values import AttemptInfo, Observed
from newel.flow.context import ATTEMPT, Attempting
from newel.flow.step import plain_function

__all__ = ["Order", "main"]

_FRAME: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One call for another process: a function by its name, and what it is called with."""

    module: str
    name: str
    args: tuple[object, ...]
    kwargs: dict[str, object]
    info: AttemptInfo


def main() -> None:
    """Serve until the other side closes the pipe."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    orders = sys.stdin.buffer
    while written := _read(orders):
        answer = _carried_out(written)
        answers.write(len(answer).to_bytes(_FRAME, "big") + answer)
        answers.flush()


def _read(orders: IO[bytes]) -> bytes:
    head = orders.read(_FRAME)
    return orders.read(int.from_bytes(head, "big")) if len(head) == _FRAME else b""


def _carried_out(written: bytes) -> bytes:
    try:
        order: Order = pickle.loads(written)  # noqa: S301 - written by the process that started us
        ATTEMPT.set(Attempting(order.info, Observed()))
        found: Any = import_module(order.module)
        for name in order.name.split("."):
            found = getattr(found, name)
        return pickle.dumps((True, plain_function(found)(*order.args, **order.kwargs)))
    except Exception as error:  # noqa: BLE001 - judged on the other side
        return pickle.dumps((False, _portable(error)))


def _portable(error: BaseException) -> BaseException:
    """Give an exception that can be sent to another process: itself, or a Bug that names it."""
    try:
        back = pickle.loads(pickle.dumps(error))  # noqa: S301 - written in this line
    except Exception:  # noqa: BLE001 - an exception says by any other that it cannot be sent
        back = None
    if type(back) is type(error):
        return error
    said = str(error) if isinstance(error, NewelError) else f"{type(error).__name__} in the code"
    return Bug(f"{said} of the step; it cannot be sent to another process")


if __name__ == "__main__":
    main()
