"""What the body does for each word that a branch may await, by the type of what it yields."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from newel.engine.branches import Branch
from newel.engine.joints import OpenFork, OpenGroup, OpenRace
from newel.flow.act import Act, Fork, StepAct, WaitAct
from newel.flow.children import ChildAct, ResultAct, SpawnAct
from newel.flow.compensation import Marker, Settling
from newel.flow.groups import Closing, Ending, Joining, Opening
from newel.flow.locks import Acquiring, Releasing
from newel.flow.milestones import Marking
from newel.flow.races import Race, Rest, dropped
from newel.flow.scopes import Clearing, Entering, Leaving

if TYPE_CHECKING:
    from newel.engine.body import Body

Handler = Callable[["Body", Branch, Any], None]  # Any: each word asks for something else


def _stand(body: Body, branch: Branch, act: Act[Any]) -> None:
    body.stand(branch, act)


def _fork(body: Body, branch: Branch, fork: Fork[Any]) -> None:
    if body.breaks_off(branch, fork):
        for awaitable in fork.branches:
            dropped(awaitable)
        return
    OpenFork(body, branch, fork)


def _race(body: Body, branch: Branch, race: Race[Any]) -> None:
    key = body.decide_here(branch, race)
    if key is None:
        for _, awaitable in race.branches:
            dropped(awaitable)
        return
    body.races[race] = OpenRace(body, branch, race, key)


def _rest(body: Body, branch: Branch, rest: Rest) -> None:
    body.locks.handled(branch)
    body.races[rest.race].rest(branch)


def _open_group(body: Body, branch: Branch, opening: Opening) -> None:
    body.groups[opening.group] = OpenGroup(body, branch, opening.group)
    body.answer(branch)


def _join_group(body: Body, branch: Branch, join: Joining[Any]) -> None:
    key = body.decide_here(branch, join)
    if key is not None:
        body.groups[join.group].join(key, branch, join)


def _end_group(body: Body, branch: Branch, ending: Ending) -> None:
    key = body.decide_here(branch, ending)
    if key is not None:
        body.groups[ending.group].end(key, branch, ending)


def _close_group(body: Body, branch: Branch, closing: Closing) -> None:
    opened = body.groups[closing.group]
    if closing.is_fault:
        opened.leave(branch)
    else:
        body.locks.handled(branch)
        opened.close(branch, is_orderly=closing.is_orderly)


def _enter(body: Body, branch: Branch, entering: Entering) -> None:
    body.scopes.enter(branch, entering.scope.name)


def _leave(body: Body, branch: Branch, leaving: Leaving) -> None:
    body.scopes.leave(branch, leaving)


def _clear(body: Body, branch: Branch, act: Clearing) -> None:
    key = body.decide_here(branch, act)
    if key is not None:
        body.scopes.clear(key, branch, act)


def _acquire(body: Body, branch: Branch, act: Acquiring) -> None:
    if act.lock.is_shared:
        body.stand(branch, act)
        body.locks.asks(branch, act)
        return
    key = body.decide_here(branch, act)
    if key is not None:
        body.locks.acquire(key, branch, act)


def _release(body: Body, branch: Branch, act: Releasing) -> None:
    body.locks.release(branch, act)


def _mark(body: Body, branch: Branch, act: Marking) -> None:
    key = body.decide_here(branch, act)
    if key is not None:
        body.milestones.mark(key, branch, act)


def _marker(body: Body, branch: Branch, _: Marker) -> None:
    body.answer(branch, body.joint_count)


def _settles(body: Body, branch: Branch, settling: Settling) -> None:
    body.locks.handled(branch)
    body.settling.append((branch, settling.since))
    body.settle(branch, settling.since)


WORDS: Final[dict[type, Handler]] = {
    StepAct: _stand,
    WaitAct: _stand,
    ChildAct: _stand,
    SpawnAct: _stand,
    ResultAct: _stand,
    Fork: _fork,
    Race: _race,
    Rest: _rest,
    Opening: _open_group,
    Joining: _join_group,
    Ending: _end_group,
    Closing: _close_group,
    Entering: _enter,
    Leaving: _leave,
    Clearing: _clear,
    Acquiring: _acquire,
    Releasing: _release,
    Marking: _mark,
    Marker: _marker,
    Settling: _settles,
}
