"""What a body may not await: found at the first try, with file, line and what to write instead.

While a body is driven a stand-in plays the event loop. So the concurrency of the standard library,
and everything that is built on it, is refused where it begins: no task is started that nobody
would own, and none of the worker's own can be cancelled by a `TaskGroup` of an author.
"""

from __future__ import annotations

import asyncio
import site
import sys
import sysconfig
from inspect import iscoroutine
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, NoReturn

import newel
from newel.base.errors import NotDurable

__all__ = ["StandIn", "awaited", "refused"]

_LIBRARY: Final = tuple({sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["platstdlib"]})
_INSTALLED: Final = tuple(
    {sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"], *site.getsitepackages()}
)
_OURS: Final = str(Path(newel.__file__).parent)
_EXAMPLES: Final = str(Path(_OURS) / "_examples")

_PARALLEL: Final = "`await parallel(…)` with the same calls."
_WITHIN: Final = "`within=` on the wait, or `timeout=` on the step."
_NO_OWNER: Final = "cannot rest: a branch that waits would leave the others without an owner."
_CUTS: Final = "cannot rest: it cancels the others in the middle of a call."
_FORGETS: Final = "forgets everything when the process restarts."
_F105: Final = {
    "gather": (_NO_OWNER, _PARALLEL),
    "wait": (_NO_OWNER, _PARALLEL),
    "as_completed": (_NO_OWNER, _PARALLEL),
    "shield": (_NO_OWNER, _PARALLEL),
    "create_task": (_NO_OWNER, _PARALLEL),
    "ensure_future": (_NO_OWNER, _PARALLEL),
    "TaskGroup": (_CUTS, _PARALLEL),
    "sleep": (_FORGETS, '`await timer("…", after=…)`.'),
    "wait_for": (_CUTS, _WITHIN),
    "timeout": (_CUTS, _WITHIN),
    "timeout_at": (_CUTS, _WITHIN),
    "Queue": (_FORGETS, "an `Event` at module level, and `await event.wait(…)`."),
    "Event": (_FORGETS, "an `Event` of newel at module level, and `await event.wait(…)`."),
    "Future": (_FORGETS, "an `Event` of newel at module level, and `await event.wait(…)`."),
    "Lock": (_FORGETS, '`async with lock("…"):`.'),
    "Semaphore": (_FORGETS, '`async with lock("…"):`.'),
    "Condition": (_FORGETS, '`async with lock("…"):`.'),
    "to_thread": (_NO_OWNER, "a plain `def` with `@step`: it runs in a thread."),
    "run_in_executor": (_NO_OWNER, "a plain `def` with `@step`: it runs in a thread."),
}
_KNOWN_AS: Final = {
    "Timeout": "timeout",
    "_GatheringFuture": "gather",
    "__sleep0": "sleep",
    "_ContextManagerMixin": "Lock",
    "get_debug": "Future",
    "create_future": "Future",
    "call_at": "sleep",
    "call_later": "sleep",
}


_playing: Final = asyncio._get_running_loop  # noqa: SLF001 - made for those who play the loop
_play: Final[Any] = asyncio._set_running_loop  # noqa: SLF001 - as above; Any: we are none


class StandIn:
    """Plays the event loop while a body is driven; refused: what the body tried, if anything."""

    author: str
    refused: NotDurable | None

    def __init__(self, module: str) -> None:
        """Take the module of the process: its package is the author's, wherever it lies."""
        self.__dict__.update(author=module.partition(".")[0], refused=None)

    def enter(self) -> asyncio.AbstractEventLoop | None:
        """Stand in for the loop; gives what `leave` takes. Once or twice for each step of a run."""
        before = _playing()
        _play(self)
        return before

    def leave(self, before: asyncio.AbstractEventLoop | None) -> None:
        """Give the place back."""
        _play(before)

    def refuse(self, error: NotDurable) -> NotDurable:
        """Keep the first refusal: a body that swallows it is stopped nevertheless."""
        if self.refused is None:
            self.__dict__["refused"] = error
        return error

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        caller = sys._getframe(1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        raise self.refuse(_called(caller, name, self.author))

    def __hash__(self) -> int:
        caller = sys._getframe(1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        raise self.refuse(_called(caller, "current_task", self.author))

    def __eq__(self, other: object) -> bool:
        return self is other


def refused(loop: StandIn) -> tuple[str, str] | None:
    """Why a run whose body tried what cannot rest parks, even where the body has swallowed that."""
    return None if loop.refused is None else ("bug", str(loop.refused))


def awaited(coroutine: Any, yielded: object, author: str) -> NotDurable:
    """Say what a suspended coroutine awaits that is no act; Any: a coroutine of any kind."""
    place, inner = None, coroutine
    while iscoroutine(inner) and not _is_foreign(inner.cr_code, author):
        if inner.cr_frame is not None:
            place = inner.cr_frame
        inner = inner.cr_await
    code = getattr(inner, "cr_code", None) or getattr(inner, "gi_code", None)
    if code is not None and _is_foreign(code, author):
        return _refusal(code.co_qualname, _package(code), place)
    kind = type(yielded)
    return _refusal(kind.__qualname__, kind.__module__.removeprefix("_").partition(".")[0], place)


def _called(frame: FrameType, name: str, author: str) -> NotDurable:
    """Say what an author's code has called that asked for the loop."""
    inner, at = None, frame
    while _is_foreign(at.f_code, author) and at.f_back is not None:
        inner, at = at, at.f_back
    if inner is None:
        return _refusal(name, "asyncio", at)
    return _refusal(inner.f_code.co_qualname, _package(inner.f_code), at)


def _refusal(qualname: str, package: str, frame: FrameType | None) -> NotDurable:
    named = ".".join(part for part in qualname.split(".") if not part.startswith("__a"))
    parts = [_KNOWN_AS.get(part, part) for part in named.split(".")]
    place = "" if frame is None else _placed(frame)
    if package in {"asyncio", "builtins"}:
        for part in parts:
            if part in _F105:
                why, fix = _F105[part]
                return NotDurable(
                    awaited=f"asyncio.{part}", place=place, code="F105", why=why, fix=fix
                )
    return NotDurable(awaited=".".join([package, *parts]), place=place)


def _placed(frame: FrameType) -> str:
    """Name a place in a frame: `module:line:column`."""
    column = None
    if frame.f_lasti >= 0:
        positions = list(frame.f_code.co_positions())
        column = positions[frame.f_lasti // 2][2]
    module = frame.f_globals.get("__name__", "?")
    return f"{module}:{frame.f_lineno}:{(column or 0) + 1}"


def _is_foreign(code: CodeType, author: str) -> bool:
    """Whether code is neither the author's nor written by the same company."""
    file = code.co_filename
    if file.startswith(_EXAMPLES):
        return False
    if file.startswith(("<frozen", _OURS)):
        return True
    if file.startswith(_INSTALLED):
        return _package(code) != author
    return file.startswith(_LIBRARY)


def _package(code: CodeType) -> str:
    """The top-level package that a library's code belongs to."""
    for root in sorted((*_INSTALLED, *_LIBRARY), key=len, reverse=True):
        if code.co_filename.startswith(root):
            first = code.co_filename[len(root) :].lstrip("/\\").replace("\\", "/").partition("/")[0]
            return first.removesuffix(".py")
    return Path(code.co_filename).stem
