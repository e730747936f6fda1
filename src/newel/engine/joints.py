"""What opens branches beside each other: `parallel`, races, groups; and how each of them ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from newel.base.errors import Cancelled
from newel.engine.branches import Branch, Cancellation, Ready
from newel.flow.act import Fork
from newel.flow.groups import Ending, Group, Joining
from newel.flow.races import Race, dropped

if TYPE_CHECKING:
    from newel.engine.body import Body


class OpenFork:
    """A `parallel` whose branches have not all ended."""

    def __init__(self, body: Body, owner: Branch, fork: Fork[object]) -> None:
        self.body = body
        self.owner = owner
        self.live: dict[Branch, None] = {}
        self.open = len(fork.branches)
        self.values: list[object] = [None] * self.open
        self.errors: dict[int, BaseException] = {}
        self.base = owner.path
        self.id = body.opened(self, owner)
        for number, awaitable in enumerate(fork.branches):
            body.begin(self, owner, number, awaitable, owner.context)
        if not fork.branches:
            self._join()

    def ended(self, branch: Branch, value: object, error: BaseException | None) -> None:
        """All branches end before the owner goes on."""
        self.values[branch.number] = value
        if error is not None:
            self.errors[branch.number] = error
        self.owner.moment.at = max(self.owner.moment.at, branch.moment.at)
        self.open -= 1
        if self.open == 0:
            self._join()

    def untold(self) -> Iterable[BaseException]:
        """The failures, until all branches have ended."""
        return self.errors.values()

    def _join(self) -> None:
        self.body.closed(self)
        error = joined_error(self.errors[number] for number in sorted(self.errors))
        if isinstance(error, Cancelled):
            for hidden in self.errors.values():
                self.body.heard_of(hidden)
        value = None if error is not None else tuple(self.values)
        self.body.enqueue(self.owner, 0, Ready(value, error, self.owner.moment.at))


class OpenRace:
    """A race: undecided, or with stragglers that have not ended."""

    def __init__(self, body: Body, owner: Branch, race: Race[Any], key: str) -> None:
        self.body = body
        self.owner = owner
        self.race = race
        self.key = key
        self.live: dict[Branch, None] = {}
        self.is_decided = False
        self.names: list[str] = []
        self.values: list[object] = []
        self.failures: list[Exception] = []
        self.cancelled: Cancelled | None = None
        self.to_come = len(race.branches)
        self.waiting: list[Branch] = []
        self.base = owner.path
        self.id = body.opened(self, owner)
        for number, (_, awaitable) in enumerate(race.branches):
            if self.is_decided and not race.losers_finish:
                dropped(awaitable)
                continue
            body.begin(self, owner, number, awaitable, owner.context)
            self.to_come -= 1
        self.to_come = 0
        self._settle()

    def ended(self, branch: Branch, value: object, error: BaseException | None) -> None:
        """The end of a branch decides the race, or nothing."""
        if self.is_decided:
            self.body.heard_of(error)
            self._settle()
            return
        self.owner.moment.at = max(self.owner.moment.at, branch.moment.at)
        if isinstance(error, Cancelled):
            self.cancelled = error
        elif self.race.need is None:
            self._note(branch, value)
            self._decide(error)
        elif error is None:
            self._note(branch, value)
            if len(self.values) == self.race.need:
                self._decide(None)
        elif isinstance(error, Exception):
            self.failures.append(error)
        self._settle()

    def untold(self) -> Iterable[BaseException]:
        """The failures, until it is decided."""
        return () if self.is_decided else self.failures

    def _note(self, branch: Branch, value: object) -> None:
        self.names.append(self.race.branches[branch.number][0])
        self.values.append(value)

    def _settle(self) -> None:
        left = len(self.live) + self.to_come
        if not self.is_decided and len(self.values) + left < (self.race.need or 1):
            if self.cancelled is not None and left == 0:
                self.is_decided = True
                at = self.owner.moment.at
                self.body.enqueue(self.owner, 0, Ready(None, self.cancelled, at))
            elif self.cancelled is None:
                self._decide(ExceptionGroup("too few branches succeeded", self.failures))
        if left == 0 and self.is_decided:
            self.body.closed(self)
            waiting, self.waiting = self.waiting, []
            for branch in waiting:
                self.body.answer(branch)

    def _decide(self, error: BaseException | None) -> None:
        names = tuple(self.names)
        decided = self.body.decide(self.key, "race", "lost" if error is not None else "won", names)
        self.is_decided = True
        if decided is None:
            return
        value = None
        if error is None:
            value = self.race.result(names, tuple(self.values), list(self.failures))
        self.body.enqueue(self.owner, decided.seq, Ready(value, error, decided.at))
        if not self.race.losers_finish:
            self.body.parted(self)
            for branch in list(self.live):
                self.body.cancel(branch, Cancellation(decided.seq, "race", (len(branch.path), 0)))

    def rest(self, branch: Branch) -> None:
        """Let a branch wait for the stragglers."""
        if self.live:
            self.waiting.append(branch)
        else:
            self.body.answer(branch)


class OpenGroup:
    """A group: members run beside the body, which joins, completes or cancels them."""

    def __init__(self, body: Body, owner: Branch, group: Group[Any]) -> None:
        self.body = body
        self.owner = owner
        self.group = group
        self.live: dict[Branch, None] = {}
        self.ending: set[Branch] = set()
        self.values: list[object] = []
        self.failures: list[Exception] = []
        self.cancelled: Cancelled | None = None
        self.is_seen = False
        self.members = 0
        self.latest = owner.moment.at
        self.joining: dict[str, tuple[Branch, Joining[Any]]] = {}
        self.closing: tuple[Branch, bool] | None = None
        self.is_left = False
        self.base = owner.path
        self.id = body.opened(self, owner)
        owner.path = (*self.base, (self.id, 0))

    def ended(self, branch: Branch, value: object, error: BaseException | None) -> None:
        """A member has ended: what it gave counts, unless the group went on without it."""
        if branch in self.ending:
            self.ending.discard(branch)
            if not isinstance(error, Cancelled):
                self.body.heard_of(error)
        elif isinstance(error, Cancelled):
            self.cancelled = error
        elif isinstance(error, Exception):
            self.failures.append(error)
        else:
            self.values.append(value)
        self.latest = max(self.latest, branch.moment.at)
        for key, (waiting, join) in list(self.joining.items()):
            if self._try_join(key, waiting, join):
                self.body.wakes(key)
        self._try_close()

    def untold(self) -> Iterable[BaseException]:
        """The failures, until somebody has joined the group, or given it up."""
        return () if self.is_seen else self.failures

    def join(self, key: str, branch: Branch, join: Joining[Any]) -> None:
        """Let a branch wait for all members, or for some successes."""
        self.joining[key] = (branch, join)
        if not self._try_join(key, branch, join):
            self.body.idle(key, branch, lambda: self.joining.pop(key, None))

    def _try_join(self, key: str, branch: Branch, join: Joining[Any]) -> bool:
        open_ = len(self.live) - len(self.ending)
        if join.need is None:
            if open_:
                return False
        elif len(self.values) < join.need and (open_ or not self.failures):
            return False
        decided = self.body.decide(key, "group", "join", ())
        self.joining.pop(key, None)
        if decided is None:
            return True
        error: BaseException | None = None
        values = tuple(self.values)
        if join.need is not None and len(values) >= join.need:
            values = values[: join.need]
        elif self.failures:
            self.is_seen = True
            error = ExceptionGroup("members of a group failed", list(self.failures))
        self.body.enqueue(branch, decided.seq, Ready(None if error else values, error, decided.at))
        if join.need is not None and not join.losers_finish:
            self.is_seen = True
            self._end_members(decided.seq)
        return True

    def end(self, key: str, branch: Branch, ending: Ending) -> None:
        """End the open members at once; `complete` keeps what the finished ones gave."""
        decided = self.body.decide(key, "group", ending.verb, ())
        if decided is None:
            return
        if ending.verb == "cancel":
            self.is_seen = True
        self.body.enqueue(branch, decided.seq, Ready(None, None, decided.at))
        self._end_members(decided.seq)

    def _end_members(self, seq: int) -> None:
        for member in list(self.live):
            self.ending.add(member)
            self.body.cancel(member, Cancellation(seq, "group", (len(member.path), 0)))

    def close(self, branch: Branch, *, is_orderly: bool) -> None:
        """Join what is left, at the end of the block."""
        self.closing = (branch, is_orderly)
        self._try_close()

    def leave(self, branch: Branch) -> None:
        """Let the body go on at once with a fault; the members are on their own from here."""
        self.is_left = True
        self.owner.path = self.base
        self.body.answer(branch)
        if not self.live:
            self.body.closed(self)

    def _try_close(self) -> None:
        if self.live:
            return
        if self.is_left:
            self.body.closed(self)
            return
        if self.closing is None:
            return
        branch, is_orderly = self.closing
        self.closing = None
        self.body.closed(self)
        self.owner.path = self.base
        error: BaseException | None = None
        if is_orderly and self.cancelled is not None:
            error = self.cancelled
        elif is_orderly and self.failures and not self.is_seen:
            error = ExceptionGroup("members of a group failed", list(self.failures))
        self.body.enqueue(branch, 0, Ready(None, error, self.latest))


def joined_error(errors: Iterable[BaseException]) -> BaseException | None:
    """Make one exception of those of all branches; being cancelled goes before failing.

    An operator's cancellation goes first: it ends more than any other.
    """
    found = list(errors)
    cancelled = [error for error in found if isinstance(error, Cancelled)]
    if cancelled:
        return min(cancelled, key=lambda error: error.seq)
    other = next((error for error in found if not isinstance(error, Exception)), None)
    if other is not None or not found:
        return other
    return ExceptionGroup("branches of a parallel failed", [*_exceptions(found)])


def _exceptions(errors: list[BaseException]) -> Iterator[Exception]:
    for error in errors:
        if isinstance(error, Exception):
            yield error
