"""How a contender talks with the bench: one JSON request a line, one JSON answer a line.

Needs the standard library only, because every contender runs in an environment of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TextIO

Deed = Callable[..., Awaitable[Any]]  # Any: the values JSON can hold


async def answer_requests(deeds: Mapping[str, Deed]) -> None:
    """Do what is asked (`{"do": "steps", "runs": 100}`), one after another, until input ends."""
    out = _only_answers()
    _say(out, {"ready": True})
    while line := await asyncio.to_thread(sys.stdin.readline):
        request = json.loads(line)
        deed = deeds[request.pop("do")]
        _say(out, {"answer": await deed(**request)})


def _only_answers() -> TextIO:
    """Keep standard output for answers: whatever a library prints goes to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return out


def _say(out: TextIO, answer: dict[str, Any]) -> None:  # Any: JSON
    out.write(json.dumps(answer) + "\n")
    out.flush()
