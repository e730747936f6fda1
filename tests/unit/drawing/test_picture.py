"""The picture: nothing overlaps, lines have square corners and cross no card, always the same."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from newel import Process, approval, process, step, team
from newel.drawing.drawing import drawing_of
from newel.drawing.layout import picture_of
from newel.drawing.picture import Card, Dot
from newel.drawing.regions import Act, walk
from newel.drawing.svg import by_key, svg
from tests.unit.drawing.geometry import flaws
from tests.unit.drawing.shipped import name_of, shipped

SHIPPED = pytest.mark.parametrize("process", shipped(), ids=name_of)


@SHIPPED
def test_nothing_overlaps_and_no_line_crosses_a_card(process: Process[..., Any]) -> None:
    """Cards and gates stand apart and in their frames; lines are horizontal or vertical."""
    assert flaws(picture_of(drawing_of(process))) == []


@SHIPPED
def test_the_picture_holds_every_act_once_in_the_order_of_the_source(
    process: Process[..., Any],
) -> None:
    """Each act is a link with its key; the file is XML, has no style attribute, and is small."""
    drawing = drawing_of(process)
    text = svg(picture_of(drawing), process.title, is_alone=False)
    assert text == svg(picture_of(drawing), process.title, is_alone=False)
    root = ET.fromstring(text)
    assert not [each for each in root.iter() if "style" in each.attrib]
    links = [each.attrib["href"] for each in root.iter() if each.tag.endswith("}a")]
    acts = [by_key(each.id) for each in walk(drawing.tree) if isinstance(each, Act)]
    assert [each for each in links if each in acts] == acts
    ids = re.findall(r' id="(n-[0-9a-f]{10})"', text)
    assert len(ids) == len(set(ids)) == len(links)
    assert len(text) <= 2_500 + 1_500 * len(picture_of(drawing).nodes)


@step(in_doubt="repeat")
async def told(what: str) -> str:
    """Tell the teams and everybody else that somebody is not in any more."""
    return what


@process(subject=None, owner="it")
async def leaving(name: str, *, is_known: bool) -> str:
    """Say who leaves, unless it is known."""
    await approval("hr-confirms", by=team("hr"))
    if is_known:
        return "nothing to say"
    if name:
        await told["first"](name)
        return name
    await told["second"](name)
    return "done"


def test_a_title_is_wrapped_and_an_end_in_the_middle_ends_there() -> None:
    """Two lines where one is too short, in a card that is as much higher; HR is HR.

    An arm that returns before the end of its process comes to an end of its own.
    """
    picture = picture_of(drawing_of(leaving))
    cards = {each.id: each for each in picture.nodes if isinstance(each, Card)}
    asked, told_ = cards["hr-confirms"], cards["told[first]"]
    assert (asked.title, asked.second) == (("HR confirms",), "by HR")
    assert told_.title == ("Tell the teams and", "everybody else th…")
    assert told_.height == asked.height + 16
    ends = [each.text for each in picture.nodes if isinstance(each, Dot) and each.look == "end"]
    assert ends == ["Nothing to say", "Done", "Done"]
