"""Random processes as they are drawn: pictures are whole, and ids outlive edits.

`CASES=20000` takes that many in all; `Case(seed).text` is the process of a seed that failed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from newel import Process
from newel.drawing.drawing import Drawing, drawing_of
from newel.drawing.layout import picture_of
from newel.drawing.picture import Card, Gate
from newel.drawing.regions import Act, Again, Choice, Promise, Rest, acts_of, walk
from newel.drawing.svg import svg
from newel.drawing.text import lines
from tests.modules import imported
from tests.unit.drawing.editing import edits
from tests.unit.drawing.generating import HEAD, Case
from tests.unit.drawing.geometry import flaws

EACH = 50
CASES = int(os.environ.get("CASES", "500"))
CHUNKS = pytest.mark.parametrize("first", range(0, CASES, EACH))
ASKING = ("if:", "while:", "for:", "match:")
"""Ids that are made of a condition alone."""


def read(name: str, text: str, file: Path) -> Process[..., Any]:
    """The process of a text, as it is once it is a module."""
    file.write_text(f"{HEAD}\n\n{text}\n", encoding="utf-8")
    try:
        found: Process[..., Any] = getattr(imported(file), name)
        assert drawing_of(found).errors == ()
    finally:
        sys.modules.pop(file.stem, None)
    return found


def kept(drawing: Drawing) -> set[str]:
    """The ids that no edit of something else may change."""
    asking = {each.id for each in walk(drawing.tree) if each.id.startswith(ASKING)}
    return asking | {each.id for each in acts_of(drawing.tree)}


@CHUNKS
def test_a_picture_is_whole_and_says_what_the_list_says(tmp_path: Path, first: int) -> None:
    """T8: nothing overlaps, lines have square corners and cross no card, the same bytes again.

    Acts stand in the order of the source, and the list holds the parts that the picture holds.
    """
    wrong: dict[int, object] = {}
    for case in (Case(seed) for seed in range(first, first + EACH)):
        drawing = drawing_of(read(case.name, case.text, tmp_path / f"drawn_{case.seed}.py"))
        picture = picture_of(drawing)
        if flaws(picture):
            wrong[case.seed] = flaws(picture)
        text = svg(picture, "Random")
        assert text == svg(picture_of(drawing), "Random")
        assert " style=" not in text
        seen = [each.id for each in picture.nodes if isinstance(each, Card | Gate)]
        acts = [each.id for each in walk(drawing.tree) if isinstance(each, Act)]
        shown = {each.id for each in walk(drawing.tree)
                 if isinstance(each, Act | Again | Choice | Promise | Rest)}  # fmt: skip
        listed = {each.id for each in lines(drawing.tree)} & shown
        if [each for each in seen if each in set(acts)] != acts or set(seen) != listed:
            wrong[case.seed] = (seen, sorted(listed))
    assert wrong == {}


@CHUNKS
def test_ids_outlive_the_edit_of_something_else(tmp_path: Path, first: int) -> None:
    """T5: whatever is put in, taken out, moved into a helper or renamed, the rest keeps its ids.

    Remarks and other lines change no id at all, and not the digest of the shape.
    """
    wrong: list[tuple[int, str, set[str]]] = []
    for case in (Case(seed) for seed in range(first, first + EACH)):
        before = drawing_of(read(case.name, case.text, tmp_path / f"before_{case.seed}.py"))
        for what, text in edits(case):
            file = tmp_path / f"{what}_{case.seed}.py"
            after = drawing_of(read(case.name, text, file))
            assert after.source_sha256 != before.source_sha256
            lost = kept(before) - kept(after)
            if len(lost) > (what == "removed"):
                wrong.append((case.seed, what, lost))
            if what in {"comments", "renamed"}:
                assert set(after.graph.nodes) == set(before.graph.nodes)
            if what == "comments":
                assert after.shape_sha256 == before.shape_sha256
    assert wrong == []
