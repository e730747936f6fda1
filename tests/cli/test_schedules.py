"""`newel schedules`: what starts by itself is declared beside its process, listed, and paused."""

from __future__ import annotations

import asyncio
import os

import asyncpg

from tests.faults.pooler import behind

COMPANY = '''
"""A report, every Monday."""

from newel import every, process

@process(subject=None, at_most=1, priority="low")
async def report(of: str) -> None:
    """Report."""

weekly = every("0 6 * * MON", report.request("access"), zone="Europe/Berlin", name="weekly-report")
'''
BORROWED = """
from company_reports import report, weekly
from newel import every

nightly = every("0 1 * * *", report.request("all"), missed="each")
"""


def declared(project, **files):
    """Write modules beside the project and let its settings name them."""
    for name, text in files.items():
        (project / f"{name}.py").write_text(text, encoding="utf-8")
    settings = "\n".join(f'  "{name}",' for name in files)
    (project / "newel.toml").write_text(f"processes = [\n{settings}\n]\n", encoding="utf-8")


def test_schedules_are_found_beside_their_processes(deployed, newel):
    """A module's own are declared; those that it imports are its neighbour's."""
    declared(deployed, company_reports=COMPANY, company_nights=BORROWED)
    assert newel("start", "report", "--input", '"x"', "--priority", "high").status == 0
    said = newel("schedules", "--json").document["schedules"]
    assert [(each["name"], each["cron"], each["zone"], each["missed"]) for each in said] == [
        ("report", "0 1 * * *", "UTC", "each"),
        ("weekly-report", "0 6 * * MON", "Europe/Berlin", "once"),
    ]
    assert [each["last"] for each in said] == [None, None]
    assert "0 6 * * MON" in newel("schedules").out


def test_a_schedule_is_paused_and_resumed(deployed, newel):
    """The list says so; a name that is not there is told."""
    declared(deployed, company_reports=COMPANY)
    assert newel("start", "report", "--input", '"x"').status == 0
    assert "is paused" in newel("schedules", "pause", "weekly-report").out
    assert "paused" in newel("schedules").out
    assert "goes on" in newel("schedules", "resume", "weekly-report").out
    missing = newel("schedules", "pause", "weakly")
    assert (missing.status, missing.err) == (1, "newel: There is no schedule 'weakly'.\n")


def test_a_deployment_without_schedules_says_how_one_is_made(deployed, newel):
    """The empty list has an example in it."""
    assert 'every("0 6 * * MON", …)' in newel("schedules").out


def test_a_start_has_the_priority_that_it_asks_for(deployed, newel):
    """The command line passes it on; without it the process says."""
    declared(deployed, company_reports=COMPANY)
    for more in ((), ("--priority", "high")):
        assert newel("start", "report", "--input", '"x"', *more).status == 0

    async def read():
        connection = await asyncpg.connect(behind(os.environ["NEWEL_DATABASE_URL"]))
        try:
            return await connection.fetch(
                "select priority, room from newel.run order by started_at"
            )
        finally:
            await connection.close()

    found = [tuple(row) for row in asyncio.run(read())]
    assert found == [(150, "process/report"), (50, "process/report")]
