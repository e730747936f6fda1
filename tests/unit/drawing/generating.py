"""Random processes: every kind of block inside every other, as source that can be read and run.

A seed gives the text of one process and all that its world decides: which conditions hold, who
says yes, what fails. The processes of many seeds are written into one module. Each act has its own
literal key, or its own step where keys are computed, so that all patterns are disjoint.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from newel import Invalid, step
from newel.base.errors import ProcessError

__all__ = ["HEAD", "ITEMS", "Case", "NoSeat", "do", "free", "made", "risky"]

HEAD = '''"""Random processes."""

from datetime import timedelta

from newel import (
    Overdue, approval, compensation, first_of, group, lock, n_of, parallel, process, section, step,
    team, timer,
)
from tests.unit.drawing.generating import NoSeat, do, free, made, risky
'''
ITEMS = ("x", "y", "it's 🪑")


class NoSeat(ProcessError):
    """There is no seat left."""


async def made(what: str) -> str:
    """Do something, unless it is never done or fails for good."""
    if what in _WORLD.refused:
        raise Invalid("nobody can do it")
    return what


@dataclass
class _World:
    refused: frozenset[str] = frozenset()
    full: frozenset[str] = frozenset()


_WORLD = _World()


@step(in_doubt="repeat")
async def do(what: str) -> str:
    """Do one thing."""
    return await made(what)


@step(in_doubt="repeat", raises=NoSeat)
async def risky(what: str) -> str:
    """Take a seat, if there is one."""
    if what in _WORLD.full:
        raise NoSeat
    return await made(what)


@step(in_doubt="repeat")
async def free(what: str) -> str:
    """Free a seat."""
    return what


@dataclass
class Case:
    """One process and its world.

    While it is written, may_fail says whether an exception may leave what is written now, and depth
    how many blocks may still stand inside each other.
    """

    seed: int
    flags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.name = f"p{self.seed}"
        self._number = 0
        self._acts = 0
        self._rounds = 0
        self._most = self.random.randint(3, 12)
        self._head: list[str] = []
        self._helpers: list[str] = []
        self.text = self._written()
        self.items = self.random.sample(ITEMS, self.random.randint(0, 3))
        self.flags = [each for each in self.flags if self.random.random() < 0.5]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make the world as this case wants it, while the block runs."""
        keys = [f"n{number}" for number in range(self._number + 1)]
        _WORLD.full = frozenset(self._some(keys, 0.5))
        _WORLD.refused = frozenset(self._some([*keys, *ITEMS], 0.05))
        try:
            yield
        finally:
            _WORLD.full = _WORLD.refused = frozenset()

    def _some(self, keys: Sequence[str], share: float) -> list[str]:
        chance = Random(f"{self.seed} {share}")
        return [each for each in keys if chance.random() < share]

    def says(self, key: str) -> bool:
        """What is answered to a question."""
        return Random(f"{self.seed} {key}").random() < 0.6

    def _written(self) -> str:
        body = self._block(4, may_fail=True) or ["pass"]
        main = [
            '@process(subject=None, owner="it", raises=NoSeat)',
            f"async def {self.name}(flags: list[str], items: list[str]) -> str:",
            *_in(['"""Do what chance says."""', *body, 'return "done"']),
        ]
        return "\n\n".join(["\n".join(self._head), *self._helpers, "\n".join(main)])

    def _fresh(self) -> str:
        self._number += 1
        return f"n{self._number}"

    # --- blocks -----------------------------------------------------------------------------------

    def _block(self, depth: int, *, may_fail: bool, in_finally: bool = False) -> list[str]:
        found: list[str] = []
        for _ in range(self.random.choice((1, 1, 2, 2, 3))):
            if self._acts >= self._most:
                break
            made = self._statement(depth, may_fail=may_fail, in_finally=in_finally)
            found += made
            if made and made[-1].startswith(("return", "raise", "break", "continue")):
                break
        return found or [f'await do["{self._act()}"]("x")']

    def _act(self) -> str:
        self._acts += 1
        return self._fresh()

    def _statement(self, depth: int, *, may_fail: bool, in_finally: bool) -> list[str]:
        simple: list[Callable[[], list[str]]] = [
            self._do, self._do, self._ask, self._timer, self._many, self._fan_out, self._race,
        ]  # fmt: skip
        if may_fail:
            simple.append(self._risk)
        deep: list[Callable[[], list[str]]] = [
            lambda: self._if(depth, may_fail, in_finally),
            lambda: self._if(depth, may_fail, in_finally),
            lambda: self._answered(depth, may_fail, in_finally),
            lambda: self._while(depth, may_fail, in_finally),
            lambda: self._for(depth, may_fail, in_finally),
            lambda: self._parallel(depth),
            lambda: self._parallel(depth),
            lambda: self._raced(depth),
            lambda: self._caught(depth, may_fail, in_finally),
            lambda: self._overdue(depth, may_fail, in_finally),
            lambda: self._finally(depth, may_fail),
            lambda: self._compensation(depth, may_fail),
            lambda: self._section(depth, may_fail),
            lambda: self._called(depth, may_fail),
            lambda: self._lock(depth, may_fail),
            self._counted,
            self._group,
        ]
        chosen = self.random.choice(deep if depth and self.random.random() < 0.6 else simple)
        return chosen()

    def _do(self) -> list[str]:
        name = self._act()
        return [f'await do["{name}"]("{name}")']

    def _risk(self) -> list[str]:
        name = self._act()
        return [f'await risky["{name}"]("{name}")']

    def _ask(self) -> list[str]:
        return [f'await approval("{self._act()}", by=team("it"))']

    def _timer(self) -> list[str]:
        return [f'await timer("{self._act()}", after=timedelta(hours=1))']

    def _own_step(self) -> str:
        name = self._act()
        self._head += [
            '@step(in_doubt="repeat")',
            f"async def {self.name}_{name}(what: str) -> str:",
            '    """Do one of many."""',
            "    return await made(what)",
            "",
        ]
        return f"{self.name}_{name}"

    def _many(self) -> list[str]:
        name = self._own_step()
        return ["for item in items:", f"    await {name}[item](item)"]

    def _fan_out(self) -> list[str]:
        name = self._own_step()
        return [f"await parallel(*[{name}[item](item) for item in items])"]

    def _race(self) -> list[str]:
        race, ask, late, after = self._fresh(), self._act(), self._act(), self._act()
        return [
            (
                f'{race} = await first_of("{race}", ask=approval("{ask}", by=team("it")),'
                f' late=timer("{late}", after=timedelta(hours=2)))'
            ),
            f'if {race}.name == "late":',
            f'    await do["{after}"]("{after}")',
        ]

    def _flag(self) -> str:
        name = self._fresh()
        self.flags.append(name)
        return f'"{name}" in flags'

    def _if(self, depth: int, may_fail: bool, in_finally: bool) -> list[str]:
        inside = self._block(depth - 1, may_fail=may_fail, in_finally=in_finally)
        if not in_finally and self.random.random() < 0.2:
            inside.append('return "early"')
        found = [f"if {self._flag()}:", *_in(inside)]
        if self.random.random() < 0.5:
            other = self._block(depth - 1, may_fail=may_fail, in_finally=in_finally)
            found += ["else:", *_in(other)]
        return found

    def _answered(self, depth: int, may_fail: bool, in_finally: bool) -> list[str]:
        name = self._act()
        inside = self._block(depth - 1, may_fail=may_fail, in_finally=in_finally)
        if may_fail and not in_finally and self.random.random() < 0.2:
            inside.append("raise NoSeat")
        return [f'if (await approval("{name}", by=team("it"))).approved:', *_in(inside)]

    def _while(self, depth: int, may_fail: bool, in_finally: bool) -> list[str]:
        name = self._act()
        self._rounds += 1
        inside = self._block(depth - 1, may_fail=may_fail, in_finally=in_finally)
        self._rounds -= 1
        return [f'while not (await approval("{name}", by=team("it"))).approved:', *_in(inside)]

    def _for(self, depth: int, may_fail: bool, in_finally: bool) -> list[str]:
        step_ = self._own_step()
        leave = self.random.choice(("break", "continue"))
        found = ["for item in items:", f"    await {step_}[item](item)"]
        found += [f"    if {self._flag()}:", f"        {leave}"]
        self._rounds += 1
        found += _in(self._block(depth - 1, may_fail=may_fail, in_finally=in_finally))
        self._rounds -= 1
        if self.random.random() < 0.5:
            other = self._block(depth - 1, may_fail=may_fail, in_finally=in_finally)
            found += ["else:", *_in(other)]
        return found

    def _helper(self, depth: int, *, may_fail: bool) -> str:
        name = f"{self.name}_h{self._fresh()}"
        body = self._block(depth - 1, may_fail=may_fail)
        self._helpers.append(
            "\n".join([
                f"async def {name}(flags: list[str], items: list[str]) -> str:",
                *_in(['"""Do a part of it."""', *body, 'return "part"']),
            ])
        )  # fmt: skip
        return f"{name}(flags, items)"

    def _parallel(self, depth: int) -> list[str]:
        branches = []
        for _ in range(self.random.randint(2, 3)):
            name = self._act()
            plain = [f'do["{name}"]("{name}")', f'approval("{name}", by=team("it"))']
            branch = self.random.choice(plain)
            if self.random.random() < 0.6:
                branch = self._helper(depth, may_fail=False)
            elif self.random.random() < 0.3:
                branch = f"{branch} if {self._flag()} else None"
            branches.append(branch)
        return [f"await parallel({', '.join(branches)})"]

    def _raced(self, depth: int) -> list[str]:
        name, late = self._fresh(), self._act()
        work = self._helper(depth, may_fail=False)
        losers = self._losers()
        return [
            (
                f'await first_of("{name}", work={work},'
                f' late=timer("{late}", after=timedelta(hours=3)){losers})'
            )
        ]

    def _caught(self, depth: int, may_fail: bool, in_finally: bool) -> list[str]:
        inside = [*self._risk(), *self._block(depth - 1, may_fail=True, in_finally=in_finally)]
        handler = self._block(depth - 1, may_fail=may_fail, in_finally=in_finally)
        return ["try:", *_in(inside), "except NoSeat:", *_in(handler)]

    def _overdue(self, depth: int, may_fail: bool, in_finally: bool) -> list[str]:
        name = self._act()
        handler = self._block(depth - 1, may_fail=may_fail, in_finally=in_finally)
        return [
            "try:",
            f'    await approval("{name}", by=team("it"), within=timedelta(hours=1))',
            "except Overdue:",
            *_in(handler),
        ]

    def _finally(self, depth: int, may_fail: bool) -> list[str]:
        inside = self._block(depth - 1, may_fail=may_fail)
        return ["try:", *_in(inside), "finally:", *_in(self._do())]

    def _compensation(self, depth: int, may_fail: bool) -> list[str]:
        first, second = self._act(), self._fresh()
        inside = self._block(depth - 1, may_fail=may_fail)
        return [
            "async with compensation() as undo:",
            f'    undo(free["{second}"], "{second}")',
            f'    await do["{first}"]("{first}")',
            *_in(inside),
        ]

    def _section(self, depth: int, may_fail: bool) -> list[str]:
        return [
            f'with section("{self._fresh()}"):',
            *_in(self._block(depth - 1, may_fail=may_fail)),
        ]

    def _called(self, depth: int, may_fail: bool) -> list[str]:
        return [f"await {self._helper(depth, may_fail=may_fail)}"]

    def _lock(self, depth: int, may_fail: bool) -> list[str]:
        name = self._fresh()
        self._head += [f'{self.name}_{name} = lock("{name}")', ""]
        return [f"async with {self.name}_{name}:", *_in(self._block(depth - 1, may_fail=may_fail))]

    def _losers(self) -> str:
        """What becomes of losers; in a loop those that finish would stand in their own way."""
        return "" if self._rounds else self.random.choice(("", "", ', losers="finish"'))

    def _counted(self) -> list[str]:
        name = self._fresh()
        asked = ", ".join(f'approval("{self._act()}", by=team("it"))' for _ in range(3))
        losers = self._losers()
        return [f'await n_of("{name}", 2, {asked}{losers})']

    def _group(self) -> list[str]:
        name, one, two = self._fresh(), self._act(), self._act()
        return [
            f'async with group("{name}") as {name}:',
            f'    {name}.add(do["{one}"]("{one}"))',
            f'    {name}.add(do["{two}"]("{two}"))',
            *_in(self._ask()),
        ]


def _in(lines: Sequence[str]) -> list[str]:
    return textwrap.indent("\n".join(lines), "    ").split("\n")
