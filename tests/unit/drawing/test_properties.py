"""Random processes are read, run, drawn and planned: what is said of them is what happens.

Each test takes fifty seeds; `CASES=20000` takes that many in all. A seed that fails is in the
message, and `Case(seed).text` is its process.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
from SpiffWorkflow.exceptions import WorkflowException

from newel import Request
from newel.drawing.drawing import Drawing, drawing_of
from newel.drawing.graph import Graph
from newel.drawing.regions import Act, Choice, Race, acts_of, walk
from newel.testing import interleavings, running
from newel.testing.running import Run
from tests.modules import imported
from tests.patterns.foreseeing import Foreseeing
from tests.patterns.harness import told
from tests.unit.drawing.acceptor import Paths
from tests.unit.drawing.executing import Execution
from tests.unit.drawing.generating import HEAD, Case
from tests.unit.drawing.happenings import Happened, happenings
from tests.unit.drawing.tokens import Tokens

EACH = 50
CASES = int(os.environ.get("CASES", "500"))
MOST_VERBS = 40
FAILED_ONCE = {1308: "three that begin at once, joined in a loop"}
CHUNKS = pytest.mark.parametrize("first", range(0, CASES, EACH))


@dataclass
class Tally:
    """What a chunk of cases has shown; wrong: by seed, in words."""

    wrong: dict[int, str] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)


@contextlib.contextmanager
def written(cases: list[Case], place: Path) -> Iterator[ModuleType]:
    """Write the processes of some cases into one module."""
    file = place / f"random_{cases[0].seed}.py"
    file.write_text("\n\n\n".join([HEAD, *(each.text for each in cases)]), encoding="utf-8")
    try:
        yield imported(file)
    finally:
        sys.modules.pop(file.stem, None)


async def play(
    case: Case,
    run: Run[Any],
    foreseeing: Foreseeing | None = None,
    *,
    is_calm: bool = False,
    most: int | None = None,
) -> None:
    """Lead a run to its end: answers, time and help come as the seed says.

    most: so many verbs and no more. is_calm: time passes only where nothing else is to be done, and
    what is done goes by its key.
    """
    chance = Random(case.seed)
    for _ in range(MOST_VERBS if most is None else most):
        if foreseeing is not None:
            foreseeing.look()
        if run.row["finished_at"] is not None:
            return
        verbs = [("decide", str(each["key"])) for each in run.tasks()]
        verbs += [("complete", key) for key in run.parked()]
        is_idle = not verbs or (not is_calm and chance.random() < 0.25)
        if is_idle and run.clock.move_to_next():
            continue
        if not verbs:
            return
        verb, key = min(verbs) if is_calm else chance.choice(sorted(verbs))
        if verb == "decide":
            await run.decide(key, approved=case.says(key))
        else:
            await run.complete_by_hand(key, "by hand")


def is_exact(graph: Graph) -> bool:
    """Whether BPMN has constructs of the same meaning for all of it, and the engine has them."""
    for node in graph.nodes.values():
        if node.kind == "n_join" or (
            isinstance(node.region, Race) and node.region.losers != "cancel"
        ):
            return False
        is_noted = node.act in {"lock", "group", "compensation"} or node.multi
        if node.kind == "container" and is_noted:
            return False
    return True


@CHUNKS
async def test_what_is_said_is_what_happens(tmp_path: Path, first: int) -> None:
    """T1 to T3, T6, T7, T9: keys, paths, plans, arms taken and exports are true of every run.

    Each key has one pattern, of its kind. The trace is a path for both judges, and for the engine
    of other people's that executes the BPMN; with two things swapped whatever one judge takes the
    other takes, too. At every rest the plan foretells nothing that does not come. In other orders
    of arrival the same keys come to the same outcomes.
    """
    tally = await held([Case(seed) for seed in range(first, first + EACH)], tmp_path)
    assert tally.wrong == {}
    assert tally.seen["executed"] > EACH / 5
    assert tally.seen["swaps refused"] > tally.seen["swaps taken"] / 10 > 0


async def test_what_failed_once_holds(tmp_path: Path) -> None:
    """A seed that has found a mistake is taken each time."""
    tally = await held([Case(seed) for seed in FAILED_ONCE], tmp_path)
    assert tally.wrong == {}
    assert tally.seen["executed"] == len(FAILED_ONCE)


async def held(cases: list[Case], place: Path) -> Tally:
    """Read, run and draw some cases, and hold what is said of them against what happens."""
    tally = Tally()
    with written(cases, place) as module:
        for case in cases:
            process = getattr(module, case.name)
            assert drawing_of(process).errors == (), case.seed
            request = process.request(flags=case.flags, items=case.items)
            try:
                with case.entered():
                    await hold(case, request, tally)
            except AssertionError as error:
                tally.wrong[case.seed] = str(error)
    return tally


async def hold(case: Case, request: Request[Any], tally: Tally) -> None:
    """Run a case, in several orders where that may make no difference, and judge what is said."""
    async with running(request) as run:
        foreseeing = Foreseeing(run)
        await play(case, run, foreseeing)
        foreseeing.judge()
        judge(case, run, foreseeing, tally)
    if case.seed % 5 == 0 and "first_of" not in case.text and "n_of" not in case.text:
        assert len(await stories(case, request)) == 1


async def stories(case: Case, request: Request[Any]) -> set[object]:
    """What a case comes to in three orders of arrival, if all is answered before time passes."""
    found: set[object] = set()
    for order in (None, *interleavings(2, first=case.seed + 1)):
        async with running(request, order=order) as run:
            await play(case, run, is_calm=True)
            found.add((run.state, told(run)))
    return found


def judge(case: Case, run: Run[Any], foreseeing: Foreseeing, tally: Tally) -> None:
    """Hold what is said of a run against what has happened in it."""
    drawing = drawing_of(run.process)
    trace = list(happenings(run.audit()))
    kinds = {str(act.pattern): act for act in acts_of(drawing.tree) if isinstance(act, Act)}
    for leaf in run.audit():
        if leaf["type"] in {"step.started", "wait.opened"}:
            act = kinds.get(str(drawing.patterns.of(leaf["step"]["key"])))
            is_step = act is None or act.act == "step"  # what is undone is a step, too
            assert is_step == (leaf["type"] == "step.started"), leaf
    for plan, _ in foreseeing.plans:
        for id_, arm in plan.taken.items():
            asked = conditions(drawing).get(id_)
            if asked is not None:
                assert (arm == 0) == (asked in case.flags), f"{id_} takes arm {arm}"
    tokens, paths = Tokens(drawing.graph, drawing.patterns), Paths(drawing)
    for swapped in damaged(case, trace):
        is_taken = tokens.path(swapped, state=run.state) is not None
        tally.seen["swaps taken" if is_taken else "swaps refused"] += 1
        assert not is_taken or paths.wrong(swapped) == "", swapped
    if run.state == "completed" and is_exact(drawing.graph):
        execute(drawing, trace, foreseeing.rests, tally)


def conditions(drawing: Drawing) -> dict[str, str]:
    """The choices that ask for a flag, and which."""
    found = {}
    for region in walk(drawing.tree):
        if isinstance(region, Choice) and (asked := region.arms[0].condition or "").endswith(
            " in flags"
        ):
            found[region.id] = asked.split("'")[1]
    return found


def damaged(case: Case, trace: list[Happened]) -> Iterator[list[Happened]]:
    """A trace with two things swapped that stand beside each other; who loses may end later."""
    chance = Random(case.seed)
    for _ in range(min(3, len(trace) - 1)):
        at = chance.randrange(len(trace) - 1)
        if "cancelled" in {trace[at].what, trace[at + 1].what}:
            continue
        yield [*trace[:at], trace[at + 1], trace[at], *trace[at + 2 :]]


def execute(drawing: Drawing, trace: list[Happened], rests: list[int], tally: Tally) -> None:
    """Let another engine execute the export."""
    ways = Tokens(drawing.graph, drawing.patterns).path(trace)
    assert ways is not None
    try:
        execution = Execution(drawing, trace, ways)
        said = [*execution.play(trace, rests), *execution.ended()]
    except WorkflowException as error:
        if "non-predicted child" in str(error):
            return  # it cannot run many of one kind behind a boundary
        raise
    assert said == [], said
    tally.seen["executed"] += 1
