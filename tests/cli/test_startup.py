"""What starting costs, and what the command line promises before it does anything."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from newel.cli.app import application

COMMANDS = {
    "access",
    "audit",
    "db",
    "init",
    "new",
    "dev",
    "demo",
    "serve",
    "witness",
    "worker",
    "migrate",
    "start",
    "runs",
    "shadow",
    "status",
    "tasks",
    "decide",
    "retry",
    "skip",
    "complete-by-hand",
    "cancel",
    "check",
    "draw",
    "evidence",
    "plan",
    "fill",
    "pause",
    "person",
    "resume",
    "reschedule",
    "amend",
    "fork",
    "keep",
    "acknowledge",
    "bulk",
    "send",
    "events",
    "schedules",
    "webhooks",
    "connector",
    "simulators",
    "doc",
    "doctor",
    "export",
    "contracts",
    "inventory",
    "retention",
    "revocations",
    "bench",
    "key",
}
HEAVY = {"asyncpg", "fastapi", "httpx2", "jinja2", "pydantic", "starlette", "uvicorn"}


def loaded(code: str) -> set[str]:
    """Run code in a fresh interpreter; answers with the top-level modules it has loaded."""
    told = "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code + told], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "code",
    [
        "import newel",
        "from newel.cli.app import answered; answered(['--help'])",
        "from newel.cli.app import answered; answered(['decide', '--help'])",
    ],
)
def test_importing_newel_and_asking_for_help_load_nothing_heavy(code):
    """Neither a database driver nor a web framework nor pydantic is loaded for nothing."""
    assert loaded(code) & HEAVY == set()


@pytest.mark.parametrize(("code", "promised_s"), [("import newel", 0.2), (None, 0.4)])
def test_starting_keeps_its_promise(code, promised_s):
    """`import newel` takes at most 0.2 s and `newel --help` at most 0.4 s of the processor.

    The best of five; twice the promise is allowed, because tests share the machine.
    """
    command = [sys.executable, *(["-c", code] if code else ["-m", "newel", "--help"])]
    assert min(processor_s(command) for _ in range(5)) <= 2 * promised_s


def processor_s(command):
    """Run a command; answers with the processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_the_commands_are_those_that_were_promised():
    """The names are fixed: scripts of companies rest on them."""
    assert {name for name in application() if not name.startswith("-")} == COMMANDS


def test_help_names_every_command(newel):
    """Every command stands in the help with its sentence."""
    said = newel("--help")
    assert said.status == 0
    assert [name for name in COMMANDS if name not in said.out] == []


def test_the_version_is_told(newel):
    """`newel --version` prints the version alone."""
    assert newel("--version").out.strip()[0].isdigit()
