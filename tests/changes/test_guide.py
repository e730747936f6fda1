"""The guide for authors holds: each example, on a run before and beyond the edited place."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from newel.base.errors import Refused
from newel.flow.process import Process
from newel.testing.running import Run, running
from tests.changes.versions import World, version

GUIDE = (Path(__file__).parents[2] / "docs" / "living-with-code-changes.md").read_text("utf-8")
PLACES = {"before": "contract-signed", "beyond": "first-day"}
_BLOCK = re.compile(r"```python (?P<name>\w+)\n(?P<code>.*?)```", re.DOTALL)
_VERDICT = re.compile(
    r"^- (?P<place>before|beyond): (?P<what>[\w ]+?)(?: `(?P<key>.+)`)?$", re.MULTILINE
)


@dataclass(frozen=True)
class Example:
    """One edit of the guide: its versions, its verdicts by place, the sentence it promises."""

    title: str
    before: str
    after: str
    fixed: str | None
    verdicts: dict[str, tuple[str, str | None]]
    sentence: str | None


def _examples() -> list[Example]:
    base = next(found["code"] for found in _BLOCK.finditer(GUIDE) if found["name"] == "base")
    made: list[Example] = []
    for part in re.split(r"^##+ ", GUIDE, flags=re.MULTILINE)[1:]:
        code = {found["name"]: found["code"] for found in _BLOCK.finditer(part)}
        if "after" not in code:
            continue
        quoted = re.search(r"^> (.*)$", part, re.MULTILINE)
        made.append(
            Example(
                title=part.partition("\n")[0],
                before=code.get("before", base),
                after=code["after"],
                fixed=code.get("fixed"),
                verdicts={
                    found["place"]: (found["what"], found["key"])
                    for found in _VERDICT.finditer(part)
                },
                sentence=None if quoted is None else quoted[1],
            )
        )
    return made


EXAMPLES = _examples()


def _why(run: Run[Any]) -> str:
    return run.waits_for().partition(": ")[2] if run.state == "parked" else ""


def _reasons(run: Run[Any]) -> set[str]:
    return {each.reason for each in run.parked().values()}


async def _begun(place: str, process: Process[..., Any], run: Run[Any]) -> None:
    if place == "beyond":
        await run.decide("contract-signed", approved=True)
    assert run.waiting() == {PLACES[place]}, process.name


def _refusal(example: Example) -> AbstractContextManager[object]:
    """What is refused where the engine is put together, with the sentence of the guide."""
    return pytest.raises(Refused, match=re.escape(str(example.sentence)))


def timers(run: Run[Any]) -> set[str]:
    """The keys of timers that are open."""
    return {act["key"] for act in run.acts() if act["kind"] == "timer"}


async def _finish(run: Run[Any]) -> None:
    """Say yes to everything until the run has ended."""
    for _ in range(9):
        if run.state == "completed":
            return
        for key in run.waiting():
            if key in timers(run):
                assert run.clock.move_to_next()
            else:
                await run.decide(key, approved=True)
    raise AssertionError(run.waits_for())


async def _goes_on(run: Run[Any], world: World) -> None:
    await _finish(run)
    assert await run.result()
    assert set(world.effects.values()) == {1}, world.effects


def test_the_guide_has_an_example_for_every_edit():
    """The table of edits is covered: nothing of the guide is skipped by a typing error."""
    assert len(EXAMPLES) == 20
    verdicts = {what for example in EXAMPLES for what, _ in example.verdicts.values()}
    assert verdicts == {"unchanged", "runs now", "blocked", "drifted", "bug", "refused"}
    for example in EXAMPLES:
        assert set(example.verdicts) == set(PLACES), example.title
        stops = {what for what, _ in example.verdicts.values()} & {"blocked", "bug", "refused"}
        assert bool(stops) == (example.fixed is not None), example.title


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
async def test_an_edit_has_the_verdict_that_the_guide_states(example, place):
    """B23: before and after on a run at that place; then the fix, and each effect was once."""
    world = World()
    what, key = example.verdicts[place]
    before = version(example.before, world)
    async with running(before.request("jane")) as run:
        await _begun(place, before, run)
        effects, waiting = dict(world.effects), run.waiting()
        with _refusal(example) if what == "refused" else nullcontext():
            run.deploy(version(example.after, world))
        if what in {"unchanged", "refused"}:
            assert (run.state, run.waiting()) == ("waiting", waiting)
            assert world.effects == effects
        elif what == "runs now":
            new = set(world.effects) - set(effects)
            assert {name.partition("(")[0] for name in new} == {key}
        else:
            assert (run.state, _reasons(run)) == ("parked", {what})
            assert world.effects == effects
            if example.sentence is not None and what != "drifted":
                assert _why(run) == example.sentence
            run.deploy(version(example.before, world))
            assert (run.state, run.waiting()) == ("waiting", waiting)
            run.deploy(version(example.after, world))
            assert run.state == "parked"
        if example.fixed is not None:
            run.deploy(version(example.fixed, world))
        if what != "drifted":
            await _goes_on(run, world)
