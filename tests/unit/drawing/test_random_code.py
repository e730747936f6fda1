"""Random code is read without being run: in Python's order, and whatever stands in it.

`CASES=20000` takes that many in all; `mutated(Case(seed))` gives the texts of a seed that failed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from newel import Process
from newel.base.errors import Refused
from newel.drawing.bpmn import bpmn
from newel.drawing.drawing import drawing_of
from newel.drawing.layout import picture_of
from newel.drawing.mermaid import flowchart
from newel.drawing.plan import planned
from newel.drawing.regions import acts_of
from newel.drawing.text import outline
from newel.testing import running
from tests.modules import imported
from tests.unit.drawing import evaluating, generating
from tests.unit.drawing.evaluating import Evaluated
from tests.unit.drawing.generating import Case
from tests.unit.drawing.geometry import flaws
from tests.unit.drawing.happenings import happenings
from tests.unit.drawing.mutating import TRAPS, mutated
from tests.unit.drawing.test_graph import not_whole

EACH = 50
CASES = int(os.environ.get("CASES", "500"))
CHUNKS = pytest.mark.parametrize("first", range(0, CASES, EACH))


@CHUNKS
async def test_acts_of_an_expression_come_in_the_order_of_python(
    tmp_path: Path, first: int
) -> None:
    """T13: what is read is what runs, in this order; only arms of a condition may be left out."""
    cases = [Evaluated(seed) for seed in range(first, first + EACH)]
    file = tmp_path / f"evaluated_{first}.py"
    file.write_text("\n\n\n".join([evaluating.HEAD, *(each.text for each in cases)]), "utf-8")
    module = imported(file)
    wrong: dict[str, object] = {}
    for case in cases:
        process: Process[..., Any] = getattr(module, case.name)
        drawing = drawing_of(process)
        assert drawing.errors == (), case.text
        async with running(process.request()) as run:
            assert run.state == "completed"
            ran = [each.key for each in happenings(run.audit()) if each.what == "begin"]
        expected = [str(each.pattern) for each in acts_of(drawing.tree)]
        if ran != [each for each in expected if each in ran] or case.sure - set(ran):
            wrong[case.text] = (expected, ran)
    sys.modules.pop(file.stem, None)
    assert wrong == {}


@CHUNKS
def test_whatever_is_written_is_drawn_or_told(tmp_path: Path, first: int) -> None:
    """T10: findings with a line and a fix, or a drawing that is whole; no other exception.

    Nothing of the author's is run: things that stand in the code raise when anybody touches them.
    """
    told = drawn = 0
    for case in (Case(seed) for seed in range(first, first + EACH)):
        for number, text in enumerate(mutated(case)):
            file = tmp_path / f"mutated_{case.seed}_{number}.py"
            file.write_text(f"{generating.HEAD}\n\n{TRAPS}\n\n{text}", "utf-8")
            try:
                process: Process[..., Any] = getattr(imported(file), case.name)
            except Refused:
                continue  # it is told where it is declared
            finally:
                sys.modules.pop(file.stem, None)
            drawing = drawing_of(process)
            assert all(each.line > 0 and each.what and each.fix for each in drawing.findings)
            if drawing.errors:
                told += 1
                continue
            drawn += 1
            assert (not_whole(drawing), flaws(picture_of(drawing))) == ([], []), text
            assert outline(drawing.tree)
            assert flowchart(drawing.graph)
            assert bpmn(drawing)
            assert not planned(process.request(flags=case.flags, items=case.items)).elsewhere
    assert min(told, drawn) > EACH / 4
