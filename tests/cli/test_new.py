"""`newel new`: an interview becomes code that is sound, runs to its end and is drawn as told."""

from __future__ import annotations

import importlib
import linecache
import sys
from pathlib import Path

import pytest

from newel.cli.interview.answers import interview_of
from newel.cli.interview.skeleton import skeleton_of
from tests.cli.test_connector import run

LEAVING = Path(__file__).parent / "interviews" / "leaving.yaml"


@pytest.fixture(autouse=True)
def _forgotten(project):
    """Forget the generated modules of a test."""
    yield
    for name in [each for each in sys.modules if each.partition(".")[0] == "processes"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    linecache.clearcache()


@pytest.mark.slow
def test_what_is_written_passes_its_tests_and_all_checkers(project, newel):
    """The example of the questions, and an interview with every word: tests, ruff, mypy, check.

    Slow: it is a test run and a type check of their own.
    """
    assert newel("new", "joiner").status == 0
    for answers in (project / "joiner.yaml", LEAVING):
        said = newel("new", "--from", str(answers))
        assert (said.status, "It is registered in pyproject.toml." in said.out) == (0, True)
    run(project, "ruff", "check", "--no-cache", ".")
    run(project, "ruff", "format", "--no-cache", "--check", ".")
    assert "no issues" in run(project, "mypy", "--strict", "--cache-dir=.mypy", "processes")
    said = run(project, "pytest", "-q", "-p", "no:cacheprovider", "tests/test_joiner.py",
               "tests/test_leaving.py")  # fmt: skip
    assert "11 passed" in said
    found = newel("check", "--format", "json").document
    assert set(found["processes"]) == {"onboarding", "joiner", "leaving"}
    assert {each["code"] for each in found["findings"]} == {"F507"}


def test_it_is_drawn_with_the_acts_and_branches_of_the_interview(project, newel):
    """Every act stands in the drawing with its key, and every branch by its name."""
    newel("new", "--from", str(LEAVING))
    text = newel("draw", "leaving").out
    skeleton = skeleton_of(interview_of(LEAVING))
    keys = [*skeleton.asked, *skeleton.filled, *skeleton.done, *skeleton.events, "last-day"]
    assert [key for key in keys if f"`{key}`" not in text and f"`{key}[*]`" not in text] == []
    for said in (
        "Dismissed",
        "Own wish",
        "has laptop",
        "If nobody answers within 2 days",
        "Put back",
    ):
        assert said.lower() in text.lower()
    scope = (project / "docs" / "processes" / "leaving" / "scope.md").read_text("utf-8")
    assert "- old mainframe: permission?" in scope
    assert "- take the badge (manager)" in scope
    written = newel("doc", "leaving")
    assert written.status == 0
    assert (project / "docs" / "processes" / "leaving" / "drawing.svg").is_file()


def test_nothing_is_overwritten(project, newel):
    """A second time it refuses, and leaves everything as it was, the settings included."""
    newel("new", "--from", str(LEAVING))
    code = project / "processes" / "leaving.py"
    code.write_text("mine", "utf-8")
    before = (project / "pyproject.toml").read_text("utf-8")
    assert newel("new", "--from", str(LEAVING)).status == 1
    assert code.read_text("utf-8") == "mine"
    assert (project / "pyproject.toml").read_text("utf-8") == before


HEAD = """newel: interview/1
process: leave
owner: hr
input: {role: [engineer, office], boss: person, starts: date, ok: yes or no}
systems: {google: {owner: it}}
steps:
"""
WRONG = {
    "- {aks: x, who: hr}": "line 7, column 3: `aks` is no step: did you mean `ask`?",
    "- {ask: x}": "line 7, column 3: `ask` needs `who:`",
    "- {ask: x, who: ok}": "line 7, column 17: `ok` is no person",
    "- {ask: x, who: hr, by: y}": "column 25: `by` is not said of `ask`: one of ask, who, within",
    "- {ask: x, who: hr, within: soon}": "column 29: `soon` is no length of time: `2 days`",
    "- {do: x, in: gogle}": "line 7, column 15: `gogle` is not known: did you mean `google`?",
    "- {do: x, in: google}\n- {do: x, in: google}": "line 8, column 8: `x` is said twice",
    "- {when: rolle is engineer, then: []}": "`rolle` is no field: did you mean `role`?",
    "- {when: role is enginer, then: []}": "`enginer` is not known: did you mean `engineer`?",
    "- {when: role, then: []}": "`role` is not yes or no: say `role is …`",
    "- {choose: role, cases: {ofice: []}}": "`ofice`: did you mean `office`?",
    "- {wait: x, until: boss at 08:00}": "is no moment: `starts at 08:00`",
    "- {wait: x}": "`wait` needs either `until:` or `after:`",
    "- {repeat: [], until: done}": "has to be names with a colon behind each",
    "- together: [{do: x, in: google, undo: y}]": "can be put back only in the steps at the top",
    "- ask: [x": "is no YAML",
    "- together: []": "is empty",
    "- just a text": "has to be names with a colon behind each",
}


@pytest.mark.parametrize(("steps", "why"), WRONG.items(), ids=lambda each: each[:20])
def test_what_is_not_understood_is_told_with_its_place(newel, project, steps, why):
    """Line, column, and the nearest word that is allowed; nothing is written."""
    answers = project / "leave.yaml"
    answers.write_text(HEAD + steps + "\n", "utf-8")
    said = newel("new", "--from", str(answers))
    assert (said.status, why in said.err) == (1, True), said.err
    assert not (project / "processes").exists()


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("boss: person", "boss: persn", "`persn` is not known: did you mean `person`?"),
        ("[engineer, office]", "[it, it]", "are no values that tell cases apart"),
        ("process: leave", "process: form", "is no name for a process"),
        ("owner: hr\n", "", "`owner:` is missing"),
        ("owner: hr", "ownr: hr", "`ownr` is no part of an interview: did you mean `owner`?"),
        ("interview/1", "interview/2", "did you mean `interview/1`?"),
    ],
)
def test_the_head_is_read_as_strictly(newel, project, before, after, why):
    """Types, values, names and what is missing are told in the same way."""
    answers = project / "leave.yaml"
    answers.write_text(HEAD.replace(before, after) + "- {wait: x, after: 2 days}\n", "utf-8")
    said = newel("new", "--from", str(answers))
    assert (said.status, why in said.err) == (1, True), said.err


def test_words_of_the_language_and_empty_arms_are_no_trouble(newel, project):
    """A field called `class`, and a case in which nothing is done."""
    answers = project / "leave.yaml"
    head = HEAD.replace("role: [", "class: [a, b], role: [")
    answers.write_text(f"{head}- {{when: class is a, then: []}}\n", "utf-8")
    assert newel("new", "--from", str(answers)).status == 0
    assert newel("check", "leave").status == 0


def test_no_code_comes_out_of_a_text(newel, project):
    """Quotes, backslashes, braces and line breaks in a text stay text in the code."""
    evil = "x'''\"\"\"\\\\n{1/0}\\nimport os; os.abort()  # 🦊"
    answers = project / "leave.yaml"
    answers.write_text(
        f'{HEAD}- {{by hand: "{evil.replace(chr(34), chr(92) + chr(34))}", who: "a\\")"}}\n',
        "utf-8",
    )
    assert newel("new", "--from", str(answers)).status == 0
    said = newel("check", "leave", "--format", "json")
    assert (said.status, said.document["findings"]) == (0, [])
