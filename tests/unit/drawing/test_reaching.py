"""Nothing in a drawing is dead: each act, way, failure and undo is come to in some run.

Worlds are tried until all has been come to: which conditions hold, who says yes, what fails, and
when an operator gives a run up. `CASES=20000` takes more processes.
"""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

from newel import Process
from newel.drawing.drawing import Drawing, drawing_of
from newel.testing import running
from tests.unit.drawing.generating import ITEMS, Case
from tests.unit.drawing.happenings import Happened, happenings
from tests.unit.drawing.test_properties import play, written
from tests.unit.drawing.tokens import Choice, Tokens

EACH = 5
CASES = int(os.environ.get("CASES", "500")) // 50
WORLDS = 80
Part = str | tuple[str, int]
"""The id of a node, or a gate with the number of one of its ways."""


def parts(drawing: Drawing) -> set[Part]:
    """All that a run may come to."""
    graph = drawing.graph
    found: set[Part] = set()
    for node in graph.nodes.values():
        ways = graph.out_of(node.id)
        if node.pattern is not None and node.kind in {"act", "undo"}:
            found.add(node.id)
        if node.kind == "xor_split" and len(ways) > 1:
            found |= {(node.id, way) for way in range(len(ways))}
        if node.kind == "boundary" and graph.nodes[node.host].kind == "act":
            found.add(node.id)
    return found


def come_to(drawing: Drawing, trace: list[Happened], ways: tuple[Choice, ...]) -> set[Part]:
    """What one run has come to."""
    keys = {str(drawing.patterns.of(each.key)) for each in trace if each.key}
    gates = {(each.node, each.way) for each in ways if not each.boundary}
    return keys | gates | {each.boundary for each in ways}


def world_of(case: Case, number: int) -> Case:
    """The same process in another world."""
    found = copy.copy(case)
    found.seed = f"{case.seed} world {number}"  # type: ignore[assignment]  # any seed of chance
    chance = Random(found.seed)
    flags = re.findall(r'"(n\d+)" in flags', case.text)
    found.flags = [each for each in flags if chance.random() < 0.5]
    found.items = chance.sample(ITEMS, chance.randint(0, len(ITEMS)))
    return found


async def happened(process: Process[..., Any], world: Case) -> set[Part]:
    """What a process comes to in a world; every fourth run is given up on the way."""
    chance = Random(f"{world.seed} given up")
    drawing = drawing_of(process)
    request = process.request(flags=world.flags, items=world.items)
    with world.entered():
        async with running(request) as run:
            is_given_up = chance.random() < 0.25
            await play(world, run, most=chance.randrange(4) if is_given_up else None)
            if is_given_up and run.row["finished_at"] is None:
                await run.cancel()
                await play(world, run)
            trace, state = list(happenings(run.audit())), run.state
    ways = Tokens(drawing.graph, drawing.patterns).path(trace, state=state)
    assert ways is not None, (world.seed, world.flags, world.items, trace)
    return come_to(drawing, trace, ways)


@pytest.mark.parametrize("first", range(0, CASES, EACH))
async def test_each_part_of_a_drawing_is_come_to(tmp_path: Path, first: int) -> None:
    """T4: every act, arm, way out of a `finally`, caught failure and undo, in some world."""
    dead: dict[int, set[Part]] = {}
    cases = [Case(seed) for seed in range(first, first + EACH)]
    with written(cases, tmp_path) as module:
        for case in cases:
            process = getattr(module, case.name)
            left = parts(drawing_of(process))
            for number in range(WORLDS):
                left -= await happened(process, world_of(case, number))
                if not left:
                    break
            if left:
                dead[case.seed] = left
    assert dead == {}
