"""The answers of an interview: what is allowed, and where what is not stands.

Whatever is wrong is said with line and column of the file, and with the nearest word that is
allowed. Reading needs PyYAML, which is an extra of its own (`newel[new]`).
Source: drawing document, §15.
"""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import newel
from newel.base.errors import InvalidInput

__all__ = ["Answer", "Interview", "interview_of", "slug", "word"]

FORMAT: Final = "interview/1"
_TOP: Final = ("newel", "process", "title", "owner", "about", "trigger", "input", "systems",
               "steps", "pains")  # fmt: skip
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "ask": ("who", "within", "otherwise", "if no"),
    "fill": ("who", "within", "fields"),
    "by hand": ("who", "within"),
    "do": ("in", "gives", "undo", "for each"),
    "together": (),
    "when": ("then", "else"),
    "choose": ("cases",),
    "repeat": ("until",),
    "wait": ("until", "after"),
    "hear": ("within",),
}
"""What a step may be, and what may be said of each."""
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "ask": ("who",), "fill": ("who", "fields"), "by hand": ("who",), "do": ("in",),
    "when": ("then",), "choose": ("cases",), "repeat": ("until",),
}  # fmt: skip
TYPES: Final = ("text", "number", "yes or no", "date", "person", "list of text")
_SPAN: Final = re.compile(r"(\d+) (day|hour|minute)s?")


@dataclass(frozen=True, slots=True)
class Answer:
    """A part of the answers: text, a list or a mapping, and where it stands."""

    value: Any  # Any: str, a list of answers, or answers by their names
    line: int
    column: int

    def wrong(self, why: str) -> InvalidInput:
        """What is wrong here."""
        return InvalidInput({f"line {self.line}, column {self.column}": why})

    @property
    def text(self) -> str:
        """It, if it is a text."""
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.wrong("has to be a text")
        return self.value.strip()

    @property
    def list(self) -> list[Answer]:
        """It, if it is a list."""
        if not isinstance(self.value, list):
            raise self.wrong("has to be a list, each with a dash in front")
        return self.value

    @property
    def named(self) -> dict[str, Answer]:
        """It, if it is a mapping."""
        if not isinstance(self.value, dict):
            raise self.wrong("has to be names with a colon behind each")
        return self.value

    def one_of(self, allowed: Iterable[str]) -> str:
        """It, if it is one of these words."""
        known = list(allowed)
        if self.text not in known:
            raise self.wrong(f"`{self.text}` is not known: {nearest(self.text, known)}")
        return self.text

    def span(self) -> str:
        """A length of time as code: `days(2)`."""
        found = _SPAN.fullmatch(self.text)
        if found is None:
            raise self.wrong(f"`{self.text}` is no length of time: `2 days`, `4 hours`")
        return f"{found[2]}s({found[1]})"


@dataclass(frozen=True, slots=True)
class Interview:
    """What was said. fields: of the input, by name. systems: owner and permission of each."""

    process: str
    title: str
    owner: str
    about: str
    trigger: str
    fields: dict[str, Answer]
    systems: dict[str, dict[str, str]]
    steps: list[Answer]
    pains: tuple[str, ...]
    questions: list[str] = field(default_factory=list[str])


def slug(said: str) -> str:
    """A key for what was said: `manager-confirms`."""
    found = re.sub(r"[^a-z0-9]+", "-", said.lower()).strip("-")
    return found if found[:1].isalpha() else f"step-{found}".rstrip("-")


def word(said: str) -> str:
    """A name in code for what was said: `create_account`."""
    found = slug(said).replace("-", "_")
    return f"{found}_" if keyword.iskeyword(found) else found


def nearest(said: str, known: list[str]) -> str:
    """The word that was meant, or all that there are."""
    close = difflib.get_close_matches(said, known, 1)
    return f"did you mean `{close[0]}`?" if close else f"one of {', '.join(known)}"


def interview_of(path: Path) -> Interview:
    """Read the answers; raises InvalidInput for the first that is not understood."""
    top = _read(path)
    said = top.named
    _only(said, _TOP, "is no part of an interview")
    for name in ("newel", "process", "owner", "input", "steps"):
        if name not in said:
            raise top.wrong(f"`{name}:` is missing")
    said["newel"].one_of([FORMAT])
    process = said["process"].text
    if word(process) != process or hasattr(newel, process):
        raise said["process"].wrong(f"is no name for a process: `{word(process)}_of_ours`")
    fields = {word(name): each for name, each in said["input"].named.items()}
    for name, each in fields.items():
        _typed(name, each)
    made = Interview(
        process=process,
        title=said["title"].text if "title" in said else process.replace("_", " ").capitalize(),
        owner=said["owner"].text,
        about=said["about"].one_of(_people(fields)) if "about" in said else "",
        trigger=_said(said.get("trigger")),
        fields=fields,
        systems={
            name: {key: each.text for key, each in about.named.items()}
            for name, about in (said["systems"].named.items() if "systems" in said else ())
        },
        steps=said["steps"].list,
        pains=tuple(each.text for each in (said["pains"].list if "pains" in said else ())),
    )
    for step in made.steps:
        _checked(step, made)
    for system, about in made.systems.items():
        made.questions.extend(f"{system}: {key}?" for key, value in about.items() if value == "?")
    return made


def _typed(name: str, kind: Answer) -> None:
    if not isinstance(kind.value, list):
        kind.one_of(TYPES)
    elif len({word(each.text) for each in kind.list}) < max(len(kind.list), 1) or name == "facts":
        raise kind.wrong("are no values that tell cases apart")


def _people(fields: Mapping[str, Answer]) -> list[str]:
    return [name for name, each in fields.items() if each.value == "person"]


def kind_of(step: Answer) -> str:
    """Which word a step begins with."""
    found = [name for name in step.named if name in WORDS]
    if not found:
        first = next(iter(step.named), "")
        raise step.wrong(f"`{first}` is no step: {nearest(first, list(WORDS))}")
    return found[0]


def inside(step: Answer) -> Iterator[Answer]:
    """The steps that a step holds."""
    said = step.named
    for name in ("together", "repeat", "then", "else"):
        if name in said:
            yield from said[name].list
    if "cases" in said:
        for case in said["cases"].named.values():
            yield from case.list


def _checked(step: Answer, interview: Interview) -> None:
    kind = kind_of(step)
    said = step.named
    _only(said, (kind, *WORDS[kind]), f"is not said of `{kind}`")
    for name in _NEEDED.get(kind, ()):
        if name not in said:
            raise step.wrong(f"`{kind}` needs `{name}:`")
    if kind == "do":
        said["in"].one_of(interview.systems)
    if kind == "choose":
        _cases(said, interview)
    if kind == "wait" and ("until" in said) == ("after" in said):
        raise step.wrong("`wait` needs either `until:` or `after:`")
    for each in inside(step):
        if kind != "repeat" and "undo" in each.named:
            raise each.named["undo"].wrong("can be put back only in the steps at the top")
        _checked(each, interview)


def _cases(said: Mapping[str, Answer], interview: Interview) -> None:
    name = word(said["choose"].one_of(interview.fields))
    allowed = interview.fields[name].value
    if not isinstance(allowed, list):
        raise said["choose"].wrong(f"`{name}` has no fixed values to choose from")
    for case, steps in said["cases"].named.items():
        if case not in [each.text for each in allowed]:
            raise steps.wrong(f"`{case}`: {nearest(case, [each.text for each in allowed])}")


def _only(said: Mapping[str, Answer], allowed: Iterable[str], why: str) -> None:
    known = list(allowed)
    for name, each in said.items():
        if name not in known:
            raise each.wrong(f"`{name}` {why}: {nearest(name, known)}")


def _said(answer: Answer | None) -> str:
    if answer is None:
        return "by hand"
    if isinstance(answer.value, dict):
        return ", ".join(f"{name} {each.text}" for name, each in answer.named.items())
    return answer.text


def _read(path: Path) -> Answer:
    """The file with the place of each part; plain data only, nothing in it is ever run."""
    try:
        import yaml  # type: ignore[import-untyped]  # it brings no types of its own
    except ImportError:
        raise InvalidInput({"newel new": "needs PyYAML: `pip install newel[new]`"}) from None
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput({str(path): f"cannot be read ({type(error).__name__})"}) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = "the file" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
        raise InvalidInput({at: f"is no YAML: {error.problem}"}) from error
    except yaml.YAMLError as error:
        raise InvalidInput({str(path): "is no YAML"}) from error
    if node is None:
        raise InvalidInput({str(path): "is empty"})
    return _answer(node, 0)


def _answer(node: Any, depth: int) -> Answer:  # Any: a node of YAML
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    if depth > 20:  # an alias of itself, or nobody's process
        raise InvalidInput({f"line {line}, column {column}": "is nested too deep"})
    if node.id == "sequence":
        return Answer([_answer(each, depth + 1) for each in node.value], line, column)
    if node.id == "mapping":
        found = {str(key.value): _answer(each, depth + 1) for key, each in node.value}
        if len(found) < len(node.value):
            raise InvalidInput({f"line {line}, column {column}": "says the same name twice"})
        return Answer(found, line, column)
    return Answer(str(node.value), line, column)
