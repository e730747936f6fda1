"""The plan and what is shown of a run: read from code and journal, never guessed."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from newel import (
    Invalid,
    Overdue,
    approval,
    days,
    first_of,
    parallel,
    process,
    section,
    step,
    team,
    timer,
)
from newel.drawing.drawing import drawing_of
from newel.drawing.layout import picture_of
from newel.drawing.mermaid import flowchart
from newel.drawing.overlay import shown
from newel.drawing.picture import Dot, Pill
from newel.drawing.plan import Planned, planned
from newel.drawing.text import outline
from newel.testing import running
from tests.unit.drawing.flowcharts import parse

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Hire:
    """Who comes; `is_costly` is a property, which nobody runs to make a plan."""

    role: str
    repositories: tuple[str, ...]
    starts_at: datetime = MONDAY

    @property
    def is_costly(self) -> bool:
        """Fail whoever asks."""
        raise AssertionError("a plan runs no code")


@step(in_doubt="repeat")
async def make(what: str) -> str:
    """Make something, unless it cannot be made."""
    if what == "broken":
        raise Invalid("nobody can make it")
    return what


@process(subject=None, owner="it")
async def arriving(hire: Hire) -> str:
    """Somebody arrives."""
    await asked()
    if hire.is_costly:
        await make["costly"]("x")
    await parallel(*[make[each](each) for each in hire.repositories])
    if hire.role == "sales":
        await make["seat"]("seat")
    await timer("first-day", at=hire.starts_at)
    return "here"


async def asked() -> None:
    """The manager answers, or HR does."""
    try:
        decision = await approval("manager", by=team("it"), within=days(2))
    except Overdue:
        decision = await approval("hr", by=team("hr"))
    if not decision.approved:
        raise Invalid("no")


def said(lines: tuple[Planned, ...]) -> dict[str, str]:
    """What is said of each line."""
    return {each.key or each.node: each.said for each in lines}


def test_a_plan_before_the_start_names_what_comes_and_why():
    """Items by name, arms by the input, what a person decides by its condition, dates as known."""
    found = planned(arriving.request(Hire("engineer", ("api", "web"))))
    early = "expected (unless it ends early: not approved?)"
    assert said(found.lines) == {
        "manager": "will-run",
        "hr": "maybe (only if nobody answers within 2 days)",
        "make[costly]": "maybe (depends on: hire's is costly?)",
        "make[api]": early,
        "make[web]": early,
        "make[seat]": "not-needed (Hire's role is sales? no)",
        "first-day": early,
    }
    assert found.of("first-day")[0].due == MONDAY
    none = planned(arriving.request(Hire("sales", ())))
    assert said(none.lines)["make[*]"] == "not-needed (none: hire's repositories)"
    unknown = planned(arriving)
    assert said(unknown.lines)["make[*]"] == "maybe (number not known yet: hire's repositories)"


@step(in_doubt="repeat")
async def look(what: str) -> str:
    """Look at something."""
    return what


async def two(what: str) -> None:
    """Look, then make."""
    await look["first"](what)
    await make["second"](what)


@process(subject=None, owner="it")
async def branching(what: str) -> None:
    """Two things beside each other, one of them in two steps; then the answer to a question."""
    await parallel(two(what), look["beside"](what))
    if what == "broken":
        await look["after"](what)


async def test_a_line_is_done_only_where_nothing_before_it_is_open():
    """A branch whose second step is parked is not left; its sibling is, and the fork is entered.

    Settled by hand, the answer is shown as given and all lines up to the end are done.
    """

    def words_of_lines() -> Counter[str]:
        picture = picture_of(drawing_of(branching), shown(drawing_of(branching).tree, run.plan()))
        pills = [each.word for each in picture.nodes if isinstance(each, Pill)]
        dots = [
            each.word for each in picture.nodes if isinstance(each, Dot) and each.look == "fork"
        ]
        assert dots == ["done"]
        return Counter(
            [*(each.word for each in picture.lines), *(f"pill {each}" for each in pills)]
        )

    async with running(branching.request("broken")) as run:
        assert run.parked()
        parked = words_of_lines()
        assert parked["parked"] == 1
        assert parked["pill done"] == 0
        await run.skip("make[second]")
        await run.result()
        over = words_of_lines()
        assert over["pill done"] == 1
        assert over[""] + over["parked"] == 0
        assert over["done"] > parked["done"]


@process(subject=None, owner="it")
async def making(names: tuple[str, ...]) -> None:
    """Many things at once, then one more."""
    await parallel(*[make[each](each) for each in names])
    with section("later"):
        await make("last")


async def test_a_run_shows_the_worst_of_many_with_a_counter():
    """One of three is parked: the card says so and counts, what follows comes after it."""
    async with running(making.request(("a", "broken", "c"))) as run:
        assert run.parked()
        plan = run.plan()
        states = shown(drawing_of(making).tree, plan)
        assert (states["make[*]"].word, states["make[*]"].counter) == ("parked", "2 of 3")
        assert states["later/make"].said == "Next"
        assert "Parked, 2 of 3" in outline(drawing_of(making).tree, _said(states))
        words = {id_: each.word for id_, each in states.items()}
        chart = flowchart(drawing_of(making).graph, words)
        parse(chart)
        assert re.search(r"class .*n_make_5b_2a_5d parked", chart)
        await run.skip("make[broken]")
        await run.result()
        assert {each.state for each in run.plan().lines} == {"done", "skipped"}


def _said(states):
    return {id_: each.said for id_, each in states.items()}


@process(subject=None, owner="it", title='Who is "first" <b>#1</b> | [x]?')
async def racing() -> str:
    """A race."""
    won = await first_of(
        "race", ask=approval("ask", by=team("it")), wait=timer("wait", after=timedelta(hours=1))
    )
    match won.name:
        case "ask":
            return await make["asked"]("a")
        case _:
            return await make["late"]("l")


async def test_who_lost_is_not_needed_and_says_why():
    """The decided race names the winner; the way that follows it is taken, the other is not."""
    async with running(racing.request()) as run:
        before = said(run.plan().lines)
        assert before["make[asked]"] == "maybe (depends on: won's name?)"
        await run.decide("ask", approved=True)
        after = said(run.plan().lines)
        assert after["wait"] == "cancelled"
        assert after["make[late]"].startswith("not-needed")
        assert after["make[asked]"] == "done"


def test_labels_change_no_structure():
    """Quotes, markup and brackets in a title or a condition stay text."""
    nodes, edges = parse(flowchart(drawing_of(racing).graph))
    assert len(nodes) == len(drawing_of(racing).graph.nodes)
    assert edges
