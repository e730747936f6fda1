"""`newel check`: what is wrong with the processes, for people, programs and pipelines."""

from __future__ import annotations

import asyncio
import json
import linecache
import os
import sys

import asyncpg
import pytest

from tests.faults.pooler import behind

_WRONG = '''"""A process that cannot rest."""

import asyncio

from newel import process, step


@step(in_doubt="repeat", system="mail", runbook="mail.md")
async def invite(name: str) -> str:
    """Invite somebody."""
    return name


@process(subject=None, owner="it")
async def hurried(names: tuple[str, ...]) -> None:
    """Do it the way that cannot rest."""
    await asyncio.gather(invite("ä"), invite("b"))


@process(subject=None, owner="it")
async def counted(names: tuple[str, ...]) -> None:
    """Positions become identity."""
    for name in names:
        await invite(name)
'''


@pytest.fixture
def wrong(project):
    """Give the project of `newel init` with two processes that are wrong beside the good ones."""
    (project / "company" / "hurried.py").write_text(_WRONG, "utf-8")
    settings = project / "pyproject.toml"
    text = settings.read_text("utf-8")
    assert "processes = [" in text
    settings.write_text(text.replace("processes = [", 'processes = ["company.hurried", '), "utf-8")


def test_the_project_of_newel_init_is_sound(newel, project):
    """Its processes are read without a finding, also where warnings count."""
    said = newel("check", "--strict")
    assert said.status == 0
    assert said.out.endswith("processes read. Nothing is wrong.\n")
    assert newel("check", "--format", "json").document["findings"] == []


@pytest.mark.usefixtures("wrong")
def test_all_that_is_wrong_is_said_at_once_with_place_and_fix(newel):
    """Errors make the status 1; a process that is named alone is judged alone."""
    said = newel("check")
    lines = said.out.splitlines()
    assert said.status == 1
    assert lines[0].startswith("company.hurried:17:11 F105 error: `asyncio.gather` cannot rest")
    assert lines[0].endswith("Fix: `await parallel(…)` with the same calls.")
    assert [line.split(" ")[1] for line in lines[:-1]] == ["F105", "F101", "F101", "F303"]
    assert lines[-1].endswith("processes read. 3 errors, 1 warnings.")
    assert newel("check", "counted").status == 0
    assert newel("check", "counted", "--strict").status == 1
    assert newel("check", "nothing").status == 1


@pytest.mark.usefixtures("wrong")
def test_programs_and_pipelines_are_told_in_their_way(newel):
    """JSON with every field, and notes that GitHub shows beside the line."""
    found = newel("check", "hurried", "--format", "json").document
    assert found["processes"] == ["hurried"]
    first = found["findings"][0]
    assert (first["module"], first["line"], first["code"]) == ("company.hurried", 17, "F105")
    notes = newel("check", "--format", "github").out.splitlines()
    assert notes[0].startswith("::error file=company/hurried.py,line=17,col=11,title=F105::`asyn")
    assert notes[-1].startswith("::warning ")


def test_a_module_that_does_not_come_to_its_end_is_told_alike(newel, project):
    """What a declaration refuses is a finding like any other."""
    broken = _WRONG.replace("@step(", "@step(raises=Exception, ")
    (project / "company" / "onboarding.py").write_text(broken, "utf-8")
    said = newel("check", "--format", "json")
    assert said.status == 1
    assert [each["code"] for each in said.document["findings"]] == ["F708"]


@pytest.mark.usefixtures("wrong")
def test_a_worker_does_not_start_with_it(newel):
    """The same sentences keep it from being registered."""
    said = newel("start", "hurried", "--input", "[]")
    assert said.status == 1
    assert "F105 error" in said.err
    assert "F303" not in said.err


_STARTS_ANOTHER = '''"""Two processes; the second is not among those of the project."""

from newel import process, section, spawn, step


@step(in_doubt="repeat")
async def tell() -> None:
    """Tell somebody."""


@process(subject=None, owner="it")
async def ordering() -> None:
    """Starts the other one, and waits for it, too."""
    await spawn(packing["soon"].request())
    await helper()


async def helper() -> None:
    """What is called is seen as well."""
    with section("again"):
        await packing()


@process(subject=None, owner="it")
async def packing() -> None:
    """Packs."""
    await tell()
'''


def test_a_child_that_nobody_registers_is_refused_where_it_is_started(newel, project):
    """Check and worker say it with line and fix; among the project's processes it is no mistake."""
    (project / "company" / "ordering.py").write_text(_STARTS_ANOTHER, "utf-8")
    settings = project / "pyproject.toml"
    text = settings.read_text("utf-8")
    with_one = text.replace("processes = [", 'processes = ["company.ordering:ordering", ')
    settings.write_text(with_one, "utf-8")
    said = newel("check")
    assert said.status == 1
    assert said.out.splitlines()[:-1] == [
        f"company.ordering:{at} F714 error: `ordering` starts `packing`, which is not registered: "
        "its runs would stop here. Fix: register `packing` beside `ordering`."
        for at in ("14:11", "21:15")
    ]
    assert "F714" in newel("start", "ordering", "--input", "{}").err
    settings.write_text(text.replace("processes = [", 'processes = ["company.ordering", '), "utf-8")
    _forgotten()
    assert newel("check", "ordering").status == 0


def test_open_runs_are_judged_before_new_code_comes(newel, deployed, work):
    """Unchanged is 0; an act before where a run stands is 3, unless it is wanted; a rename is 4."""
    assert newel("check", "--against", "here").out.endswith("No run is under way.\n")
    newel("start", "onboarding", "--input", "example.json")
    work()
    said = newel("check", "--against", "here")
    assert (said.status, said.out.splitlines()[-1]) == (0, "onboarding: 1 run unchanged")
    file = deployed / "company" / "onboarding.py"
    text = file.read_text("utf-8")
    first = '    await slack.say["early"]("#general", "Somebody comes.")\n'
    file.write_text(
        text.replace("    await confirmed(hire)\n", f"{first}    await confirmed(hire)\n")
    )
    _forgotten()
    said = newel("check", "--against", "here")
    assert said.status == 3
    assert "runs now: begins slack.say[early]" in said.out
    assert newel("check", "--against", "here", "--accept-runs-now").status == 0


def test_open_runs_are_judged_from_a_file_where_their_database_is_not_at_hand(
    newel, deployed, work, monkeypatch, tmp_path
):
    """Exported without persons, judged without a database; both readings stand in the log."""
    newel("start", "onboarding", "--input", "example.json")
    work()
    assert newel("check", "--against", "here").status == 0
    file = tmp_path / "journals.jsonl"
    file, fields = tmp_path / "journals.jsonl", ("--kept", "job")
    assert newel("export", str(file), "--journals", *fields, "--json").document == {
        "file": str(file),
        "runs": 1,
        "left_out": 0,
    }
    text = file.read_text("utf-8").lower()
    assert [each for each in ("jane", "doe", "alice", "acme.example") if each in text] == []
    url = os.environ["NEWEL_DATABASE_URL"]
    leaves = [json.loads(each) for each in asyncio.run(_leaves(url))]
    said = {each["type"]: each["data"] for each in leaves}
    counts = {name: said["data.journals_read"][name] for name in ("runs", "runs_now", "blocked")}
    assert counts == {"runs": 1, "runs_now": 0, "blocked": 0}
    assert (said["data.exported"]["kind"], said["data.exported"]["rows"]) == ("journals", 1)
    assert {each["actor"]["id"] for each in leaves} == {"svc_cli"}
    monkeypatch.setenv("NEWEL_DATABASE_URL", "postgresql://nowhere.example/none")
    _forgotten()
    again = newel("check", "--against", str(file))
    assert (again.status, again.out.splitlines()[-1]) == (0, "onboarding: 1 run unchanged")
    code = deployed / "company" / "onboarding.py"
    code.write_text(code.read_text("utf-8").replace('"manager-confirms"', '"boss-confirms"'))
    _forgotten()
    renamed = newel("check", "--against", str(file))
    assert renamed.status == 4
    assert "blocked: The new code no longer asks for `manager-confirms`" in renamed.out
    file.write_text("nothing of ours")
    assert newel("check", "--against", str(file)).status == 1


async def _leaves(url):
    connection = await asyncpg.connect(behind(url))
    try:
        rows = await connection.fetch(
            "select convert_from(entry, 'UTF8') from newel.event "
            "where type in ('data.journals_read', 'data.exported')"
        )
    finally:
        await connection.close()
    return [row[0] for row in rows]


def _forgotten():
    """Let the next command import the project anew, as a new program does."""
    linecache.clearcache()
    for name in [each for each in sys.modules if each.partition(".")[0] == "company"]:
        del sys.modules[name]
