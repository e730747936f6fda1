"""What is refused where it is written: each code with its message, and a twin that is accepted."""

from __future__ import annotations

from typing import Any

import pytest

from newel import Absent, Connection, Found, process, step
from newel.base.errors import Refused
from newel.flow.refusals import declared_process, declared_step, finding
from newel.flow.step import StepOptions

HERE = __name__


async def _look(number: int) -> Found[int] | Absent:
    return Found(number)


def _plain_look(number: int) -> Any:
    return Found(number)


async def _count(number: int) -> int:
    return number


def _plain(number: int) -> int:
    return number


async def _bare(account) -> None:  # the mistake under test
    del account


async def _reserve(db: Connection, number: int) -> int:
    return number + len(str(db))


class Desks:
    """A connector."""

    async def reserve(self, db: Connection) -> int:
        """Reserve."""
        return len(str(db))

    def weigh(self) -> int:
        """Weigh."""
        return 1


async def _set(names: tuple[str, ...]) -> set[str]:
    return set(names)


async def _anything(name: str) -> Any:
    return name


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "F701": (
        _bare,
        {},
        (
            "`account` of `_bare` has no annotation: newel must know the type to read it back. "
            "Fix: annotate every parameter and the result (`-> None` too)."
        ),
    ),
    "F702": (
        _set,
        {},
        (
            "`set[str]` (the result) cannot be kept in the journal: it has no order. Fix: "
            "`tuple[str, ...]`."
        ),
    ),
    "F702 Any": (
        _anything,
        {},
        (
            "`Any` (the result) cannot be kept in the journal: what it is cannot be known when it "
            "is read back. Fix: name the type."
        ),
    ),
    "F703 verify": (
        _count,
        {"verify": _plain_look},
        (
            "The `verify` of `_count` is a plain `def`: it could not look without holding up "
            "everybody else. Fix: `async def`."
        ),
    ),
    "F704 method": (
        Desks.reserve,
        {"transactional": True},
        (
            "`transactional=True` on the method `Desks.reserve`. Fix: a module-level function; "
            "read the connector's data in another step."
        ),
    ),
    "F704 connection": (
        _count,
        {"transactional": True},
        (
            "`transactional=True`, and the first parameter of `_count` is no `Connection`. Fix: "
            "`async def _count(db: Connection, …)`."
        ),
    ),
    "F704 doubt": (
        _reserve,
        {"transactional": True, "in_doubt": "repeat"},
        (
            "`_reserve` is transactional and says what to do in doubt: it can never be. Fix: leave "
            "out `verify=` and `in_doubt=`."
        ),
    ),
    "F704 pool": (
        Desks.weigh,
        {"pool": "process"},
        (
            "`weigh` asks for a process of its own, which could not find it by its name. Fix: a "
            "module-level function."
        ),
    ),
    "F704 heavy": (
        _count,
        {"pool": "process"},
        (
            "`_count` is an `async def` and asks for a process of its own. Fix: a plain `def`; "
            "what waits needs no second processor."
        ),
    ),
    "F708": (
        _count,
        {"raises": (KeyError, Exception)},
        "`raises=Exception` would turn every fault into an answer. Fix: name the classes.",
    ),
}
GOOD: list[tuple[Any, dict[str, Any]]] = [
    (_count, {"verify": _look, "raises": KeyError}),
    (_reserve, {"transactional": True, "raises": (KeyError,)}),
    (_plain, {"pool": "process", "in_doubt": "repeat"}),
    (_plain, {}),
]


@pytest.mark.parametrize("case", BAD)
def test_a_step_that_cannot_work_is_refused_where_it_is_written(case):
    """One line: where, which code, what is wrong, how to mend it."""
    function, options, said = BAD[case]
    with pytest.raises(Refused) as refused:
        step(**options)(function)
    code = case.partition(" ")[0]
    at = finding(function, "", "", "")
    place = f"{HERE}:{function.__code__.co_firstlineno}:{at.column}"
    assert str(refused.value) == f"{place} {code} error: {said}"


@pytest.mark.parametrize("case", range(len(GOOD)))
def test_the_twin_of_a_mistake_is_accepted(case):
    """What the messages propose is what works."""
    function, options = GOOD[case]
    assert step(**options)(function).function is function


def test_a_method_is_placed_at_its_own_column():
    """The column is that of the definition, counted from 1."""
    assert finding(Desks.weigh, "", "", "").column == 5
    assert finding(_plain, "", "", "").column == 1


def test_a_process_that_could_not_wait_is_refused():
    """F703, and F708 for its `raises`; both at once."""
    found = list(declared_process(_plain, "expense", (Exception,)))
    assert [each.code for each in found] == ["F708", "F703"]
    assert found[1].what == "The process `expense` is a plain `def`: it could not wait."
    with pytest.raises(Refused) as refused:
        process(subject=None, raises=Exception)(_plain)  # type: ignore[arg-type]
    assert [each.code for each in refused.value.findings] == ["F703", "F708"]
    assert list(declared_process(_count, "expense", (KeyError,))) == []


def test_several_mistakes_of_one_step_are_told_at_once():
    """Nobody has to mend and try again five times."""
    options = StepOptions(transactional=True, in_doubt="repeat", raises=(BaseException,))  # type: ignore[arg-type]
    codes = {each.code for each in declared_step(_bare, "bare", options, _plain_look)}
    assert codes == {"F703", "F704", "F708"}
