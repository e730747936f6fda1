"""By whose decision: every manner of saying yes is understood, and none is taken for granted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

import pytest

from newel import (
    Overdue,
    Person,
    Process,
    Rejected,
    SecretRef,
    StepFailed,
    approval,
    compensation,
    days,
    first_of,
    n_of,
    parallel,
    process,
    step,
    team,
    timer,
)
from newel.connectors.payroll import Gusto
from newel.drawing.drawing import drawing_of, errors_of, findings_of

gusto = Gusto(company="acme", token=SecretRef("env:GUSTO_TOKEN"), runbook="gusto.md")
LAST_DAY = date(2030, 12, 31)


@step(in_doubt="repeat", system="doors", runbook="doors.md", grants="doors:key/{door}")
async def give(door: str) -> None:
    """Give a key."""


@step(in_doubt="repeat", system="doors", runbook="doors.md", reversible=False)
async def melt(door: str) -> None:
    """Melt a key."""


@step(in_doubt="repeat", system="doors", runbook="doors.md", exhausted="fail")
async def weigh(door: str) -> int:
    """Weigh a key."""
    return len(door)


class Job(Enum):
    """What somebody does."""

    GUARD = "guard"
    GUEST = "guest"


@dataclass(frozen=True)
class Wish:
    """What somebody wants, and for whom."""

    requester: str
    visitor: Person
    door: str


@process(subject=None, owner="it")
async def by_an_arm(door: str) -> None:
    """An arm that is taken because of a yes."""
    decision = await approval("agree", by=team("it"))
    if decision.approved:
        await give(door)


@process(subject=None, owner="it")
async def by_both(door: str) -> None:
    """Two decide at once, and both must say yes."""
    one, other = await parallel(approval("a", by=team("it")), approval("b", by=team("hr")))
    if not (one.approved and other.approved):
        return
    await give(door)


@process(subject=None, owner="it")
async def by_all(names: tuple[str, ...]) -> None:
    """Many decide, and all must say yes."""
    decisions = await parallel(*[approval(f"agree[{each}]", by=team("it")) for each in names])
    if all(each.approved for each in decisions):
        await give("a")


@process(subject=None, owner="it")
async def by_rejecting(door: str) -> None:
    """A helper raises unless somebody says yes."""
    await insisted()
    await give(door)


async def insisted() -> None:
    """Somebody says yes, or it ends."""
    try:
        decision = await approval("agree", by=team("it"), within=days(2))
    except Overdue:
        decision = await approval("late", by=team("hr"))
    if not decision.approved:
        raise Rejected(decision)


@process(subject=None, owner="it")
async def by_a_flag(door: str, is_guest: bool) -> None:
    """What was said is kept in a variable, and both ways are covered."""
    agreed = False
    if is_guest:
        agreed = (await approval("guest", by=team("it"))).approved
    elif (await approval("other", by=team("hr"))).approved:
        agreed = True
    if agreed:
        await give(door)


@process(subject=None, owner="it")
async def by_a_loop(door: str) -> None:
    """Asked again until somebody says yes."""
    while True:
        if (await approval("agree", by=team("it"))).approved:
            break
        await timer("again", after=days(1))
    await give(door)


@process(subject=None, owner="it")
async def by_the_first(door: str) -> None:
    """The first who answers decides; of three two must."""
    won = await first_of("first", a=approval("a", by=team("it")), b=approval("b", by=team("hr")))
    if not won.value.approved:
        return
    await give(door)


@process(subject=None, owner="it")
async def by_a_case(door: str) -> None:
    """A case that is taken because of a yes."""
    decision = await approval("agree", by=team("it"))
    match decision.approved:
        case True:
            await give(door)
        case _:
            pass


@process(subject=None, owner="it")
async def not_by_asking(door: str) -> None:
    """Somebody is asked, and nobody looks at the answer."""
    await approval("agree", by=team("it"))
    await give(door)


@process(subject=None, owner="it")
async def not_by_either(door: str) -> None:
    """One of two is not enough, and `or` takes one."""
    one, other = await parallel(approval("a", by=team("it")), approval("b", by=team("hr")))
    if one.approved or door == "a":
        await give(door)
    elif other.approved:
        await weigh(door)


@process(subject=None, owner="it")
async def not_beside(door: str) -> None:
    """A branch does not wait for what is decided beside it."""
    await parallel(insisted(), give(door))


@process(subject=None, owner="it")
async def not_for_all(job: Job) -> None:
    """One case passes without being asked."""
    match job:
        case Job.GUARD:
            await insisted()
        case Job.GUEST:
            pass
    await give("a")


@process(subject=None, owner="it")
async def not_after_silence(door: str) -> None:
    """Silence is no yes."""
    try:
        decision = await approval("agree", by=team("it"), within=days(2))
        if not decision.approved:
            return
    except Overdue:
        pass
    await give(door)


YES = [by_an_arm, by_both, by_all, by_rejecting, by_a_flag, by_a_loop, by_the_first, by_a_case]
NO = {
    not_by_asking: "",
    not_by_either: " (line …: Approved or door is a? Approved or door is a)",
    not_beside: "",
    not_for_all: " (line …: Job? guest)",
    not_after_silence: "",
}


def _said(case: Process[..., Any]) -> list[tuple[str, str]]:  # Any: of any kind
    return [(each.code, each.what) for each in drawing_of(case).findings]


@pytest.mark.parametrize("case", YES, ids=lambda case: case.name)
def test_a_yes_is_understood_however_it_is_said(case):
    """Behind it access may be given, and nothing is found."""
    assert _said(case) == []


@pytest.mark.parametrize(("case", "path"), NO.items(), ids=lambda case: getattr(case, "name", ""))
def test_what_is_no_yes_is_told_with_its_way(case, path):
    """A single way without a yes is enough, and it is named where a choice leads to it."""
    [(code, what)] = _said(case)
    said = f"`give` can be reached without a decision{path}."
    assert (code, re.sub(r"line \d+", "line …", what)) == ("F601", said)


@process(owner="hr")
async def pays(person: Person) -> None:
    """Pay, and let others have decided."""
    await gusto.terminate_with_final_pay(person, LAST_DAY)


@process(owner="hr")
async def decides(person: Person) -> None:
    """Let another process pay, after a yes."""
    named = [gusto.terminate_with_final_pay(person, LAST_DAY)]
    if (await approval("pay", by=team("finance"), allows=named)).approved:
        await pays(person)


@process(owner="hr")
async def hurries(person: Person) -> None:
    """Let another process pay at once."""
    await pays(person)


def test_money_without_a_decision_is_an_error():
    """What asks for an approval by itself is refused where nobody is asked."""
    (only,) = errors_of([pays])
    assert (only.code, only.level) == ("F601", "error")
    assert "`gusto.terminate_with_final_pay` can be reached" in only.what


def test_a_process_that_another_one_begins_after_a_yes_needs_none_of_its_own():
    """Seen together they are sound; the one that begins it without asking changes nothing."""
    assert list(errors_of([pays, decides])) == []
    assert list(findings_of([pays], among=[decides])) == []
    assert [each.code for each in errors_of([pays, hurries])] == ["F601"]


@process(owner="it")
async def own_wish(wish: Wish) -> None:
    """Whoever wants it is asked, and whom it is for, through a helper."""
    await approval("one", by=wish.requester, remind=days(1))
    await ask(wish.visitor)


@process(owner="it", subject=lambda asked: asked.visitor)
async def own_wish_by_a_lambda(wish: Wish) -> None:
    """The same, where the author says whom the run is about."""
    await ask(wish.visitor)


async def ask(who: Person) -> None:
    """Ask somebody, or somebody else."""
    await approval("two", by=who.manager or who, remind=days(1))


def test_nobody_is_asked_about_their_own_wish():
    """The requester by the name of the field, the subject by what it is."""
    assert [code for code, _ in _said(own_wish)] == ["F603", "F603"]
    assert [code for code, _ in _said(own_wish_by_a_lambda)] == ["F603"]


@process(subject=None, owner="it", raises=StepFailed)
async def melts_early(door: str) -> None:
    """Melted, then weighed: beside each other, too, and in the next pass."""
    async with compensation() as undo:
        undo(give, door)
        await parallel(melt["a"](door), weigh["a"](door))
    async with compensation() as undo:
        undo(give["b"], door)
        while await weigh["b"](door) > 0:
            await melt["b"](door)


@process(subject=None, owner="it", raises=StepFailed)
async def melts_last(door: str) -> None:
    """Weighed, then melted; what can fail behind it is caught."""
    async with compensation() as undo:
        undo(give, door)
        await weigh["a"](door)
        await melt(door)
        try:
            await weigh["b"](door)
        except StepFailed:
            await timer("rest", after=days(1))


def test_what_lasts_comes_last():
    """F506 for what is beside and for the next pass; silence for the good order."""
    assert _said(melts_last) == []
    assert [code for code, _ in _said(melts_early)] == ["F506", "F506"]


@process(subject=None, owner="it")
async def melts_first(door: str, is_late: bool) -> None:
    """Melted before anybody is asked, on one way."""
    if is_late:
        await melt(door)
    await approval("agree", by=team("it"))
    await n_of("one", 1, approval("a", by=team("it")), approval("b", by=team("hr")))


def test_what_lasts_waits_for_the_first_approval():
    """One way is enough."""
    assert _said(melts_first) == [
        ("F602", "`melt` cannot be taken back, and comes before anybody is asked.")
    ]
