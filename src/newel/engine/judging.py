"""What becomes of a run whose past the current code does not ask for any more.

A replay meets the run's journal under whatever code there is now. Each key that the journal holds
is either visited, or it lies ahead of where the body stands, or it is gone: then the run is not
driven on, because the code would do under another name what has been done, or do what it has
been decided against. Decision 0014 tells when an outcome counts as gone, and why.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from newel.audit import catalogue as facts
from newel.base.errors import Cancelled, DefinitionError
from newel.domain.change import Change
from newel.domain.keys import base_of
from newel.engine.history import Recorded
from newel.engine.outcomes import is_declared
from newel.flow.act import Act, StepAct, WaitAct
from newel.flow.ahead import ahead, anywhere

if TYPE_CHECKING:
    from newel.engine.body import Body
    from newel.engine.runner import Runner

Why = tuple[str, str]
"""Why a run is parked: the reason's word, and a sentence for whoever mends it."""

_SHOWN: Final = 3
_TASKS: Final = frozenset({"approval", "form"})
_WITH_VERB: Final = frozenset({"group", "scope", "milestone"})
_VERB: Final = re.compile(r"(.+)\.(?:join|complete|cancel|reach|leave)")
_ONE_OF_MANY: Final = frozenset({"step", "lock", "child"})
"""Acts that are declared once, without the item that tells one of many."""


class Judge:
    """Which of a run's keys its body has come to, and what it means that others are left.

    unvisited: keys of the journal that the body has not come to yet. excused: keys that need not
    be visited any more (what lost a race and was let go); whoever lets them go puts them here.
    """

    def __init__(self, runner: Runner) -> None:
        """Judge a run that was loaded."""
        self._runner = runner
        before, now, history = runner.loaded.version, runner.version, runner.history
        self._is_moved = (before.name, before.version) != (now.name, now.version)
        self._is_changed = self._is_moved or history.changed_at > 0
        self.unvisited: set[str] = {*history.outcomes, *runner.open}
        self.excused: set[str] = set(history.kept)
        self._former: dict[str, str] = {}
        self.runs_now = False
        self.has_opened = False

    # --- keys that were renamed -------------------------------------------------------------

    def known_as(self, key: str, former: tuple[str, ...]) -> str:
        """The key under which this run knows an act: its own, else the first former one.

        Raises DefinitionError (F307) for a former key that another act of this code has.
        """
        if key in self._former:
            raise DefinitionError(
                f"`formerly=` of `{self._former[key]}` names `{key}`, which another act of this "
                "code has.",
                fix="take the name out of `formerly=`, or give the other act a new key.",
                code="F307",
            )
        if not former or self._is_known(key):
            return key
        counter = key[len(base_of(key)) :]
        for name in former:
            found = f"{name}{counter}"
            number = 1
            while self._is_known(found) and found not in self.unvisited and not counter:
                number += 1  # one of many that had no item: the next that is left
                found = f"{name}#{number}"
            if self._is_known(found) and found in self.unvisited:
                self._former[found] = key
                return found
        return key

    def _is_known(self, key: str) -> bool:
        return key in self._runner.history.outcomes or key in self._runner.open

    # --- what is left -----------------------------------------------------------------------

    def at_rest(self, body: Body) -> Why | None:
        """Why nothing new may be begun where the body rests; None if it may."""
        if not self.unvisited or self._runner.loaded.cancelling:
            return None
        if not self._is_changed or body.has_ended:
            return None
        left = self._left()
        if not left:
            return None
        asked = ahead(body.standing())
        gone = sorted(key for key in left if not asked.has(key))
        if gone:
            return self._stopped("blocked", self._gone(gone))
        self.runs_now = True
        return None

    def at_end(self, body: Body) -> Why | None:
        """Why the run must not end although its body has; None if it may."""
        if not self.unvisited or self._runner.loaded.cancelling:
            return None
        error = body.error
        if isinstance(error, Cancelled):
            return None
        if error is not None and not is_declared(error, self._runner.process.raises):
            return None  # a bug is told as one
        left = self._left()
        return self._stopped("blocked", self._gone(sorted(left))) if left else None

    def _stopped(self, reason: str, why: str) -> Why:
        """Take back what the body has decided by itself on a way that it must not go."""
        run = self._runner
        if not self.has_opened:
            run.entries.drop()
            run.change = Change(run=run.id, from_seq=run.change.from_seq)
        return reason, why

    def note_moved(self, *, ends: bool = False) -> None:
        """Say that the run goes on under other code, or cannot, and move it to that version."""
        run = self._runner
        is_said = ends or bool(run.entries or run.drifted) or run.blocked is not None
        if not self._is_moved or not is_said:
            return
        before, now, self._is_moved = run.loaded.version, run.version, False
        check: Literal["unchanged", "runs_now", "blocked"] = "unchanged"
        if run.blocked is not None or run.drifted:
            check, run.is_judged_anew = "blocked", True
        elif self.runs_now:
            check = "runs_now"
        fact = facts.RunVersionChanged(from_=before.version, to=now.version, check=check)
        run.record(fact, process=now)
        moved = {"id": str(run.id), "process": now.name, "version": now.version}
        run.change.also("moved", moved)

    def leave(self) -> None:
        """Close what a cancelled run leaves open, because its code does not come to it any more."""
        for key in sorted(self.unvisited & self._runner.open.keys()):
            is_step = self._runner.open[key].kind == "step"
            fact = facts.StepCancelled(by="run") if is_step else facts.WaitClosed(by="cancel")
            if self._runner.open[key].state == "attempting":
                self._runner.record(facts.StepInDoubt(cause="crash", policy="ask"), key=key)
            self._runner.close(key, fact)

    def _left(self) -> set[str]:
        retired = retired_keys(self._runner.process.retired)
        return {
            key
            for key in self.unvisited - self.excused
            if not (retired(key) and self._is_withdrawn(key))
        }

    def _is_withdrawn(self, key: str) -> bool:
        """Close what is open of an act that was given up on purpose; False if it may be running."""
        known = self._runner.open.get(key)
        if known is not None and known.state == "attempting":
            return False
        if known is not None:
            is_step = known.kind == "step"
            fact = facts.StepCancelled(by="run") if is_step else facts.WaitClosed(by="cancel")
            self._runner.close(key, fact)
        return True

    def _gone(self, keys: list[str]) -> str:
        shown = keys[:_SHOWN]
        names = " and ".join(f"`{key}`" for key in shown)
        if more := len(keys) - len(shown):
            names += f" and {more} more"
        done = self._what_was_done(shown)
        mentioned = anywhere(self._runner.process)
        if all(mentioned.has(key) for key in shown):
            return (
                f"The code takes another branch now: it comes no more to {names}, {done}. "
                "Put the old condition back for runs that have been there "
                "(`this_run().started_at` tells them apart), or name them in "
                "`@process(retired=[…])`."
            )
        retired = ", ".join(f'"{key}"' for key in shown)
        return (
            f"The new code no longer asks for {names}, {done}. Renamed? "
            f'`formerly="{self._declared_as(shown[0])}"`. Removed on purpose? '
            f"`@process(retired=[{retired}])`."
        )

    def _declared_as(self, key: str) -> str:
        """What `formerly=` takes for a key: the name that its act was declared by."""
        name, kind = base_of(key), self._kind_of(key)
        if kind in _WITH_VERB and (found := _VERB.fullmatch(name)) is not None:
            name = found[1]
        if kind in _ONE_OF_MANY:
            name = name.partition("[")[0].removesuffix(".result" if kind == "child" else "")
        return name

    def _kind_of(self, key: str) -> str:
        """What the journal says that the act of a key is."""
        recorded, opened = self._runner.history.outcomes.get(key), self._runner.open.get(key)
        if recorded is None or not recorded.entry:
            return "" if opened is None else opened.kind
        data = recorded.leaf()["data"]
        if recorded.type == "act.recorded":
            kind: str = data["kind"]
            return "child" if kind == "spawn" else kind
        if recorded.type == "wait.closed":
            return str(data["by"])
        is_step = recorded.type.startswith("step.") and key not in self._runner.history.waits
        return "step" if is_step else ""

    def _what_was_done(self, keys: list[str]) -> str:
        if any(key in self._runner.history.outcomes for key in keys):
            return "which this run has finished"
        return "which this run waits for"


@lru_cache(maxsize=256)
def retired_keys(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Tell whether a key was given up: `*` in a pattern stands for any item or label."""
    if not patterns:
        return lambda _: False
    written = "|".join(re.escape(each).replace(r"\*", "[^/]*") for each in patterns)
    fits = re.compile(f"(?:{written})(?:#[0-9]+)?").fullmatch
    return lambda key: fits(key) is not None


# --- acts that were called and never awaited ---------------------------------------------------


def never_awaited(body: Body) -> Why | None:
    """Say that an act was called and will never happen; None if each is, or may be, awaited.

    While the body rests, an act that some variable holds may still be awaited.
    """
    left = [act for act in body.driven.called if not act.is_awaited]
    body.driven.called = []
    lost = [
        index
        for index in range(len(left))
        if body.has_ended or _references(left, index) <= _DROPPED
    ]
    body.driven.called = left
    if not lost or (body.has_ended and body.error is not None):
        return None
    act = left[lost[0]]
    why = (
        f"`{act.base}` is called at {act.place} but never awaited: it will not happen. "
        f"Fix: `await {act.base}(…)`, or pass the call to `parallel`."
    )
    return "bug", why


def _references(objects: Sequence[object], index: int) -> int:
    return sys.getrefcount(objects[index])


_DROPPED: Final = _references([object()], 0)
"""The references to an object that stands in a list and that nobody else holds."""


# --- kinds ------------------------------------------------------------------------------------


def other_kind(runner: Runner, key: str, act: Act[Any]) -> Why | None:
    """Say that a key names another kind of act than when the run came to it; None if the same."""
    now = _kind_of(act)
    recorded = runner.history.outcomes.get(key)
    opened = runner.open.get(key)
    if now is None:
        return None
    if opened is not None:
        was: str | None = opened.kind
    else:
        was = None if recorded is None else _recorded_kind(runner, key, recorded)
    if was is None or was == now or (was == "task" and now in _TASKS):
        return None
    why = (
        f"`{key}` was {_A[was]} when this run came to it, and the code now makes it {_A[now]}. "
        "Take a new key for the new act, and name the old one in `@process(retired=[…])`."
    )
    return "blocked", why


_A: Final = {
    "step": "a step",
    "timer": "a timer",
    "approval": "an approval",
    "form": "a form",
    "task": "a task",
    "event": "a wait for a message",
    "child": "a child run",
    "lock": "a lock",
}


def _kind_of(act: Act[Any]) -> str | None:
    if isinstance(act, StepAct):
        return "step"
    return act.spec.kind if isinstance(act, WaitAct) else None


def _recorded_kind(runner: Runner, key: str, recorded: Recorded) -> str | None:
    if recorded.type.startswith("step."):
        return runner.history.waits.get(key, "step")  # a task may be completed by hand, too
    if recorded.type == "task.decided" and recorded.entry:
        return "form" if recorded.leaf()["data"]["decision"] == "submit" else "approval"
    if recorded.type == "wait.closed":
        return runner.history.waits.get(key)
    return None
