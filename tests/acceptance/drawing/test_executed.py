"""The example company's process, exported and executed by an engine of other people's."""

from __future__ import annotations

from typing import Any

import pytest

from newel.drawing.drawing import drawing_of
from newel.testing import Saas, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name
from newel.testing.running import Run
from tests.acceptance.editions import Edition
from tests.patterns.foreseeing import Foreseeing
from tests.unit.drawing.executing import Execution
from tests.unit.drawing.happenings import happenings
from tests.unit.drawing.test_properties import is_exact
from tests.unit.drawing.tokens import Tokens

MOST = 60


async def led(
    run: Run[Any], foreseeing: Foreseeing, world: Saas, *, silent: str, approved: bool
) -> None:
    """Lead a run to its end; silent: the question that nobody answers.

    Whoever is invited accepts after the second time that newel has looked.
    """
    for _ in range(MOST):
        foreseeing.look()
        if run.row["finished_at"] is not None:
            return
        asked = [str(each["key"]) for each in run.tasks() if each["key"] != silent]
        if asked:
            await run.decide(asked[0], approved=approved)
            continue
        if "invitation-poll#2" in run.waiting():
            world.github.accept_invitation("jane-doe")
        assert run.clock.move_to_next()
    raise AssertionError(run.waits_for())


@pytest.mark.parametrize(
    ("job", "silent", "approved"),
    [
        ("engineer", "", True),
        ("sales", "manager-confirms", True),
        ("office", "", True),
        ("office", "manager-confirms", False),
    ],
)
async def test_the_export_of_the_onboarding_does_what_the_onboarding_does(
    tmp_path,
    saas: Saas,  # noqa: F811 - as above
    job: str,
    silent: str,
    approved: bool,
) -> None:
    """T9: for each job, silence and refusal included, the same acts in the same order.

    The plan is true at every rest, both judges take the path, and they and the engine refuse it
    with two acts swapped.
    """
    edition = Edition(tmp_path)
    saas.github.add_repository("web")
    async with running(edition.request(job), at="2026-01-05") as run:
        foreseeing = Foreseeing(run)
        await led(run, foreseeing, saas, silent=silent, approved=approved)
        foreseeing.judge()
        drawing, trace = drawing_of(run.process), list(happenings(run.audit()))
        assert run.state == ("completed" if approved else "failed")
    assert is_exact(drawing.graph)
    ways = Tokens(drawing.graph, drawing.patterns).path(trace, state=run.state)
    assert ways is not None
    execution = Execution(drawing, trace, ways)
    assert execution.play(trace, foreseeing.rests) == []
    assert execution.ended() == []
    swapped = [*trace[2:4], *trace[:2], *trace[4:]]
    assert Execution(drawing, trace, ways).play(swapped) != []
