"""R16: logic once, in Python.

What derives from the process is its form, its drawing and its plan, the steps and events that are
read from its source, and the keys of its journal. A committed drawing that is stale fails.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from newel.drawing.drawing import drawing_of
from newel.drawing.regions import Act, walk
from newel.flow.reading import name_of, sites
from newel.testing.golden import Golden, drawn
from tests.acceptance.editions import Edition


async def test_single_source(acme):
    """R16: what the three jobs run is what is read of the one source, no more and no less."""
    async with acme() as house, house.worker():
        process = house.engine.processes["onboarding"]
        ran: set[str] = set()
        for name, job in [
            ("Jane Doe", "engineer"),
            ("Rita Roe", "sales"),
            ("Ola Office", "office"),
        ]:
            run = await house.onboard(name=name, job=job)
            assert await house.finish(run) == "completed"
            ran |= {name_of(key) for kind, key in await house.events(run) if kind == "step.started"}
        assert ran == set(sites(process))
        parts = [each for each in walk(drawing_of(process).tree) if isinstance(each, Act)]
        assert ran == {each.name for each in parts if each.act == "step"}
        hire = process.function.__globals__["NewHire"]
        assert set(process.input_schema["properties"]) >= {
            field.name for field in dataclasses.fields(hire) if field.default is dataclasses.MISSING
        }


def test_the_drawing_is_the_committed_one_and_a_stale_one_fails(golden_drawing, tmp_path):
    """R16: the committed text is the code's; another condition makes it stale, with its name."""
    golden_drawing(Edition(tmp_path).onboarding)
    edit = {"if not decision.approved:": "if decision.approved:"}
    other = Edition(tmp_path, {"onboarding.py": edit}).onboarding
    with pytest.raises(AssertionError, match=r"onboarding\.drawing\.txt is stale"):
        Golden(Path(__file__), updates=False).holds("onboarding.drawing", drawn(other))
