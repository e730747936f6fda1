"""The other end of `Processes`: reads one order after another and writes what became of it.

What a step prints goes to standard error: standard output belongs to the answers.
"""

from __future__ import annotations

import os
import pickle
import sys
from importlib import import_module
from typing import IO, Any

from newel.domain.values import Observed
from newel.engine.pools import Order, portable
from newel.flow.context import ATTEMPT, Attempting
from newel.flow.step import plain_function

_FRAME = 8


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
        return pickle.dumps((False, portable(error)))


if __name__ == "__main__":
    main()
