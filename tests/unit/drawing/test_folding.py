"""Folding: a large picture opens with what matters, and with no more than can be seen at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from newel import Process
from newel.drawing.drawing import drawing_of
from newel.drawing.folding import MOST, folded
from newel.drawing.layout import picture_of
from newel.drawing.overlay import Shown, shown
from newel.drawing.picture import Card, Gate, Picture
from newel.drawing.regions import Act, acts_of, walk
from newel.drawing.svg import svg
from newel.testing import running
from tests.modules import imported
from tests.unit.drawing.geometry import flaws

PARTS, EACH = 15, 20
HEAD = '''from newel import approval, process, step, team

@step(in_doubt="repeat")
async def do(what: str) -> str:
    """Do one thing."""
    return what
'''


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process[..., Any]]:
    """A process of 300 acts, in fifteen parts; in the fifth somebody is asked."""
    text = [HEAD]
    for part in range(PARTS):
        body = [f'    await do["p{part}-{number}"]("x")' for number in range(EACH - 1)]
        asked = f'    await approval("asked-{part}", by=team("it"))' if part == 4 else ""
        last = asked or f'    await do["p{part}-last"]("x")'
        doc = f'    """Part {part} <b>&</b>."""'
        text.append("\n".join([f"async def part{part}() -> None:", doc, *body, last]))
    calls = "\n".join(f"    await part{part}()" for part in range(PARTS))
    text.append(f'@process(subject=None, owner="it")\nasync def large() -> None:\n{calls}')
    file: Path = tmp_path_factory.mktemp("large") / "large_process.py"
    file.write_text("\n\n\n".join(text), encoding="utf-8")
    yield imported(file).large
    sys.modules.pop(file.stem, None)


def seen(picture: Picture) -> list[str]:
    """The ids of what is seen: cards and gates, in order."""
    return [each.id for each in picture.nodes if isinstance(each, Card | Gate)]


async def test_what_needs_a_person_stays_open_and_little_enough_is_seen(large) -> None:
    """Finished blocks are folded first, with a count; what is looked at or opened stays open.

    Folding changes no id, leaves out no act, and folds no more than it has to.
    """
    drawing = drawing_of(large)
    assert len(list(acts_of(drawing.tree))) == PARTS * EACH
    async with running(large.request()) as run:
        states = shown(drawing.tree, run.plan())
    hidden = folded(drawing.tree, states)
    picture = picture_of(drawing, states, folded=hidden)
    ids = seen(picture)
    assert MOST - EACH < len(ids) <= MOST
    assert "asked-4" in ids
    assert {"in:part0", "in:part1", "in:part2", "in:part3"} <= hidden
    cards = {each.id: each for each in picture.nodes if isinstance(each, Card)}
    assert (cards["in:part0"].look, cards["in:part0"].word) == ("fold", "done")
    assert (cards["in:part0"].title, cards["in:part0"].second) == (
        ("Part 0 <b>&</b>",),
        "20 of 20 steps",
    )
    assert "in:part0" not in folded(drawing.tree, states, kept={"in:part0"})
    assert "in:part14" not in folded(drawing.tree, states, kept={"do[p14-3]"})
    assert flaws(picture) == []
    plain = seen(picture_of(drawing, states))
    assert [each for each in ids if not each.startswith("in:")] == [
        each for each in plain if each in ids
    ]
    inside = {
        each.id for region in walk(drawing.tree) if region.id in hidden for each in walk(region)
    }
    acts = {each.id for each in walk(drawing.tree) if isinstance(each, Act)}
    assert acts - set(ids) == acts & inside


def test_a_fold_leads_to_itself_opened_and_small_pictures_are_not_folded(large) -> None:
    """Before anything has begun the picture is folded, too; its cards lead on without a script."""
    drawing = drawing_of(large)
    states = {each.id: Shown("will-run") for each in acts_of(drawing.tree)}
    hidden = folded(drawing.tree, states)
    assert len(seen(picture_of(drawing, states, folded=hidden))) <= MOST
    text = svg(picture_of(drawing, states, folded=hidden), "Large", is_alone=False)
    links = [unquote(part.split('"')[0]) for part in text.split('href="?open=')[1:]]
    assert links == [f"{id_}#drawing" for id_ in sorted(hidden, key=_number)]
    assert folded(drawing.tree, states, most=PARTS * EACH) == frozenset()


def _number(id_: str) -> int:
    return int(id_.removeprefix("in:part"))
