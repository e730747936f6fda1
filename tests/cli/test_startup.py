"""What starting costs, and what the command line promises before it does anything."""

from __future__ import annotations

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
    "systems",
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


IMPORTED = "import newel"
HELPED = "from newel.cli.app import answered; answered(['--help'])"


def modules(code: str) -> set[str]:
    """Run code in a fresh interpreter; answers with the modules it has loaded."""
    told = "\nimport sys; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code + told], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "code",
    [
        IMPORTED,
        HELPED,
        "from newel.cli.app import answered; answered(['decide', '--help'])",
    ],
)
def test_importing_newel_and_asking_for_help_load_nothing_heavy(code):
    """Neither a database driver nor a web framework nor pydantic is loaded for nothing."""
    assert {name.partition(".")[0] for name in modules(code)} & HEAVY == set()


@pytest.mark.parametrize(("code", "most"), [(IMPORTED, 225), (HELPED, 400)])
def test_starting_loads_few_modules(code, most):
    """What is loaded is what a start costs; the seconds themselves are measured by `make bench`."""
    names = modules(code)
    assert len(names) <= most
    assert "newel.audit.catalogue" not in names


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
