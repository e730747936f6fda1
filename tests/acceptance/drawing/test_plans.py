"""What pictures and plans say of runs: at the start, in a loop, while undoing, and of nobody."""

from __future__ import annotations

from newel import (
    approval,
    compensation,
    process,
    step,
    team,
)
from newel.base.errors import ProcessError
from newel.drawing.bpmn import bpmn
from newel.drawing.dossier import dossier_of
from newel.drawing.dossier_page import process_page
from newel.drawing.drawing import drawing_of
from newel.drawing.layout import picture_of
from newel.drawing.mermaid import flowchart
from newel.drawing.overlay import shown
from newel.drawing.svg import svg
from newel.drawing.text import outline
from newel.testing import running
from tests.acceptance.editions import Edition
from tests.testing.hiring import hiring
from tests.testing.test_journals import JANE


def test_jane_doe_at_the_start(tmp_path):
    """S2: one line for each repository, nothing of Salesforce, HR only if nobody answers."""
    plan = Edition(tmp_path).plan("engineer")
    lines = {each.key or each.node: each for each in plan.lines}
    repositories = [each for each in lines if each.startswith("github.grant[")]
    assert len(repositories) == 2
    assert {lines[each].forecast for each in repositories} <= {"expected", "maybe"}
    assert lines["google.ensure_account"].forecast == "expected"
    assert lines["salesforce.ensure_account"].forecast == "not-needed"
    assert "job" in lines["salesforce.ensure_account"].reason.lower()
    assert lines["hr-confirms"].forecast == "maybe"
    assert "nobody answers within 2 days" in lines["hr-confirms"].reason


@step(in_doubt="repeat", system="files", runbook="files.md")
async def revise(text: str) -> str:
    """Revise a text."""
    return f"{text}."


@process(subject=None, owner="it")
async def writing(text: str) -> str:
    """A text is revised until it is approved."""
    while True:
        if (await approval("fine", by=team("it"))).approved:
            break
        text = await revise(text)
    return text


async def test_a_loop_that_is_left_in_its_third_pass():
    """S14: revised in passes 1 and 2; in the third nobody needs it, and nothing is to come."""
    async with running(writing.request("a")) as run:
        await run.decide("fine", approved=False)
        await run.decide("fine#2", approved=False)
        third = shown(drawing_of(writing).tree, run.plan())
        assert (third["fine"].word, third["fine"].counter) == ("task", "pass 3")
        await run.decide("fine#3", approved=True)
        assert await run.result() == "a.."
        plan = run.plan()
        words = [(each.key, each.state) for each in plan.lines if each.key]
        assert {key: state for key, state in words if state} == {
            "fine": "done", "fine#2": "done", "fine#3": "done",
            "revise": "done", "revise#2": "done",
        }  # fmt: skip
        assert {each.forecast for each in plan.lines if not each.state} <= {"not-needed"}


class NoHeir(ProcessError):
    """Nobody takes it over."""


BROKEN = {"restore[mail]"}


@step(in_doubt="repeat", system="files", runbook="files.md")
async def suspend(name: str) -> None:
    """Suspend an account."""


@step(in_doubt="repeat", system="files", runbook="files.md")
async def restore(name: str) -> None:
    """Restore an account."""
    if f"restore[{name}]" in BROKEN:
        raise KeyError(name)


@step(in_doubt="repeat", system="files", runbook="files.md", raises=NoHeir)
async def transfer(name: str) -> None:
    """Give files to somebody else."""
    raise NoHeir(name)


@process(subject=None, owner="it", raises=NoHeir)
async def leaving(name: str) -> None:
    """Two accounts are suspended, then the files are given away."""
    async with compensation() as undo:
        undo(restore["files"], "files")
        await suspend["files"]("files")
        undo(restore["mail"], "mail")
        await suspend["mail"]("mail")
        await transfer(name)


async def test_what_is_put_back_lights_up_newest_first():
    """S13: the newest undo parks and says so, the older one waits; mended, both are done."""
    async with running(leaving.request("jane")) as run:
        assert set(run.parked()) == {"undo/restore[mail]"}
        states = shown(drawing_of(leaving).tree, run.plan())
        assert states["undo/restore[mail]"].word == "parked"
        assert states["undo/restore[files]"].word not in {"done", "parked"}
        await run.skip("undo/restore[mail]")
        after = shown(drawing_of(leaving).tree, run.plan())
        assert run.state == "failed"
        assert (after["undo/restore[mail]"].word, after["undo/restore[files]"].word) == (
            "skipped",
            "done",
        )


async def test_no_picture_and_no_export_holds_what_was_planted():
    """S22: name, address, number and salary of a person are in no drawing, plan or dossier."""
    drawing = drawing_of(hiring)
    async with running(hiring.request(JANE), at="2026-02-02") as run:
        await run.decide("boss-agrees", approved=True, comment="Jane is great")
        plan = run.plan()
        states = shown(drawing.tree, plan)
    words = {id_: each.word for id_, each in states.items()}
    written = {
        "picture": svg(picture_of(drawing, states), drawing.process.title),
        "list": outline(drawing.tree, {id_: each.said for id_, each in states.items()}),
        "flowchart": flowchart(drawing.graph, words),
        "BPMN": bpmn(drawing, words),
        "stored": drawing.as_json().decode(),
        "dossier": process_page(dossier_of(drawing), drawing, "../systems.md"),
    }
    planted = ("jane", "acme.example", "hr4711", str(JANE.salary))
    found = {(name, each) for name, text in written.items() for each in planted
             if each in text.lower()}  # fmt: skip
    assert found == set()
    assert all(len(text) > 100 for text in written.values())
