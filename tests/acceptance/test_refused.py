"""What an author writes that cannot work is refused with its place, what is wrong, and the fix.

Each case of `refused/` is a mistake of the authoring document, §13: the module as it is written
wrongly, with the line at fault marked `# here`, what is said of it, and a twin that is written as
the message says, in which nothing is found.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from newel.base.errors import Refused
from newel.base.findings import Finding
from newel.drawing.drawing import drawing_of
from newel.flow import reading, refusals
from newel.flow.process import Process
from tests.modules import imported

CASES = Path(__file__).parent / "refused.md"
_PART = re.compile(
    r"^## (?P<title>.+?)\n+```python\n(?P<bad>.*?)```\n+> (?P<said>.+?)\n+"
    r"```python\n(?P<good>.*?)```",
    re.MULTILINE | re.DOTALL,
)
_HEAD = re.compile(r"^```python\n(.*?)```", re.MULTILINE | re.DOTALL)
_NUMBERS = count(1)


@dataclass(frozen=True)
class Case:
    """A mistake, what is said of it behind its place, and its twin."""

    bad: str
    said: str
    good: str

    @property
    def code(self) -> str:
        """The code of the finding."""
        return self.said.partition(" ")[0]


def _cases() -> Iterator[tuple[str, Case]]:
    text = CASES.read_text("utf-8")
    head = _HEAD.search(text)
    assert head is not None
    for part in _PART.finditer(text):
        yield (
            part["title"],
            Case(f"{head[1]}\n\n{part['bad']}", part["said"], f"{head[1]}\n\n{part['good']}"),
        )


FOUND = dict(_cases())


def _module(text: str, directory: Path) -> ModuleType:
    file = directory / f"sample_{next(_NUMBERS)}.py"
    file.write_text(text, "utf-8")
    return imported(file)


def _findings(text: str, directory: Path) -> list[Finding]:
    """All that is found, where the code is declared, registered and read."""
    try:
        module = _module(text, directory)
    except Refused as refused:
        return list(refused.findings)
    own: list[Process[..., Any]] = [e for e in vars(module).values() if isinstance(e, Process)]
    found = {*refusals.registered(own, reading.steps)}
    for each in own:
        found.update(drawing_of(each).findings)
    return sorted(found)


@pytest.fixture(autouse=True)
def _forgotten():
    """Forget the modules of a test."""
    yield
    for name in [each for each in sys.modules if each.startswith("sample_")]:
        del sys.modules[name]


@pytest.mark.parametrize("title", FOUND)
def test_a_mistake_is_told_with_its_line_and_its_fix(title, tmp_path):
    """The first finding: module, the marked line, the code, what is wrong and what to write."""
    case = FOUND[title]
    place, _, said = str(_findings(case.bad, tmp_path)[0]).partition(" ")
    module, line, column = place.split(":")
    marked = [n for n, text in enumerate(case.bad.splitlines(), 1) if "# here" in text]
    assert said.replace(module, "sample") == case.said
    assert (module.startswith("sample_"), [int(line)], int(column) > 0) == (True, marked, True)


@pytest.mark.parametrize("title", FOUND)
def test_what_is_written_as_the_message_says_is_sound(title, tmp_path):
    """The twin has no finding of any level."""
    assert _findings(FOUND[title].good, tmp_path) == []


def test_every_mistake_of_the_design_has_its_sample():
    """The codes that authors meet most have a case each; F706 is no finding of a function."""
    told = {
        "F101", "F102", "F103", "F104", "F105", "F110", "F201", "F203", "F204", "F301", "F302",
        "F303", "F401", "F504", "F505", "F506", "F507", "F601", "F602", "F603", "F701", "F702",
        "F703", "F704", "F705", "F707", "F708",
    }  # fmt: skip
    assert told <= {case.code for case in FOUND.values()}
