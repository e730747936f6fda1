"""Before a deploy: every kind of edit, on a run before and on one beyond the edited place.

The runs are exported as `newel export --journals` does, and judged from the file as `newel check
--against` does. What is said of each edit is committed text: a reviewer reads it whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from newel.base.errors import InvalidInput
from newel.cli.checking import verdict_lines
from newel.flow.process import Process
from newel.testing.golden import Golden
from newel.testing.journals import exported, judged_from
from newel.testing.running import running
from tests.changes.versions import version

STEPS = """
@step(in_doubt="repeat", system="directory", runbook="directory.md")
async def account(name: str) -> str:
    return f"{name}@example.test"

@step(in_doubt="repeat", system="shop", runbook="shop.md")
async def laptop(name: str, model: str) -> None: ...

@step(in_doubt="repeat", system="mail", runbook="mail.md", sends_email=True, reversible=False)
async def greet(name: str) -> None: ...

@step(in_doubt="repeat", system="directory", runbook="directory.md")
async def badge(name: str) -> None: ...
"""
OLD = """
@process(subject=None, owner="it")
async def joining(name: str, days_left: int) -> str:
    await approval("signed", by=team("hr"))
    if days_left > 5:
        made_of = await account(name)
    else:
        made_of = name
    await parallel(laptop(name, "light"), badge(name))
    await approval("arrived", by=team("it"))
    await greet(name)
    return made_of
"""
SAID = 'await approval("signed", by=team("hr"))\n'
BESIDE = 'await parallel(laptop(name, "light"), badge(name))\n'

EDITS: dict[str, tuple[tuple[str, str], ...]] = {
    "nothing": (),
    "a comment and another label": (
        ("    if days_left > 5:", "    # is there time?\n    if days_left > 5:"),
        ('@process(subject=None, owner="it")', '@process(subject=None, owner="it", title="Join")'),
    ),
    "a local variable renamed": (("made_of", "address"),),
    "acts moved into a helper": (
        ("made_of = await account(name)", "made_of = await made(name)"),
        (
            "@process",
            "async def made(name: str) -> str:\n    return await account(name)\n\n@process",
        ),
    ),
    "branches in another order": (
        ('laptop(name, "light"), badge(name)', 'badge(name), laptop(name, "light")'),
    ),
    "branches one after another": (
        (BESIDE, 'await laptop(name, "light")\n    await badge(name)\n'),
    ),
    "an act not reached yet is gone": (("    await greet(name)\n", ""),),
    "an act before the gate": ((SAID, f"await badge['early'](name)\n    {SAID}"),),
    "a mail in the middle": ((BESIDE, f"{BESIDE}    await greet['early'](name)\n"),),
    "a step renamed": (("account", "mailbox"),),
    "a step renamed, with its former name": (
        ("async def account", "async def mailbox"),
        ("await account", "await mailbox"),
        (
            'runbook="directory.md")\nasync def mailbox',
            'runbook="directory.md", formerly="account")\nasync def mailbox',
        ),
    ),
    "a step removed": ((", badge(name)", ""),),
    "a step removed, and retired": (
        (", badge(name)", ""),
        ('owner="it")', 'owner="it", retired=["badge"])'),
    ),
    "a step wrapped in a section": ((BESIDE, f'with section("desk"):\n        {BESIDE}'),),
    "a step with an item": (("badge(name))", 'badge["front"](name))'),),
    "a condition that leads elsewhere": (("days_left > 5", "days_left > 50"),),
    "a condition that ends it": (
        ("    await parallel", '    if days_left > 7:\n        return ""\n    await parallel'),
    ),
    "a condition not met yet": (("    await greet", "    if days_left > 5:\n        await greet"),),
    "another kind of act": (
        ('await approval("arrived", by=team("it"))', 'await timer("arrived", after=days(9))'),
    ),
    "other input of a step": (('"light"', '"heavy"'),),
    "an outcome that does not read": (
        ("account(name: str) -> str", "account(name: str) -> int"),
        ("-> str:\n    await approval", "-> object:\n    await approval"),
    ),
    "a body that raises": (("    await parallel", '    model = {}["light"]\n    await parallel'),),
    "another gate in front": ((SAID, f'{SAID}    await approval("budget", by=team("hr"))\n'),),
}


def edited(changes: tuple[tuple[str, str], ...]) -> Process[..., Any]:
    """The process after an edit; each change is one that the old text has."""
    text = STEPS + OLD
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    return version(text)


@pytest.fixture
async def journals(tmp_path: Path) -> dict[str, Path]:
    """Give the files of a run that waits before the edited places, and of one beyond them."""
    written = {}
    for place in ("before", "beyond"):
        async with running(edited(()).request("jäne's 🦊", 9)) as run:
            if place == "beyond":
                await run.decide("signed", approved=True)
            text = await run.do(exported(run.engine, run.id))
        written[place] = tmp_path / f"{place}.jsonl"
        written[place].write_bytes(orjson.dumps(orjson.loads(text)) + b"\n")
    return written


async def test_every_kind_of_edit_is_told_as_committed(
    journals: dict[str, Path], request: pytest.FixtureRequest
) -> None:
    """Unchanged, what runs now and what it does outside, or why it is blocked: for both runs."""
    said = []
    for edit, changes in EDITS.items():
        said.append(f"{edit}\n")
        for place, file in journals.items():
            found = judged_from(file, [edited(changes)])
            run = found[0].run
            lines = [line.replace(run, "run") for line in verdict_lines(found)]
            said.append("".join(f"  {place}: {line}\n" for line in lines))
    golden = Golden(request.path, bool(request.config.getoption("--newel-update")))
    golden.holds("edits", "".join(said))


def test_what_is_no_file_of_journals_is_refused(tmp_path: Path) -> None:
    """Other JSON and no JSON at all are told apart from an empty file, which holds no run."""
    file = tmp_path / "some.jsonl"
    for text in ('{"run": 1}', "[]", "no json", '{"run": "a", "process": "b"}\n3'):
        file.write_text(text)
        with pytest.raises(InvalidInput, match="no journals"):
            judged_from(file, [])
    file.write_text("")
    assert judged_from(file, []) == []


def test_a_run_that_is_not_told_is_not_passed_over(tmp_path: Path) -> None:
    """A line that says that a journal was left out stops the deploy like a blocked run."""
    file = tmp_path / "some.jsonl"
    file.write_text('{"run": "run_1", "process": "joining", "left_out": "Fields decide."}\n')
    (found,) = judged_from(file, [edited(())])
    assert (found.word, found.why) == (
        "blocked",
        "Its journal is not in the file, so it cannot be judged. Fields decide.",
    )
