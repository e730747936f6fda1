"""The files that a skeleton becomes: process, steps, tests, and what is still open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from newel.cli.interview.answers import Interview, word
from newel.cli.interview.skeleton import Skeleton, kind_named, prose, quoted, wrapped

__all__ = ["files_of"]

_TYPES: Final = {
    "text": "str", "number": "Decimal", "yes or no": "bool", "date": "date", "person": "Person",
    "list of text": "tuple[str, ...]",
}  # fmt: skip
_VALUES: Final = {
    "text": '"said in a test"', "number": "Decimal(1)", "yes or no": "True",
    "date": "date(2027, 1, 4)", "list of text": '("one", "two")',
}  # fmt: skip


def files_of(skeleton: Skeleton, package: str) -> dict[Path, str]:
    """Texts by their place in the project; package: where processes lie, as a module."""
    name, place = skeleton.interview.process, Path(*package.split("."))
    return {
        place / f"{name}_facts.py": "\n".join(_facts(skeleton)) + "\n",
        place / f"{name}_steps.py": "\n".join(_steps(skeleton, package)) + "\n",
        place / f"{name}.py": "\n".join(_process(skeleton, package)) + "\n",
        Path("tests") / f"test_{name}.py": "\n".join(_tests(skeleton, package)) + "\n",
        Path("docs") / "processes" / name / "scope.md": "\n".join(_scope(skeleton)) + "\n",
    }


def _facts(found: Skeleton) -> Iterator[str]:
    """What a run is told when it begins, and what people fill in."""
    interview = found.interview
    types = [_type(name, each.value) for name, each in interview.fields.items()]
    yield from [f'"""What {interview.process} must know, and what people tell it."""', ""]
    yield from ["from __future__ import annotations", "", "from dataclasses import dataclass"]
    if "date" in types:
        yield "from datetime import date"
    if "Decimal" in types:
        yield "from decimal import Decimal"
    if any(isinstance(each.value, list) for each in interview.fields.values()):
        yield "from enum import Enum"
    if "Person" in types:
        yield from ["", "from newel import Person"]
    for name, each in interview.fields.items():
        if isinstance(each.value, list):
            yield from ["", "", f"class {kind_named(name)}(Enum):"]
            yield from [f'    """{prose(name.replace("_", " "))}"""', ""]
            yield from (f"    {word(v.text).upper()} = {quoted(v.text)}" for v in each.list)
    yield from ["", "", "@dataclass(frozen=True, kw_only=True)", "class Facts:"]
    yield from [f'    """What {interview.process} is about."""', ""]
    yield from (f"    {n}: {t}" for n, t in zip(interview.fields, types, strict=True))
    for name, *fields in found.forms:
        yield from ["", "", "@dataclass(frozen=True)", f"class {name}:"]
        yield from ['    """What a person fills in."""', "", *(f"    {each}" for each in fields)]


def _type(name: str, value: object) -> str:
    return kind_named(name) if isinstance(value, list) else _TYPES[str(value)]


def _steps(found: Skeleton, package: str) -> Iterator[str]:
    """One step for each thing that is done in a system; what nobody knows yet parks."""
    name = found.interview.process
    yield f'"""What {name} does in other systems: each step says what is still to be written.'
    yield from [
        "",
        "Until then it parks: a person does it, and says so (`complete-by-hand`).",
        '"""',
    ]
    yield from ["", "from __future__ import annotations", "", "from newel import step", ""]
    yield from [f"from {package}.{name}_facts import Facts", ""]
    yield f'RUNBOOK = "docs/processes/{name}/scope.md"'
    for steps in found.steps.values():
        for lines in steps:
            yield from ["", "", *lines]


def _process(found: Skeleton, package: str) -> Iterator[str]:
    interview, name = found.interview, found.interview.process
    yield from [
        f'"""{prose(interview.title)}',
        "",
        "Begun from an interview; this code is what counts.",
    ]
    yield from ['"""', "", "from __future__ import annotations", ""]
    text = "\n".join([*found.body, *(line for each in found.parts for line in each)])
    if "datetime." in text:
        yield from ["from datetime import UTC, datetime, time", ""]
    yield from _import("newel", {"process", *found.words})
    yield ""
    used = [each[0] for each in found.forms]
    kinds = [kind_named(n) for n, e in interview.fields.items() if isinstance(e.value, list)]
    facts = {"Facts", *used, *(each for each in kinds if f"{each}." in text)}
    yield from _import(f"{package}.{name}_facts", facts)
    steps = [_name_of(lines) for each in found.steps.values() for lines in each]
    if steps:
        yield from _import(f"{package}.{name}_steps", set(steps))
    if found.events:
        yield ""
    for key, event in found.events.items():
        yield f'{event} = Event("{key}", str)'
    about = f"lambda facts: facts.{interview.about}" if interview.about else "None"
    options = f"owner={quoted(interview.owner)}, title={quoted(interview.title)}, subject={about}"
    yield from ["", "", *wrapped(f"@process({options})", 0)]
    yield f"async def {name}(facts: Facts) -> None:"
    yield from [f'    """{prose(interview.title)}"""', *found.body]
    for part in found.parts:
        yield from ["", "", *part]


def _name_of(lines: list[str]) -> str:
    return next(e for e in lines if e.startswith("async def ")).split("(")[0].split()[-1]


def _import(module: str, names: set[str]) -> list[str]:
    ordered = sorted(names, key=lambda each: (not each.isupper(), not each[0].isupper(), each))
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) <= 100:
        return [line]
    return [f"from {module} import (", *(f"    {each}," for each in ordered), ")"]


def _tests(found: Skeleton, package: str) -> Iterator[str]:
    """A run for every value that decides, one that is declined, one where nobody answers."""
    interview, name = found.interview, found.interview.process
    yield f'"""What {name} comes to, whatever is decided; no system is asked."""'
    yield from ["", "from __future__ import annotations", ""]
    kinds = [_type(n, e.value) for n, e in interview.fields.items()]
    if "date" in kinds:
        yield "from datetime import date"
    if "Decimal" in kinds:
        yield "from decimal import Decimal"
    yield from ["from typing import Any", "", "import pytest"]
    if "Person" in kinds:
        yield "from newel import Person"
    yield from ["from newel.testing import running", ""]
    events = set(found.events.values())
    yield from _import(f"{package}.{name}", {name, *events})
    enums = {kind_named(n) for n, e in interview.fields.items() if isinstance(e.value, list)}
    yield from _import(f"{package}.{name}_facts", {"Facts", *enums})
    yield ""
    yield from ["pytestmark = pytest.mark.asyncio", ""]
    yield from _table("ASKED", dict.fromkeys(found.asked, "True"))
    yield from _table("AGAIN", dict.fromkeys(found.again, "True"))
    yield from _table("DEADLINES", dict.fromkeys(found.deadlines, "True"))
    yield from _table("FILLED", found.filled)
    yield from _table("DONE", found.done)
    yield from _table("HEARD", found.events)
    cases = [f"{{{quoted(n)}: {v}}}" for n, values in found.branches.items() for v in values]
    yield from ["CASES: list[dict[str, Any]] = [", *(f"    {e}," for e in cases or ["{}"]), "]"]
    yield from ["", "", "def facts(**changed: Any) -> Facts:"]
    yield from ['    """Facts that are all right, but for what is changed."""']
    yield "    known: dict[str, Any] = {"
    yield from (f"        {quoted(n)}: {_value(n, e.value)}," for n, e in interview.fields.items())
    yield from ["    }", "    return Facts(**(known | changed))", *_DRIVE.splitlines()]
    yield from _CASES.replace("PROCESS", name).splitlines()
    if set(found.asked) - set(found.again):
        yield from _DECLINED.replace("PROCESS", name).splitlines()
    if found.deadlines:
        yield from _SILENT.replace("PROCESS", name).splitlines()


def _table(name: str, rows: Mapping[str, str]) -> Iterator[str]:
    if not rows:
        yield f"{name}: dict[str, Any] = {{}}"
        return
    yield f"{name}: dict[str, Any] = {{"
    yield from (f"    {quoted(key)}: {value}," for key, value in rows.items())
    yield "}"


def _value(name: str, value: object) -> str:
    if isinstance(value, list):
        return f"next(iter({kind_named(name)}))"
    if value == "person":
        return (
            f'Person(name="Some {prose(name)[:-1]}", email="{name.replace("_", ".")}@acme.example")'
        )
    return _VALUES[str(value)]


_DRIVE: Final = '''

async def driven(run: Any, *, approves: bool = True, answers: bool = True) -> str:
    """Answer whatever is asked, or the second time only, until the run has ended; its state."""
    passed: set[str] = set()
    for _ in range(300):
        state: str = run.state
        if state in ("completed", "failed", "cancelled"):
            return state
        await once(run, passed, approves=approves, answers=answers)
    raise AssertionError(run.waits_for())


async def once(run: Any, passed: set[str], *, approves: bool, answers: bool) -> None:
    """One thing that is asked: first what is parked, then people, then time."""
    for key in sorted(run.parked()):
        await run.complete_by_hand(key, DONE.get(name_of(key)))
        return
    for key in sorted(run.waiting()):
        name = name_of(key)
        if not answers and name in DEADLINES and key not in passed:
            passed.add(key)
            run.clock.move_to_next()
            return
        if name in ASKED:
            await run.decide(key, approved=approves or name in AGAIN)
            return
        if name in FILLED:
            await run.fill(key, FILLED[name])
            return
        if name in HEARD:
            await run.send(HEARD[name], "heard in a test")
            return
    run.clock.move_to_next()


def name_of(key: str) -> str:
    """The name in a key: without sections, items and counters."""
    return key.rpartition("/")[2].partition("[")[0].partition("#")[0]
'''
_CASES: Final = '''

@pytest.mark.parametrize("case", CASES, ids=str)
async def test_it_comes_to_its_end(case: dict[str, Any]) -> None:
    """Whatever the facts are, it ends well when everybody agrees."""
    async with running(PROCESS.request(facts(**case))) as run:
        assert await driven(run) == "completed"
'''
_DECLINED: Final = '''

async def test_a_no_ends_it() -> None:
    """Who is asked can stop it."""
    async with running(PROCESS.request(facts())) as run:
        assert await driven(run, approves=False) == "failed"
'''
_SILENT: Final = '''

async def test_silence_is_no_end() -> None:
    """Where nobody answers in time somebody else is asked."""
    async with running(PROCESS.request(facts())) as run:
        assert await driven(run, answers=False) == "completed"
'''


def _scope(found: Skeleton) -> Iterator[str]:
    """What is known, and what is not."""
    interview: Interview = found.interview
    name = interview.process
    yield from [f"# Scope: {interview.title}", "", "Written once from an interview.", ""]
    yield from [f"- Process: `{name}`, owner: {interview.owner}", f"- Begins: {interview.trigger}"]
    yield from ["- Moments are UTC.", "", "## Process map", ""]
    yield from [f"`newel draw {name}` draws it; `newel doc {name}` writes its dossier.", ""]
    yield from ["## Systems", "", "| System | Owner | Permission |", "|---|---|---|"]
    for system, about in interview.systems.items():
        yield f"| {system} | {about.get('owner', '?')} | {about.get('permission', '?')} |"
    yield from ["", "## Done by hand", "", *_listed(found.by_hand)]
    yield from ["", "## Open questions", "", *_listed(interview.questions)]
    yield from ["", "## What hurts today", "", *_listed(list(interview.pains))]


def _listed(points: list[str]) -> list[str]:
    return [f"- {each}" for each in points] or ["Nothing."]
